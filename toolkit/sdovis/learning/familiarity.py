"""How unlike its training pictures a picture is to a model, and whether its answer may be used at all.

Two distances are joined: one of the features that the classifier is given, one of the picture's texture. Each is fitted on
the training part and divided by its limit, the distance that no more than half of `RATE` of the pictures of new regions
should exceed; a picture's unfamiliarity is the larger of the two, so 1 is the limit. Features of the training part are
those that the network has learned by heart, so only validation pictures tell how far a new one may be; the texture owes
nothing to training, so training pictures count too, each measured by a fit that has not seen its region.

    familiarity.safetensors     what the distances need
    config.json                 sdovis.familiarity: kinds, limits, and how many regions they rest on
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from sdovis import formats, records
from sdovis.errors import BadInput, Problem
from sdovis.statistics import texture
from sdovis.statistics.unfamiliarity import Distance, Mahalanobis, Neighbours, limit, roc, supported_rate

if TYPE_CHECKING:
    from sdovis.learning.seen import Seen

FILE = "familiarity.safetensors"
#: The section of the entry ``sdovis`` in a model's config.json, and its upgrades. What `texture.measures` gives belongs to
#: the format: a change of it needs a step that drops the limit on texture.
KEY = "familiarity"
STEPS: tuple[formats.Step, ...] = ()
#: The share of pictures of new regions that may be called unfamiliar although they are not.
RATE = 0.01
#: Training pictures that the distances are fitted on, at most: a covariance does not gain by more.
MOST = 4096
#: Folds of regions in which the training part's texture is measured.
FOLDS = 5
#: Candidates for the distance of features: the neighbour that counts, or none for Mahalanobis' distance.
CANDIDATES: Mapping[str, int | None] = {"mahalanobis": None, "nearest neighbour": 1, "10th nearest neighbour": 10}


@dataclass(frozen=True)
class Limit:
    """One of the distances: its kind (of `CANDIDATES`), the distance that is too far, and what that rests on.

    ``supported_rate`` is the lowest rate that the ``regions`` can promise: if it is above half of `RATE`, the limit is the
    largest distance seen, and promises that rate. ``auroc`` has, for each candidate, the mean area under the ROC curve over
    the cases of `simulation.strangers` on validation pictures, by which the kind was chosen.
    """

    kind: str
    limit: float
    regions: int
    supported_rate: float
    auroc: Mapping[str, float]


@dataclass(frozen=True)
class _Section:
    rate: float
    sha256: str
    limits: Mapping[str, Limit]


@dataclass(frozen=True, eq=False)
class Familiarity:
    """The distances of a model by what they measure (features, texture), and their limits."""

    distances: Mapping[str, Distance]
    limits: Mapping[str, Limit]
    rate: float = RATE

    def of(self, features: NDArray[np.float32] | None, looks: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N,) unfamiliarity, above 1 beyond the limit, of what the classifier is given, and of `texture.measures`.

        Infinite where features are not numbers. Raises ValueError if a distance has nothing to measure.
        """
        given = {"features": features, "texture": looks}
        found = []
        for name, distance in self.distances.items():
            vectors = given[name]
            if vectors is None:
                raise ValueError(f"the model's unfamiliarity needs {name}")
            found.append(distance.of(vectors) / self.limits[name].limit)
        return np.asarray(np.nan_to_num(np.max(found, axis=0), nan=np.inf))

    def looks(self, codes: NDArray[np.uint8]) -> NDArray[np.float64]:
        """The texture of codes (N, S, S) or (N, S, S, 3), in as many colours as those of the training part."""
        grey = self.distances["texture"].dimensions == texture.GREY
        if grey and codes.ndim == 4:
            codes = codes[..., 0]
        elif not grey and codes.ndim == 3:
            codes = np.repeat(codes[..., None], 3, axis=-1)
        return texture.measures(codes)

    def save(self, folder: Path) -> dict[str, Any]:
        """Write ``familiarity.safetensors`` into ``folder`` and return the section for config.json."""
        from safetensors.numpy import save

        arrays = {f"{name}.{key}": a for name, d in self.distances.items() for key, a in d.save().items()}
        content = save({key: np.ascontiguousarray(array) for key, array in arrays.items()})
        (folder / FILE).write_bytes(content)
        section = _Section(self.rate, hashlib.sha256(content).hexdigest(), self.limits)
        return {formats.KEY: formats.newest(STEPS), **records.plain(section)}

    @classmethod
    def load(cls, file: Path, said: Mapping[str, Any]) -> Familiarity:
        """From the file and the section that `save` gave.

        Raises `BadInput` for a file that is missing, damaged or of another model, and for a format newer than this sdovis.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        again = "copy it from where the model was trained"
        section = _section(said, again)
        try:
            content = file.read_bytes()
        except FileNotFoundError:
            what = "is missing: the model could not tell what is strange to it"
            raise BadInput(Problem(what, again, str(file))) from None
        if hashlib.sha256(content).hexdigest() != section.sha256:
            raise BadInput(Problem("is damaged, or belongs to another model", again, str(file)))
        try:
            arrays = load(content)
            distances = {name: _loaded(name, of.kind, arrays) for name, of in section.limits.items()}
        except (SafetensorError, ValueError, KeyError) as error:
            raise BadInput(Problem(f"is damaged: {error}", again, str(file))) from error
        return cls(distances, section.limits, section.rate)


def _section(said: Mapping[str, Any], again: str) -> _Section:
    try:
        section = TypeAdapter(_Section).validate_python(formats.brought_up(said, STEPS, file="config.json"))
    except ValidationError as error:
        first = error.errors()[0]
        what = f"sdovis.{KEY} is damaged: {'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise BadInput(Problem(what, again, "config.json")) from error
    limits = section.limits
    if (
        "texture" not in limits
        or limits.keys() - {"texture", "features"}
        or not all(of.limit > 0 for of in limits.values())
    ):
        raise BadInput(Problem(f"sdovis.{KEY} is damaged: its limits are {dict(limits)}", again, "config.json"))
    return section


def _loaded(name: str, kind: str, arrays: Mapping[str, NDArray[np.float32]]) -> Distance:
    own = {key.removeprefix(f"{name}."): array for key, array in arrays.items() if key.startswith(f"{name}.")}
    return Mahalanobis.load(own) if CANDIDATES[kind] is None else Neighbours.load(own)


def caution(unfamiliarity: float) -> str:
    """What to say of a picture; "" if it is familiar enough."""
    if unfamiliarity <= 1:
        return ""
    times = "far beyond the limit" if unfamiliarity >= 100 else f"{unfamiliarity:.1f} times the limit"
    return f"unlike anything this model was trained on ({times}): do not use the answer"


def fitted(
    training: Seen,
    training_regions: Sequence[str],
    validation: Seen,
    validation_regions: Sequence[str],
    strange: Seen,
    cases: Sequence[str],
    *,
    seed: int,
) -> Familiarity:
    """The familiarity of a network that has seen the pictures of both parts, and strange ones, each of a case.

    Only texture counts if the network has no features, or features that are not numbers.
    """
    looked = Mahalanobis.fitted(training.texture)
    within = np.concatenate([_across_folds(training.texture, training_regions, seed), looked.of(validation.texture)])
    regions = [*training_regions, *validation_regions]
    distances: dict[str, Distance] = {"texture": looked}
    limits = {"texture": _limit("mahalanobis", within, regions, {})}
    known, new, other = training.features, validation.features, strange.features
    if known is None or new is None or other is None or not all(map(_finite, (known, new, other))):
        return Familiarity(distances, limits)
    tried: dict[str, Distance] = {
        kind: Mahalanobis.fitted(known) if nearest is None else Neighbours.fitted(known, nearest)
        for kind, nearest in CANDIDATES.items()
    }
    auroc = {kind: _mean_auroc(one.of(new), one.of(other), cases) for kind, one in tried.items()}
    kind = max(auroc, key=lambda name: auroc[name])  # the first of equals
    distances["features"] = tried[kind]
    limits["features"] = _limit(kind, tried[kind].of(new), validation_regions, auroc)
    return Familiarity(distances, limits)


def _finite(vectors: NDArray[np.float32]) -> bool:
    return bool(np.isfinite(vectors).all())


def _across_folds(looks: NDArray[np.float64], regions: Sequence[str], seed: int) -> NDArray[np.float64]:
    """The distance of each picture from those of other regions: no region is measured by a fit that has seen it."""
    names, codes = np.unique(np.asarray(regions), return_inverse=True)
    fold = (np.random.default_rng(seed).permutation(len(names)) % min(FOLDS, len(names)))[codes]
    found = np.empty(len(looks))
    for one in np.unique(fold):
        others = looks[fold != one] if (fold != one).any() else looks
        found[fold == one] = Mahalanobis.fitted(others).of(looks[fold == one])
    return found


def _limit(kind: str, distances: NDArray[np.float64], regions: Sequence[str], auroc: Mapping[str, float]) -> Limit:
    count = len(set(regions))
    found = limit(distances, regions, RATE / 2)
    # Above 0, even where all pictures are the same.
    far = max(float(distances.max()) if found is None else found, 1e-6)
    return Limit(kind, far, count, supported_rate(count), auroc)


def _mean_auroc(known: NDArray[np.float64], strange: NDArray[np.float64], cases: Sequence[str]) -> float:
    of = np.asarray(cases)
    return float(np.mean([roc(known, strange[of == case])[2] for case in dict.fromkeys(cases)]))
