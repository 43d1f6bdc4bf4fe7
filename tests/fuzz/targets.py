"""What the fuzzer aims at, run in children: each function takes one input and raises if what came out is not right.

`BadInput` (with `UnreadableImage`) is a right answer to anything; so is a value that keeps what its type promises.
"""

from __future__ import annotations

import inspect
import json
import math
import os
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from fuzz import inputs
from hypothesis import strategies as st
from sdovis.channels.place import Position
from sdovis.corpus import examples
from sdovis.corpus.observations import Observation, understand
from sdovis.errors import BadInput
from sdovis.images.images import UNFORESEEN, SolarImage, read_image
from sdovis.labels.schemes import MOUNT_WILSON
from sdovis.readers import spreadsheet
from sdovis.readers.rows import RawRow
from sdovis.study import Images, Study, load

FOLDER = Path(tempfile.gettempdir(), f"sdovis-fuzz-{os.getuid()}")


def image(data: bytes, name: str) -> None:
    """Read as `sdovis predict` and `prepare` do; then every row of the image made an example or a problem."""
    path = _written(name, data)
    try:
        found = read_image(path)
    except BadInput as error:
        assert UNFORESEEN not in str(error), error
    else:
        _is_an_image(found)
    said = datetime(2014, 3, 1, tzinfo=UTC) if len(data) % 2 else None
    row = Observation(_ROW, (name,), "beta", None, said, 5.0, 5.0, None, None)
    _, became = examples.look(path.parent, _VIEWS[sum(data[:9000]) % len(_VIEWS)], [row])
    assert len(became.kept) + len(became.rejects) + len(became.problems) == 1, became
    for kept in became.kept:
        assert kept["observed"].year in range(2010, 2100) and json.loads(kept["header"]) is not None


_ROW = RawRow(
    "b.xlsx", "s", 2, {"image": "x", "label": "Beta"}, {"image": "Image", "label": "Label", "observed": "Time"}
)
_VIEWS = (
    Images(channel="hmi-magnetogram", size_px=32, check_pointing=False),
    Images(channel="hmi-magnetogram", size_px=32, cutout_arcsec=600.0, check_quality=False),
    Images(
        channel="hmi-continuum-browse", size_px=16, center_px=(100.0, 94.5), arcsec_per_px=12.0, native_px=(201, 190)
    ),
)


def _is_an_image(found: SolarImage) -> None:
    values = found.values
    assert values.dtype in (np.uint8, np.float32) and values.ndim in (2, 3) and min(values.shape[:2]) >= 1, values.shape
    assert values.dtype == np.uint8 or not np.isinf(values).any()
    assert found.observed is None or found.observed.tzinfo is not None
    if found.frame is not None:
        numbers = (*found.frame.center_px, found.frame.arcsec_per_px, found.frame.radius_arcsec, found.frame.b0_deg)
        assert (
            all(map(math.isfinite, numbers))
            and found.frame.arcsec_per_px > 0
            and 500 < found.frame.radius_arcsec < 2000
        )
    json.dumps(dict(found.header), default=str)


def table(data: bytes) -> None:
    """The rows of a workbook, and every cell that a study maps, parsed."""
    path = _written("b.xlsx", data)
    study = _study(path)
    try:
        rows = spreadsheet.read(study.source)
    except BadInput as error:
        assert all(problem.file == "b.xlsx" for problem in error.problems), error
        return
    assert rows and all(isinstance(text, str) for row in rows for text in row.cells.values())
    numbers = [row.row for row in rows]
    assert min(numbers) > 0
    found = understand(study, rows, MOUNT_WILSON)
    assert len(found.kept) + len(found.rejects) + len({id(raw) for raw, _ in found.problems}) >= len(
        {id(row) for row in rows}
    )
    spreadsheet.notices(study.source, None, rows)


def _study(book: Path) -> Study:
    return Study.model_validate(
        {
            "study": {"name": "s"},
            "source": {"root": book.parent, "workbook": book.name, "columns": inputs.COLUMNS, "on_problem": "reject"},
            "images": {"channel": "hmi-magnetogram"},
            "backbone": {"id": "x/y"},
        }
    )


def study(data: bytes) -> None:
    """A study file, as a verb loads it; what is understood reads back as the same study."""
    path = _written("study.toml", data)
    try:
        found = load(path)
    except BadInput as error:
        assert all("\n" not in str(problem) for problem in error.problems)
        return
    again = _written("again.toml", found.to_toml(path.parent).encode())
    assert load(again) == found


def payload(sent: Any) -> None:
    """What a visitor sends, as the page admits it."""
    _admitted(sent)
    for text in sent:
        if isinstance(text, str):
            for reading in (Position.parse, Position.parse_several):
                try:
                    reading(text)
                except BadInput as error:
                    assert len(str(error)) < 20_000


def _admitted(sent: Any) -> None:
    try:
        from sdovis.webapp import payloads  # type: ignore[attr-defined]
    except ImportError:
        return
    FOLDER.mkdir(exist_ok=True)
    try:
        body = payloads.read(json.dumps({"data": sent}).encode())
        files = payloads.called(body, _endpoint(), [FOLDER])["data"][0]
    except BadInput:
        return
    for file in files if isinstance(files, list) else [files] if files else []:
        assert Path(file["path"]).is_relative_to(FOLDER), file


@cache
def _endpoint() -> Any:
    """An endpoint as Gradio describes it: a file, two numbers and a text."""

    def fn(file: Any, latitude_deg: Any, longitude_deg: Any, regions: Any) -> None: ...

    kinds = ("file", "number", "number", "textbox")
    assert len(inspect.signature(fn).parameters) == len(kinds)
    parts = [SimpleNamespace(get_block_name=lambda kind=kind: kind, file_count="multiple") for kind in kinds]
    return SimpleNamespace(fn=fn, inputs=parts)


def _written(name: str, data: bytes) -> Path:
    folder = FOLDER / str(os.getpid())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    return folder / name


@dataclass(frozen=True)
class Target:
    """``run`` raises for an input of ``drawn`` whose outcome is not right."""

    drawn: st.SearchStrategy[Any]
    run: Callable[[Any], None]


TARGETS = {
    "FITS": Target(inputs.fits(), partial(image, name="a.fits")),
    "JPEG2000": Target(inputs.jpeg2000(), partial(image, name="a.jp2")),
    "workbook": Target(inputs.xlsx(), table),
    "study": Target(inputs.study(), study),
    "payload": Target(inputs.PAYLOAD, payload),
}


def outcome(name: str, given: Any) -> tuple[str, float]:
    """In the child: what is wrong with the outcome ('' if nothing), and the seconds it took."""
    begun, wrong = time.monotonic(), ""
    try:
        TARGETS[name].run(given)
    except MemoryError:
        raise
    except Exception:
        wrong = traceback.format_exc()
    return wrong, time.monotonic() - begun
