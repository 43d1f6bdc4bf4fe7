"""The stage `explain`: maps of where the network looked, tested, and its most confident mistakes.

    explanation/explanation.json    what was found
    explanation/maps.parquet        a row for each image and kind of map: the scores behind it
    explanation/figures/*.png

Maps are tested on a drawn sample of the validation part, which chooses among them, and of the test part: by deletion and
insertion against maps drawn at random (see `sdovis.evaluation.perturbation`), and by their rank correlation with the maps
of the same network with weights drawn anew (Adebayo et al. 2018, NeurIPS, section 3): a map that does not change with the
weights does not show what was learned.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sdovis import figures, inference, manifests, records
from sdovis.corpus import beside
from sdovis.corpus.build import Corpus
from sdovis.evaluation import maps, mistakes, perturbation, sheets
from sdovis.evaluation.facts import Resampling
from sdovis.evaluation.mistakes import Mistake
from sdovis.learning import description
from sdovis.statistics.bootstrap import Estimate, bootstrap_sums
from sdovis.study import Study

FOLDER, FILE, TABLE = "explanation", "explanation.json", "maps.parquet"
#: Images of each part on which maps are tested, one of each region.
SAMPLE = 24
#: Pictures whose maps are drawn.
DRAWN = 4
PARTS = ("validation", "test")
CHANCE = "random"


@dataclass(frozen=True)
class Areas:
    """Mean areas under the deletion and the insertion curve."""

    deletion: Estimate
    insertion: Estimate


@dataclass(frozen=True)
class MapScore:
    """``gain``: insertion minus deletion, less what a map drawn at random for each of the images has."""

    areas: Areas
    gain: Estimate


@dataclass(frozen=True)
class MapTest:
    """One kind of map on samples of both parts. ``untrained``: rank correlation with maps of weights drawn anew, test part."""

    validation: MapScore
    test: MapScore
    untrained: Estimate


@dataclass(frozen=True)
class Explanation:
    """What the stage found: ``explanation.json``.

    ``images`` and ``regions`` count the samples of each part; ``random`` is of maps drawn at random, test part.
    ``chosen`` is the kind of map with the highest gain on the validation part; empty if no interval of a gain there
    lies above 0. ``wrong`` counts the test images that are classified wrongly, ``searched`` the training images among which
    nearest ones were looked for. ``seconds`` is what all of it took.
    """

    images: Mapping[str, int]
    regions: Mapping[str, int]
    steps: int
    bootstrap: Resampling
    maps: Mapping[str, MapTest]
    random: Areas
    chosen: str
    wrong: int
    mistakes: tuple[Mistake, ...]
    searched: int
    seconds: float

    def save(self, folder: Path) -> None:
        """Write ``explanation.json`` into a folder."""
        records.write(self, folder / FILE)

    @classmethod
    def load(cls, folder: Path) -> Explanation:
        """Read it from there. Raises `BadInput` as `records.read` does."""
        return records.read(cls, folder / FILE, made_by="explain")


def made_from(study: Study, corpus: Corpus, model: manifests.Manifest, scores: manifests.Manifest) -> dict[str, str]:
    """What an explanation depends on."""
    asked = study.evaluation
    return {
        "intervals": f"{asked.bootstrap_samples} {asked.confidence}",
        "seed": str(study.study.seed),
        "corpus": corpus.manifest.digest,
        "model": model.digest,
        "predictions": scores.files["predictions.parquet"],
    }


def explain(study: Study, corpus: Corpus, run_dir: Path, *, progress: bool = True) -> Explanation:
    """Test maps of the model of a run, list its most confident mistakes, and write ``run_dir/explanation`` whole."""
    begun = time.perf_counter()
    model_manifest = manifests.read(run_dir / "model", made_by="train")
    scores_manifest = manifests.read(run_dir / "scores", made_by="evaluate")
    model, processor, device = inference.loaded(run_dir / "model")
    seed = study.study.seed
    sample = {part: sampled(corpus.rows, part, seed) for part in PARTS}
    places = np.concatenate([*sample.values()])
    table, drawn = _tested(corpus, places, model, processor, device, seed, progress)
    resampling = Resampling("region", study.evaluation.bootstrap_samples, study.evaluation.confidence, seed)
    tested = map_tests(table, resampling)
    wrong, listed = mistakes.most_confident(corpus, pd.read_parquet(run_dir / "scores" / "predictions.parquet"))
    searched, listed = mistakes.with_nearest(corpus, listed, model, processor, device, seed) if listed else (0, listed)
    found = Explanation(
        images={part: len(of) for part, of in sample.items()},
        regions={part: int(corpus.rows.loc[of, "group"].nunique()) for part, of in sample.items()},
        steps=perturbation.STEPS,
        bootstrap=resampling,
        maps=tested,
        random=random_areas(table, resampling),
        chosen=chosen(tested),
        wrong=wrong,
        mistakes=listed,
        searched=searched,
        seconds=round(time.perf_counter() - begun, 1),
    )
    folder = run_dir / FOLDER
    origin = made_from(study, corpus, model_manifest, scores_manifest)
    with manifests.whole(folder, stage="explain", made_from=origin) as beside:
        found.save(beside)
        table.to_parquet(beside / TABLE, index=False)
        (beside / "figures").mkdir()
        for name, sheet in sheets.drawn(corpus, listed, drawn).items():
            figures.save(sheet, beside / "figures" / f"{name}.png")
    return load(folder)


def load(folder: Path) -> Explanation:
    """Read a finished explanation. Raises `BadInput` if it is absent or damaged."""
    manifests.read(folder, made_by="explain")
    return Explanation.load(folder)


def sampled(rows: pd.DataFrame, part: str, seed: int) -> NDArray[np.int64]:
    """Places in ``rows`` of at most `SAMPLE` images of a part, one of each region, in their order."""
    rng = np.random.default_rng((seed, PARTS.index(part)))
    own = rows.index[rows["split"] == part].to_numpy()
    mixed = rng.permutation(own)
    once = rows.loc[mixed].drop_duplicates("group").index[:SAMPLE]
    return np.sort(once.to_numpy(dtype=np.int64))


def map_tests(table: pd.DataFrame, resampling: Resampling) -> dict[str, MapTest]:
    """Kind of map -> its scores, from the rows of ``maps.parquet``."""
    found = {}
    for name in dict.fromkeys(table["map"]):
        if name == CHANCE:
            continue
        of = {part: _score(table[table["split"] == part], name, resampling) for part in PARTS}
        own = table[(table["map"] == name) & (table["split"] == "test")]
        found[str(name)] = MapTest(of["validation"], of["test"], _mean(own["untrained"], own["group"], resampling))
    return found


def random_areas(table: pd.DataFrame, resampling: Resampling) -> Areas:
    """The areas of maps drawn at random, test part."""
    return _areas(table[(table["map"] == CHANCE) & (table["split"] == "test")], resampling)


def chosen(tested: Mapping[str, MapTest]) -> str:
    """The kind of map with the highest gain on the validation part among those above chance; "" if none is."""
    gains = {name: each.validation.gain for name, each in tested.items()}
    above = [name for name, gain in gains.items() if gain.low is not None and gain.low > 0]
    return max(above, key=lambda name: gains[name].estimate or 0.0, default="")


def _score(table: pd.DataFrame, name: str, resampling: Resampling) -> MapScore:
    table = table.assign(apart=table["insertion"] - table["deletion"])
    chance = table[table["map"] == CHANCE].set_index("id")["apart"]
    own = table[table["map"] == name]
    return MapScore(_areas(own, resampling), _mean(own["apart"] - own["id"].map(chance), own["group"], resampling))


def _areas(table: pd.DataFrame, resampling: Resampling) -> Areas:
    return Areas(*(_mean(table[column], table["group"], resampling) for column in ("deletion", "insertion")))


def _mean(values: pd.Series, groups: pd.Series, resampling: Resampling) -> Estimate:
    """The mean over images with its interval by region; values that are not defined are left out."""
    known = values.notna()
    if not known.any():
        return Estimate(None, None, None)
    sums = values[known].groupby(groups[known]).agg(["sum", "count"]).to_numpy(dtype=np.float64)
    found = bootstrap_sums(
        sums,
        lambda total: total[..., 0] / total[..., 1],
        samples=resampling.samples,
        confidence=resampling.confidence,
        seed=resampling.seed,
    )
    return Estimate.of(found)


def _tested(
    corpus: Corpus, places: NDArray[np.int64], model: Any, processor: Any, device: Any, seed: int, progress: bool
) -> tuple[pd.DataFrame, dict[int, dict[str, NDArray[np.float64]]]]:
    """The rows of ``maps.parquet``, and the maps of the first test images: place -> kind -> (rows, columns)."""
    import torch
    from tqdm.auto import tqdm

    from sdovis.learning import fusion, loader

    untrained, answers = _untrained(model, seed).to(device), loader.table(processor).to(device)
    columns = description.beside_of(model.config)
    values = beside.encoded(columns, corpus.rows) if columns else None
    rng = np.random.default_rng((seed, len(PARTS)))
    rows: list[dict[str, Any]] = []
    kept: dict[int, dict[str, NDArray[np.float64]]] = {}
    for at in tqdm(places, desc="explain", unit="image", disable=not progress, dynamic_ncols=True):
        codes = torch.from_numpy(loader.decode([corpus.pictures[int(at)]], processor)).to(device)
        seen, told = loader.normalised(codes, answers), corpus.rows.loc[at, ["id", "group", "split"]].to_dict()
        beside_it = None if values is None else values[[at]]
        with fusion.held(model, beside_it), fusion.held(untrained, beside_it):
            with torch.inference_mode():
                target = model(seen).logits.argmax(dim=1)
            known = _maps(model, seen, target)
            # The correlation is reported for the test part alone.
            anew = _maps(untrained, seen, target) if told["split"] == "test" else {}
            shape = maps.grid(model, seen)
            ranked = perturbation.orders(np.stack([*known.values(), rng.random(shape)]))
            areas = perturbation.areas(model, seen[0], int(target), ranked, shape)
        for name, (deletion, insertion) in zip([*known, CHANCE], areas, strict=True):
            alike = _rank_correlation(known[name], anew[name]) if name in anew else np.nan
            rows.append({**told, "map": name, "deletion": deletion, "insertion": insertion, "untrained": alike})
        if told["split"] == "test" and len(kept) < DRAWN:
            kept[int(at)] = known
    return pd.DataFrame(rows), kept


def _maps(model: Any, picture: Any, target: Any) -> dict[str, NDArray[np.float64]]:
    """Kind of map -> (rows, columns) of a picture (1, 3, H, W), of the kinds that the network has."""
    made = {name: method(model, picture, target) for name, method in maps.METHODS.items()}
    return {name: found[0] for name, found in made.items() if found is not None}


def _untrained(model: Any, seed: int) -> Any:
    """The same network with every weight drawn anew."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return type(model)(model.config).eval()


def _rank_correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Spearman's rho; NaN if one of both is the same everywhere."""
    from scipy.stats import rankdata

    one, other = rankdata(first.ravel()), rankdata(second.ravel())
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    return float(np.corrcoef(one, other)[0, 1])
