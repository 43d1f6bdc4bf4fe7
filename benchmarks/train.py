"""Training with sdovis against the bare step and against transformers' example, in one run, in turns.

    python benchmarks/train.py speed DATA --example FILE        images a second, first step, memory, bytes written
    python benchmarks/train.py first DATA --example FILE        from the start of the process to the end of the first step
    python benchmarks/train.py frozen DATA --example FILE --weights FOLDER
                                                                a head on a frozen backbone against full epochs
    python benchmarks/train.py busy DATA                        beside another busy process, by how threads wait

DATA is the folder of examples/aia211.toml: full discs as JPEG of 512 x 512 px, and the workbook of their regions. Two
sets of images are made of it: ``discs``, the JPEGs as they are, and ``cutouts``, the study's own.

FILE is examples/pytorch/image-classification/run_image_classification.py of github.com/huggingface/transformers, at
the tag of the installed version (v5.23.0). It needs torchvision, which sdovis does without; beside torch for CPUs give
it a folder of its own:

    pip install --no-deps --target FOLDER torchvision==0.28.0       and then        --torchvision FOLDER

Without --example, `speed` measures sdovis against the bare step alone.

`first` ends each process after its first step, so that many rounds are cheap.

In every round each runs in a process of its own, with nothing cached by earlier rounds. `speed` lets them start one
after another, in another order each time, and then lets each go on for two seconds in turn, so that what slows the
machine slows all of them; `frozen` runs each from its start to its end. `busy` is sdovis alone, once for each way in
which threads can wait for each other: every one is started once, and goes on for `--seconds` in each round with nothing
beside it, and for as long beside a process that keeps as many threads busy as there are cores. A rate counts from the
end of one optimizer step to the end of a later one, in the same way for all. Medians of the rounds; ratios of what ran
in the same round. The bare step runs as the libraries have it, and once more, ``tuned``, with the memory and the
attention that sdovis gives a network.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from processes import WARM, Contestant, alone_and_beside, first_step, measured
from sdovis import waiting

ROOT = Path(__file__).parents[1]
#: Width, layers, heads, and the steps that are measured: a quarter of a minute on two cores.
MODELS = {"tiny": (192, 12, 3, 40), "small": (384, 12, 6, 16), "base": (768, 12, 12, 8)}
#: What both are told, beside batch, precision and length. The rest is each one's own default.
TRAINING = {"learning_rate": 5e-5, "weight_decay": 0.05, "warmup_steps": 0.1, "lr_scheduler_type": "cosine"}
DISCS = """
[study]
name = "discs"
[source]
root = "."
workbook = '{table}'
images = "aia211"
[source.columns]
image = "Image"
observed = "Observed"
label = "Label"
[images]
channel = "aia-211-browse"
check_pointing = false
[labels]
scheme = "column"
classes = ["even", "odd"]
[split]
method = "grouped"
validation = 0.1
test = 0.1
near_duplicate_bits = 0
allow_missing_regions = true
[backbone]
id = "."
"""


def study_of(name: str, given: argparse.Namespace) -> list[str]:
    """The study file of a set of images, and what is set in it, as arguments of a command."""
    sets = [f"study.name={name}-{given.size}", f"source.root={given.data}", f"images.size_px={given.size}"]
    study = ROOT / "examples/aia211.toml"
    if name == "discs":
        study, table = given.work / "discs.toml", given.work / "discs.csv"
        lines = ["Image,Observed,Label"]
        for number, path in enumerate(sorted((given.data / "aia211").glob("*_0211.jpg"))):
            moment = time.strftime("%Y-%m-%d %H:%M:%S", time.strptime(path.name[:15], "%Y%m%d_%H%M%S"))
            lines.append(f"{path.name},{moment},{('even', 'odd')[number % 2]}")
        table.write_text("\n".join(lines) + "\n", encoding="utf-8")
        study.write_text(DISCS.format(table=table), encoding="utf-8")
    return [str(study), *(part for each in sets for part in ("--set", each))]


def prepare(name: str, given: argparse.Namespace) -> tuple[str, ...]:
    """Make a set of images where it is not there yet, for sdovis and, the same pictures, for the example; its classes."""
    from sdovis.corpus.build import Corpus

    begun = time.perf_counter()
    command = [sys.executable, "-m", "sdovis", "prepare", *study_of(name, given)]
    done = subprocess.run(command, cwd=given.work, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    seconds = time.perf_counter() - begun
    corpus = Corpus.load(given.work / "runs" / f"{name}-{given.size}" / "corpus")
    counts = {part: len(corpus.part(part)) for part in ("train", "validation")}
    print(f"{name}: {counts}, prepared (or found prepared) in {seconds:.0f} s", flush=True)
    folders = given.work / f"{name}-{given.size}"
    shutil.rmtree(folders, ignore_errors=True)
    rows = zip(corpus.rows["split"], corpus.rows["label"], corpus.rows["image_file"], strict=True)
    for number, (part, label, file) in enumerate(rows):
        place = folders / part / corpus.classes[label]
        place.mkdir(parents=True, exist_ok=True)
        if name == "discs":
            shutil.copy(given.data / "aia211" / file, place / f"{number:05}.jpg")
        else:
            (place / f"{number:05}.png").write_bytes(corpus.pictures[number])
    return corpus.classes


def save_model(folder: Path, classes: Sequence[str], size: int, source: str) -> None:
    """What both begin from: a network in fp32, of a shape in `MODELS` or from a folder of weights, and its processor."""
    import torch
    import transformers

    transformers.set_seed(0)
    transformers.utils.logging.disable_progress_bar()
    labels: dict[str, Any] = {"id2label": dict(enumerate(classes)), "label2id": {n: i for i, n in enumerate(classes)}}
    normal: dict[str, Any] = {}
    if source in MODELS:
        width, layers, heads, _ = MODELS[source]
        shape = {"hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": heads}
        config = transformers.ViTConfig(**shape, intermediate_size=4 * width, image_size=size, patch_size=16, **labels)
        model: Any = transformers.ViTForImageClassification(config)
    else:
        model = transformers.AutoModelForImageClassification.from_pretrained(source, dtype=torch.float32, **labels)
        own = transformers.AutoImageProcessor.from_pretrained(source)
        normal = {"image_mean": own.image_mean, "image_std": own.image_std, "resample": own.resample}
    model.save_pretrained(folder)
    transformers.ViTImageProcessorPil(size={"height": size, "width": size}, **normal).save_pretrained(folder)


def bare(given: argparse.Namespace, model: Path, steps: int, who: str) -> Contestant:
    """The bare step: ``floor``, or ``tuned``."""
    out = given.work / who
    command = [sys.executable, str(ROOT / "benchmarks" / "floor.py"), str(model), str(out), "--batch", str(given.batch)]
    command += ["--steps", str(steps), "--precision", given.precision, *(["--compile"] if given.compile else [])]
    command += ["--tuned"] if who == "tuned" else []
    return Contestant(command, out / "steps.txt", [out])


def ours(given: argparse.Namespace, name: str, model: Path, training: Mapping[str, Any], *others: str) -> Contestant:
    """`sdovis train` as a user calls it, from an empty cache."""
    run = given.work / "runs" / f"{name}-{given.size}"
    sets = [
        f"backbone.id={model}",
        "method.seeds=1",
        *(f"training.{key}={json.dumps(value)}" for key, value in training.items()),
        *others,
    ]
    command = [sys.executable, "-m", "sdovis", "train", *study_of(name, given)]
    command += [part for each in sets for part in ("--set", each)]
    return Contestant(command, run / "training" / "steps.csv", [run / "training", run / "model"])


def theirs(given: argparse.Namespace, name: str, model: Path, training: Mapping[str, Any]) -> Contestant:
    """The example on the same pictures."""
    import torch

    out, folders = given.work / f"example-{name}", given.work / f"{name}-{given.size}"
    options = {"model_name_or_path": model, "train_dir": folders / "train", "validation_dir": folders / "validation"}
    options |= {"output_dir": out / "output", "remove_unused_columns": False, "do_train": True, **training}
    options["use_cpu"] = not torch.cuda.is_available()  # which sdovis finds out by itself
    command = [sys.executable, str(ROOT / "benchmarks" / "example.py"), str(out / "steps.txt"), str(given.example)]
    command += [str(part) for key, value in options.items() for part in (f"--{key}", value)]
    return Contestant(command, out / "steps.txt", [out], [given.torchvision] if given.torchvision else [])


def common(given: argparse.Namespace) -> dict[str, Any]:
    """What both are told in either comparison."""
    return TRAINING | {"per_device_train_batch_size": given.batch, "bf16": given.precision == "bf16"}


def speed(given: argparse.Namespace) -> list[dict[str, Any]]:
    """Rounds of every network on every set of images."""
    classes = {name: prepare(name, given) for name in given.images}
    found: list[dict[str, Any]] = []
    for shape in given.models:
        models = {name: given.work / "models" / f"{shape}-{name}" for name in given.images}
        for name, model in models.items():
            save_model(model, classes[name], given.size, shape)
        steps = (given.steps or MODELS[shape][-1]) + WARM
        training = common(given) | {"max_steps": steps, "eval_strategy": "no", "save_strategy": "no"}
        training |= {"dataloader_drop_last": True}
        own = ["method.trainable=all", 'method.keep="last"', *(["method.compile=true"] if given.compile else [])]
        theirs_too = {"torch_compile": True} if given.compile else {}
        entries = [(who, "", bare(given, models[given.images[0]], steps, who)) for who in ("floor", "tuned")]
        for name, model in models.items():
            entries.append(("sdovis", name, ours(given, name, model, training, *own)))
            if given.example:
                entries.append(("example", name, theirs(given, name, model, training | theirs_too)))
        for number in range(given.rounds):
            turn = number % len(entries)
            order = entries[turn:] + entries[:turn]
            costs = measured([each for _, _, each in order], given.work, images_per_step=given.batch)
            for (who, name, _), cost in zip(order, costs, strict=True):
                found.append({"round": number, "model": shape, "images": name, "who": who, **asdict(cost)})
                if who == "floor":
                    rates = json.loads((given.work / "floor" / "rates.json").read_text(encoding="utf-8"))
                    # Its own rate would count the halts of the turns.
                    found[-1] |= {key: rates[key] for key in ("flop_per_image", "matmul_flop_per_s")}
                print({key: round(v, 2) if isinstance(v, float) else v for key, v in found[-1].items()}, flush=True)
    return found


def first(given: argparse.Namespace) -> list[dict[str, Any]]:
    """Rounds of the first step of sdovis and of the example, one after the other, in turns the one and the other first."""
    classes = {name: prepare(name, given) for name in given.images}
    training = common(given) | {"max_steps": 20, "eval_strategy": "no", "save_strategy": "no"}
    found: list[dict[str, Any]] = []
    for name in given.images:
        model = given.work / "models" / f"tiny-{name}"
        save_model(model, classes[name], given.size, "tiny")
        entries = [("sdovis", ours(given, name, model, training, "method.trainable=all", 'method.keep="last"'))]
        if given.example:
            entries.append(("example", theirs(given, name, model, training)))
        for number in range(given.rounds):
            for who, contestant in entries if number % 2 == 0 else entries[::-1]:
                seconds, of_cores = first_step(contestant, given.work)
                found.append(
                    {"round": number, "images": name, "who": who, "first_step_s": seconds, "cores_s": of_cores}
                )
                print(found[-1], flush=True)
    return found


def first_table(found: Sequence[Mapping[str, Any]]) -> str:
    """A line for each set of images; ratios within a round."""
    lines = ["| images | seconds | sdovis | example | of the example |", "|---|---|---|---|---|"]
    for name in dict.fromkeys(each["images"] for each in found):
        for key, what in (("first_step_s", "on the clock"), ("cores_s", "of the cores")):
            of = {
                who: [e[key] for e in found if (e["images"], e["who"]) == (name, who)] for who in ("sdovis", "example")
            }
            seconds = (f"{statistics.median(each):.1f}" if each else "-" for each in of.values())
            ratios = [mine / theirs for mine, theirs in zip(*of.values(), strict=False)]
            lines.append(f"| {name} | {what} | {' | '.join(seconds)} | {_spread(ratios) if ratios else '-'} |")
    return "\n".join(lines)


WHO = ("floor", "tuned", "sdovis", "example")


def speed_table(found: Sequence[Mapping[str, Any]]) -> str:
    """A line for each network and set of images, with medians over the rounds."""
    lines = [
        "| model | images | bare step / tuned bare step / sdovis / example, images/s | of the bare step | "
        "of the tuned bare step | times the example | first step, s | peak memory, MiB | written, MiB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for model in dict.fromkeys(each["model"] for each in found):
        for name in dict.fromkeys(each["images"] for each in found if each["images"]):
            mine = [each for each in found if each["model"] == model and each["images"] in ("", name)]
            of = {who: {e["round"]: e for e in mine if e["who"] == who} for who in WHO}

            def shown(key: str, digits: int, of: dict[str, dict[int, Any]] = of) -> str:
                medians = (statistics.median(e[key] for e in of[who].values()) for who in WHO if of[who])
                return " / ".join(f"{median:.{digits}f}" for median in medians)

            def ratio(other: str, of: dict[str, dict[int, Any]] = of) -> str:
                key = "images_per_second"
                ratios = [e[key] / of[other][number][key] for number, e in of["sdovis"].items() if of[other]]
                return _spread(ratios) if ratios else "-"

            cells = [model, name, shown("images_per_second", 1), *(ratio(who) for who in WHO if who != "sdovis")]
            cells += [shown("first_step_s", 1), shown("peak_mib", 0), shown("written_mib", 0)]
            lines.append(f"| {' | '.join(cells)} |")
        floors = [each for each in found if each["model"] == model and each["who"] == "floor"]
        share = statistics.median(e["images_per_second"] * e["flop_per_image"] / e["matmul_flop_per_s"] for e in floors)
        lines.append(f"\n{model}: the bare step runs at {share:.0%} of the rate of a large matrix product.\n")
    return "\n".join(lines)


def frozen(given: argparse.Namespace) -> list[dict[str, Any]]:
    """A head trained on what the frozen backbone sees, and the example's full epochs, process start and end included."""
    if not given.example:
        raise SystemExit("frozen compares with the example: --example FILE")
    model = given.work / "models" / "weights"
    save_model(model, prepare("cutouts", given), given.size, given.weights)
    head = common(given) | {"num_train_epochs": given.head_epochs, "learning_rate": given.head_rate}
    full = common(given) | {"num_train_epochs": given.epochs, "do_eval": True, "eval_strategy": "epoch"}
    full |= {"per_device_eval_batch_size": 64, "save_strategy": "no"}
    record, state = (
        given.work / "runs" / f"cutouts-{given.size}" / "training/training.json",
        "output/trainer_state.json",
    )
    # The study weighs classes, the example does not: each weighting is best by another score.
    weightings = {"sdovis": "balanced", "sdovis, classes unweighted": "none"}
    entries = [
        (
            who,
            ours(given, "cutouts", model, head, "method.trainable=head", f"method.class_weights={w}"),
            record,
            "curves",
        )
        for who, w in weightings.items()
    ]
    entries.append(
        ("example", theirs(given, "cutouts", model, full), given.work / "example-cutouts" / state, "log_history")
    )
    found: list[dict[str, Any]] = []
    for number in range(given.rounds):
        for who, contestant, file, key in entries if number % 2 == 0 else entries[::-1]:
            (cost,) = measured([contestant], given.work, images_per_step=given.batch)
            log = json.loads(file.read_text(encoding="utf-8"))[key]
            scores = [entry for entry in log if "eval_balanced_accuracy" in entry]
            best = max(scores, key=lambda entry: float(entry["eval_balanced_accuracy"]))
            found.append({"round": number, "who": who, **asdict(cost), "steps": log[-1]["step"]})
            found[-1] |= {name: best[f"eval_{name}"] for name in ("accuracy", "balanced_accuracy")}
            print({key: round(v, 3) if isinstance(v, float) else v for key, v in found[-1].items()}, flush=True)
    return found


def frozen_table(found: Sequence[Mapping[str, Any]]) -> str:
    """Medians over the rounds; the scores are those of each one's best epoch on the validation part."""
    lines = [
        "| | wall-clock, s | accuracy | balanced accuracy | peak memory, MiB | written, MiB | faster than the example |",
        "|---|---|---|---|---|---|---|",
    ]
    theirs = [each["seconds"] for each in found if each["who"] == "example"]
    for who in dict.fromkeys(each["who"] for each in found):
        mine = [each for each in found if each["who"] == who]
        keys = ("seconds", "accuracy", "balanced_accuracy", "peak_mib", "written_mib")
        median = {key: statistics.median(each[key] for each in mine) for key in keys}
        cells = [f"{median[key]:.{digits}f}" for key, digits in zip(keys, (1, 3, 3, 0, 0), strict=True)]
        ratio = statistics.median(b / each["seconds"] for each, b in zip(mine, theirs, strict=True))
        lines.append(f"| {who} | {' | '.join(cells)} | {ratio:.1f} times |")
    return "\n".join(lines)


#: How OpenMP's threads wait for each other. The libraries' own default is what sdovis had before it chose.
SPIN, WAIT = "GOMP_SPINCOUNT", "OMP_WAIT_POLICY"
WAITS: Mapping[str, Mapping[str, str | None]] = {
    "sdovis": {SPIN: None, WAIT: None},
    "the libraries' default": {SPIN: str(waiting.DEFAULT_SPINS), WAIT: None},
    "passive": {SPIN: None, WAIT: "PASSIVE"},
}


def busy(given: argparse.Namespace) -> list[dict[str, Any]]:
    """Rounds of sdovis train with each way of waiting, alone and beside a busy process."""
    model, cores = given.work / "models" / "busy", len(os.sched_getaffinity(0))
    waits = WAITS | {f"{spins} turns": {SPIN: str(spins), WAIT: None} for spins in given.spins}
    save_model(model, prepare("cutouts", given), given.size, "tiny")
    # More steps than there is time for.
    training = common(given) | {"max_steps": 100_000, "eval_strategy": "no", "save_strategy": "no"}
    own = ["method.trainable=all", 'method.keep="last"']
    contestants = []
    for number, environment in enumerate(waits.values()):
        place = given.work / f"busy-{number}"  # each trains in a run of its own
        run = Path("runs", f"cutouts-{given.size}", "corpus")
        shutil.copytree(given.work / run, place / run, dirs_exist_ok=True)
        contestant = ours(argparse.Namespace(**vars(given) | {"work": place}), "cutouts", model, training, *own)
        contestants.append(
            replace(contestant, environment=[*environment.items(), ("OMP_NUM_THREADS", None)], place=place)
        )
    found: list[dict[str, Any]] = []
    turns = alone_and_beside(contestants, given.work, rounds=given.rounds, seconds=given.seconds, threads=cores)
    for number, contestant, beside, rate in turns:
        entry = {"round": number, "waits": list(waits)[contestant], "busy threads beside": cores if beside else 0}
        found.append(entry | {"images_per_second": rate * given.batch})
        print(found[-1], flush=True)
    return found


def busy_table(found: Sequence[Mapping[str, Any]]) -> str:
    """A line for each way of waiting; ratios within a round."""
    rates = {(e["waits"], bool(e["busy threads beside"]), e["round"]): e["images_per_second"] for e in found}
    lines = [
        "| threads wait | alone, images/s | of the libraries' default | beside a busy process, images/s | of alone |",
        "|---|---|---|---|---|",
    ]
    rounds, default = range(max(e["round"] for e in found) + 1), "the libraries' default"
    for name in dict.fromkeys(e["waits"] for e in found):
        alone, beside = ([rates[name, on, n] for n in rounds] for on in (False, True))
        # A turn in which no step ended says nothing.
        kept = [one / of for n, one in enumerate(alone) if (of := rates[default, False, n])]
        left = [two / one for one, two in zip(alone, beside, strict=True) if one]
        cells = [f"{statistics.median(alone):.1f}", _spread(kept), f"{statistics.median(beside):.1f}", _spread(left)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _spread(ratios: Sequence[float]) -> str:
    if not ratios:
        return "-"
    return f"**{statistics.median(ratios):.2f}** ({min(ratios):.2f} to {max(ratios):.2f})"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    modes = parser.add_subparsers(dest="mode", required=True)
    for name in ("speed", "first", "frozen", "busy"):
        mode = modes.add_parser(name, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        mode.add_argument("data", type=Path)
        mode.add_argument("--example", type=Path, help="run_image_classification.py; how to get it stands above")
        mode.add_argument("--torchvision", type=Path, help="a folder that only the example imports from")
        mode.add_argument("--work", type=Path, default=Path("benchmark-train"), help="where corpora and runs are put")
        mode.add_argument("--precision", choices=("bf16", "no"), default="bf16")
        mode.add_argument("--batch", type=int, default=16)
        mode.add_argument("--size", type=int, default=224, help="side of the network's input, pixels")
        mode.add_argument("--rounds", type=int, default={"speed": 3, "first": 7, "busy": 5}.get(name, 1))
        mode.add_argument("--json", type=Path, help="also write what was measured in every round")
        if name in ("speed", "first"):
            mode.add_argument("--images", nargs="+", choices=("discs", "cutouts"), default=["discs", "cutouts"])
        if name == "speed":
            mode.add_argument("--models", nargs="+", choices=MODELS, default=["tiny", "small"])
            mode.add_argument("--steps", type=int, help="measured steps, instead of those of each network")
            mode.add_argument("--compile", action="store_true", help="torch.compile for all: for GPUs, untested")
        elif name == "busy":
            mode.add_argument("--seconds", type=float, default=5.0, help="of each turn")
            mode.add_argument(
                "--spins", type=int, nargs="*", default=[], help="other bounds to try, turns of libgomp's loop"
            )
        elif name == "frozen":
            mode.add_argument("--weights", required=True, help="a pretrained network: dinov2-small")
            mode.add_argument("--epochs", type=int, default=5, help="of the example; its README has 5")
            mode.add_argument("--head-epochs", type=int, default=30)
            mode.add_argument("--head-rate", type=float, default=1e-3)
    given = parser.parse_args(arguments)
    for name in ("data", "work", "example", "torchvision"):
        if getattr(given, name) is not None:
            setattr(given, name, getattr(given, name).resolve())
    given.work.mkdir(parents=True, exist_ok=True)
    measure, table = {
        "speed": (speed, speed_table),
        "first": (first, first_table),
        "frozen": (frozen, frozen_table),
        "busy": (busy, busy_table),
    }[given.mode]
    found = measure(given)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(table(found))


if __name__ == "__main__":
    main()
