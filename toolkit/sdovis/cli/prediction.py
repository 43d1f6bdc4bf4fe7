"""`sdovis predict`: a trained model on images."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from sdovis.cli.program import app
from sdovis.errors import BadInput, Problem
from sdovis.printing import say


@app.command()
def predict(
    model: Annotated[str, typer.Argument(help="Run folder, model folder or Hub id.", show_default=False)],
    images: Annotated[
        list[str],
        typer.Argument(
            help="FITS, JPEG2000, TIFF, PNG or JPEG files. For a model of three channels: one file per channel, joined by "
            "commas in any order (BR.fits,LOS.fits,IC.fits), or a PNG from its dataset.",
            show_default=False,
        ),
    ],
    at: Annotated[
        str | None,
        typer.Option(
            metavar="POSITION",
            help="Where the region is in full-disc images: S21W42, or --at=-21.5,42 (latitude, longitude in degrees, north "
            "and west positive). It applies to every image, while the Sun turns by 13 degrees a day.",
        ),
    ] = None,
    regions: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="For models that mask neighbours: NOAA's region summary of the day (SRS text), a folder of them or a year "
            "archive (.tar.gz). What belongs to the disc's other regions is then shown as quiet Sun, as in training.",
        ),
    ] = None,
) -> None:
    """Classify images with a trained model. Prints one line per image: its name, then each class with its probability.

    Fields are separated by tabs, and the most probable class comes first. For an image that is unlike anything the model
    was trained on, a last field says so: its answer must not be used.
    """
    from sdovis.channels.place import Position
    from sdovis.sun.archives import read_archive

    position = None if at is None else Position.parse(at)
    if regions is not None and position is None:
        raise BadInput(
            Problem("--regions names the neighbours of a region, but not which one is asked for", "add --at")
        )
    if regions is not None and not regions.exists():
        raise BadInput(Problem("there is no such file of region summaries", file=str(regions)))
    listed = None if regions is None else read_archive(regions)
    named = {image: [image] if Path(image).is_file() else image.split(",") for image in images}
    missing = [path for paths in named.values() for path in paths if not Path(path).is_file()]
    if missing:
        raise BadInput(Problem("there is no such image file", file=path) for path in missing)
    from tqdm import tqdm

    from sdovis.inference import Unfamiliar, gathered, opened

    classify: Any = opened(model)
    if position and position.longitude_deg and (caution := classify.view.near_limb(position.longitude_deg)):
        say(f"{at} lies {caution}")
    for image, paths in tqdm(named.items(), "predict", leave=False, disable=len(images) < 10):
        # The pipeline would stop at five classes.
        found = gathered(paths, classify.view, position, listed)
        for note in found.notes:
            say(f"{image}: {note}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Unfamiliar)  # the line says it
            answer = classify(found, top_k=classify.model.config.num_labels)
        fields = [image, *(f"{entry['label']} {entry['score']:.4f}" for entry in answer)]
        typer.echo("\t".join([*fields, answer.caution] if answer.caution else fields))
