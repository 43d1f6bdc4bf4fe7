"""A published release, used by somebody who knows its name alone, says the same again; or what differs is named."""

from __future__ import annotations

import copy
import io
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from loopback import Fault
from published import CANARY, Published
from sdovis.errors import BadInput, HubFailure
from sdovis.hub import patience
from sdovis.hub.reproduction import reproduce
from webapp.server import started

NAME = "org/small"
CLI = """
import sys
from sdovis.cli import run_command
raise SystemExit(run_command(sys.argv[1:]))
"""


@pytest.fixture(autouse=True)
def client(published: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    """The libraries in this process speak to that Hub."""
    endpoint = published.hub.endpoint
    for name, value in {"ENDPOINT": endpoint, "HF_HUB_OFFLINE": False, "HF_HUB_DISABLE_XET": True}.items():
        monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr("datasets.config.HF_ENDPOINT", endpoint)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", CANARY)


@pytest.fixture
def changed(published: Published) -> Iterator[Callable[..., None]]:
    """A function that changes a file at the pin, as somebody with rights could; all is as before afterwards."""
    before = copy.deepcopy(published.hub.repositories)

    def change(kind: str, file: str, to: Callable[[bytes], bytes]) -> None:
        content = to(published.hub.files(kind, NAME)[file])
        commit = published.hub.commit_as("eve", kind, NAME, {file: content}, "touched")
        published.hub.repository(kind, NAME).tags[published.release.pin] = commit

    yield change
    published.hub.repositories = before
    published.hub.faults.clear()


def test_the_three_are_loaded_from_where_they_are_and_say_the_same(published: Published, tmp_path: Path):
    shutil.copy(published.release.path("space", "space.json"), tmp_path)
    env = {name: published.environment[name] for name in ("HF_ENDPOINT", "HF_TOKEN", "HF_HUB_DISABLE_XET")}
    with started(tmp_path, **env, HF_HOME=str(tmp_path / "hf"), HF_HUB_OFFLINE="0") as address:
        published.hub.hosts[NAME] = address()
        said = published.run(CLI, "verify", "--published", NAME)
    again = rf"{NAME} at {published.release.pin}: \d+ test images were classified again, \d+ scores agree"
    assert re.search(rf"{again}, and the Space.s page says the same of 3 of them", said)


def _with(column: str, value: object) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        table = pd.read_parquet(io.BytesIO(content))
        last = table.index[(table["split"] == "test")][-1] if "split" in table else table.index[-1]
        table.loc[last, column] = value
        return table.to_parquet(index=False)

    return change


def _score(content: bytes) -> bytes:
    said = json.loads(content)
    said["model"]["balanced-accuracy"]["estimate"] += 0.01
    return json.dumps(said).encode()


@pytest.mark.parametrize(
    ("file", "change", "told"),
    [
        ("predictions.parquet", _with("prob_alpha", 0.125), "other probabilities for 1 of .* test images"),
        ("predictions.parquet", _with("group", "AR 1"), "group of 1 rows differs from the dataset's"),
        ("predictions.parquet", _with("id", "nobody"), "2 rows are only in the dataset or only predicted"),
        ("scores.json", _score, r"scores\.json: balanced-accuracy is .*, computed again"),
        ("README.md", lambda card: re.sub(rb"(type: accuracy\n\s+value: )[\d.]+", rb"\g<1>0.1234", card),
         r"README\.md: accuracy is 0\.1234, computed again"),
        ("config.json", lambda config: config.replace(b'"alpha"', b'"gamma"'), "other probabilities for all|other prob"),
    ],
)  # fmt: skip
def test_what_differs_is_named(published: Published, changed, file: str, change, told: str):
    changed("model", file, change)
    found = reproduce(NAME, space=False)
    assert re.search(told, "\n".join(map(str, found.differences)))


def test_a_pin_that_is_not_there_and_a_space_of_another_pin_are_told(published: Published, changed):
    with pytest.raises(BadInput, match="the dataset has no tag r-123456789abc"):
        reproduce(NAME, "r-123456789abc")
    changed("space", "space.json", lambda text: text.replace(published.release.pin.encode(), b"r-000000000000"))
    found = reproduce(NAME, published.release.pin)
    assert found.differences == () and found.asked == 0
    assert found.notes == (f"the Space shows r-000000000000, so its page was not asked about {published.release.pin}",)


def test_a_damaged_dataset_is_bad_input_and_a_network_that_fails_a_hub_failure(
    published: Published,
    changed,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(patience, "PAUSES", ())
    published.hub.faults.append(Fault("/api/datasets/org/small/refs", status=500, times=10**6))
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    with pytest.raises(HubFailure) as caught:
        reproduce(NAME, space=False)
    assert caught.value.exit_code == 3 and "\n" not in str(caught.value)
    published.hub.faults.clear()
    published.hub.hosts[NAME] = "http://127.0.0.1:9"
    with pytest.raises(HubFailure, match=r"asking the Space org/small: .*--no-space leaves it out"):
        reproduce(NAME)
    file = next(name for name in published.hub.files("dataset", NAME) if name.startswith("data/test"))
    changed("dataset", file, lambda content: content[: len(content) // 2])
    with pytest.raises(BadInput, match="the dataset org/small cannot be loaded"):
        reproduce(NAME, space=False)
