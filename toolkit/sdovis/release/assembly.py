"""The release of a study: its dataset, model and Space in a folder, exactly as they are, or would be, on the Hub."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sdovis import formats, manifests, privacy
from sdovis.cards import card
from sdovis.cards.facts import Facts, elsewhere_of, explanation_of, exported_of
from sdovis.cards.measured import pin
from sdovis.cards.templates import Templates
from sdovis.corpus import rejects
from sdovis.corpus.facts import published_reasons
from sdovis.errors import BadInput, Problem
from sdovis.evaluation.elsewhere import PLACE
from sdovis.release import benchmark, citation, dashboard, endpoint, sbom, signing, vendor
from sdovis.release.private import Private
from sdovis.study import Space
from sdovis.version import __version__

#: In the order in which they are published: each refers only to those before it.
KINDS = ("dataset", "model", "space")
#: What a release may hold besides: a Space that shows the training.
DASHBOARD = "dashboard"
RELEASE = "release.json"
README = "README.md"
#: The files of a release that name its pin, which is another on a Hub that has other words under the same data.
NAMING = (README, "space.json", citation.FILE, benchmark.RESULTS)
#: Kind -> (folder of the run, pattern): what is released, and nothing else. No pattern matches a pickle.
ALLOWED: Mapping[str, tuple[tuple[str, str], ...]] = {
    "dataset": (
        ("cards/dataset", README),
        ("corpus", "data/*.parquet"),
        ("corpus", "audit.json"),
        ("corpus", "corpus.json"),
    ),
    "model": (
        ("cards/model", README),
        ("cards/model", "figures/*.png"),
        ("cards/model", "examples/*.png"),
        ("model", "config.json"),
        ("model", "*.safetensors"),
        ("model", "model.safetensors.index.json"),
        ("model", "preprocessor_config.json"),
        ("model", "onnx/*.onnx"),
        ("model", "onnx/export.json"),
        ("model", "onnx/parity.*"),
        ("scores", "scores.json"),
        ("scores", "familiarity.json"),
        ("scores", "*.parquet"),
        ("scores", "figures/*.png"),
        (".", f"{PLACE}/*/*.json"),
        (".", f"{PLACE}/*/*.parquet"),
        (".", f"{PLACE}/*/figures/*.png"),
        ("explanation", "explanation.json"),
        ("explanation", "maps.parquet"),
        ("training", "training.json"),
    ),
}
#: Without these a repository is not what its card says.
NEEDED = {
    "dataset": (README, "corpus.json", "audit.json", rejects.FILE, "data/train-*.parquet", "data/test-*.parquet"),
    "model": (README, "config.json", "model*.safetensors", "preprocessor_config.json", "scores.json", "training.json"),
    "space": (README, "app.py", "requirements.txt", "space.json", "sdovis/__init__.py"),
}


def _without_collection(data: Mapping[str, Any]) -> dict[str, Any]:
    """Format 1 -> 2: the title of a collection on the Hub, none in format 1."""
    return {**data, "collection": ""}


STEPS: tuple[formats.Step, ...] = (_without_collection,)


@dataclass(frozen=True)
class Repository:
    """One repository: its id on the Hub and its files, path -> sha256."""

    id: str
    files: Mapping[str, str]


@dataclass(frozen=True)
class Release:
    """A release in ``folder``: ``release.json``. ``pin`` is the tag that its repositories carry on the Hub.

    ``repositories`` has one of each of `KINDS`, and `DASHBOARD` after them if there is one.
    """

    folder: Path
    study: str
    sdovis: str
    pin: str
    repositories: Mapping[str, Repository]
    collection: str = ""

    @classmethod
    def load(cls, folder: Path) -> Release:
        """Read a release and verify its every file.

        Raises `BadInput` if it is absent, unfinished, changed, or of a format newer than this sdovis.
        """
        manifests.read(folder, made_by="run")
        try:
            written = json.loads((folder / RELEASE).read_text(encoding="utf-8"))
            data = formats.brought_up(written, STEPS, file=str(folder / RELEASE))
            kinds = [*KINDS, *(kind for kind in data["repositories"] if kind == DASHBOARD)]
            repositories = {kind: Repository(**data["repositories"][kind]) for kind in kinds}
            return cls(folder, data["study"], data["sdovis"], data["pin"], repositories, data["collection"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadInput(Problem(f"is damaged: {error!r}", "run sdovis run", str(folder / RELEASE))) from error

    def path(self, kind: str, name: str) -> Path:
        """The path of a file of one of the repositories."""
        return self.folder / kind / name


def release(facts: Facts, run_dir: Path, templates: Templates, signer: signing.Signer | None = None) -> Release:
    """Assemble ``run_dir/release`` from the output of the run's stages and its cards; it appears whole or not at all.

    It is signed if there is a ``signer``.
    Raises `BadInput` if a stage is missing or damaged, if the cards were written for something else, if the Hub would
    not accept a name, or if a file contains a token or a path of this machine.
    """
    inputs = made_from(facts, run_dir, templates, signer)
    _check_names(facts)
    _check_cards(facts, run_dir, templates)
    folder = run_dir / "release"
    with manifests.whole(folder, stage="release", made_from=inputs) as beside:
        for kind, allowed in ALLOWED.items():
            for source, pattern in allowed:
                _copy(run_dir / source, pattern, beside / kind)
        _rejects(run_dir / "corpus", beside / "dataset")
        _made_here(facts, beside, templates)
        _check_whole(beside)
        sbom.write(beside, facts.name)
        if signer is not None:
            signing.sign(beside, KINDS, NAMING, signer, folder)
        if problems := Private((run_dir.resolve(),), _given(facts, beside)).problems(beside):
            raise BadInput(problems)
        (beside / RELEASE).write_text(json.dumps(_pins(facts, beside), indent=1) + "\n", encoding="utf-8")
    return Release.load(folder)


def differ_in_kept_sections_only(ours: str, theirs: str) -> bool:
    """Whether a README is ours except for the sections kept by hand (and its line endings)."""
    theirs = theirs.replace("\r\n", "\n").rstrip("\n") + "\n"
    try:
        return card.merge(ours, theirs) == theirs
    except BadInput:
        return False


def made_from(
    facts: Facts, run_dir: Path, templates: Templates, signer: signing.Signer | None = None
) -> dict[str, str]:
    """What a release depends on. Raises `BadInput` if a stage is missing, damaged or not the one ``facts`` describe."""
    made_by = {"corpus": "prepare", "model": "train", "scores": "evaluate", "cards": "card"}
    made = {name: manifests.read(run_dir / name, made_by=verb) for name, verb in made_by.items()}
    tagged = {name: made[name] for name in ("corpus", "model", "scores")}
    if (
        pin(run_dir, tagged | elsewhere_of(run_dir) | explanation_of(run_dir) | exported_of(run_dir))
        != facts.repositories.pin
    ):
        raise BadInput(Problem("the run has changed since its facts were gathered", "gather them again", str(run_dir)))
    digests = {name: manifest.digest for name, manifest in made.items()}
    record = run_dir / "training" / "training.json"
    digests["training"] = manifests.sha256_file(record) if record.is_file() else ""
    # The Space is source code and templates, ours and the plug-ins': they can change without a new version.
    with tempfile.TemporaryDirectory() as beside:
        for kind in KINDS[:-1]:
            (Path(beside) / kind).mkdir()
        _made_here(facts, Path(beside), templates)
        digests["space"] = manifests.sha256_text(json.dumps(manifests.sums(Path(beside))))
    return {
        **digests,
        "pin": facts.repositories.pin,
        "collection": facts.offers.collection,
        "signed": signing.digest(signer),
    }


def _kinds(facts: Facts) -> tuple[str, ...]:
    return (*KINDS, DASHBOARD) if facts.offers.dashboard else KINDS


def _check_names(facts: Facts) -> None:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    for kind in _kinds(facts):
        try:
            validate_repo_id(getattr(facts.repositories, kind))
        except HFValidationError as error:
            why = str(error).replace("\n", " ")
            raise BadInput(Problem(f"the Hub does not accept this name: {why}", "change study.name")) from error


def _check_cards(facts: Facts, run_dir: Path, templates: Templates) -> None:
    """The cards must be those of this release: its pin, its repositories and its numbers."""
    made = {"dataset": card.dataset_card(facts, templates), "model": card.model_card(facts, templates)}
    for kind, text in made.items():
        path = run_dir / "cards" / kind / README
        written = path.read_text(encoding="utf-8")
        if not differ_in_kept_sections_only(text, written):
            raise BadInput(Problem("is not the card of the current study", "run sdovis card", file=str(path)))


def _copy(source: Path, pattern: str, target: Path) -> None:
    for path in sorted(source.glob(pattern)):
        name = path.relative_to(source)
        # A link would bring whatever it points to into the release.
        if path.is_symlink() or not path.is_file():
            raise BadInput(Problem("is not an ordinary file", "put the file itself there", file=str(path)))
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target / name)


def _rejects(corpus: Path, dataset: Path) -> None:
    """Where each row left out stands and why; what its cells hold is its owner's."""
    rows = rejects.read(corpus)
    rejects.write(rows.assign(reason=published_reasons(rows))[["file", "sheet", "row", "reason"]], dataset)


def _given(facts: Facts, beside: Path) -> set[str]:
    """The e-mail addresses that the owner has given to be published: in the study's texts and in kept sections of the cards."""
    by_hand = (card.merge("", (beside / kind / README).read_text(encoding="utf-8")) for kind in ("dataset", "model"))
    credits = (facts.provenance.credit, facts.provenance.licence, *(each.source.credit for each in facts.elsewhere))
    return privacy.emails([facts.title, facts.description, *facts.authors, *facts.notes, *credits, *by_hand])


def _made_here(facts: Facts, beside: Path, templates: Templates) -> None:
    """All that no stage wrote: the Space, citations, and what the study offers beside."""
    _space(facts, beside, templates)
    citation.write(facts, beside)
    benchmark.write(facts, beside)
    endpoint.write(facts, beside)
    dashboard.write(facts, beside)


def _space(facts: Facts, beside: Path, templates: Templates) -> None:
    folder = beside / "space"
    folder.mkdir()
    vendor.write_space(facts, folder, templates)
    where = facts.repositories
    about: dict[str, Any] = {"model": where.model, "dataset": where.dataset, "revision": where.pin}
    about |= {"title": facts.title, "description": facts.description}
    about |= {"space": facts.space.model_dump(exclude_defaults=True)} if facts.space != Space() else {}
    (folder / "space.json").write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if (beside / "model" / "examples").is_dir():
        shutil.copytree(beside / "model" / "examples", folder / "examples")


def _check_whole(beside: Path) -> None:
    missing = [(kind, p) for kind, needed in NEEDED.items() for p in needed if not any((beside / kind).glob(p))]
    if missing:
        raise BadInput(Problem(f"the {kind} has no {pattern}", "run sdovis run") for kind, pattern in missing)


def _pins(facts: Facts, beside: Path) -> dict[str, Any]:
    repositories = {
        kind: Repository(getattr(facts.repositories, kind), manifests.sums(beside / kind)) for kind in _kinds(facts)
    }
    return {
        formats.KEY: formats.newest(STEPS),
        "study": facts.name,
        "sdovis": __version__,
        "pin": facts.repositories.pin,
        "collection": facts.offers.collection,
        "repositories": {kind: asdict(repository) for kind, repository in repositories.items()},
    }
