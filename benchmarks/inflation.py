"""By how much a split at random by image inflates a study's score.

    python benchmarks/inflation.py runs/aia211-activity

The rows of a finished run are dealt anew, at random by image, into parts of the same sizes; the same study is trained
and scored on them by the same code. Regions, full-disc images and their neighbours then lie in two parts, as in many
published splits, and the score is too good. Writes only to --out; prints JSON and a row of a Markdown table.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sdovis import manifests, records, stages
from sdovis import study as studies
from sdovis.corpus.build import Corpus
from sdovis.corpus.split import PARTS
from sdovis.evaluation.scores import Scores

HEAD = "| study | split of the study | at random by image | inflation |\n|---|---|---|---|"  # balanced accuracy, 95 % intervals


def deal_at_random(honest: Corpus, folder: Path, seed: int) -> Corpus:
    """The rows of ``honest`` dealt at random into parts of the same sizes, as a corpus in ``folder``."""
    files = [sorted((honest.folder / "data").glob(f"{part}-*.parquet")) for part in PARTS]
    sizes = [sum(pq.ParquetFile(path).metadata.num_rows for path in of_part) for of_part in files]
    table = pa.concat_tables([pq.read_table(path) for of_part in files for path in of_part])
    order = np.random.default_rng(seed).permutation(len(table))
    made_from = {"corpus": honest.manifest.digest, "dealt": f"at random by image, seed {seed}"}
    with manifests.whole(folder, stage="prepare", made_from={**honest.manifest.made_from, **made_from}) as beside:
        (beside / "data").mkdir()
        for part, rows in zip(PARTS, np.split(order, np.cumsum(sizes)[:-1]), strict=True):
            path = beside / "data" / f"{part}-00000-of-00001.parquet"
            pq.write_table(table.take(np.sort(rows)), path, row_group_size=100)
        honest.facts.save(beside)  # and no audit: this split fails it
    return Corpus.load(folder)


def compare(run: Path, out: Path, *, seed: int = 0, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Balanced accuracy on the run's own split and on one at random by image, model and baselines side by side."""
    study = studies.load(run / "study.toml", overrides)
    folders = stages.Folders(out)
    leaky = deal_at_random(Corpus.load(run / "corpus"), folders.corpus, seed)
    stages.train(study, folders, print)
    scores = {"honest": Scores.load(run / "scores"), "at_random": stages.evaluate(study, folders, print)}
    train, test = (leaky.rows[leaky.rows["split"] == part] for part in ("train", "test"))
    return {
        "study": study.name,
        "split": study.split.method,
        "seed": seed,
        "parts": {part: len(leaky.part(part)) for part in PARTS},
        "test_images_of_regions_that_were_trained_on": float(test["group"].isin(train["group"]).mean()),
        "test_images_cut_from_images_that_were_trained_on": float(test["frame"].isin(train["frame"]).mean()),
        "balanced_accuracy": {
            how: {
                name: records.plain(scored["balanced-accuracy"])
                for name, scored in {"this model": of.facts.overall, **of.facts.baselines}.items()
            }
            for how, of in scores.items()
        },
    }


def markdown(found: dict[str, Any]) -> str:
    """The model's row of the table under `HEAD`."""
    honest, random = (found["balanced_accuracy"][how]["this model"] for how in ("honest", "at_random"))

    def interval(score: dict[str, float]) -> str:
        return f"{score['estimate']:.2f} [{score['low']:.2f}, {score['high']:.2f}]"

    inflation = random["estimate"] - honest["estimate"]
    return f"| {found['study']} | {interval(honest)} ({found['split']}) | {interval(random)} | {inflation:+.2f} |"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a finished run, such as runs/aia211-activity")
    parser.add_argument("--out", type=Path, help="folder of the run at random; RUN-at-random")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="as of sdovis train")
    options = parser.parse_args(arguments)
    out = options.out or options.run.with_name(f"{options.run.name}-at-random")
    found = compare(options.run, out, seed=options.seed, overrides=options.set)
    print(json.dumps(found, indent=1))
    print(HEAD)
    print(markdown(found))


if __name__ == "__main__":
    main()
