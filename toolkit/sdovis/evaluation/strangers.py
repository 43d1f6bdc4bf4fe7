"""Whether a model notices what is strange to it: ``familiarity.json`` of a scores folder.

On the test part, how many pictures are called unfamiliar although they are not; and of pictures that no model of the Sun
should answer (`simulation.strangers`), how many are refused or called unfamiliar. On another source, the share of its
pictures that are unfamiliar.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from sdovis import inference, records
from sdovis.channels.channel import Codes
from sdovis.channels.view import View
from sdovis.corpus.build import Corpus
from sdovis.corpus.png import png_files
from sdovis.errors import BadInput
from sdovis.evaluation.facts import Resampling
from sdovis.learning import backbones, description, fusion
from sdovis.learning.familiarity import Familiarity, Limit
from sdovis.simulation import strangers
from sdovis.statistics.bootstrap import Estimate, bootstrap_sums
from sdovis.statistics.unfamiliarity import roc

FILE = "familiarity.json"
#: A row for each strange picture.
MADE = "strangers.parquet"
#: The column of ``predictions.parquet``.
COLUMN = "unfamiliarity"
#: Strange pictures of each case; they differ from those by which the model's distance was chosen.
EACH = 12


@dataclass(frozen=True)
class Case:
    """Strange pictures of one kind: ``noticed`` were refused or called unfamiliar, ``refused`` of them refused.

    ``detected`` against ``false_alarms`` (of the test part) is the ROC curve of those that were not refused; with the area
    under it it is None if all were.
    """

    name: str
    pictures: int
    refused: int
    noticed: int
    auroc: float | None
    false_alarms: tuple[float, ...]
    detected: tuple[float, ...]


@dataclass(frozen=True)
class FamiliarityFacts:
    """What is unfamiliar to a model: ``false_alarms`` is the share of these ``rows`` that it calls so.

    ``rate`` is the share that its ``limits`` aim at. ``cases`` are empty for another source.
    """

    rate: float
    limits: Mapping[str, Limit]
    rows: int
    regions: int
    alarms: int
    false_alarms: Estimate
    cases: tuple[Case, ...] = ()

    @property
    def noticed(self) -> float:
        """The share of the strange pictures that are noticed."""
        return sum(case.noticed for case in self.cases) / sum(case.pictures for case in self.cases)

    def save(self, folder: Path) -> None:
        """Write ``familiarity.json`` into a scores folder."""
        records.write(self, folder / FILE)

    @classmethod
    def load(cls, folder: Path) -> FamiliarityFacts | None:
        """Of a scores folder; None if the model cannot tell. Raises `BadInput` as `records.read` does."""
        return records.read(cls, folder / FILE, made_by="evaluate") if (folder / FILE).is_file() else None


def write(
    folder: Path, table: pd.DataFrame, model_folder: Path, bootstrap: Resampling, corpus: Corpus | None = None
) -> None:
    """Add what is unfamiliar to a scores folder, if the model can tell; with strange pictures if a ``corpus`` is given.

    ``table`` are the predictions.
    """
    if COLUMN not in table:
        return
    if corpus is not None:
        scored(corpus, model_folder, bootstrap.seed).to_parquet(folder / MADE, index=False)
    found = again(folder, model_folder, bootstrap)
    assert found is not None  # as there is the column
    found.save(folder)
    if found.cases:
        from sdovis import figures

        drawn = {
            f"{case.name} ({case.auroc:.3f})": (case.false_alarms, case.detected)
            for case in sorted(found.cases, key=lambda case: case.auroc or 0)
            if case.auroc is not None
        }
        figures.save(figures.roc(drawn, at=found.false_alarms.estimate), folder / "figures" / "strangers.png")


def again(folder: Path, model_folder: Path, bootstrap: Resampling) -> FamiliarityFacts | None:
    """The facts of a scores folder from the rows in it; None if the model cannot tell."""
    table = pd.read_parquet(folder / "predictions.parquet")
    known = description.familiarity_of(backbones.load_config(model_folder), model_folder)
    if known is None or COLUMN not in table:
        return None
    made = pd.read_parquet(folder / MADE) if (folder / MADE).is_file() else None
    return facts(known, table[table["split"] == "test"], made, bootstrap)


def scored(corpus: Corpus, model_folder: Path, seed: int) -> pd.DataFrame:
    """case, refused and unfamiliarity (NaN if refused) of strange pictures, made of test pictures of different regions."""
    test = np.flatnonzero(corpus.rows["split"] == "test")
    shuffled = corpus.rows["group"].iloc[np.random.default_rng(seed).permutation(test)]
    drawn = shuffled.drop_duplicates().index[:EACH]
    view = description.view_of(backbones.load_config(model_folder))
    own = [np.asarray(Image.open(io.BytesIO(corpus.pictures[i]))) for i in drawn]
    # Other draws than in training, whose seed may be the same.
    made = strangers.made(view.channels, own, each=EACH, seed=seed + 1)
    rows, shown = [], []
    for case, pictures in made.items():
        for picture in pictures:
            codes = _shown(picture, view)
            rows.append((case, codes is None))
            if codes is not None:
                shown.append(png_files(codes[None])[0])
    table = pd.DataFrame(rows, columns=["case", "refused"])
    table[COLUMN] = np.nan
    engine = inference.TorchEngine(model_folder)
    # Only features count here, and they do not depend on what stands beside a picture.
    blank = fusion.blank(engine.model, len(shown))
    scored = inference.scored(model_folder, shown, table=blank, engine=engine, progress=False)
    table.loc[~table["refused"], COLUMN] = scored.unfamiliarity
    return table


def _shown(picture: strangers.Pixels, view: View) -> Codes | None:
    """What a network would be shown of a picture; None if the picture is refused."""
    if picture.ndim == 3 and not any(kind.browse for kind in view.channels) and len(view.channels) < 2:
        # Channels of physical values take no picture in colour: it would be refused for that alone.
        picture = np.asarray(Image.fromarray(picture).convert("L"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that neighbours cannot be masked
            return inference.codes(picture, view)
    except BadInput:
        return None


def facts(known: Familiarity, test: pd.DataFrame, made: pd.DataFrame | None, bootstrap: Resampling) -> FamiliarityFacts:
    """The facts of test rows (group, unfamiliarity), and of strange pictures as `scored` gives them."""
    strange = test[COLUMN].to_numpy() > 1
    return FamiliarityFacts(
        rate=known.rate,
        limits=known.limits,
        rows=len(test),
        regions=int(test["group"].nunique()),
        alarms=int(strange.sum()),
        false_alarms=share(strange, test["group"], bootstrap),
        cases=() if made is None else tuple(_case(name, of, test) for name, of in made.groupby("case", sort=False)),
    )


def share(marked: NDArray[np.bool_], regions: ArrayLike, bootstrap: Resampling) -> Estimate:
    """The share of rows that are marked, with its interval by region.

    If none is marked no resample has one: the upper bound is then the largest share of marked regions with which none in
    so many would be seen with half the chance that the interval leaves out (Clopper and Pearson 1934).
    """
    sums = pd.DataFrame({"marked": marked, "rows": 1}).groupby(np.asarray(regions, dtype=object)).sum().to_numpy(float)
    found = Estimate.of(bootstrap_sums(sums, lambda of: of[..., 0] / of[..., 1], **bootstrap.draws))
    if marked.any():
        return found
    return Estimate(0.0, 0.0, float(1 - ((1 - bootstrap.confidence) / 2) ** (1 / len(sums))))


def _case(name: Any, made: pd.DataFrame, test: pd.DataFrame) -> Case:
    refused, strange = int(made["refused"].sum()), made.loc[~made["refused"], COLUMN].to_numpy()
    noticed = refused + int((strange > 1).sum())
    if not len(strange):
        return Case(str(name), len(made), refused, noticed, None, (), ())
    alarms, found, area = roc(test[COLUMN], strange)
    return Case(str(name), len(made), refused, noticed, area, tuple(alarms.tolist()), tuple(found.tolist()))
