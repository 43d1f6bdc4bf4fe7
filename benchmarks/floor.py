"""The floor of training: the bare step on a batch that lies in memory. Nothing decodes, augments or logs.

    python benchmarks/floor.py MODEL OUT --batch 16 --steps 20

OUT/steps.txt gets a line when a step is over, as `processes` times them, and OUT/rates.json what comes of `step`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from processes import WARM


def step(
    folder: Path, stamps: Path, *, batch: int, steps: int, precision: str, compiled: str, tuned: bool, warm: int = WARM
) -> dict[str, float]:
    """The bare step on a batch in memory: forward, backward, clipping and AdamW as the Trainer's defaults have them.

    ``compiled``: by which backend of torch.compile. ``tuned``: with the memory and the attention that sdovis gives a
    network. Back come images a second after ``warm`` steps, what the device had to hold, operations of an image's step
    and those a second of a large matrix product.
    """
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import AutoModelForImageClassification

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    finish: Callable[[], None] = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    model = AutoModelForImageClassification.from_pretrained(folder, dtype=torch.float32).to(device).train()
    side = model.config.image_size
    inputs = torch.randn(batch, 3, side, side, device=device)
    labels = torch.arange(batch, device=device) % model.config.num_labels
    kind = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision, torch.float32)
    scaler = torch.amp.GradScaler(device.type, enabled=kind == torch.float16)
    if tuned:
        from sdovis import allocation
        from sdovis.learning import backbones

        allocation.keep_freed()
        backbones.attend_fast(model, side, precision, device.type)
    network: Any = torch.compile(model, backend=compiled) if compiled else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5, weight_decay=0.05, fused=True)

    def gradients(network: Any, count: int) -> None:
        with torch.autocast(device.type, kind) if kind != torch.float32 else nullcontext():
            logits = network(inputs[:count]).logits
        scaler.scale(torch.nn.functional.cross_entropy(logits.float(), labels[:count])).backward()

    ends: dict[int, float] = {}
    for number in range(1, steps + 1):
        gradients(network, batch)
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        if number in (1, warm, steps):
            finish()
            ends[number] = time.perf_counter()
        with stamps.open("a", encoding="utf-8") as file:
            file.write(f"{number}\n")
    rates = {"images_per_second": batch * (steps - warm) / (ends[steps] - ends[warm])} if steps > warm else {}
    if device.type == "cuda":
        rates |= {"peak_allocated_mib": torch.cuda.max_memory_allocated() / 2**20}
        rates |= {"peak_reserved_mib": torch.cuda.max_memory_reserved() / 2**20}
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        gradients(model, 1)
    n = 8192 if device.type == "cuda" else 2048
    left, right = (torch.randn(n, n, device=device, dtype=kind) for _ in range(2))
    seconds = []
    for _ in range(10):
        finish()
        begun = time.perf_counter()
        torch.matmul(left, right)
        finish()
        seconds.append(time.perf_counter() - begun)
    rates |= {"flop_per_image": float(counter.get_total_flops()), "matmul_flop_per_s": 2 * n**3 / min(seconds)}
    return rates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="a folder that from_pretrained opens")
    parser.add_argument("out", type=Path)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True, help="with those that warm up")
    parser.add_argument("--warm", type=int, default=WARM, help="steps before the first that counts")
    parser.add_argument("--precision", choices=("bf16", "fp16", "no"), default="bf16")
    parser.add_argument("--compile", nargs="?", const="inductor", default="", metavar="BACKEND")
    parser.add_argument("--tuned", action="store_true", help="with the memory and the attention that sdovis chooses")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    rates = step(
        given.model,
        given.out / "steps.txt",
        batch=given.batch,
        steps=given.steps,
        precision=given.precision,
        compiled=given.compile,
        tuned=given.tuned,
        warm=given.warm,
    )
    (given.out / "rates.json").write_text(json.dumps(rates), encoding="utf-8")


if __name__ == "__main__":
    main()
