"""The stage `export`: a model in ONNX, and whether it answers as torch does, on the test part.

model/onnx/                     the files of `inference.onnx`
model/onnx/parity.json          what was found
model/onnx/parity.parquet       a row for each engine and test image: id, group, label, engine, prob_CLASS, unfamiliarity
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from sdovis import inference, manifests, records
from sdovis.corpus.build import Corpus
from sdovis.errors import BadInput, Problem
from sdovis.evaluation.facts import Resampling
from sdovis.evaluation.probabilities import Answers
from sdovis.evaluation.strangers import COLUMN
from sdovis.inference import onnx
from sdovis.statistics import skill
from sdovis.statistics.bootstrap import Estimate, cluster_bootstrap, paired_difference
from sdovis.study import Study

#: The folder of a run.
FOLDER = f"model/{onnx.FOLDER}"
FILE, TABLE = "parity.json", "parity.parquet"
TORCH, FP32, INT8 = "torch", "onnx", "onnx-int8"
#: A larger difference of a probability in fp32 is no rounding: such files are not written.
MOST = 1e-3


@dataclass(frozen=True)
class EngineParity:
    """An engine against torch: of the images, in how many both name the same class, and agree on what is unfamiliar.

    ``difference`` is the engine's balanced accuracy minus torch's, paired; ``same_caution`` is None if the model cannot tell.
    """

    largest_difference: float
    same_class: int
    same_caution: int | None
    balanced_accuracy: Estimate
    difference: Estimate


@dataclass(frozen=True)
class ParityFacts:
    """``parity.json``: torch's balanced accuracy on the test part, and each other engine against it."""

    opset: int
    rows: int
    regions: int
    bootstrap: Resampling
    torch: Estimate
    engines: Mapping[str, EngineParity]

    @classmethod
    def load(cls, folder: Path) -> ParityFacts:
        """Of a folder ``onnx/``. Raises `BadInput` as `records.read` does."""
        return records.read(cls, folder / FILE, made_by="export")


def made_from(study: Study, corpus: Corpus, model: manifests.Manifest) -> dict[str, str]:
    """What the files depend on."""
    return {"resampling": str(_resampling(study)), "corpus": corpus.manifest.digest, "model": model.digest}


def _resampling(study: Study) -> Resampling:
    asked = study.evaluation
    return Resampling("region", asked.bootstrap_samples, asked.confidence, study.study.seed)


def export(study: Study, corpus: Corpus, model_folder: Path, *, progress: bool = True) -> ParityFacts:
    """Write ``model/onnx`` whole, unless it answers otherwise than torch in fp32: then `BadInput` is raised.

    Raises `BadInput` as `inference.onnx.export` does.
    """
    model = manifests.read(model_folder, made_by="train")
    folder = model_folder / onnx.FOLDER
    with manifests.whole(folder, stage="export", made_from=made_from(study, corpus, model)) as beside:
        exported = onnx.export(model_folder, beside)
        table = _answers(corpus, model_folder, beside, progress=progress)
        found = facts(table, corpus.classes, exported.opset, _resampling(study))
        if not (apart := found.engines[FP32].largest_difference) <= MOST:
            what = (
                f"in ONNX a probability differs by {apart:.2g} from torch's, which is no rounding: nothing was written"
            )
            raise BadInput(Problem(what, "use the engine torch, and report this", str(model_folder)))
        table.to_parquet(beside / TABLE, index=False)
        records.write(found, beside / FILE)
    return found


def _answers(corpus: Corpus, model_folder: Path, files: Path, *, progress: bool) -> pd.DataFrame:
    """The table of the test part, from torch and from the ONNX ``files``."""
    engines: dict[str, inference.Engine] = {
        TORCH: inference.TorchEngine(model_folder),
        FP32: onnx.OnnxEngine(model_folder, files=files),
        INT8: onnx.OnnxEngine(model_folder, int8=True, files=files),
    }
    parts = []
    for name, engine in engines.items():
        scored = inference.scored(model_folder, corpus.pictures_of("test"), engine=engine, progress=progress)
        table = corpus.part("test")[["id", "group", "label"]].assign(engine=name)
        for index, each in enumerate(corpus.classes):
            table[f"prob_{each}"] = scored.probabilities[:, index]
        if scored.unfamiliarity is not None:
            table[COLUMN] = scored.unfamiliarity
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


def facts(table: pd.DataFrame, classes: tuple[str, ...], opset: int, bootstrap: Resampling) -> ParityFacts:
    """The facts of such a table."""
    of = {str(name): rows for name, rows in table.groupby("engine", sort=False)}
    reference = Answers.of(of[TORCH], classes)
    theirs = reference.matrices(reference.predicted)

    def against(rows: pd.DataFrame) -> EngineParity:
        answers = Answers.of(rows, classes)
        own = answers.matrices(answers.predicted)
        caution = None
        if COLUMN in table:
            caution = int(((rows[COLUMN].to_numpy() > 1) == (of[TORCH][COLUMN].to_numpy() > 1)).sum())
        return EngineParity(
            largest_difference=float(np.abs(answers.probabilities - reference.probabilities).max()),
            same_class=int((answers.predicted == reference.predicted).sum()),
            same_caution=caution,
            balanced_accuracy=Estimate.of(cluster_bootstrap(own, skill.balanced_accuracy, **bootstrap.draws)),
            difference=Estimate.of(paired_difference(own, theirs, skill.balanced_accuracy, **bootstrap.draws)),
        )

    return ParityFacts(
        opset=opset,
        rows=len(reference.truth),
        regions=len(set(reference.groups)),
        bootstrap=bootstrap,
        torch=Estimate.of(cluster_bootstrap(theirs, skill.balanced_accuracy, **bootstrap.draws)),
        engines={name: against(rows) for name, rows in of.items() if name != TORCH},
    )


def again(run_dir: Path, saved: ParityFacts, classes: tuple[str, ...]) -> ParityFacts:
    """The facts of a run from its table. Raises `BadInput` if that is of other images or other probabilities than the
    predictions of its scores, or if the files are not of its model.
    """
    folder = run_dir / FOLDER
    predictions = pd.read_parquet(run_dir / "scores" / "predictions.parquet")
    table, test = pd.read_parquet(folder / TABLE), predictions[predictions["split"] == "test"]
    onnx.refuse_others(folder / onnx.FP32, folder.parent)
    onnx.refuse_others(folder / onnx.INT8, folder.parent)
    for name, rows in table.groupby("engine"):
        if any(rows[column].tolist() != test[column].tolist() for column in ("id", "group", "label")):
            what = f"the rows of {name} are not those of the test part"
            raise BadInput(Problem(what, "run sdovis export again", str(folder / TABLE)))
    columns = [f"prob_{name}" for name in classes]
    apart = np.abs(table.loc[table["engine"] == TORCH, columns].to_numpy() - test[columns].to_numpy()).max()
    if not apart <= MOST:
        what = f"torch's probabilities differ by {apart:.2g} from those of the scores"
        raise BadInput(Problem(what, "run sdovis evaluate and sdovis export again", str(folder / TABLE)))
    return facts(table, classes, saved.opset, saved.bootstrap)
