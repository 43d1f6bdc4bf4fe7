"""A search killed and started again tries what it would have tried, and no trial sees the test part."""

from __future__ import annotations

import json
import os
import signal
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny
from pydantic import ValidationError
from sdovis.errors import BadInput, Conflict
from sdovis.learning.record import TrainingRecord
from sdovis.learning.search import Found, Trial, search
from sdovis.study import Study

RANGES = {
    "training": {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}, "per_device_train_batch_size": [4, 8]},
    "method": {"lora": {"rank": {"low": 1, "high": 4}}},
}
QUICK = {"num_train_epochs": 1, "disable_tqdm": True}


def _study(**sections: Any) -> Study:
    return tiny.study(**{"search": RANGES, "training": QUICK, "method": {"trainable": "lora"}} | sections)


def _trained(corpus: Any) -> Callable[[Study, Path], TrainingRecord]:
    def one(study: Study, place: Path) -> TrainingRecord:
        made_from = {"study": study.model_dump_json()}
        return tiny.train(study, corpus, place, made_from=made_from, shared=place.parents[1] / "cache")

    return one


def _search(corpus: Any, folder: Path, trials: int = 4, study: Study | None = None, **more: Any) -> Found:
    given = {"train": _trained(corpus), "inputs": {"corpus": "1"}} | more
    return search(study or _study(), folder=folder, trials=trials, **given)


@pytest.fixture(scope="module")
def whole(corpus: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Found]:
    folder = tmp_path_factory.mktemp("search") / "search"
    return folder, _search(corpus, folder)


def test_a_search_stays_in_its_ranges_and_keeps_records_and_no_weights(whole: tuple[Path, Found]) -> None:
    folder, found = whole
    assert [trial.number for trial in found.trials] == [0, 1, 2, 3]
    for trial in found.trials:
        assert 1e-4 <= trial.settings["training.learning_rate"] <= 1e-2
        assert trial.settings["training.per_device_train_batch_size"] in (4, 8)
        assert trial.settings["method.lora.rank"] in (1, 2, 3, 4)
        record = TrainingRecord.load(folder / "trials" / str(trial.number) / "training")
        assert record.arguments["learning_rate"] == trial.settings["training.learning_rate"]
        assert record.method["lora"]["rank"] == trial.settings["method.lora.rank"]
        assert trial.score == record.kept_score
    assert len({trial.settings["training.learning_rate"] for trial in found.trials}) == 4
    assert not list(folder.glob("trials/**/*.safetensors"))
    assert found.best.score == max(trial.score for trial in found.trials)
    written = json.loads((folder / "search.json").read_text())
    assert written["best"]["settings"] == dict(found.best.settings) and len(written["trials"]) == 4
    best = Study.model_validate(tomllib.loads((folder / "best.toml").read_text()))
    assert best.training["learning_rate"] == found.best.settings["training.learning_rate"]
    assert best.method.lora.rank == found.best.settings["method.lora.rank"] and not best.search.ranges


@pytest.mark.parametrize("where", ["in a training", "before the score is noted", "as settings are asked for"])
def test_a_search_that_was_killed_goes_on_as_if_it_had_not_been(
    corpus: Any, tmp_path: Path, whole: tuple[Path, Found], where: str
) -> None:
    child = os.fork()
    if child == 0:
        try:
            import optuna
            from sdovis.learning.trainer import ExactTrainer

            place = {
                "in a training": (ExactTrainer, "training_step", 12),
                "before the score is noted": (optuna.Study, "tell", 2),
                "as settings are asked for": (optuna.Study, "ask", 3),
            }[where]
            real, left = getattr(*place[:2]), [place[2]]

            def deadly(*args: Any, **kwargs: Any) -> Any:
                left[0] -= 1
                return real(*args, **kwargs) if left[0] else os.kill(os.getpid(), signal.SIGKILL)

            setattr(*place[:2], deadly)
            _search(corpus, tmp_path / "search")
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert not (tmp_path / "search" / "search.json").exists()
    found = _search(corpus, tmp_path / "search")
    assert found == whole[1]
    records = [
        TrainingRecord.load(folder / "trials" / "1" / "training").weights_sha256
        for folder in (tmp_path / "search", whole[0])
    ]
    assert records[0] == records[1]


def test_more_trials_are_added_to_those_that_are_there(corpus: Any, tmp_path: Path) -> None:
    first = _search(corpus, tmp_path / "search", trials=1)
    calls: list[str] = []
    train = _trained(corpus)
    more = _search(corpus, tmp_path / "search", trials=2, train=lambda s, p: (calls.append(p.name), train(s, p))[1])
    assert more.trials[:1] == first.trials and calls == ["1"]


class _WithoutTest(Sequence[bytes]):
    """The pictures of a corpus, those of the test part not to be opened."""

    def __init__(self, pictures: Sequence[bytes], parts: Sequence[str]) -> None:
        self.pictures, self.parts = pictures, parts

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: Any) -> Any:
        at = range(len(self))[index]
        assert "test" not in {self.parts[i] for i in ([at] if isinstance(at, int) else at)}
        return self.pictures[index]


def test_no_trial_looks_at_the_test_part(corpus: Any, tmp_path: Path, whole: tuple[Path, Found]) -> None:
    rows = corpus.rows.copy()
    test = rows["split"] == "test"
    rows.loc[test, "label"] = 2 - rows.loc[test, "label"]
    blind = replace(corpus, rows=rows, pictures=_WithoutTest(corpus.pictures, rows["split"].tolist()))
    with pytest.raises(AssertionError):
        blind.pictures_of("test")
    assert _search(blind, tmp_path / "search", trials=1).trials == whole[1].trials[:1]


def test_a_search_begun_from_something_else_is_not_gone_on_with(corpus: Any, tmp_path: Path) -> None:
    _search(corpus, tmp_path / "search", trials=1)
    with pytest.raises(Conflict, match=r"started from other inputs \(corpus\).*--restart"):
        _search(corpus, tmp_path / "search", inputs={"corpus": "2"})
    other = {"training": RANGES["training"]}
    with pytest.raises(Conflict, match=r"\(search.method.lora.rank\)"):
        _search(corpus, tmp_path / "search", study=_study(search=other))
    again = _search(corpus, tmp_path / "search", trials=1, inputs={"corpus": "2"}, restart=True)
    assert [trial.number for trial in again.trials] == [0]


def test_a_trial_without_a_score_is_none_and_the_search_goes_on(corpus: Any, tmp_path: Path) -> None:
    train = _trained(corpus)

    def lost(study: Study, place: Path) -> TrainingRecord:
        record = train(study, place)
        return replace(record, curves=[]) if place.name == "0" else record

    found = _search(corpus, tmp_path / "search", trials=2, train=lost)
    assert found.trials[0].score is None and found.best.number == 1


def test_the_least_loss_is_the_best() -> None:
    trials = tuple(Trial(i, {}, score) for i, score in enumerate((0.5, 0.2, None, 0.2)))
    assert Found("loss", trials).best.number == 1 and Found("accuracy", trials).best.number == 0
    with pytest.raises(BadInput, match="no trial ended with a score"):
        Found("loss", trials[2:3]).best  # noqa: B018


@pytest.mark.parametrize(
    ("ranges", "line"),
    [
        ({"training": {"learning_rate": 1e-3}}, r"training.learning_rate: 0.001 leaves nothing to search"),
        ({"training": {"learning_rate": [1e-3]}}, r"leaves nothing to search"),
        ({"training": {"learning_rate": {"low": 1, "top": 2}}}, r"training.learning_rate: write \{ low ="),
        ({"training": {"learning_rate": {"low": 2, "high": 1}}}, r"low must be below high"),
        ({"training": {"learning_rate": {"low": 0, "high": 1, "log": True}}}, r"above 0 if log"),
        ({"training": {"learning_rat": [1, 2]}}, r"search.training.learning_rat = 1: .*did you mean 'learning_rate'\?"),
        ({"method": {"layer_decay": {"low": 0.5, "high": 1.5}}}, r"search.method.layer_decay = 1.5: .*less than or equal"),
        ({"method": {"lora": {"rank": [2, 4]}}}, r'lora has no effect if trainable = "all"'),
        ({"images": {"size_px": [32, 64]}}, r"Extra inputs are not permitted"),
    ],
)  # fmt: skip
def test_a_range_that_cannot_be_searched_is_one_line_when_the_study_is_read(ranges: dict[str, Any], line: str) -> None:
    with pytest.raises(ValidationError, match=line) as raised:
        tiny.study(search=ranges)
    assert len(raised.value.errors()) == 1


def test_a_study_without_ranges_has_nothing_to_search(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"the study has nothing to search; add \[search\]"):
        _search(None, tmp_path, study=tiny.study())
