"""Ways to train, on the real studies: who beats a linear model on the raw pixels, and by how much.

    python benchmarks/studies.py DATA --weights FOLDER-or-id --out FOLDER

DATA is as the headers of the examples say. Each method is trained from several seeds; of the seeds, and then of the
methods, the validation part chooses. Only when all are trained is the test part opened, once, and whatever it says is
reported. Stopped at any moment, the same command goes on. Results go to benchmarks/studies.json, a table to the screen.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sdovis import records, stages
from sdovis import study as studies
from sdovis.evaluation.facts import SeedScores
from sdovis.evaluation.scores import Scores
from sdovis.learning.record import TrainingRecord

ROOT = Path(__file__).parents[1]
SCORE = "balanced-accuracy"
EXAMPLES = {"activity": "aia211.toml", "flare": "aia211_srs.toml", "mount-wilson-3": "hmi_continuum.toml"}
#: Small enough for some thousand images: 6 layers, 192 wide, 8 x 8 patches of a 112 px image.
SCRATCH = {
    "model_type": "vit", "hidden_size": 192, "num_hidden_layers": 6, "num_attention_heads": 3, "intermediate_size": 768,
    "patch_size": 14,
}  # fmt: skip
METHODS: Mapping[str, tuple[str, ...]] = {
    "frozen": (
        "method.trainable='head'", "method.seeds=5", "training.num_train_epochs=60", "training.learning_rate=1e-3",
        "training.per_device_train_batch_size=64",
    ),
    "lora": (
        "method.trainable='lora'", "method.seeds=3", "training.num_train_epochs=6", "training.learning_rate=1e-3",
        "training.per_device_train_batch_size=32",
    ),
    "full": (
        "method.trainable='all'", "method.seeds=3", "training.num_train_epochs=6", "training.learning_rate=5e-5",
        "training.per_device_train_batch_size=32",
    ),
    "scratch": (
        "method.trainable='all'", "method.seeds=3", "training.num_train_epochs=30", "training.learning_rate=5e-4",
        "training.per_device_train_batch_size=32",
    ),
}  # fmt: skip
#: Twice as many images need not be shown as often.
FEWER: Mapping[tuple[str, str], str] = {
    ("activity", "lora"): "training.num_train_epochs=4",
    ("activity", "full"): "training.num_train_epochs=4",
    ("activity", "scratch"): "training.num_train_epochs=11",
}
#: Some 300 flares are too few to train more than a head on.
TRIED = {"activity": tuple(METHODS), "flare": ("frozen",), "mount-wilson-3": tuple(METHODS)}


def variant(name: str, method: str, data: Path, weights: str) -> studies.Study:
    """The study ``name`` by ``method``."""
    settings = [f"source.root={data}", f"backbone.id={weights}", f"study.name={name}-{method}", *METHODS[method]]
    settings += [FEWER[name, method]] if (name, method) in FEWER else []
    study = studies.load(ROOT / "examples" / EXAMPLES[name], settings)
    return study.with_settings({"backbone": {"config": SCRATCH}}) if method == "scratch" else study


def trained(study: studies.Study) -> dict[str, Any]:
    """What the validation part says of a study's seeds; trained where it is not yet."""
    with stages.opened(study) as folders:
        stages.prepare(study, folders, print)
        record = stages.train(study, folders, print)
    records = [TrainingRecord.load(path.parent) for path in sorted(folders.run.glob("seeds/*/training/training.json"))]
    return {
        "seeds": len(records),
        "chosen_seed": record.seeds["chosen"],
        "validation": record.seeds["over_seeds"]["balanced_accuracy"],
        "images": dict(record.images),
        "steps": record.steps,
        "trainable_parameters": record.trainable_parameters,
    }


def scored(study: studies.Study) -> dict[str, Any]:
    """What the test part says: of the seed that was chosen, of all seeds, and of what needs no network."""
    with stages.opened(study) as folders:
        stages.evaluate(study, folders, print)
    facts = Scores.load(folders.scores).facts
    of_seeds = SeedScores.load(folders.run / "seeds")
    return {
        "test": records.plain(facts.overall[SCORE]),
        "test_over_seeds": of_seeds.over_seeds[SCORE],
        "minus_raw_pixels": records.plain(facts.difference_to["raw-pixels"][SCORE]),
        "brier_skill": facts.brier_skill,
        "rows": facts.rows,
        "regions": facts.regions,
        "baselines": {name: records.plain(scores[SCORE]) for name, scores in facts.baselines.items()},
    }


def compare(name: str, data: Path, weights: str) -> dict[str, Any]:
    """All methods of one study: the choice, and then the test."""
    tried = {method: variant(name, method, data, weights) for method in TRIED[name]}
    found = {method: trained(study) for method, study in tried.items()}
    chosen = max(found, key=lambda method: found[method]["validation"]["mean"])
    for method, study in tried.items():
        found[method] |= scored(study)
    any_of_them = found[chosen]
    common = {key: any_of_them[key] for key in ("images", "rows", "regions", "baselines")}
    for of_method in found.values():
        assert all(of_method.pop(key) == value for key, value in common.items())
    return {"chosen_by_validation": chosen, **common, "methods": found}


def table(results: Mapping[str, Any]) -> str:
    """Markdown: a block a study."""
    lines = []
    for name, found in results.items():
        lines += [
            f"\n`{name}`: {found['images']['train']} images to train on, {found['images']['validation']} to choose by, "
            f"{found['rows']} of {found['regions']} regions to test on\n",
            "| | seeds | validation, mean ± s.d. | test, the chosen seed | test, mean ± s.d. | minus raw pixels |",
            "|---|---|---|---|---|---|",
        ]
        for method, of in found["methods"].items():
            title = f"**{method}** (chosen)" if method == found["chosen_by_validation"] else method
            over = [f"{of[key]['mean']:.3f} ± {of[key]['sd']:.3f}" for key in ("validation", "test_over_seeds")]
            columns = [title, str(of["seeds"]), over[0], _interval(of["test"]), over[1]]
            lines.append(f"| {' | '.join([*columns, _interval(of['minus_raw_pixels'], '+')])} |")
        lines += [f"| {rival} | | | {_interval(score)} | | |" for rival, score in found["baselines"].items()]
    return "\n".join(lines)


def _interval(entry: Mapping[str, float], sign: str = "") -> str:
    return f"{entry['estimate']:{sign}.3f} [{entry['low']:{sign}.3f}, {entry['high']:{sign}.3f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", default="facebook/dinov2-small", help="DINOv2-small on the Hub, or its folder")
    parser.add_argument("--out", type=Path, default=Path("studies"), help="where the runs go")
    parser.add_argument("--only", choices=EXAMPLES, action="append", help="one study; may be repeated")
    asked = parser.parse_args()
    data, weights = asked.data.resolve(), asked.weights
    if Path(weights).is_dir():
        weights = str(Path(weights).resolve())
    asked.out.mkdir(parents=True, exist_ok=True)
    os.chdir(asked.out)
    file = ROOT / "benchmarks" / "studies.json"
    results = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    for name in asked.only or EXAMPLES:
        results[name] = compare(name, data, weights)
        file.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(table(results))


if __name__ == "__main__":
    main()
