"""What a corpus says about itself: ``corpus.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sdovis import records
from sdovis.channels.view import View, ViewFacts
from sdovis.channels.view_formats import STEPS
from sdovis.corpus import units
from sdovis.errors import BadInput
from sdovis.fetching import ledger, orders
from sdovis.fetching.ledger import ArchiveFacts
from sdovis.labels.schemes import LabelScheme, SchemeFacts
from sdovis.readers.rows import FlareFacts
from sdovis.statistics.tabular import TableColumn
from sdovis.study import Study, reader

FILE = "corpus.json"


@dataclass(frozen=True)
class CorpusFacts:
    """Classes (name -> meaning) in the order of the labels, where labels and pixels come from, and counts of rows.

    ``spellings`` counts how each class is written; ``view`` says what a picture shows; ``flares`` is given if the labels
    were made from a flare list, ``notices`` if the reader or the audit has something to say, ``rows_without_region`` if
    rows name no region though those of their class have one, ``fetched`` if files came by `sdovis fetch`, ``beside`` if
    values stand beside the images: what the training part says of them.
    """

    study: str
    simulated: bool
    classes: Mapping[str, str]
    scheme: SchemeFacts
    spellings: Mapping[str, Mapping[str, int]]
    view: ViewFacts
    rows: int
    rejects: int
    rejects_by_reason: Mapping[str, int]
    flares: FlareFacts | None = None
    notices: tuple[str, ...] | None = None
    rows_without_region: int | None = None
    fetched: tuple[ArchiveFacts, ...] | None = None
    beside: tuple[TableColumn, ...] | None = None

    @classmethod
    def of(
        cls,
        study: Study,
        scheme: LabelScheme,
        kept: pd.DataFrame,
        rejects: pd.DataFrame,
        notices: tuple[str, ...] = (),
        classes: Sequence[str] | None = None,
        beside: tuple[TableColumn, ...] | None = None,
    ) -> CorpusFacts:
        """The facts of rows ``kept`` (columns label, a class name, label_text, group, simulated, observed) and ``rejects``.

        ``classes`` are those of a model that the rows are shown to; by default the scheme's that occur. Raises
        `BadInput` if there are fewer than two classes, or a flare list cannot be read.
        """
        occurring = set(kept["label"])
        # A class that the data lacks would only add an output that never learns.
        classes = [name for name in scheme.classes if name in occurring] if classes is None else classes
        if len(classes) < 2:
            raise BadInput(
                f"only the class {classes[0]!r} is left, so there is nothing to classify; add rows of other classes"
            )
        return cls(
            study=study.name,
            simulated=bool(study.study.simulated or kept["simulated"].any()),
            classes={name: scheme.meanings.get(name, "") for name in classes},
            scheme=scheme.facts(occurring, kept["label_text"]),
            spellings={str(name): count_spellings(of["label_text"]) for name, of in kept.groupby("label")},
            view=View.of_study(study.images).facts(),
            rows=len(kept),
            rejects=len(rejects),
            rejects_by_reason=count_reasons(published_reasons(rejects)),
            flares=reader(study.source.reader).flares(study.source, study.source.settings, kept["observed"]),
            notices=notices or None,
            rows_without_region=int(units.lacking(kept, scheme).sum()) or None,
            fetched=ledger.facts(study.source.root, orders.fetched_for(study)) or None,
            beside=beside,
        )

    def save(self, folder: Path) -> None:
        """Write ``corpus.json`` into the corpus folder."""
        records.write(self, folder / FILE, steps=STEPS)

    @classmethod
    def load(cls, folder: Path) -> CorpusFacts:
        """Read it from a corpus folder. Raises `BadInput` as `records.read` does."""
        return records.read(cls, folder / FILE, made_by="prepare", steps=STEPS)


def published_reasons(rejects: pd.DataFrame) -> pd.Series:
    """Why rows were left out, in words that quote no cell. Corpora of an earlier sdovis have one column of reasons."""
    return rejects["published" if "published" in rejects else "reason"]


def count_spellings(texts: pd.Series) -> dict[str, int]:
    """Spelling -> number of rows, the commonest first."""
    return {str(text): int(n) for text, n in texts.value_counts().items()}


def count_reasons(reasons: pd.Series) -> dict[str, int]:
    """Reason, without its numbers -> how often it was given."""
    general = reasons.str.replace(r"^\d+(\.\d+)? degrees", "too many degrees", regex=True)
    general = general.str.replace(r"row \d+", "another row", regex=True)
    return {str(reason): int(n) for reason, n in general.value_counts().items()}
