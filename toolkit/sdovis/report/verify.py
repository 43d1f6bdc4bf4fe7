"""A report made again from recomputed facts, and what in it differs."""

from __future__ import annotations

import re
from pathlib import Path

from sdovis import manifests
from sdovis.cards.facts import Facts
from sdovis.cards.verify import Mismatch, differences
from sdovis.report.report import written

#: A picture inside a page, which nobody wants to read.
_PICTURE = re.compile(r"data:image/png;base64,[A-Za-z0-9+/=]+")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
#: Some records are kept with six decimals.
_TOLERANCE = 1e-6


def verify(run_dir: Path, facts: Facts) -> list[Mismatch]:
    """Every line of the run's report that differs from ``facts``, which were recomputed; none if there is no report."""
    folder = run_dir / "report"
    if not folder.is_dir():
        return []
    found: list[Mismatch] = []
    for name, right in written(facts, run_dir).items():
        printed = _shortened((folder / name).read_text(encoding="utf-8"))
        of_file = differences(f"report/{name}", printed, _shortened(right))
        found += (each for each in of_file if not _alike(each.printed, each.recomputed))
    return found


def _shortened(text: str) -> str:
    """``text`` with each picture replaced by a digest of it."""
    return _PICTURE.sub(lambda picture: f"picture {manifests.sha256_text(picture[0])[:16]}", text)


def _alike(printed: str, right: str) -> bool:
    """Whether two lines differ only in the rounding of numbers."""
    if _NUMBER.sub("#", printed) != _NUMBER.sub("#", right):
        return False
    pairs = zip(_NUMBER.findall(printed), _NUMBER.findall(right), strict=True)
    return all(abs(float(one) - float(other)) <= _TOLERANCE for one, other in pairs)
