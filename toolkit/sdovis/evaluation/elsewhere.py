"""A finished model scored on another source: other years, another pipeline, another observer.

The other source is described by a study of its own, of which `[source]`, `[images]` and `[labels]` are read. What the
network looks at (channels, size, cutout) stays the model's; where the disc is in the images comes from the other study.
Nothing of it may have been seen in training: regions, image files and times are checked, and rows that were are dropped
and counted.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sdovis import manifests, records
from sdovis.corpus import beside, build
from sdovis.corpus.build import Corpus
from sdovis.corpus.duplicates import PASSAGE_DAYS
from sdovis.errors import BadInput, Problem
from sdovis.evaluation import scores, strangers
from sdovis.evaluation.facts import ScoreFacts
from sdovis.evaluation.strangers import FamiliarityFacts
from sdovis.readers.rows import RawRow
from sdovis.study import Beside, Images, Study

log = logging.getLogger(__name__)

#: The folder of a run that holds a folder for each other source.
PLACE = "on"
FILE = "source.json"
#: Rows without a region, such as those of the quiet Sun, count as seen in training within this time of a training row: a
#: region is on the disc for so long.
SEEN_WITHIN = pd.Timedelta(days=PASSAGE_DAYS)
#: Why a row is left out although it is a good example: what training may have seen.
REGION, IMAGE, TIME = SEEN = (
    "its region is one of training",
    "its image is one of training",
    f"it has no region and was observed within {PASSAGE_DAYS:g} days of training",
)


@dataclass(frozen=True)
class OtherSource:
    """Another source on which a model was scored: ``source.json``.

    ``dropped`` counts the rows that training may have seen, by reason; ``rejects`` all rows that were left out,
    ``rejects_by_reason`` those that are no examples.
    ``shared_with_test`` counts the regions that are also in the run's own test part: these were not trained on, but
    the two scores are not independent. ``first`` and ``last`` are times of observation.
    """

    name: str
    title: str
    rows: int
    regions: int
    first: str
    last: str
    dropped: Mapping[str, int]
    rejects: int
    rejects_by_reason: Mapping[str, int]
    shared_with_test: int
    missing_classes: tuple[str, ...]
    simulated: bool
    licence: str
    credit: str

    def save(self, folder: Path) -> None:
        """Write ``source.json`` into the folder of the other source."""
        records.write(self, folder / FILE)

    @classmethod
    def load(cls, folder: Path) -> OtherSource:
        """Read it from there. Raises `BadInput` as `records.read` does."""
        return records.read(cls, folder / FILE, made_by="evaluate --on")


@dataclass(frozen=True)
class Elsewhere:
    """What a run has in ``on/NAME``: the source, and the scores on it, in the same files as those of the test part."""

    source: OtherSource
    facts: ScoreFacts
    familiarity: FamiliarityFacts | None = None

    @classmethod
    def load(cls, folder: Path) -> Elsewhere:
        """Read a finished folder. Raises `BadInput` if it is absent or damaged."""
        manifests.read(folder, made_by="evaluate --on")
        return cls(OtherSource.load(folder), ScoreFacts.load(folder), FamiliarityFacts.load(folder))


def seen_as_trained(study: Study, other: Study) -> Study:
    """``other`` with its images looked at as the model of ``study`` does; its rows divided by nothing.

    Raises `BadInput` if its images are of another channel.
    """
    if other.images.channels != study.images.channels:
        what = (
            f"its images are {', '.join(other.images.channels)}, but the model sees {', '.join(study.images.channels)}"
        )
        raise BadInput(Problem(what, "name a study of images of the model's channel", other.name))
    if unlike := list(_told_otherwise(study.source.columns.beside, other.source.columns.beside)):
        hint = "name the same values in [source.columns.beside]"
        raise BadInput(Problem(each, hint, other.name) for each in unlike)
    limits = [limit for limit in (study.images.max_longitude_deg, other.images.max_longitude_deg) if limit is not None]
    of_files = {"center_px", "arcsec_per_px", "native_px", "orientation"}
    of_files |= {"check_pointing", "check_quality", "check_names"}
    given = study.images.model_dump() | other.images.model_dump(include=of_files)
    images = Images.model_validate(given | {"max_longitude_deg": min(limits, default=None)})
    return other.model_copy(update={"images": images, "method": study.method})


def _told_otherwise(own: Beside, other: Beside) -> Iterator[str]:
    """What the other source lacks of the values beside the images, or takes for another kind."""
    theirs = {name: kind for name, (kind, _) in other.named.items()}
    for name, (kind, _) in own.named.items():
        if name not in theirs:
            yield f"its rows have no {name} beside the image, which the study names"
        elif theirs[name] != kind:
            yield f"its {name} beside the image is a {theirs[name]}, but the study's is a {kind}"
    if more := sorted(theirs.keys() - own.named.keys()):
        yield f"it names {', '.join(more)} beside the image, which the study does not"


def made_from(study: Study, corpus: Corpus, model: manifests.Manifest, other: Mapping[str, str]) -> dict[str, str]:
    """What scores on another source depend on; ``other`` is its `corpus.build.made_from`."""
    return scores.made_from(study, corpus, model) | {f"other {name}": value for name, value in other.items()}


def evaluate(
    study: Study,
    corpus: Corpus,
    model_folder: Path,
    other: Study,
    rows: Sequence[RawRow],
    origin: Mapping[str, str],
    folder: Path,
    *,
    progress: bool = True,
) -> Elsewhere:
    """Score the model of ``study`` on the source of ``other`` (as `seen_as_trained` gives it), and write ``folder`` whole.

    ``rows`` are those of the other source, ``origin`` what a corpus of them depends on (`corpus.build.made_from`).
    Baselines are fitted on the run's own training part. Raises `BadInput` for problems of the other source as `prepare`
    does, for classes that the model does not know, and if no row is left that training had not seen.
    """
    model = manifests.read(model_folder, made_by="train")
    specs = scores.chosen(study, corpus)
    made = folder.with_name(f".corpus-of-{folder.name}")
    found = build.build_undivided(
        other, made, rows, partial(seen, corpus=corpus), classes=corpus.classes, told=corpus.facts.beside, origin=origin,
        progress=progress,
    )  # fmt: skip
    for name, count in beside.strange(corpus.facts.beside or (), found.rows).items():
        log.warning("%s: %d of %d rows have a value unlike those of the training part", name, count, len(found.rows))
    table = scores.predictions(found, model_folder, progress=progress)
    rivals = scores.rivals_of(study, corpus, model_folder, found) if study.evaluation.baselines else None
    timed = scores.latency(found, model_folder)
    facts = scores.scored(
        study, corpus.classes, specs, part=other.name, table=table, rows=found.rows, rivals=rivals,
        climatology=scores.shares(corpus, study.method.learned_from),
        held_back=scores.held_back(folder.parents[1] / "scores"), seconds=timed["seconds"].to_numpy(),
    )  # fmt: skip
    source = _source(other, found, corpus)
    with manifests.whole(folder, stage="evaluate", made_from=made_from(study, corpus, model, origin)) as writing:
        scores.write(writing, facts, table, timed, rivals)
        strangers.write(writing, table, model_folder, facts.bootstrap)
        source.save(writing)
        made.replace(writing / "corpus")
    return Elsewhere.load(folder)


def seen(rows: pd.DataFrame, corpus: Corpus) -> NDArray[np.object_]:
    """Why training may have seen each row: its region, its image file or, if it has no region, its time; else ''.

    ``rows`` has the columns noaa_ar, group, observed and image_sha256. Training includes the validation part, which chose the
    model.
    """
    used = corpus.rows[corpus.rows["split"].isin(["train", "validation"])]
    known = ~rows["group"].str.startswith("frame-").to_numpy(bool)
    reasons = np.full(len(rows), "", dtype=object)
    times = pd.DatetimeIndex(used["observed"].sort_values().unique())
    nearest = times[times.get_indexer(pd.DatetimeIndex(rows["observed"]), method="nearest")]
    near = np.abs((pd.DatetimeIndex(rows["observed"]) - nearest).to_numpy()) <= SEEN_WITHIN.to_timedelta64()
    reasons[~known & near] = TIME
    reasons[rows["image_sha256"].isin(set(used["image_sha256"])).to_numpy()] = IMAGE
    same = rows["group"].isin(set(used["group"])) | rows["noaa_ar"].isin(set(used["noaa_ar"].dropna()))
    reasons[same.to_numpy()] = REGION
    return reasons


def _source(other: Study, found: Corpus, corpus: Corpus) -> OtherSource:
    reasons = found.facts.rejects_by_reason
    occurring = set(found.rows["label"])
    return OtherSource(
        name=other.name,
        title=other.study.title or other.name,
        rows=len(found.rows),
        regions=found.rows["group"].nunique(),
        first=str(found.rows["observed"].min()),
        last=str(found.rows["observed"].max()),
        dropped={reason: count for reason, count in reasons.items() if reason in SEEN},
        rejects=found.facts.rejects,
        rejects_by_reason={reason: count for reason, count in reasons.items() if reason not in SEEN},
        shared_with_test=len(set(corpus.part("test")["group"]) & set(found.rows["group"])),
        missing_classes=tuple(name for i, name in enumerate(corpus.classes) if i not in occurring),
        simulated=found.facts.simulated,
        licence=other.source.licence,
        credit=other.source.credit,
    )
