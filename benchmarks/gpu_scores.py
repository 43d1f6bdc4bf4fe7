"""What a model answers on the device that this process sees: for part (c) and (e) of `gpu.py`.

    python benchmarks/gpu_scores.py corpus MODEL CORPUS OUT.npz PRECISION...       probabilities of the test part
    python benchmarks/gpu_scores.py page MODEL DISC LATITUDE LONGITUDE OUT.npz N   the page's classifier, N times

An empty CUDA_VISIBLE_DEVICES hides the GPU.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np


def corpus(model: str, folder: str, out: str, *precisions: str) -> None:
    """In fp32 (``no``) by `inference.probabilities`, the one scoring path; else the same network under autocast."""
    import sdovis
    import torch
    from sdovis import inference
    from sdovis.learning import backbones, loader

    images = sdovis.Corpus.load(Path(folder)).pictures_of("test")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network, processor = backbones.reload(Path(model)).to(device), backbones.load_processor(Path(model))
    answers = loader.table(processor).to(device)
    found = {}
    for precision in precisions:
        if precision == "no":
            found[precision] = inference.probabilities(Path(model), images, progress=False)
            continue
        kind, parts = {"bf16": torch.bfloat16, "fp16": torch.float16}[precision], []
        for start in range(0, len(images), 32):
            codes = torch.from_numpy(loader.decode(images[start : start + 32], processor)).to(device)
            with torch.inference_mode(), torch.autocast(device.type, kind):
                logits = network(loader.normalised(codes, answers)).logits
            parts.append(torch.softmax(logits.float(), dim=1).cpu().numpy())
        found[precision] = np.concatenate(parts)
    np.savez(out, device=device.type, **found)


def page(model: str, disc: str, latitude: str, longitude: str, out: str, times: str) -> None:
    """The page's answer for a region of a full disc, as it is given when someone names the place."""
    from sdovis.channels.place import Position
    from sdovis.webapp.classifier import Classifier

    classifier = Classifier(Path(model))
    seconds = []
    for _ in range(int(times) + 1):
        begun = time.perf_counter()
        answer = classifier.answer(Path(disc), Position(float(latitude), float(longitude)))
        seconds.append(time.perf_counter() - begun)
    overlay = None if answer.overlay is None else np.asarray(answer.overlay.convert("RGB"))
    np.savez(
        out,
        probabilities=[answer.probabilities[name] for name in classifier.classes],
        seconds=seconds,
        overlay=np.empty(0) if overlay is None else overlay,
        device=classifier._pipeline.model.device.type,
    )


if __name__ == "__main__":
    {"corpus": corpus, "page": page}[sys.argv[1]](*sys.argv[2:])
