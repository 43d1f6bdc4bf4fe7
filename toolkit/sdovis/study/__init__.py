"""The study file: one TOML document that says all a study is. Every mistake in it is reported at once."""

from sdovis.study.file import json_schema, load
from sdovis.study.method import Lora, Method, Probe, Range, Search
from sdovis.study.model import Study
from sdovis.study.sections import (
    IMAGE_FIELDS,
    SRS_HEADINGS,
    Backbone,
    Columns,
    Evaluation,
    Images,
    Labels,
    Source,
    Split,
    flare_heading,
)

__all__ = [
    "IMAGE_FIELDS",
    "SRS_HEADINGS",
    "Backbone",
    "Columns",
    "Evaluation",
    "Images",
    "Labels",
    "Lora",
    "Method",
    "Probe",
    "Range",
    "Search",
    "Source",
    "Split",
    "Study",
    "flare_heading",
    "json_schema",
    "load",
]
