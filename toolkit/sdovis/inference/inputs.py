"""What `sdovis predict` is asked about: files, folders, patterns, a study, a corpus or a dataset become one list of images."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sdovis import manifests
from sdovis.channels.place import Position
from sdovis.channels.view import View
from sdovis.corpus.observations import Observation
from sdovis.errors import BadInput, Problem, once
from sdovis.images.keywords import Keywords
from sdovis.images.timestamps import SUFFIXES
from sdovis.study import Images

#: A dataset on the Hub: owner and name.
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_PATTERN = re.compile(r"[*?\[]")
#: What a network looks at, whatever the study of the images says.
_OF_THE_MODEL = ("size_px", "cutout_arcsec", "cutout_deg", "neighbours", "flatten")


@dataclass(frozen=True)
class Place:
    """A region that an image of a corpus or dataset shows, as far as its row says."""

    position: Position | None = None
    region: int | None = None
    id: str = ""


@dataclass(frozen=True)
class StudyImages:
    """What `corpus.examples` needs of a study to look at its images as the model does."""

    root: Path
    images: Images
    keywords: Keywords | None


@dataclass(frozen=True)
class Asked:
    """One image that is asked about, by the name that it has in the table.

    ``files`` are one for each channel, or the one that holds all; without any, ``stored`` is the image itself, as a corpus or
    a dataset stores it, with its ``sha256`` if that is known, and ``places`` are the regions that it shows. ``frame`` are the
    rows of a study that name the image, ``numbered`` those that say where its regions are.
    """

    name: str
    files: tuple[str, ...] = ()
    stored: bytes | None = None
    sha256: str = ""
    observed: datetime | None = None
    places: tuple[Place, ...] = ()
    frame: tuple[Observation, ...] = ()
    numbered: tuple[Observation, ...] = ()


@dataclass(frozen=True)
class Inputs:
    """Images in their order; ``count`` is None where nobody knows how many there are. ``digest`` tells them from others."""

    images: Callable[[], Iterator[Asked]]
    count: int | None
    digest: str
    notices: tuple[str, ...] = ()
    study: StudyImages | None = None


def gather(inputs: Sequence[str], view: View) -> Inputs:
    """All images of ``inputs``, those named twice once.

    Raises `BadInput` with every input that is nothing, and as corpus, study and dataset do.
    """
    paths: list[tuple[str, ...]] = []
    others: list[Inputs] = []
    problems: list[Problem] = []
    for text in inputs:
        try:
            found = _input(text, view)
        except BadInput as error:
            problems += error.problems
            continue
        if isinstance(found, Inputs):
            others.append(found)
        else:
            paths += found
    if problems:
        raise BadInput(problems)
    # One image named in two ways, as by a folder and by itself, is asked about once.
    files = list({tuple(str(Path(path).resolve()) for path in each): each for each in paths}.values())
    named = Inputs(
        lambda: (Asked(",".join(each), each) for each in files), len(files), manifests.sha256_text(repr(files))
    )
    return _joined([named, *others] if files or not others else others)


def _joined(found: Sequence[Inputs]) -> Inputs:
    studies = [each.study for each in found if each.study]
    if len(studies) > 1:
        raise BadInput("two studies are named; name one at a time")
    counts = [each.count for each in found]
    known = [count for count in counts if count is not None]
    return Inputs(
        lambda: (asked for each in found for asked in each.images()),
        sum(known) if len(known) == len(counts) else None,
        manifests.sha256_text(" ".join(each.digest for each in found)),
        tuple(notice for each in found for notice in each.notices),
        next(iter(studies), None),
    )


def _input(text: str, view: View) -> list[tuple[str, ...]] | Inputs:
    path = Path(text)
    if path.is_file():
        return _of_study(path, view) if path.suffix.lower() == ".toml" else [(text,)]
    if path.is_dir():
        return _folder(path)
    if _PATTERN.search(text):
        named = glob.glob(text, recursive=True)  # noqa: PTH207  Path.glob takes no absolute pattern
        matching = sorted(each for each in named if Path(each).is_file())
        if not matching:
            raise BadInput(Problem("no file matches this pattern", "put it in quotes, with ** for any depth", text))
        return [(each,) for each in matching]
    if "," in text:
        parts = tuple(text.split(","))
        if missing := [part for part in parts if not Path(part).is_file()]:
            raise BadInput(Problem("there is no such image file", file=part) for part in missing)
        return [parts]
    if _HUB_ID.fullmatch(text) and not text.lower().endswith(SUFFIXES) and not path.parent.is_dir():
        return _dataset(text)
    raise BadInput(Problem("there is no such image file", file=text))


def _folder(path: Path) -> list[tuple[str, ...]] | Inputs:
    """The images in a folder and below it; of a corpus or dataset, those that its tables hold."""
    # A released dataset has corpus.json too, but no manifest: its files are those of the Hub.
    for corpus in (path, path / "corpus"):
        if (corpus / "corpus.json").is_file() and (corpus / manifests.NAME).is_file():
            return _corpus(corpus)
    images = sorted(str(each) for each in path.rglob("*") if each.name.lower().endswith(SUFFIXES) and each.is_file())
    if images:
        return [(each,) for each in images]
    if next(path.rglob("*.parquet"), None) is not None:
        return _dataset(str(path))
    raise BadInput(Problem("holds no image", f"images end with {', '.join(SUFFIXES)}", str(path)))


# --- a corpus, a dataset ----------------------------------------------------------------------------------------------


def _corpus(folder: Path) -> Inputs:
    from sdovis.corpus.build import Corpus

    corpus = Corpus.load(folder)

    def images() -> Iterator[Asked]:
        for number, row in enumerate(corpus.rows.to_dict("records")):
            yield replace(
                _of_row(row, str(row["image_file"])), stored=corpus.pictures[number], sha256=row["image_sha256"]
            )

    return Inputs(images, len(corpus.rows), corpus.manifest.digest)


def _dataset(where: str) -> Inputs:
    """The images of a dataset, on the Hub or in a folder, in the order of its parts, read one after another."""
    import datasets

    from sdovis.corpus import foreign

    parts = foreign.parts_of(where)
    column = next(
        (name for data in parts.values() for name, kind in (data.features or {}).items()
         if isinstance(kind, datasets.Image)), "",
    )  # fmt: skip
    if not column:
        raise BadInput(Problem("the dataset has no column of images", "name one that has", where))

    def images() -> Iterator[Asked]:
        for part, data in parts.items():
            for number, row in enumerate(foreign.rows_of(foreign.undecoded(data, column), where)):
                stored = row[column] if isinstance(row[column], dict) else {}
                asked = _of_row(row, f"{where}/{part}/{number}")
                yield replace(asked, stored=foreign.stored_bytes(stored, where))

    return Inputs(images, None, manifests.sha256_text(where))


def _of_row(row: Mapping[Any, Any], name: str) -> Asked:
    """What the row of a corpus, or of another dataset with such columns, says of its image."""
    region, time = _number(row.get("noaa_ar")), row.get("observed")
    place = Place(
        Position(*(_number(row.get(each)) for each in ("latitude_deg", "longitude_deg", "x_px", "y_px"))),
        None if region is None else int(region),
        str(row.get("id") or ""),
    )
    # A missing time of a table is a NaT, which is a datetime and not equal to itself.
    return Asked(name, observed=time if isinstance(time, datetime) and time == time else None, places=(place,))


def _number(value: Any) -> float | None:
    """A number of a table; None where it has none."""
    return float(value) if isinstance(value, int | float) and value == value else None


# --- a study ----------------------------------------------------------------------------------------------------------


def _of_study(path: Path, view: View) -> Inputs:
    """The rows of a study with their images, which are looked at as the model does; rows without a class are left out.

    Raises `BadInput` as `sdovis check` does for rows that cannot be read.
    """
    from sdovis import study as studies
    from sdovis.corpus import build, catalog
    from sdovis.corpus.observations import understand

    study = studies.load(path)
    sees = tuple(kind.name for kind in view.channels)
    if study.images.channels != sees:
        what = f"its images are {', '.join(study.images.channels)}, but the model sees {', '.join(sees)}"
        raise BadInput(Problem(what, "name a study of images of the model's channel", str(path)))
    as_trained = {name: getattr(view, name) for name in _OF_THE_MODEL} | {"max_longitude_deg": None}
    images = Images.model_validate(study.images.model_dump() | as_trained)
    study = study.model_copy(update={"images": images})
    rows = build.read_rows(study)
    known = understand(study, rows, catalog.scheme_of(study, [row for row in rows if not row.faults]))
    if known.problems and study.source.on_problem == "error":
        raise BadInput(once(problem for _, problem in known.problems))
    if view.masks and not known.numbered:
        what = "no row has both a region's number and its position, so there are no neighbours to mask"
        raise BadInput(Problem(what, "set source.columns.noaa_ar and those of the position", str(path)))
    asked = [
        Asked("; ".join(frame[0].images), frame=frame, numbered=tuple(known.numbered.get(frame[0].images, ())))
        for frame in catalog.frames_of(known.kept)
    ]
    left_out = len(known.rejects) + len({id(raw) for raw, _ in known.problems})
    notices = (f"{path}: {left_out} rows are left out; sdovis check {path} says why",) if left_out else ()
    keywords = Keywords.read(study.keywords) if study.keywords else None
    return Inputs(
        lambda: iter(asked),
        len(asked),
        manifests.sha256_text(repr(asked)),
        notices,
        StudyImages(study.image_root, images, keywords),
    )
