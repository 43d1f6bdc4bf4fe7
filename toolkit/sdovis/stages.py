"""The stages of a study in order: the folder of each, and when it need not run again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sdovis import allocation, disk, manifests, plugins
from sdovis.errors import BadInput, Conflict, Problem
from sdovis.manifests import sha256_file, sha256_text
from sdovis.study import Study

if TYPE_CHECKING:
    from sdovis.corpus.build import Corpus
    from sdovis.corpus.catalog import Catalog
    from sdovis.evaluation.elsewhere import Elsewhere
    from sdovis.evaluation.explanation import Explanation
    from sdovis.evaluation.parity import ParityFacts
    from sdovis.evaluation.scores import Scores
    from sdovis.learning.clock import Clock
    from sdovis.learning.record import TrainingRecord
    from sdovis.learning.search import Found
    from sdovis.release.assembly import Release
    from sdovis.report.report import Report
    from sdovis.summary import Summary

T = TypeVar("T")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Folders:
    """The folders of a run. Other code relies on these names."""

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

    def on(self, other: str) -> Path:
        """The scores of the model on another source."""
        return self.run / "on" / other

    @property
    def explanation(self) -> Path:
        return self.run / "explanation"

    @property
    def summary(self) -> Path:
        return self.run / "summary"

    @property
    def cards(self) -> Path:
        return self.run / "cards"

    @property
    def report(self) -> Path:
        return self.run / "report"

    @property
    def release(self) -> Path:
        return self.run / "release"


@contextmanager
def opened(study: Study) -> Iterator[Folders]:
    """The study's run folder, locked against other processes.

    Raises `Conflict` if another process is working on it.
    """
    disk.make(study.run_dir)
    with locked(study.run_dir) as folders:
        yield folders
        _resolve(study, folders)


@contextmanager
def locked(run: Path) -> Iterator[Folders]:
    """A run folder, locked against other processes. Raises `Conflict` if another process is working on it."""
    import filelock

    lock = filelock.FileLock(run / ".lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise Conflict(f"{run}: another sdovis process is working on this study; wait for it or stop it") from None
    try:
        yield Folders(run)
    finally:
        lock.release()


def _resolve(study: Study, folders: Folders) -> None:
    """Save the study as it was understood beside what was made from it."""
    resolved, text = folders.run / "study.toml", study.to_toml(folders.run)
    if not resolved.exists() or resolved.read_text(encoding="utf-8") != text:
        disk.write(resolved, text)


def _timed(say: Say, name: str, work: Callable[[], T]) -> T:
    say(f"{name} ...")
    begun = time.perf_counter()
    result = work()
    say(f"{name}: done in {time.perf_counter() - begun:.0f} s")
    return result


def check(study: Study) -> Catalog:
    """The rows that would make the corpus, and those that would not; nothing is written. Raises `BadInput` as `prepare`."""
    from sdovis.corpus import build

    _check_templates(study)
    return build.check(study)


def to_be_fetched(study: Study) -> list[str]:
    """What the study wants of archives and does not have yet, in lines. Raises `BadInput` for wishes that make no sense."""
    if study.source.fetch is None:
        return []
    from sdovis.fetching import orders

    hint = "run sdovis fetch with the study file"
    return [f"to be fetched: {each}; {hint}" for each in orders.missing(study)]


def prepare(study: Study, folders: Folders, say: Say, *, workers: int | None = None, scheduler: str = "") -> Corpus:
    """Workbook and images -> corpus. Raises `BadInput` with all problems. Who opens the images, see `corpus.build.build`."""
    allocation.return_freed()  # before the import
    from sdovis.corpus import build

    _check_templates(study)
    for line in to_be_fetched(study):
        say(f"note: {line}")
    rows = build.read_rows(study)
    origin = build.made_from(study, rows)
    if manifests.finished(folders.corpus, origin):
        say("prepare: nothing changed, keeping the corpus")
        corpus = build.Corpus.load(folders.corpus)
    else:
        corpus = _timed(
            say,
            "prepare",
            lambda: build.build(study, folders.corpus, rows, origin=origin, workers=workers, scheduler=scheduler),
        )
    for notice in corpus.facts.notices or ():
        say(f"note: {notice}")
    augmentations(study, corpus)  # the corpus does not depend on these, so they may have changed since
    _resolve(study, folders)
    return corpus


def _check_templates(study: Study) -> None:
    """Raise `BadInput` for mistakes in the study's own card templates: now, not after hours of training."""
    if study.publish.templates is not None:
        from sdovis.cards import templates

        templates.load(study.publish.templates)


def train(
    study: Study, folders: Folders, say: Say, *, restart: bool = False, clock: Clock | None = None
) -> TrainingRecord:
    """Corpus -> model. Continues an earlier, interrupted run of the same training. ``clock`` records the time."""
    from sdovis.learning.record import finished

    corpus = _corpus_to_train_on(study, folders)
    made_from = training_made_from(study, corpus)
    if not restart and (kept := finished(folders.training, folders.model, made_from)) is not None:
        say("train: nothing changed, keeping the model")
        return kept
    if study.method.trainable == "head" and study.method.augment:
        say("train: the backbone is frozen and sees each image once, so augmentation is not used")
    if study.method.seeds == 1:
        record = _timed(say, "train", lambda: _learn(study, corpus, folders, folders.run, restart=restart, clock=clock))
    else:
        record = _timed(say, "train", lambda: _learn_from_seeds(study, corpus, folders, made_from, say, restart, clock))
    if record.never_above_chance:
        say("train: no evaluation was above chance; try another learning rate, more epochs, or a pretrained backbone")
    return record


def _corpus_to_train_on(study: Study, folders: Folders) -> Corpus:
    """The corpus, once the study's augmentations are known to keep its labels, and it allows what is asked of it later."""
    from sdovis.corpus.build import Corpus
    from sdovis.evaluation.probabilities import check as check_what_is_asked
    from sdovis.learning import description

    corpus = Corpus.load(folders.corpus)
    augmentations(study, corpus)
    check_what_is_asked(study.evaluation, corpus.classes)
    description.told_of(study, corpus)
    return corpus


def _learn(
    study: Study, corpus: Corpus, folders: Folders, folder: Path, *, restart: bool, clock: Clock | None
) -> TrainingRecord:
    """Train into ``folder``; what is decoded or computed once is shared by all trainings of the run."""
    from sdovis.learning import description
    from sdovis.learning.clock import Clock
    from sdovis.learning.plan import TrainingPlan
    from sdovis.learning.training import run

    plan = TrainingPlan(
        study,
        corpus,
        folder,
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
        folder = folders.run / "seeds" / str(one.study.seed)
        records.append(_learn(one, corpus, folders, folder, restart=restart, clock=clock))
    found = seeds.spread(records, study.method.keep_by)
    if study.method.average:
        from sdovis.learning.averaging import average

        cache = folders.training / "cache"
        return on_main(lambda: average(study, corpus, records, folders.run, cache, made_from))
    best = seeds.chosen(records, study.method.keep_by)
    origin = folders.run / "seeds" / str(best.seed)
    return on_main(lambda: seeds.promote(best, found, origin, folders.training, folders.model, made_from))


def refuse_launchers(verb: str) -> None:
    """Raise `BadInput` if this is one of several processes."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise BadInput(Problem(f"sdovis {verb} runs in a single process", "start it without accelerate launch"))


def search(study: Study, folders: Folders, say: Say, *, trials: int, restart: bool = False) -> Found:
    """Try settings from ``[search]`` in the study, without looking at the test part."""
    from sdovis.learning.search import search as seek

    corpus = _corpus_to_train_on(study, folders)

    def learn(one: Study, folder: Path) -> TrainingRecord:
        say(f"search: trial {folder.name}")
        return _learn(one, corpus, folders, folder, restart=False, clock=None)

    inputs = training_made_from(study, corpus)
    return _timed(
        say,
        "search",
        lambda: seek(study, folder=folders.search, trials=trials, train=learn, inputs=inputs, restart=restart),
    )


def augmentations(study: Study, corpus: Corpus) -> tuple[str, ...]:
    """The augmentations that training uses, in order. Raises `BadInput` if the study asks for one that breaks labels."""
    channels = corpus.facts.view.channels
    signed = any(channel.signed for channel in channels)
    chosen = corpus.facts.scheme.policy.chosen(study.method.augment, signed=signed)
    if "rendering" in chosen and (physical := [channel.name for channel in channels if not channel.browse]):
        what = f"method.augment: 'rendering' is for browse pictures, but {', '.join(physical)} codes physical values"
        raise BadInput(Problem(what, "remove it"))
    return chosen


def training_made_from(study: Study, corpus: Corpus) -> dict[str, str]:
    """What a model depends on, entry by entry, so that a refusal to resume can say what changed."""
    from sdovis.labels.augmentations import GROUP, NAMES

    made_from = {f"training.{name}": repr(value) for name, value in sorted(study.training.items())}
    made_from |= study.method.made_from
    made_from |= {"study.seed": str(study.study.seed)}
    # Built-in ones change with sdovis, whose version is recorded anyway.
    third_party = [name for name in augmentations(study, corpus) if name not in NAMES]
    made_from |= {f"augmentation {name}": plugins.version(GROUP, name) for name in third_party}
    return {**made_from, "backbone": _backbone(study), "corpus": corpus.manifest.digest}


def _backbone(study: Study) -> str:
    """The backbone's identity; a folder is identified by its contents, wherever it is."""
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
        say("evaluate: nothing changed, keeping the scores")
        found = scores.Scores.load(folders.scores)
    else:
        found = _timed(say, "evaluate", lambda: scores.evaluate(study, corpus, folders.model, folders.scores))
    if study.method.seeds > 1:
        _score_seeds(study, corpus, folders, say)
    return found


def evaluate_on(study: Study, folders: Folders, other: Study, say: Say) -> Elsewhere:
    """Model and another source -> scores on it, after those of the test part. See `sdovis.evaluation.elsewhere`."""
    from sdovis.corpus import build
    from sdovis.evaluation import elsewhere

    evaluate(study, folders, say)
    corpus = build.Corpus.load(folders.corpus)
    model = manifests.read(folders.model, made_by="train")
    shown, folder = elsewhere.seen_as_trained(study, other), folders.on(other.name)
    rows = build.read_rows(shown)
    origin = build.made_from(shown, rows)
    if manifests.finished(folder, elsewhere.made_from(study, corpus, model, origin)):
        say(f"evaluate on {other.name}: nothing changed, keeping the scores")
        return elsewhere.Elsewhere.load(folder)
    return _timed(
        say,
        f"evaluate on {other.name}",
        lambda: elsewhere.evaluate(study, corpus, folders.model, shown, rows, origin, folder),
    )


def _score_seeds(study: Study, corpus: Corpus, folders: Folders, say: Say) -> None:
    """Write the test scores of each seed's model beside it, and their spread to ``seeds/scores.json``."""
    from sdovis.evaluation import scores
    from sdovis.evaluation.facts import ScoreFacts, SeedScores
    from sdovis.learning import seeds

    alone = study.model_copy(update={"evaluation": study.evaluation.model_copy(update={"baselines": False})})
    facts: dict[int, ScoreFacts] = {}
    for one in seeds.studies(study):
        folder = folders.run / "seeds" / str(one.study.seed)
        model = manifests.read(folder / "model", made_by="train")
        if not manifests.finished(folder / "scores", scores.made_from(alone, corpus, model)):
            say(f"evaluate: seed {one.study.seed}")
            scores.evaluate(alone, corpus, folder / "model", folder / "scores")
        facts[one.study.seed] = scores.Scores.load(folder / "scores").facts
    SeedScores.of(facts).save(folders.run / "seeds")


def explain(study: Study, folders: Folders, say: Say) -> Explanation:
    """Model, corpus and predictions -> tested maps of where the network looked, and its most confident mistakes."""
    from sdovis.corpus.build import Corpus
    from sdovis.evaluation import explanation

    corpus = Corpus.load(folders.corpus)
    model = manifests.read(folders.model, made_by="train")
    scores = manifests.read(folders.scores, made_by="evaluate")
    if manifests.finished(folders.explanation, explanation.made_from(study, corpus, model, scores)):
        say("explain: nothing changed, keeping the explanation")
        return explanation.load(folders.explanation)
    return _timed(say, "explain", lambda: explanation.explain(study, corpus, folders.run))


def export(study: Study, folders: Folders, say: Say) -> ParityFacts:
    """Corpus and model -> the model in ONNX, compared with torch on the test part."""
    from sdovis.corpus.build import Corpus
    from sdovis.evaluation import parity

    corpus = Corpus.load(folders.corpus)
    model = manifests.read(folders.model, made_by="train")
    if manifests.finished(folders.run / parity.FOLDER, parity.made_from(study, corpus, model)):
        say("export: nothing changed, keeping the ONNX files")
        return parity.ParityFacts.load(folders.run / parity.FOLDER)
    return _timed(say, "export", lambda: parity.export(study, corpus, folders.model))


def describe(study: Study, folders: Folders, say: Say, others: Sequence[Path] = ()) -> Summary:
    """Describe the corpus, and the timings of this run and of ``others`` (run folders), in numbers, tests and figures."""
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
        say("describe: nothing changed, keeping the summary")
        return summary.Summary.load(folders.summary)
    return _timed(say, "describe", lambda: summary.summarise(study, corpus, folders.summary, measured))


def release(study: Study, folders: Folders, say: Say) -> Release:
    """What the stages saved -> cards -> the three repositories in a folder."""
    from sdovis.cards import card, facts, templates
    from sdovis.release import assembly as releases
    from sdovis.release import signing

    used = templates.load(study.publish.templates)
    gathered = facts.gather(study, folders.run)
    # Written every time, so that sections edited by hand since the last time are carried over.
    card.write(gathered, folders.run, used)
    signer = signing.signer(study.publish)
    if manifests.finished(folders.release, releases.made_from(gathered, folders.run, used, signer)):
        say("release: nothing changed, keeping the release")
        return releases.Release.load(folders.release)
    return _timed(say, "release", lambda: releases.release(gathered, folders.run, used, signer))


def report(study: Study, folders: Folders, say: Say) -> Report:
    """What the stages saved -> one page for the whole run, and its facts."""
    from sdovis.cards import facts
    from sdovis.report import report as reports

    return _timed(say, "report", lambda: reports.report(facts.gather(study, folders.run), folders.run))


def run(study: Study, folders: Folders, say: Say) -> tuple[Scores, Release]:
    """All stages in their order; what is finished is not done again."""
    prepare(study, folders, say)
    train(study, folders, say)
    scores = evaluate(study, folders, say)
    explain(study, folders, say)
    describe(study, folders, say)
    if study.publish.onnx:
        export(study, folders, say)
    released = release(study, folders, say)
    report(study, folders, say)
    return scores, released
