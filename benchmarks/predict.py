"""`sdovis predict` against what bounds it: decoding alone, the bare network, the stock pipeline; rounds in turn, medians.

    python benchmarks/predict.py speed            1,000 simulated FITS files and their PNG, the demonstration's network
    python benchmarks/predict.py speed --model dinov2-small        128 of them; --count 1000 takes half an hour
    python benchmarks/predict.py memory           peak memory of the process tree for 1x and 10x the files

`--model` is demo, dinov2-small (both with random weights: speed does not depend on them) or a model folder; `--data` keeps the
simulated files between calls. In each round the parts come one after another, on warm processes and an opened model: what
starting Python costs is left out everywhere. The tables are of all files; of what only bounds them, as much is timed as takes
`--seconds`. The parts, in images a second:

    decode     the pixels of the FITS files by sdovis' reader, in two processes that do nothing else
    forward    the network alone on random input, at predict's batch size, with torch's own threads
    table      `sdovis predict FOLDER --out TABLE.parquet` on the FITS files, children and table included
    before     `sdovis predict` as it was before it knew batches, one image after another (commit `BEFORE`, which git has to
               know, in a process of its own)
    png        `sdovis predict` on the PNG files
    stock      transformers' pipeline on the PNG files, at the best of its batch sizes

and of one image, in milliseconds: `single` (`sdovis.pipeline` on one file, an opened model) and `isolated` (predict's path,
in a child), against `open` (decoding it here) and `first` (the network on it alone).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from prepare import in_pool, peak_memory

ROOT = Path(__file__).parents[1]
WORKERS, BATCH = 2, 32
STOCK_BATCHES = (1, 8, 32)
COUNTS = {"demo": 1000}
OTHERS_COUNT = 128
#: The commit before tables and batches, and its path, which is timed whenever a line comes in: `python -c` MODEL FILE...
BEFORE = "22c5e80fc2e8"
BEFORE_PROGRAM = """
import sys, time
from sdovis import inference
model, *files = sys.argv[1:]
classify = inference.pipeline(model)
for _ in sys.stdin:
    begun = time.perf_counter()
    for file in files:
        classify(inference.gathered([file], classify.view), top_k=3)
    print(time.perf_counter() - begun, flush=True)
"""
BACKBONES = {
    "demo": (),
    "dinov2-small": (
        "images.size_px=224",
        'backbone.config={ model_type = "dinov2", hidden_size = 384, num_hidden_layers = 12, num_attention_heads = 6, '
        "patch_size = 14 }",
    ),
}


def decoded(path: Path) -> float:
    """The pixels of a FITS file."""
    from sdovis.images.images import read_image

    return float(read_image(path).values[0, 0])


def made_model(name: str, folder: Path) -> Path:
    """A model folder of a backbone's shape with random weights, as a study would leave it; a folder stays what it is."""
    from sdovis import study as studies
    from sdovis.channels.view import View
    from sdovis.learning import backbones

    if name not in BACKBONES:
        return Path(name)
    study = studies.load(ROOT / "examples" / "simulated.toml", BACKBONES[name])
    classes = ("alpha", "beta", "complex")
    view = View.of_study(study.images).to_json()
    about = {"format": 2, "study": name, "simulated": True, "classes": dict.fromkeys(classes, ""), "view": view}
    model, processor = backbones.build(study, classes, about)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def images_in(data: Path, count: int) -> tuple[Path, Path]:
    """Folders of ``count`` simulated FITS files, and of the PNG files that sdovis makes of them."""
    from PIL import Image
    from sdovis.channels.channel import channel
    from sdovis.images.images import read_image
    from sdovis.simulation.passages import simulate

    fits, png = data / f"fits-{count}", data / f"png-{count}"
    if not png.is_dir():
        made = data / f"simulated-{count}"
        if not made.is_dir():
            simulate(made, regions=max(20, count // 4), seed=1, progress=False)
        files = sorted((made / "images").glob("*.fits"))
        if len(files) < count:
            raise SystemExit(f"only {len(files)} files were simulated; ask for fewer")
        for folder in (fits, png):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        kind = channel("hmi-magnetogram")
        for file in files[:count]:
            shutil.copy(file, fits)
            codes = kind.encode(kind.values(read_image(file)))
            Image.fromarray(codes).save(png / f"{file.stem}.png")
    return fits, png


def seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


class Before:
    """The commit `BEFORE` with an opened model, in a process of its own."""

    def __init__(self, folder: Path, model: Path, files: Sequence[Path]) -> None:
        archive = subprocess.run(["git", "archive", BEFORE, "toolkit"], cwd=ROOT, capture_output=True)
        if archive.returncode:
            raise SystemExit(f"git does not know commit {BEFORE}: fetch the whole history")
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        self.files = files
        self.process = subprocess.Popen(
            [sys.executable, "-c", BEFORE_PROGRAM, str(model), *map(str, files)],
            env=os.environ | {"PYTHONPATH": str(folder / "toolkit")}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def rate(self) -> float:
        """Images a second."""
        assert self.process.stdin is not None and self.process.stdout is not None
        print(file=self.process.stdin, flush=True)
        return len(self.files) / float(self.process.stdout.readline())

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def speed(given: argparse.Namespace, data: Path) -> dict[str, Any]:
    """All parts in turn, and what the issue asks of them."""
    import torch
    from sdovis import inference
    from sdovis.inference import asking
    from sdovis.inference.prediction import Pace
    from transformers import pipeline as stock_pipeline

    fits, png = images_in(data, given.count)
    model = made_model(given.model, data / f"model-{Path(given.model).name}")
    files, pictures = sorted(fits.iterdir()), sorted(png.iterdir())
    pace = Pace(given.workers, batch=BATCH)
    network, processor, _ = inference.loaded(model)
    side = processor.size["height"]
    batch, alone = torch.randn(BATCH, 3, side, side), torch.randn(1, 3, side, side)
    stock = stock_pipeline("image-classification", model=str(model), top_k=None)
    ours = inference.pipeline(model)
    on_fits, on_png = (asking.question(str(model), [str(each)], pace=pace) for each in (fits, png))
    on_one = asking.question(str(model), [str(files[0])], pace=pace)

    def median_ms(work: Callable[[], object]) -> float:
        return 1000 * statistics.median(seconds(work) for _ in range(given.singles))

    def first() -> None:
        with torch.inference_mode():
            network(alone).logits.sum().item()

    within = round(1000 * given.seconds / median_ms(first))
    turns = max(2, min(given.count, within) // BATCH)
    some = pictures[: max(BATCH, within // (2 * len(STOCK_BATCHES)))]
    before = Before(data, model, files[: max(8, within // 20)])

    def forward() -> None:
        with torch.inference_mode():
            for _ in range(turns):
                network(batch).logits.sum().item()

    def tabled(question: asking.Question, folder: str) -> float:
        return seconds(lambda: asking.tabled(question, Path(folder, "p.parquet")))

    def in_stock(size: int) -> float:
        return seconds(lambda: list(stock([str(each) for each in some], batch_size=size)))

    found: dict[str, list[float]] = {}
    with ProcessPoolExecutor(WORKERS) as pool, contextlib.closing(before):
        for number in range(given.rounds + 1):
            with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
                rates = {
                    "decode": len(files) / in_pool(pool, decoded, files),
                    "forward": turns * BATCH / seconds(forward),
                    "table": len(files) / tabled(on_fits, one),
                    "before": before.rate(),
                    "png": len(pictures) / tabled(on_png, other),
                }
            rates["stock"] = max(len(some) / in_stock(size) for size in STOCK_BATCHES)
            times = {
                "open": median_ms(lambda: decoded(files[0])),
                "first": median_ms(first),
                "single": median_ms(lambda: ours(str(files[0]), top_k=3)),
                "isolated": median_ms(lambda: asking.answered(on_one, lambda name, fields, notes: None)),
            }
            if number:  # the first round warms the disk and the processes
                for name, value in (rates | times).items():
                    found.setdefault(name, []).append(value)
            print(
                number, {name: round(value, 1) for name, value in (rates | times).items()}, file=sys.stderr, flush=True
            )

    def ratio(of: Callable[[dict[str, float]], float]) -> dict[str, float]:
        each = [of({name: values[i] for name, values in found.items()}) for i in range(given.rounds)]
        return {"median": round(statistics.median(each), 3), "from": round(min(each), 3), "to": round(max(each), 3)}

    return {
        "model": given.model,
        "images": given.count,
        "rounds": given.rounds,
        "cores": os.cpu_count(),
        "load": [round(each, 1) for each in os.getloadavg()],
        "medians": {name: round(statistics.median(values), 2) for name, values in found.items()},
        "table of the slower of decode and forward": ratio(lambda r: r["table"] / min(r["decode"], r["forward"])),
        # What two cores can do at most that decode and compute, as neither leaves the other any.
        "table of decode and forward together": ratio(lambda r: r["table"] * (1 / r["decode"] + 1 / r["forward"])),
        "times the commit before": ratio(lambda r: r["table"] / r["before"]),
        "times the stock pipeline on PNG": ratio(lambda r: r["png"] / r["stock"]),
        "single of decode and forward": ratio(lambda r: r["single"] / (r["open"] + r["first"])),
        "isolated of decode and forward": ratio(lambda r: r["isolated"] / (r["open"] + r["first"])),
    }


def memory(given: argparse.Namespace, data: Path) -> dict[str, Any]:
    """Peak memory of the command for the files and for ten times as many."""
    fits, _ = images_in(data, given.count)
    model = made_model(given.model, data / f"model-{Path(given.model).name}")
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        for times in (1, 10):
            folder = Path(scratch, str(times))
            folder.mkdir()
            for file in fits.iterdir():
                for copy in range(times):
                    os.link(file, folder / f"{copy}-{file.name}")
            command = [
                sys.executable,
                "-m",
                "sdovis",
                "predict",
                str(model),
                str(folder),
                "--out",
                f"{scratch}/{times}.parquet",
            ]
            found[times] = peak_memory(command, Path(scratch))
            print(f"{times}x the files: {found[times] / 2**20:.0f} MiB", file=sys.stderr, flush=True)
    return {"peak_mib": {n: round(b / 2**20) for n, b in found.items()}, "ratio": round(found[10] / found[1], 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", choices=("speed", "memory"))
    parser.add_argument("--model", default="demo", help="demo, dinov2-small or a model folder")
    parser.add_argument("--count", type=int, help=f"FITS files: {COUNTS['demo']} for demo, otherwise {OTHERS_COUNT}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, help="children of predict; one for each core if not given")
    parser.add_argument(
        "--seconds", type=float, default=6.0, help="about as long the bare network and its like are timed"
    )
    parser.add_argument("--singles", type=int, default=15, help="single images timed a round")
    parser.add_argument("--data", type=Path, help="where simulated files are kept")
    parser.add_argument("--out", type=Path, help="also write the result there")
    given = parser.parse_args()
    given.count = given.count or COUNTS.get(given.model, OTHERS_COUNT)
    with tempfile.TemporaryDirectory() as scratch:
        data = given.data or Path(scratch)
        data.mkdir(parents=True, exist_ok=True)
        result = (speed if given.case == "speed" else memory)(given, data)
    text = json.dumps(result, indent=1)
    if given.out:
        given.out.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
