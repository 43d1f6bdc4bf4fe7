"""The stages of a study in their order: where each one's folder lies, and when it need not run again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sdovis import allocation, manifests, plugins
from sdovis.errors import BadInput, Conflict, Problem
from sdovis.manifests import sha256_file, sha256_text
from sdovis.study import Study

if TYPE_CHECKING:
    from sdovis.corpus.build import Corpus
    from sdovis.evaluation.scores import Scores
    from sdovis.learning.clock import Clock
    from sdovis.learning.record import TrainingRecord
    from sdovis.learning.search import Found
    from sdovis.release.assembly import Release
    from sdovis.summary import Summary

T = TypeVar("T")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Folders:
    """The folders of a run: names that others rely on."""

    run: Path

    @property
    def corpus(self) -> Path:
        return self.run / "corpus"

    @property
    def training(self) -> Path:
        return self.run / "training"

    @property
    def model(self) -> Path:
        return self.run / "model"

    @property
    def search(self) -> Path:
        return self.run / "search"

    @property
    def scores(self) -> Path:
        return self.run / "scores"

    @property
    def summary(self) -> Path:
        return self.run / "summary"

    @property
    def cards(self) -> Path:
        return self.run / "cards"

    @property
    def release(self) -> Path:
        return self.run / "release"


@contextmanager
def opened(study: Study) -> Iterator[Folders]:
    """The study's run folder, kept from other processes meanwhile.

    Raises `Conflict` when another process works on it.
    """
    import filelock

    study.run_dir.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(study.run_dir / ".lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise Conflict(f"{study.run_dir}: another sdovis works on this study; wait for it, or stop it") from None
    folders = Folders(study.run_dir)
    try:
        yield folders
        _resolve(study, folders)
    finally:
        lock.release()


def _resolve(study: Study, folders: Folders) -> None:
    """Keep the study as it was understood beside what was made from it."""
    resolved, text = folders.run / "study.toml", study.to_toml(folders.run)
    if not resolved.exists() or resolved.read_text(encoding="utf-8") != text:
        resolved.write_text(text, encoding="utf-8")


def _timed(say: Say, name: str, work: Callable[[], T]) -> T:
    say(f"{name} ...")
    begun = time.perf_counter()
    result = work()
    say(f"{name}: done in {time.perf_counter() - begun:.0f} s")
    return result


def prepare(study: Study, folders: Folders, say: Say) -> Corpus:
    """Workbook and images -> corpus. Raises `BadInput` with all problems."""
    allocation.return_freed()  # before the import
    from sdovis.corpus import build

    _check_templates(study)
    rows = build.read_rows(study)
    origin = build.made_from(study, rows)
    if manifests.finished(folders.corpus, origin):
        say("prepare: nothing changed, the corpus stays")
        corpus = build.Corpus.load(folders.corpus)
    else:
        corpus = _timed(say, "prepare", lambda: build.build(study, folders.corpus, rows, origin=origin))
    augmentations(study, corpus)  # what the corpus does not depend on may have changed since it was made
    _resolve(study, folders)
    return corpus


def _check_templates(study: Study) -> None:
    """Raise `BadInput` for mistakes in the cards' templates of one's own: now, and not after hours of training."""
    if study.publish.templates is not None:
        from sdovis.cards import templates

        templates.load(study.publish.templates)


def train(
    study: Study, folders: Folders, say: Say, *, restart: bool = False, clock: Clock | None = None
) -> TrainingRecord:
    """Corpus -> model. Goes on where an earlier run of the same training was stopped. ``clock`` is told the time."""
    from sdovis.learning.record import TrainingRecord

    corpus = _corpus_to_train_on(study, folders)
    made_from = training_made_from(study, corpus)
    recorded = (folders.training / "training.json").is_file()
    if not restart and recorded and manifests.finished(folders.model, made_from):
        say("train: nothing changed, the model stays")
        return TrainingRecord.load(folders.training)
    if study.method.trainable == "head" and study.method.augment:
        say("train: the backbone is frozen and sees each image once; augmentation is left out")
    if study.method.seeds == 1:
        return _timed(say, "train", lambda: _learn(study, corpus, folders, folders.run, restart=restart, clock=clock))
    return _timed(say, "train", lambda: _learn_from_seeds(study, corpus, folders, made_from, say, restart, clock))


def _corpus_to_train_on(study: Study, folders: Folders) -> Corpus:
    """The corpus, the study's augmentations found to keep its labels."""
    from sdovis.corpus.build import Corpus

    corpus = Corpus.load(folders.corpus)
    augmentations(study, corpus)
    return corpus


def _learn(
    study: Study, corpus: Corpus, folders: Folders, place: Path, *, restart: bool, clock: Clock | None
) -> TrainingRecord:
    """Train into ``place``; what is decoded or computed once is shared by all trainings of the run."""
    from sdovis.learning import description
    from sdovis.learning.clock import Clock
    from sdovis.learning.plan import TrainingPlan
    from sdovis.learning.training import run

    plan = TrainingPlan(
        study,
        corpus,
        place,
        augmentations=frozenset(augmentations(study, corpus)),
        signed=tuple(channel.signed for channel in corpus.facts.view.channels),
        about=description.of_corpus(corpus.facts),
        made_from=training_made_from(study, corpus),
        shared=folders.training / "cache",
        clock=clock or Clock(),
    )
    return run(plan, restart=restart)


def _learn_from_seeds(
    study: Study,
    corpus: Corpus,
    folders: Folders,
    made_from: dict[str, str],
    say: Say,
    restart: bool,
    clock: Clock | None,
) -> TrainingRecord:
    from sdovis.learning import seeds
    from sdovis.learning.training import on_main

    records = []
    for one in seeds.studies(study):
        say(f"train: seed {one.study.seed}")
        place = folders.run / "seeds" / str(one.study.seed)
        records.append(_learn(one, corpus, folders, place, restart=restart, clock=clock))
    found = seeds.spread(records, study.method.keep_by)
    best = seeds.chosen(records, study.method.keep_by)
    origin = folders.run / "seeds" / str(best.seed)
    return on_main(lambda: seeds.promote(best, found, origin, folders.training, folders.model, made_from))


def refuse_launchers(verb: str) -> None:
    """Raise `BadInput` in one of several processes."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise BadInput(Problem(f"sdovis {verb} runs in one process", "launch it without accelerate"))


def search(study: Study, folders: Folders, say: Say, *, trials: int, restart: bool = False) -> Found:
    """Try settings from the study's ``[search]``; the test part is not looked at."""
    from sdovis.learning.search import search as seek

    corpus = _corpus_to_train_on(study, folders)

    def learn(one: Study, place: Path) -> TrainingRecord:
        say(f"search: trial {place.name}")
        return _learn(one, corpus, folders, place, restart=False, clock=None)

    inputs = training_made_from(study, corpus)
    return _timed(
        say,
        "search",
        lambda: seek(study, folder=folders.search, trials=trials, train=learn, inputs=inputs, restart=restart),
    )


def augmentations(study: Study, corpus: Corpus) -> tuple[str, ...]:
    """What training does to the pictures, in order. Raises `BadInput` where the study asks for what breaks labels."""
    signed = any(channel.signed for channel in corpus.facts.view.channels)
    return corpus.facts.scheme.policy.chosen(study.method.augment, signed=signed)


def training_made_from(study: Study, corpus: Corpus) -> dict[str, str]:
    """What a model depends on, a line each so that a refusal to resume can say which changed."""
    from sdovis.labels.augmentations import GROUP, NAMES

    made_from = {f"training.{name}": repr(value) for name, value in sorted(study.training.items())}
    made_from |= {f"method.{name}": repr(value) for name, value in study.method}
    made_from |= {"study.seed": str(study.study.seed)}
    # The built-ins change with sdovis, whose version is recorded anyway.
    strangers = [name for name in augmentations(study, corpus) if name not in NAMES]
    made_from |= {f"augmentation {name}": plugins.version(GROUP, name) for name in strangers}
    return {**made_from, "backbone": _backbone(study), "corpus": corpus.manifest.digest}


def _backbone(study: Study) -> str:
    """The backbone's identity: a folder by its contents, wherever it lies."""
    given = study.backbone
    if given.id and (folder := Path(given.id)).is_dir():
        files = sorted(path for path in folder.iterdir() if path.is_file())
        return sha256_text("\n".join(f"{path.name} {sha256_file(path)}" for path in files))
    return given.model_dump_json()


def evaluate(study: Study, folders: Folders, say: Say) -> Scores:
    """Corpus and model -> scores."""
    from sdovis.corpus.build import Corpus
    from sdovis.evaluation import scores

    corpus = Corpus.load(folders.corpus)
    model = manifests.read(folders.model, made_by="train")
    if manifests.finished(folders.scores, scores.made_from(study, corpus, model)):
        say("evaluate: nothing changed, the scores stay")
        found = scores.Scores.load(folders.scores)
    else:
        found = _timed(say, "evaluate", lambda: scores.evaluate(study, corpus, folders.model, folders.scores))
    if study.method.seeds > 1:
        _score_seeds(study, corpus, folders, say)
    return found


def _score_seeds(study: Study, corpus: Corpus, folders: Folders, say: Say) -> None:
    """Test scores of every seed's model, beside it, and their spread in ``seeds/scores.json``."""
    from sdovis.evaluation import scores
    from sdovis.learning import checkpoints, seeds

    alone = study.model_copy(update={"evaluation": study.evaluation.model_copy(update={"baselines": False})})
    of_each: dict[str, dict[str, float]] = {}
    for one in seeds.studies(study):
        place = folders.run / "seeds" / str(one.study.seed)
        model = manifests.read(place / "model", made_by="train")
        if not manifests.finished(place / "scores", scores.made_from(alone, corpus, model)):
            say(f"evaluate: seed {one.study.seed}")
            scores.evaluate(alone, corpus, place / "model", place / "scores")
        overall = scores.Scores.load(place / "scores").facts.overall
        of_each[str(one.study.seed)] = {n: e.estimate for n, e in overall.items() if e.estimate is not None}
    names = sorted(set.intersection(*(set(each) for each in of_each.values())))
    over = {name: seeds.summarised([each[name] for each in of_each.values()]) for name in names}
    checkpoints.write_json(folders.run / "seeds" / "scores.json", {"test": of_each, "over_seeds": over})


def describe(study: Study, folders: Folders, say: Say, others: Sequence[Path] = ()) -> Summary:
    """Corpus, and the timings of this run and of ``others`` (run folders), in numbers, tests and figures."""
    from sdovis import summary
    from sdovis.corpus.build import Corpus

    corpus = Corpus.load(folders.corpus)
    timed = [run for run in (folders.run, *others) if (run / "scores" / manifests.NAME).is_file() or run in others]
    if len({run.resolve().name for run in timed}) < len(timed):
        raise BadInput("--with: two runs have the same name; rename one of the folders")
    measured = summary.timings(
        {run.resolve().name: run / "scores" for run in timed},
        training_folders={run.resolve().name: run / "training" for run in timed},
        confidence=study.evaluation.confidence,
    )
    if manifests.finished(folders.summary, summary.made_from(study, corpus, measured)):
        say("describe: nothing changed, the summary stays")
        return summary.Summary.load(folders.summary)
    return _timed(say, "describe", lambda: summary.summarise(study, corpus, folders.summary, measured))


def release(study: Study, folders: Folders, say: Say) -> Release:
    """What the stages saved -> cards -> the three repositories in a folder."""
    from sdovis.cards import card, facts, templates
    from sdovis.release import assembly as releases

    used = templates.load(study.publish.templates)
    gathered = facts.gather(study, folders.run)
    # Written every time: what was written into a kept section by hand since then is carried over.
    card.write(gathered, folders.run, used)
    if manifests.finished(folders.release, releases.made_from(gathered, folders.run, used)):
        say("release: nothing changed, the release stays")
        return releases.Release.load(folders.release)
    return _timed(say, "release", lambda: releases.release(gathered, folders.run, used))
