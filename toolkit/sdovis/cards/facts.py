"""What a card may say: built from what the stages of a run saved, and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sdovis import manifests
from sdovis.cards import sources
from sdovis.cards.markdown import without_folders
from sdovis.cards.measured import pin
from sdovis.cards.sources import Example, Network, Storage
from sdovis.channels.channel import ChannelFacts
from sdovis.corpus import beside
from sdovis.corpus.audit import Audit, Part
from sdovis.corpus.columns import COLUMNS, CorpusColumn
from sdovis.corpus.facts import CorpusFacts
from sdovis.corpus.shortcuts import Shortcut
from sdovis.corpus.split import PARTS
from sdovis.errors import BadInput, Problem
from sdovis.evaluation import explanation, parity
from sdovis.evaluation.elsewhere import PLACE, Elsewhere
from sdovis.evaluation.explanation import Explanation
from sdovis.evaluation.facts import ScoreFacts
from sdovis.evaluation.parity import ParityFacts
from sdovis.evaluation.strangers import FamiliarityFacts
from sdovis.fetching.ledger import ArchiveFacts
from sdovis.labels.schemes import SchemeFacts
from sdovis.learning.model_files import ConfigFile, ProcessorFile
from sdovis.learning.record import TrainingRecord
from sdovis.manifests import Manifest
from sdovis.readers.rows import FlareFacts
from sdovis.statistics.bootstrap import Estimate
from sdovis.statistics.tabular import TableColumn
from sdovis.study import Space, Study
from sdovis.version import __version__

#: Stands for the account if a study names none: a release in a folder is not on the Hub yet.
PLACEHOLDER = "your-name"
#: Maximum rows of a table; the rest are counted in one line.
MAX_LINES = 12


@dataclass(frozen=True)
class Repositories:
    """Where the three repositories of a release are, or will be, and the tag that they all carry."""

    dataset: str
    model: str
    space: str
    pin: str
    placeholder: bool

    @property
    def dashboard(self) -> str:
        """The Space that shows the training, if there is one (`Offers.dashboard`)."""
        return f"{self.space}-training"


@dataclass(frozen=True)
class Offers:
    """What goes out beside the three repositories, as the study asks: see `study.publishing.Publish`."""

    collection: str = ""
    benchmark: str = ""
    endpoint: bool = True
    dashboard: bool = False


@dataclass(frozen=True)
class ClassFacts:
    """One class: what it means, the field's classes merged into it with their rows, and how the source of the rows wrote it."""

    name: str
    meaning: str
    merged: Mapping[str, int]
    spellings: Mapping[str, int]
    other_spellings: int
    other_spelling_rows: int


@dataclass(frozen=True)
class Provenance:
    """Where rows and images come from."""

    rows_from: str
    sheets: tuple[str, ...]
    reader: str
    licence: str
    credit: str


@dataclass(frozen=True)
class SplitFacts:
    """How rows were divided. ``parts`` in the order train, validation, test; ``seed`` draws the intervals.

    ``folds`` and ``fold`` apply to the method kfold, ``year`` to leave-year-out. ``links`` is the number of returning
    regions that were linked to their first number, ``links_by_chance`` the number of links expected by chance alone.
    ``rows_without_region`` counts the rows of which nobody knows whether their region lies in two parts. ``said`` are the
    audit's sentences on a publisher's parts, and on columns that give the label away.
    """

    method: str
    folds: int
    fold: int
    year: int | None
    link_returning: bool
    links: int
    links_by_chance: float
    gap_days: float | None
    leaks: Mapping[str, int]
    crossing_pairs: Mapping[str, int]
    kept_apart: Mapping[str, int]
    parts: Mapping[str, Part]
    shortcuts: Mapping[str, Shortcut]
    seed: int
    rows_without_region: int
    said: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rejects:
    """Rows left out: reason -> rows; ``other_reasons`` counts those beyond the first dozen."""

    rows: int
    reasons: Mapping[str, int]
    other_reasons: int
    other_rows: int


@dataclass(frozen=True)
class Headline:
    """The score to name first, and the strongest baseline's. ``beats``: the interval of the difference lies above 0."""

    score: str
    model: Estimate
    rival: str
    rival_score: Estimate | None
    difference: Estimate | None
    beats: bool


@dataclass(frozen=True)
class Facts:
    """Everything that dataset card and model card say.

    ``beside`` are the values beside the images, which the model is told if it is ``fused``; ``beside_strange`` counts the
    rows of the validation and test parts whose values are unlike those of the training part.
    """

    name: str
    title: str
    description: str
    simulated: bool
    licence: str
    authors: tuple[str, ...]
    notes: tuple[str, ...]
    repositories: Repositories
    classes: tuple[ClassFacts, ...]
    scheme: SchemeFacts
    flares: FlareFacts | None
    channels: tuple[ChannelFacts, ...]
    rows: int
    size_px: int
    cutout_arcsec: float | None
    cutout_deg: float | None
    neighbours: str
    flatten: bool
    max_longitude_deg: float | None
    provenance: Provenance
    split: SplitFacts
    rejects: Rejects
    columns: tuple[CorpusColumn, ...]
    storage: Storage
    network: Network
    trainable: str
    training: TrainingRecord
    scores: ScoreFacts
    elsewhere: tuple[Elsewhere, ...]
    examples: tuple[Example, ...]
    figures: tuple[str, ...]
    sdovis: str
    familiarity: FamiliarityFacts | None = None
    explanation: Explanation | None = None
    fetched: tuple[ArchiveFacts, ...] = ()
    space: Space = field(default_factory=Space)
    parity: ParityFacts | None = None
    licence_name: str = ""
    licence_link: str = ""
    doi: str = ""
    offers: Offers = Offers()
    beside: tuple[TableColumn, ...] = ()
    fused: bool = False
    beside_strange: Mapping[str, int] = field(default_factory=dict)

    @property
    def headline(self) -> Headline:
        """The score that represents the model: balanced accuracy, or the first that is a single number."""
        overall = self.scores.overall
        return headline(self.scores, "balanced-accuracy" if "balanced-accuracy" in overall else next(iter(overall)))

    @property
    def browse(self) -> bool:
        """Whether a channel is made of published pictures, which are not measurements."""
        return any(channel.browse for channel in self.channels)

    @property
    def scarcest(self) -> str:
        """The class with the fewest regions in the test part: its scores are the least certain."""
        regions = self.split.parts["test"].regions_by_class
        return min(regions, key=lambda name: regions[name])


def headline(scores: ScoreFacts, score: str) -> Headline:
    """One score of the model, and the strongest baseline's."""
    rivals = {name: of[score].estimate for name, of in scores.baselines.items()}
    known = {name: estimate for name, estimate in rivals.items() if estimate is not None}
    model = scores.overall[score]
    if not known:
        return Headline(score, model, "", None, None, beats=False)
    best = max(known, key=lambda name: known[name])
    difference = scores.difference_to[best][score]
    beats = difference.low is not None and difference.low > 0
    return Headline(score, model, best, scores.baselines[best][score], difference, beats)


def elsewhere_of(run_dir: Path) -> dict[str, Manifest]:
    """The folders in ``run_dir`` with scores on other sources, and their manifests. Raises `BadInput` for a damaged one."""
    folders = sorted(path for path in (run_dir / PLACE).glob("[!.]*") if path.is_dir())
    return {f"{PLACE}/{folder.name}": manifests.read(folder, made_by="evaluate --on") for folder in folders}


def explanation_of(run_dir: Path) -> dict[str, Manifest]:
    """The folder with the explanation and its manifest, if there is one. Raises `BadInput` if it is damaged."""
    folder = run_dir / explanation.FOLDER
    return {explanation.FOLDER: manifests.read(folder, made_by="explain")} if folder.is_dir() else {}


def exported_of(run_dir: Path) -> dict[str, Manifest]:
    """The folder with the model in ONNX and its manifest, if there is one. Raises `BadInput` if it is damaged."""
    folder = run_dir / parity.FOLDER
    return {parity.FOLDER: manifests.read(folder, made_by="export")} if folder.is_dir() else {}


def gather(study: Study, run_dir: Path) -> Facts:
    """The facts of a finished run.

    Raises `BadInput` naming the file for everything that is missing, damaged, or made from something other than the
    previous stage or the settings of ``study``.
    """
    corpus_folder, model_folder, scores_folder = (run_dir / name for name in ("corpus", "model", "scores"))
    made = {
        "corpus": manifests.read(corpus_folder, made_by="prepare"),
        "model": manifests.read(model_folder, made_by="train"),
        "scores": manifests.read(scores_folder, made_by="evaluate"),
    }
    elsewhere, explained, exported = elsewhere_of(run_dir), explanation_of(run_dir), exported_of(run_dir)
    corpus, audit = CorpusFacts.load(corpus_folder), Audit.load(corpus_folder)
    scores = ScoreFacts.load(scores_folder)
    config, processor = ConfigFile.load(model_folder), ProcessorFile.load(model_folder)
    training = TrainingRecord.load(run_dir / "training")
    disagreements = [
        *_disagreements(study, made, training, corpus, run_dir),
        *_other_model(made, elsewhere, "evaluate --on", run_dir),
        *_other_model(made, explained, "explain", run_dir),
        *_other_model(made, exported, "export", run_dir),
        *_other_classes(corpus, scores, config, run_dir),
    ]
    if not scores.overall:
        hint = "add balanced-accuracy to evaluation.metrics, then run sdovis evaluate"
        disagreements.append(
            Problem("contains no score that is a single number", hint, str(scores_folder / "scores.json"))
        )
    if study.publish.onnx and not exported:
        disagreements.append(
            Problem("publish.onnx asks for it, but it is not there", "run sdovis export", str(run_dir / parity.FOLDER))
        )
    if disagreements:
        raise BadInput(disagreements)
    return Facts(
        name=study.name,
        title=study.study.title or study.name,
        description=study.study.description,
        simulated=corpus.simulated,
        licence=study.publish.licence,
        authors=study.publish.authors,
        notes=study.publish.notes,
        repositories=_repositories(study, pin(run_dir, made | elsewhere | explained | exported)),
        classes=class_facts(corpus.classes, corpus.scheme, corpus.spellings),
        scheme=corpus.scheme,
        flares=corpus.flares,
        channels=corpus.view.channels,
        rows=corpus.rows,
        size_px=corpus.view.size_px,
        cutout_arcsec=corpus.view.cutout_arcsec,
        cutout_deg=corpus.view.cutout_deg,
        neighbours=corpus.view.neighbours,
        flatten=corpus.view.flatten,
        max_longitude_deg=corpus.view.max_longitude_deg,
        provenance=Provenance(
            Path(study.source.rows_from).name,
            study.source.sheets,
            made["corpus"].made_from["reader"],
            study.source.licence,
            study.source.credit,
        ),
        split=SplitFacts(
            study.split.method,
            study.split.folds,
            study.split.fold,
            study.split.year,
            study.split.link_returning,
            len(audit.returning.links),
            audit.returning.expected_by_chance,
            audit.gap_days,
            audit.leaks,
            audit.crossing_pairs,
            audit.kept_apart.pairs,
            {name: audit.parts[name] for name in PARTS},
            audit.shortcuts,
            study.study.seed,
            corpus.rows_without_region or 0,
            audit.said,
        ),
        rejects=rejects(corpus.rejects_by_reason),
        columns=(*COLUMNS, *beside.columns(corpus.beside)),
        storage=sources.storage(corpus_folder),
        network=sources.network(study.backbone.id, training, config, processor),
        trainable=study.method.trainable,
        training=training,
        scores=scores,
        elsewhere=tuple(Elsewhere.load(run_dir / name) for name in elsewhere),
        examples=sources.examples(run_dir, tuple(corpus.classes)),
        figures=tuple(
            sorted(f for m in (made["scores"], *explained.values()) for f in m.files if f.startswith("figures/"))
        ),
        sdovis=__version__,
        familiarity=FamiliarityFacts.load(scores_folder),
        explanation=explanation.load(run_dir / explanation.FOLDER) if explained else None,
        fetched=corpus.fetched or (),
        space=study.space,
        parity=ParityFacts.load(run_dir / parity.FOLDER) if exported else None,
        licence_name=study.publish.licence_name,
        licence_link=study.publish.licence_link,
        doi=study.publish.doi,
        offers=Offers(
            study.publish.collection, study.publish.benchmark, study.publish.endpoint, study.publish.dashboard
        ),
        beside=corpus.beside or (),
        fused=study.method.beside != "none",
        beside_strange=sources.strange(corpus_folder, corpus.beside or ()),
    )


def _disagreements(
    study: Study, made: Mapping[str, Manifest], training: TrainingRecord, corpus: CorpusFacts, run_dir: Path
) -> Iterator[Problem]:
    """Everything that was made from something other than what is there now."""
    rerun = "run sdovis run"
    data, network, scores = made["corpus"], made["model"], made["scores"]
    if data.made_from["study"] != study.digest_of("source", "images", "labels", "split") or corpus.study != study.name:
        yield Problem("the study has changed since the corpus was made", rerun, str(run_dir / "corpus"))
    settings = {f"training.{k}": repr(v) for k, v in study.training.items()}
    settings |= study.method.made_from | {"study.seed": str(study.study.seed)}
    for name in sorted(k for k, v in settings.items() if training.made_from.get(k) != v):
        yield Problem(f"{name} in the study is not what the model was trained with", rerun, str(run_dir / "training"))
    if training.corpus != data.digest or {**training.made_from, "sdovis": ""} != {**network.made_from, "sdovis": ""}:
        yield Problem("was not made from this corpus and this training", rerun, str(run_dir / "model"))
    if (scores.made_from["corpus"], scores.made_from["model"]) != (data.digest, network.digest):
        yield Problem("were not made from this corpus and this model", rerun, str(run_dir / "scores"))
    if scores.made_from["study"] != study.digest_of("evaluation"):
        yield Problem("[evaluation] in the study is not what the scores were made with", rerun, str(run_dir / "scores"))


def _other_model(
    made: Mapping[str, Manifest], folders: Mapping[str, Manifest], verb: str, run_dir: Path
) -> Iterator[Problem]:
    """What ``verb`` made of another corpus or model."""
    digests = made["corpus"].digest, made["model"].digest
    for name, manifest in folders.items():
        if (manifest.made_from["corpus"], manifest.made_from["model"]) != digests:
            what = "was not made from this corpus and this model"
            yield Problem(what, f"run sdovis {verb} again, or remove the folder", str(run_dir / name))


def _other_classes(corpus: CorpusFacts, scores: ScoreFacts, config: ConfigFile, run_dir: Path) -> Iterator[Problem]:
    classes = tuple(corpus.classes)
    found = {
        "model/config.json": tuple(name for _, name in sorted(config.id2label.items(), key=lambda item: int(item[0]))),
        "scores/scores.json": scores.classes,
    }
    for file, names in found.items():
        if names != classes:
            yield Problem("its classes differ from the corpus", "run sdovis run", str(run_dir / file))


def _repositories(study: Study, tag: str) -> Repositories:
    namespace = study.publish.namespace or PLACEHOLDER
    where = f"{namespace}/{study.name}"
    return Repositories(where, where, where, tag, placeholder=not study.publish.namespace)


def class_facts(
    meanings: Mapping[str, str], scheme: SchemeFacts, spellings: Mapping[str, Mapping[str, int]]
) -> tuple[ClassFacts, ...]:
    """The classes in the model's order, each with every spelling counted."""
    found = []
    for name, meaning in meanings.items():
        first, others, rows = _first(spellings.get(name, {}))
        named: Counter[str] = Counter()
        for text, count in spellings.get(name, {}).items():
            named[scheme.read_as.get(text, name)] += count
        merged = {old: named[old] for old, new in scheme.merged.items() if new == name and named[old]}
        found.append(ClassFacts(name, meaning, merged, first, others, rows))
    return tuple(found)


def rejects(by_reason: Mapping[str, int]) -> Rejects:
    """The rejected rows by reason, commonest first."""
    return Rejects(sum(by_reason.values()), *_first(by_reason))


def _first(counts: Mapping[str, int]) -> tuple[dict[str, int], int, int]:
    """The commonest entries, ties by name; the number of others; and the number of rows of these."""
    public: dict[str, int] = {}
    for text, rows in counts.items():
        shown = without_folders(text)
        public[shown] = public.get(shown, 0) + rows
    ordered = sorted(public.items(), key=lambda item: (-item[1], item[0]))
    rest = ordered[MAX_LINES:]
    return dict(ordered[:MAX_LINES]), len(rest), sum(n for _, n in rest)
