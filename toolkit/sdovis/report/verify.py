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


def verify(run_dir: Path, facts: Facts) -> list[Mismatch]:
    """Every line of the run's report that differs from ``facts``, which were recomputed; none if there is no report."""
    folder = run_dir / "report"
    if not folder.is_dir():
        return []
    found: list[Mismatch] = []
    for name, right in written(facts, run_dir).items():
        printed = (folder / name).read_text(encoding="utf-8")
        found += differences(f"report/{name}", _shortened(printed), _shortened(right))
    return found


def _shortened(text: str) -> str:
    """``text`` with each picture replaced by a digest of it."""
    return _PICTURE.sub(lambda picture: f"picture {manifests.sha256_text(picture[0])[:16]}", text)
