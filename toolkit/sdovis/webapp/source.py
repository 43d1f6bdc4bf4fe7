"""Which model a page shows, where it is, and what is missing if it cannot be opened."""

from __future__ import annotations

import json
import os
import re
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path

from sdovis import manifests, records
from sdovis.errors import BadInput, HubFailure, Problem, nearest
from sdovis.evaluation.facts import FILE as SCORES
from sdovis.evaluation.maps import METHODS
from sdovis.study import Space

#: What tests of maps of where the network looked found: in a release beside the model, in a run in a folder of its own.
EXPLANATION = "explanation.json"
#: What the page needs of a model repository; never a pickle.
MODEL_FILES = (
    "config.json",
    "preprocessor_config.json",
    "*.safetensors",
    "*.safetensors.index.json",
    EXPLANATION,
    SCORES,
)
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class ModelSource:
    """A model: a local ``folder``, or else ``model`` on the Hub at ``revision``.

    ``model``, ``dataset`` and ``revision`` are what links and snippets name; "" if there is nothing to name.
    ``examples`` is the folder of example images. ``title``, ``description`` and ``space`` are the study's, if the release
    wrote them.
    """

    model: str = ""
    dataset: str = ""
    revision: str = ""
    folder: Path | None = None
    examples: Path | None = None
    title: str = ""
    description: str = ""
    space: Space = field(default_factory=Space)


def locate(model: str | Path | None, space: Path) -> ModelSource:
    """The model asked for.

    ``model`` is a model folder, a run or a release (a folder that holds ``model/``), or a Hub id, optionally with
    ``@revision``. None: the environment's SDOVIS_MODEL and SDOVIS_MODEL_REVISION, otherwise ``space.json`` in the folder
    ``space``, which the release wrote. Raises `BadInput` if nothing says which model.
    """
    if model is None:
        named, revision = os.environ.get("SDOVIS_MODEL"), os.environ.get("SDOVIS_MODEL_REVISION", "")
        if not named:
            return _written(space)
        found = locate(f"{named}@{revision}" if revision and not Path(named).is_dir() else named, space)
        return replace(found, examples=found.examples or _examples(space))
    folder = Path(model)
    if (folder / "config.json").is_file():
        return _of_run(ModelSource(folder=folder), folder.parent)
    if (folder / "model" / "config.json").is_file():
        if (folder / "space" / "space.json").is_file():
            return replace(_written(folder / "space"), folder=folder / "model")
        source = ModelSource(folder=folder / "model", examples=_examples(folder / "release" / "space"))
        return _of_run(source, folder)
    name, _, revision = str(model).partition("@")
    if not folder.exists() and any(parent.is_dir() for parent in folder.parents if parent != Path()):
        raise BadInput(Problem("there is no such folder", "name runs/NAME, or a model folder", file=str(model)))
    if not _HUB_ID.fullmatch(name) or folder.exists():
        hint = "give runs/NAME/model, a release folder, or a Hub id like name/model"
        raise BadInput(Problem("is neither a folder that holds a model nor a Hub id", hint, file=str(model)))
    return ModelSource(model=name, revision=revision)


def _of_run(source: ModelSource, run: Path) -> ModelSource:
    """With the study's title and description, if the model is still in its run."""
    try:
        told = tomllib.loads((run / "study.toml").read_text(encoding="utf-8"))
        about, space = told["study"], Space.model_validate(told.get("space", {}))
    except (OSError, ValueError, KeyError):  # a model folder copied elsewhere: nothing is missing
        return source
    return replace(
        source, title=str(about.get("title", "")), description=str(about.get("description", "")), space=space
    )


def _written(space: Path) -> ModelSource:
    file = space / "space.json"
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
        found = {key: str(facts.get(key) or "") for key in ("model", "dataset", "revision", "title", "description")}
        chosen = Space.model_validate(facts.get("space") or {})
    except FileNotFoundError:
        hint = "set SDOVIS_MODEL to a Hub id or a folder, or put space.json next to app.py"
        raise BadInput(Problem("nothing says which model to show", hint)) from None
    except (OSError, ValueError, AttributeError) as error:
        raise BadInput(Problem("is not the JSON that a release writes", str(error), file=file.name)) from error
    for key in ("model", "dataset"):
        if found[key] and not _HUB_ID.fullmatch(found[key]):
            raise BadInput(
                Problem(f"{key} {found[key]!r} is not a Hub id", "write it as name/repository", file=file.name)
            )
    return ModelSource(
        found["model"],
        found["dataset"],
        found["revision"],
        examples=_examples(space),
        title=found["title"],
        description=found["description"],
        space=chosen,
    )


@dataclass(frozen=True)
class _Tested:
    """The entry of an explanation that a page needs."""

    chosen: str


def map_to_show(folder: Path) -> str | None:
    """The kind of map to show for a model folder: "" if none was found better than chance, None if none was tested.

    An explanation that was made of another model says nothing. Raises `BadInput` if one cannot be read, or names a kind of
    map that is not known here.
    """
    file, explained = folder / EXPLANATION, folder.parent / "explanation"
    if not file.is_file():
        made = [folder / manifests.NAME, explained / manifests.NAME]
        if not all(path.is_file() for path in made):
            return None
        model, explanation = manifests.read(folder, made_by="train"), manifests.read(explained, made_by="explain")
        if explanation.made_from["model"] != model.digest:
            return None
        file = explained / EXPLANATION
    chosen = records.read(_Tested, file, made_by="explain").chosen
    if chosen and chosen not in METHODS:
        raise BadInput(
            Problem(f"{chosen!r} is not a map that this sdovis makes", nearest(chosen, [*METHODS]), file.name)
        )
    return chosen


def _examples(space: Path) -> Path | None:
    folder = space / "examples"
    return folder if folder.is_dir() else None


def fetch(source: ModelSource) -> Path:
    """The folder of the model, downloaded if it is on the Hub.

    Raises `BadInput` or `HubFailure` with a message for the page: what is missing, and who can fix it.
    """
    if source.folder is not None:
        return source.folder
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    what = f"the model {source.model}" + (f" at revision {source.revision}" if source.revision else "")
    try:
        return Path(snapshot_download(source.model, revision=source.revision or None, allow_patterns=list(MODEL_FILES)))
    except HFValidationError as error:
        hint = "give runs/NAME/model, a release folder, or a Hub id like name/model"
        raise BadInput(Problem("there is no such folder, and it is no Hub id", hint, file=source.model)) from error
    except GatedRepoError as error:
        hint = "its owner must grant access to the account of the HF_TOKEN secret"
        raise BadInput(Problem(f"{what} is gated", hint)) from error
    except RepositoryNotFoundError as error:
        if os.environ.get("HF_TOKEN"):
            problem = Problem(
                f"{what} is not on the Hub, or the HF_TOKEN secret has no read access to it",
                "check the name, and give the Space a token with read access to it",
            )
        else:
            problem = Problem(
                f"{what} is private, or not on the Hub, and there is no HF_TOKEN secret",
                "add a token with read access as the secret HF_TOKEN (Settings, Variables and secrets) and restart",
            )
        raise BadInput(problem) from error
    except RevisionNotFoundError as error:
        raise BadInput(Problem(f"{what} does not exist: the repository has no such revision")) from error
    except OSError as error:  # the client's network and cache errors are OSErrors
        said = f"{what} cannot be downloaded: the Hub cannot be reached; try again later"
        raise HubFailure(f"{said} (there is no folder {source.model} here)") from error


def address(source: ModelSource, kind: str) -> str:
    """The web page of the "model" or the "dataset" at the pinned revision; "" if it is not on the Hub."""
    name = source.model if kind == "model" else source.dataset
    if not name or name.startswith("your-name/"):  # a release to a folder has no owner yet
        return ""
    from huggingface_hub.constants import ENDPOINT

    prefix = "" if kind == "model" else "datasets/"
    tree = f"/tree/{source.revision}" if source.revision else ""
    return f"{ENDPOINT}/{prefix}{name}{tree}"
