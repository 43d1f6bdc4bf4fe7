"""A release goes up from one process; another, that knows only names and pin, gets it back and the same scores."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
from published import CANARY, PUBLISH, Published
from sdovis.release.assembly import KINDS

#: What a reader of the cards does; nothing of sdovis in it.
LOAD = """
import sys
import numpy as np, pandas as pd
from datasets import load_dataset
from huggingface_hub import hf_hub_download
from transformers import pipeline
name, pin = sys.argv[1:]
data = load_dataset(name, revision=pin)
assert list(data) == ["train", "validation", "test"], list(data)
classify = pipeline("image-classification", model=name, revision=pin)
scores = pd.read_parquet(hf_hub_download(name, "predictions.parquet", revision=pin)).set_index("id")
test = data["test"].select(range(8))
for row, answer in zip(test, classify(list(test["image"]), top_k=None), strict=True):
    for entry in answer:
        there = scores.loc[row["id"], f"prob_{entry['label']}"]
        assert abs(there - entry["score"]) < 1e-5, (row["id"], entry, there)
assert scores["split"].value_counts().to_dict() == {part: len(rows) for part, rows in data.items()}
print("the same", len(test))
"""

VERIFY = """
import sys
from pathlib import Path
from sdovis.hub.download import verify_published
print(verify_published(Path(sys.argv[1]), Path(sys.argv[2])).pin)
"""


def test_names_and_pin_alone_give_the_dataset_the_model_and_the_scores(published: Published):
    assert published.run(LOAD, "org/small", published.release.pin) == "the same 8"


def test_all_three_come_down_as_they_went_up_and_a_second_publish_sends_nothing(published: Published, tmp_path: Path):
    assert published.run(VERIFY, str(published.release.folder), str(tmp_path)) == published.release.pin
    assert (tmp_path / "space" / "app.py").is_file()
    published.hub.requests.clear()
    assert published.run(PUBLISH, str(published.release.folder)) == ""
    assert published.hub.writes() == []


def test_no_token_and_no_home_is_in_anything_that_went_up(published: Published):
    private = [CANARY.encode(), str(Path.home()).encode() + b"/", str(published.release.folder.parent).encode()]
    seen = 0
    for kind in KINDS:
        for name, content in published.hub.files(kind, "org/small").items():
            seen += 1
            if name.endswith(".parquet"):
                content = repr(pq.read_table(published.release.path(kind, name)).to_pylist()).encode()
            assert not [needle for needle in private if needle in content], f"{kind}/{name}"
    journal = (published.release.folder.parent / "release.journal.json").read_text()
    assert seen > 50 and CANARY not in journal
