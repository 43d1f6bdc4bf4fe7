"""The part of `gpu_pack.sh` that knows a corpus: what travels of it, and a whole disc with a region that has a place.

python benchmarks/gpu_bundle.py WORK BUNDLE DISCS
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import sdovis
from gpu_wheels import wheels

#: No place near the limb, where the page warns.
NEAR_DEG = 40.0


def main(work: Path, bundle: Path, discs: int) -> None:
    shutil.copytree(work / "runs" / "gpu" / "corpus", bundle / "corpus", dirs_exist_ok=True)
    corpus = sdovis.Corpus.load(bundle / "corpus")
    # Each part has a backbone of its own, given on the command line; a study takes one alone.
    study, _, _ = (Path(__file__).parent / "gpu.toml").read_text(encoding="utf-8").partition("[backbone]")
    (bundle / "study.toml").write_text(study, encoding="utf-8")
    tests = corpus.part("test")
    near = tests[(tests["longitude_deg"].abs() < NEAR_DEG) & (tests["latitude_deg"].abs() < NEAR_DEG)]
    row = near.iloc[0]
    shutil.copy(work / "discs" / "images" / row["image_file"], bundle / "disc.fits")
    about: dict[str, Any] = {
        "classes": list(corpus.classes),
        "images": {part: len(corpus.part(part)) for part in ("train", "validation", "test")},
        "discs": discs,
        "disc": {key: float(row[key]) for key in ("latitude_deg", "longitude_deg")}
        | {"class": corpus.classes[row["label"]]},
        "wheels": wheels(),
        "sdovis": sdovis.__version__,
    }
    (bundle / "bundle.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    print(f"images: {about['images']}, {sum(about['images'].values())} in all")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
