"""Descriptive statistics of a corpus and of timings: numbers, rank tests and figures, as JSON, workbook and PNG."""

from sdovis.summary.summary import Summary, made_from, summarise
from sdovis.summary.timing import Timings, timings

__all__ = ["Summary", "Timings", "made_from", "summarise", "timings"]
