"""Several answers at once: a table for the page, the same as CSV, and a picture of the disc with its regions."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import matplotlib
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from sdovis.channels.place import Position
from sdovis.corpus.rejects import harmless
from sdovis.inference import placards
from sdovis.webapp import page
from sdovis.webapp.listing import NOAA_UNKNOWN, Noaa, written


@dataclass(frozen=True)
class Result:
    """One answer of several: of a file, or of a region of a disc.

    ``probabilities`` are in descending order, and empty where there is no answer: ``why`` says it. ``refused`` says why an
    answer must not be used, ``notes`` are cautions, ``hint`` says what such answers have been worth. ``box`` is as in
    `sight.SeenRegion`.
    """

    name: str
    probabilities: Mapping[str, float]
    file: str = ""
    observed: str = ""
    position: Position | None = None
    noaa: Noaa = NOAA_UNKNOWN
    notes: tuple[str, ...] = ()
    refused: str = ""
    why: str = ""
    hint: str = ""
    box: tuple[float, float, float] | None = None

    @property
    def best(self) -> tuple[str, float] | None:
        """The most probable class and its probability; None if there is none, or none to be used."""
        return next(iter(self.probabilities.items()), None) if not self.refused else None

    @property
    def where(self) -> str:
        """The position as NOAA writes it; "" if there is none."""
        return written(self.position) if self.position else ""


def table(results: Sequence[Result], classes: Sequence[str], model: str) -> pd.DataFrame:
    """A row for each result; ``model`` names model and revision. Answers that must not be used are left out of it."""
    return pd.DataFrame([_row(each, classes, model) for each in results])


def _row(result: Result, classes: Sequence[str], model: str) -> dict[str, object]:
    label, probability = result.best or ("", None)
    latitude, longitude = (result.position.on_sun if result.position else None) or (None, None)
    shares = {} if result.refused else result.probabilities
    return {
        "name": result.name,
        "file": result.file,
        "observed": result.observed,
        "latitude_deg": latitude,
        "longitude_deg": longitude,
        "label": label,
        "probability": probability,
        **{f"prob_{name}": shares.get(name) for name in classes},
        "cautions": " ".join(filter(None, (result.refused, *result.notes))),
        "no_answer_because": result.why,
        "noaa_kind": result.noaa.kind,
        "noaa_mount_wilson": result.noaa.mount_wilson,
        "noaa_mcintosh": result.noaa.mcintosh,
        "model": model,
    }


def csv(results: Sequence[Result], classes: Sequence[str], model: str) -> str:
    """`table` as CSV, in which no spreadsheet program takes a cell for a formula."""
    return harmless(table(results, classes, model)).to_csv(index=False, lineterminator="\n", float_format="%.6g")


# --- as HTML ----------------------------------------------------------------------------------------------------------


def shown(results: Sequence[Result], title: str, download: str, file: str, notes: Sequence[str] = ()) -> str:
    """The box of all results; ``download`` is the CSV that its link holds, and ``file`` its name."""
    answered = sum(each.best is not None for each in results)
    said = f"{answered} of {len(results)} classified" if answered < len(results) else f"{answered} classified"
    rows = "".join(map(_shown, results))
    cautions = page.warnings(notes)
    # In the link itself: no file of a visitor's lies on the server for it.
    data = base64.b64encode(download.encode("utf-8")).decode("ascii")
    return (
        f'<div class="sdovis-box" aria-live="polite"><h2>{escape(title)}</h2>'
        f'<p class="sdovis-small" data-testid="count">{said}</p>{cautions}'
        '<table class="sdovis-results" data-testid="results"><thead><tr><th scope="col">Region</th>'
        f'<th scope="col">Most probable class</th></tr></thead><tbody>{rows}</tbody></table>'
        f'<p><a class="sdovis-download" download="{escape(file)}" data-testid="download" '
        f'href="data:text/csv;charset=utf-8;base64,{data}">Download as a table (CSV)</a></p></div>'
    )


def _shown(result: Result) -> str:
    place = " · ".join(filter(None, (result.where, _noaa(result))))
    name = f"<strong>{escape(result.name)}</strong>" + (f"<small>{escape(place)}</small>" if place else "")
    if result.best:
        label, p = result.best
        share = f"{100 * p:.1f} %"
        answer = (
            f'<div class="line"><span>{escape(label)}</span><span>{share}</span></div>'
            f'<div class="sdovis-bar" role="img" aria-label="{share}"><i style="width:{100 * p:.2f}%"></i></div>'
        )
    else:
        answer = f'<div class="line"><span>No answer</span></div><small>{escape(result.refused or result.why)}</small>'
    small = [f"<small>{escape(result.hint)}</small>"] if result.hint else []
    small += [f'<small class="caution">{escape(note)}</small>' for note in result.notes]
    return f'<tr><th scope="row">{name}</th><td>{answer}{"".join(small)}</td></tr>'


def _noaa(result: Result) -> str:
    known = ", ".join(filter(None, (result.noaa.mount_wilson, result.noaa.mcintosh)))
    known = known or ("plage, no spots" if result.noaa.kind == "plage" else "")
    return f"NOAA: {known}" if known else ""


# --- as a picture -----------------------------------------------------------------------------------------------------


def boxed(picture: Image.Image, results: Sequence[Result], classes: Sequence[str]) -> Image.Image:
    """A copy of the picture of a disc with each result's cutout outlined and named, in the colour of its class."""
    copy = picture.convert("RGB")
    draw = ImageDraw.Draw(copy)
    size = max(11, copy.width // 50)
    font = _font(size)
    width = max(2, copy.width // 256)
    placed = [(each, each.box) for each in results if each.box is not None]
    for each, (x, y, side) in placed:
        edges = (x - side / 2, y - side / 2, x + side / 2, y + side / 2)
        draw.rectangle(
            tuple(e + (-width if i < 2 else width) for i, e in enumerate(edges)), outline=(0, 0, 0), width=width
        )
        draw.rectangle(edges, outline=_ink(each, classes), width=width)
    words = [_words(each) for each, _ in placed]
    sizes = [
        (max(draw.textlength(word, font=font) for word in of) + size // 2, len(of) * size * 1.2 + size // 3)
        for of in words
    ]
    bounds = (0.0, 0.0, copy.width - 1.0, copy.height - 1.0)
    labels = placards.beside([box for _, box in placed], sizes, bounds, 4.0)
    for (each, _), said, label in zip(placed, words, labels, strict=True):
        draw.rectangle(label, fill=(12, 16, 22))
        for number, word in enumerate(said):
            where = (label[0] + size // 4, label[1] + size // 8 + number * size * 1.2)
            draw.text(where, word, font=font, fill=_ink(each, classes) if number else (255, 255, 255))
    return copy


def _words(result: Result) -> tuple[str, str]:
    answer = f"{result.best[0]} {100 * result.best[1]:.0f} %" if result.best else "no answer"
    return result.name.removeprefix("AR "), answer


def legend(results: Sequence[Result], classes: Sequence[str]) -> str:
    """The colours of `boxed`, for a caption."""
    met = {each.best[0] for each in results if each.best}
    inks = {name: placards.ink(classes, name) for name in classes if name in met}
    if any(each.best is None for each in results):
        inks["no answer"] = placards.DOUBTFUL
    entries = (f'<li><i style="background: {ink}"></i>{escape(name)}</li>' for name, ink in inks.items())
    return f'<ul class="sdovis-legend">{"".join(entries)}</ul>'


def _ink(result: Result, classes: Sequence[str]) -> str:
    return placards.ink(classes, result.best[0]) if result.best else placards.DOUBTFUL


def _font(size: int) -> ImageFont.FreeTypeFont:
    # matplotlib brings it along: a bare machine has no fonts.
    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")), size)
