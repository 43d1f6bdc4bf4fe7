"""A search for settings with a better validation score: every trial is a training, and none sees the test part.

runs/NAME/search/begun.json           what is searched, and on what
runs/NAME/search/trials.db            the trials, as Optuna keeps them
runs/NAME/search/trials/N/training    the record of each
runs/NAME/search/search.json          the trials and the best of them
runs/NAME/search/best.toml            the study with the best settings
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdovis import disk
from sdovis.errors import BadInput, Conflict, Problem
from sdovis.learning import checkpoints
from sdovis.learning.record import TrainingRecord
from sdovis.learning.seeds import at_kept
from sdovis.study import Range, Study

if TYPE_CHECKING:
    import optuna

Train = Callable[[Study, Path], TrainingRecord]


@dataclass(frozen=True)
class Trial:
    """One trial: its settings, and the validation score at the step it kept; None if that was not a number."""

    number: int
    settings: Mapping[str, Any]
    score: float | None


@dataclass(frozen=True)
class Found:
    """What a search has tried so far: ``search.json``."""

    score: str
    trials: tuple[Trial, ...]

    @property
    def best(self) -> Trial:
        """The best trial, the first of equals. Raises `BadInput` if none has a score."""
        sign = -1 if self.score == "loss" else 1
        scored = [trial for trial in self.trials if trial.score is not None]
        if not scored:
            raise BadInput(Problem("search: no trial ended with a score", "narrow the ranges in [search]"))
        return max(scored, key=lambda trial: sign * (trial.score or 0.0))

    def save(self, folder: Path, study: Study) -> None:
        """Write ``search.json`` and ``best.toml``."""
        entries = [asdict(trial) for trial in self.trials]
        checkpoints.write_json(
            folder / "search.json", {"score": self.score, "best": asdict(self.best), "trials": entries}
        )
        best = study.with_settings(self.best.settings)
        disk.write(folder / "best.toml", best.to_toml(folder))


def search(
    study: Study, *, folder: Path, trials: int, train: Train, inputs: Mapping[str, str], restart: bool = False
) -> Found:
    """Try settings from ``[search]`` in the study until there are ``trials`` trials, including those of earlier calls.

    ``train`` trains a study into a folder and continues if interrupted. The next settings depend only on the study's
    seed and the earlier trials, so that a search that was killed continues as if it had not been. Raises `BadInput` for
    a study without ranges, and `Conflict` if the search was started from other ``inputs`` or ranges.
    """
    if not study.search.ranges:
        raise BadInput(
            Problem(
                "the study has nothing to search",
                "add [search], with ranges such as training.learning_rate = { low = 1e-5, high = 1e-3, log = true }",
            )
        )
    if find_spec("optuna") is None:
        raise BadInput(Problem("sdovis search needs optuna, which is not installed", "pip install 'sdovis[search]'"))
    begun = {**inputs, **{f"search.{name}": repr(tried) for name, tried in study.search.ranges.items()}}
    _refuse_other_inputs(folder, begun, restart=restart)
    found = _storage(study, folder)
    for trial in found.trials:
        if trial.state.name == "RUNNING":
            _finish(study, found, trial.number, trial.params, folder, train)
        _clear(folder, trial.number)
    while len(_tried(study, found)) < trials:
        import optuna

        # A sampler's random stream would not survive a kill, so each trial has its own.
        seed = (study.study.seed * 1_000_003 + len(found.trials)) % 2**32
        found.sampler = optuna.samplers.TPESampler(seed=seed)
        asked = found.ask({name: _distribution(tried) for name, tried in study.search.ranges.items()})
        _finish(study, found, asked.number, asked.params, folder, train)
        _clear(folder, asked.number)
    result = Found(study.method.keep_by, tuple(_tried(study, found)))
    result.save(folder, study)
    return result


def _finish(
    study: Study, found: optuna.Study, number: int, settings: Mapping[str, Any], folder: Path, train: Train
) -> None:
    """Train a trial that was asked for, or continue it, and record its score."""
    import optuna

    if settings.keys() != study.search.ranges.keys():  # killed while it was being asked for
        found.tell(number, state=optuna.trial.TrialState.FAIL)
        return
    once = {
        "method.seeds": 1,
        "method.average": False,
        "method.refit": "none",
        "method.calibration": "temperature",
        "method.calibration_folds": 0,
    }  # what decides is known after the first training
    record = train(study.with_settings({**settings, **once}), folder / "trials" / str(number))
    score = at_kept(record).get(study.method.keep_by)
    if score is None or not math.isfinite(score):
        found.tell(number, state=optuna.trial.TrialState.FAIL)
    else:
        found.tell(number, score)


def _tried(study: Study, found: optuna.Study) -> list[Trial]:
    finished = [trial for trial in found.trials if trial.state.is_finished()]
    whole = [trial for trial in finished if trial.params.keys() == study.search.ranges.keys()]
    return [Trial(trial.number, dict(sorted(trial.params.items())), trial.value) for trial in whole]


def _storage(study: Study, folder: Path) -> optuna.Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(
        storage=f"sqlite:///{folder / 'trials.db'}",
        study_name=study.name,
        direction="minimize" if study.method.keep_by == "loss" else "maximize",
        load_if_exists=True,
    )


def _distribution(tried: Range | tuple[Any, ...]) -> optuna.distributions.BaseDistribution:
    from optuna import distributions

    if not isinstance(tried, Range):
        return distributions.CategoricalDistribution(tried)
    if isinstance(tried.low, int) and isinstance(tried.high, int):
        return distributions.IntDistribution(tried.low, tried.high, log=tried.log)
    return distributions.FloatDistribution(tried.low, tried.high, log=tried.log)


def _refuse_other_inputs(folder: Path, begun: Mapping[str, str], *, restart: bool) -> None:
    file = folder / checkpoints.BEGUN
    before = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
    if before is not None and before != begun and not restart:
        changed = sorted(name for name in before.keys() | begun.keys() if before.get(name) != begun.get(name))
        raise Conflict(
            f"{folder}: a search was started from other inputs ({', '.join(changed)}); restore them to continue it, or "
            "start over with --restart"
        )
    if before != begun or restart:
        shutil.rmtree(folder, ignore_errors=True)
        checkpoints.write_json(file, dict(begun))


def _clear(folder: Path, number: int) -> None:
    """Keep only the record of a finished trial: its weights can be made again, and would fill the disk."""
    trial = folder / "trials" / str(number)
    for name in ("model", "training/checkpoints"):
        shutil.rmtree(trial / name, ignore_errors=True)
