"""`sdovis predict` against what bounds it: decoding alone, the bare network, the stock pipeline; rounds in turn, medians.

    python benchmarks/predict.py speed            1,000 simulated FITS files and their PNG, the demonstration's network
    python benchmarks/predict.py speed --model dinov2-small --count 200
    python benchmarks/predict.py memory           peak memory of the process tree for 1x and 10x the files

`--model` is demo, dinov2-small (both with random weights: speed does not depend on them) or a model folder; `--data` keeps the
simulated files between calls. In each round the parts come one after another, on warm processes and an opened model: what
starting Python costs is left out everywhere. The parts, in images a second:

    decode     the pixels of the FITS files by sdovis' reader, in two processes that do nothing else
    forward    the network alone on random input, at predict's batch size, with torch's own threads
    table      `sdovis predict FOLDER --out TABLE.parquet` on the FITS files, children and table included
    one        one image at a time, each opened in a child of its own: the path of the commit before
    png        `sdovis predict` on the PNG files
    stock      transformers' pipeline on the PNG files, at the best of its batch sizes

and of one image, in milliseconds: `single` (`sdovis.pipeline` on one file, an opened model) and `isolated` (predict's path,
which starts a child for it), against `open` (decoding it here) and `first` (the network on it alone).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
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
#: So many images of the slow parts are enough for a rate.
FEW = 40
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
            simulate(made, regions=max(20, count // 5), seed=1, progress=False)
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
    engine = inference.TorchEngine(model)
    network = engine.model
    side = engine.processor.size["height"]
    batch, alone = torch.randn(BATCH, 3, side, side), torch.randn(1, 3, side, side)
    stock = stock_pipeline("image-classification", model=str(model), top_k=None)
    ours = inference.pipeline(model)
    on_fits, on_png = (asking.question(str(model), [str(each)], pace=pace) for each in (fits, png))
    on_one = asking.question(str(model), [str(files[0])], pace=pace)
    turns = -(-min(given.count, given.forwards) // BATCH)

    def forward() -> None:
        with torch.inference_mode():
            for _ in range(turns):
                network(batch).logits.sum().item()

    def tabled(question: asking.Question, folder: str) -> float:
        return seconds(lambda: asking.tabled(question, Path(folder, "p.parquet")))

    def one_at_a_time() -> None:
        for file in files[:FEW]:
            ours(inference.gathered([file], ours.view), top_k=3)

    def in_stock(size: int, some: Sequence[Path]) -> float:
        return seconds(lambda: list(stock([str(each) for each in some], batch_size=size)))

    def median_ms(work: Callable[[], object]) -> float:
        return 1000 * statistics.median(seconds(work) for _ in range(given.singles))

    def first() -> None:
        with torch.inference_mode():
            network(alone).logits.sum().item()

    found: dict[str, list[float]] = {}
    with ProcessPoolExecutor(WORKERS) as pool:
        for number in range(given.rounds + 1):
            with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
                rates = {
                    "decode": len(files) / in_pool(pool, decoded, files),
                    "forward": turns * BATCH / seconds(forward),
                    "table": len(files) / tabled(on_fits, one),
                    "one": min(FEW, len(files)) / seconds(one_at_a_time),
                    "png": len(pictures) / tabled(on_png, other),
                }
            some = pictures[: given.stock]
            rates["stock"] = max(len(some) / in_stock(size, some) for size in STOCK_BATCHES)
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
        "times the commit before": ratio(lambda r: r["table"] / r["one"]),
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
    parser.add_argument("--count", type=int, default=1000, help="FITS files")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, help="children of predict; one for each core if not given")
    parser.add_argument("--forwards", type=int, default=1000, help="images of the bare forward a round, at most")
    parser.add_argument("--stock", type=int, default=200, help="PNG files that the stock pipeline is given a round")
    parser.add_argument("--singles", type=int, default=15, help="single images timed a round")
    parser.add_argument("--data", type=Path, help="where simulated files are kept")
    parser.add_argument("--json", type=Path, help="also write the result there")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        data = given.data or Path(scratch)
        data.mkdir(parents=True, exist_ok=True)
        result = (speed if given.case == "speed" else memory)(given, data)
    text = json.dumps(result, indent=1)
    if given.json:
        given.json.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
