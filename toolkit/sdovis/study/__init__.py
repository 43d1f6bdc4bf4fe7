"""The study file: one TOML document that says all a study is. Every mistake in it is reported at once."""

from sdovis.study.columns import BESIDE, IMAGE_FIELDS, Beside, BesideKind, Columns
from sdovis.study.file import json_schema, load
from sdovis.study.method import Lora, Method, Probe, Range, Search
from sdovis.study.model import Study
from sdovis.study.sections import (
    Backbone,
    Evaluation,
    Images,
    Labels,
    Space,
    Split,
)
from sdovis.study.source import Reader, Source, SourceSettings, reader

__all__ = [
    "BESIDE",
    "IMAGE_FIELDS",
    "Backbone",
    "Beside",
    "BesideKind",
    "Columns",
    "Evaluation",
    "Images",
    "Labels",
    "Lora",
    "Method",
    "Probe",
    "Range",
    "Reader",
    "Search",
    "Source",
    "SourceSettings",
    "Space",
    "Split",
    "Study",
    "json_schema",
    "load",
    "reader",
]
