"""`sdovis predict`: a trained model on images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sdovis import errors, printing
from sdovis.cli.program import Scheduler, Workers, app, refuse_both
from sdovis.errors import BadInput, Problem
from sdovis.printing import say


@app.command()
def predict(
    model: Annotated[str, typer.Argument(help="Run folder, model folder or Hub id.", show_default=False)],
    images: Annotated[
        list[str],
        typer.Argument(
            help="Files (FITS, JPEG2000, TIFF, PNG, JPEG), folders, patterns in quotes, a study (its rows and images), a "
            "corpus, or a dataset on the Hub. For a model of three channels: one file per channel, joined by "
            "commas in any order (BR.fits,LOS.fits,IC.fits), or a PNG from its dataset.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="TABLE",
            help="Write one table: .parquet, .csv, .ecsv (astropy) or .xlsx. Killed, the same command goes on.",
        ),
    ] = None,
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
            help="The regions of full-disc images, of which each is classified, rotated to the image's time: NOAA's region "
            "summaries (SRS text, a folder of them, a year's .tar.gz), SWPC's solar_regions.json, a workbook, a CSV file or a "
            "table of HARPs. With --at, only that region is classified, and the others are its neighbours: for models that "
            "mask them, what belongs to those is then shown as quiet Sun, as in training.",
        ),
    ] = None,
    draw: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Also draw each full disc with its regions, classes and probabilities."),
    ] = None,
    engine: Annotated[
        str, typer.Option(help="What computes the answers: torch, onnx or onnx-int8 (the extra onnx).")
    ] = "torch",
    batch: Annotated[int, typer.Option(min=1, help="Images that the network is shown at once.")] = 32,
    workers: Workers = None,
    scheduler: Scheduler = "",
) -> None:
    """Classify images with a trained model. Prints one line per image: its name, then each class with its probability.

    Fields are separated by tabs, and the most probable class comes first. For an image that is unlike anything the model
    was trained on, a last field says so: its answer must not be used. With --out, all goes to a table instead. Images that
    cannot be used are listed with the reason, the others are finished, and the exit code is 2.
    """
    from sdovis.channels.place import Position
    from sdovis.inference import asking
    from sdovis.inference.prediction import Pace

    if draw is not None and regions is None and at is None:
        raise BadInput(Problem("--draw shows regions on full discs, and none are asked for", "add --regions or --at"))
    refuse_both(workers, scheduler)
    position = None if at is None else Position.parse(at)
    question = asking.question(
        model, images, position=position, regions=regions, engine=engine, drawn=draw is not None, out=out,
        pace=Pace(workers, scheduler, batch),
    )  # fmt: skip
    for notice in question.input.notices:
        say(f"note: {notice}")
    if position and position.longitude_deg and (caution := question.view.near_limb(position.longitude_deg)):
        say(f"{at} lies {caution}")
    seen = None if draw is None else asking.drawing(question, draw)
    problems = asking.answered(question, _print, seen) if out is None else asking.tabled(question, out, seen)
    if problems:
        printing.problems(BadInput(problems))
    if out is not None:
        say(f"{out}: {question.said(len(problems))}")
    elif problems and question.input.count != 1:
        say(question.said(len(problems)))
    if problems:
        raise typer.Exit(errors.EXIT_BAD_INPUT)


def _print(name: str, fields: list[str], notes: tuple[str, ...]) -> None:
    for note in notes:
        say(f"{name}: {note}")
    typer.echo("\t".join([name, *fields]))
