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
    folder: Path, stamps: Path, *, batch: int, steps: int, precision: str, compiled: bool, tuned: bool
) -> dict[str, float]:
    """The bare step on a batch in memory: forward, backward, clipping and AdamW as the Trainer's defaults have them.

    ``tuned``: with the memory and the attention that sdovis gives a network. Operations of an image's step, and those a
    second of a large matrix product, come back.
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
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    if tuned:
        from sdovis import allocation
        from sdovis.learning import backbones

        allocation.keep_freed()
        backbones.attend_fast(model, side, precision, device.type)
    network: Any = torch.compile(model) if compiled else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5, weight_decay=0.05, fused=True)

    def gradients(network: Any, count: int) -> None:
        with torch.autocast(device.type, kind) if kind != torch.float32 else nullcontext():
            logits = network(inputs[:count]).logits
        torch.nn.functional.cross_entropy(logits.float(), labels[:count]).backward()

    for number in range(1, steps + 1):
        gradients(network, batch)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if number in (1, WARM, steps):
            finish()
        with stamps.open("a", encoding="utf-8") as file:
            file.write(f"{number}\n")
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
    return {"flop_per_image": float(counter.get_total_flops()), "matmul_flop_per_s": 2 * n**3 / min(seconds)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="a folder that from_pretrained opens")
    parser.add_argument("out", type=Path)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True, help=f"with the {WARM} that warm up")
    parser.add_argument("--precision", choices=("bf16", "no"), default="bf16")
    parser.add_argument("--compile", action="store_true")
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
    )
    (given.out / "rates.json").write_text(json.dumps(rates), encoding="utf-8")


if __name__ == "__main__":
    main()
