"""A Hub as this package needs it: a thin layer over `huggingface_hub` that raises our own errors, one line each."""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sdovis.errors import BadInput, Conflict, HubFailure, SdovisError
from sdovis.hub import patience
from sdovis.release.assembly import DASHBOARD

#: Created by the Hub itself with each repository, and maintained by it.
OF_THE_HUB = ".gitattributes"
#: Title of the commit that the Hub makes when a repository is created.
FIRST_COMMIT = "initial commit"
#: What runs a Space: Gradio, or nothing but a browser.
SDKS = {"space": "gradio", DASHBOARD: "static"}
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Stored:
    """A file on the Hub: its git blob, its size in bytes, and its sha256 if it is in LFS (otherwise "")."""

    blob: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Account:
    """Whose token it is. ``roles``: each namespace -> the account's role there, "" where the Hub does not say; ``token``:
    what the token may do, "read", "write" or "fineGrained".
    """

    name: str
    roles: Mapping[str, str]
    token: str


def repo_type(kind: str) -> str:
    """What a Hub calls a repository of a release."""
    return "space" if kind in SDKS else kind


class Refusal(HubFailure):
    """The Hub understood what was asked, and will not do it: another try would end the same way."""


@dataclass(frozen=True)
class State:
    """A repository as it is: newest commit, visibility, and its files except the Hub's own."""

    commit: str
    private: bool
    files: Mapping[str, Stored]


@dataclass(frozen=True)
class Refs:
    """The tags and branches of a repository: name -> commit."""

    tags: Mapping[str, str]
    branches: Mapping[str, str]


@dataclass(frozen=True)
class Change:
    """What a commit does on top of ``parent``."""

    parent: str
    title: str
    write: Mapping[str, Path | bytes]
    delete: Sequence[str]


class Hub:
    """A Hub with the account of ``token``; without one, that of the environment or of ``hf auth login``.

    Failures that may pass are met with some more tries (see `patience`); ``say`` is told of the pauses. Every method
    raises `HubFailure` if the network or the Hub fails all the same, `Conflict` if somebody else was faster.
    """

    def __init__(
        self, endpoint: str | None = None, token: str | None = None, say: Callable[[str], None] = lambda line: None
    ) -> None:
        from huggingface_hub import HfApi

        patience.install()
        self.api = HfApi(endpoint=endpoint, token=token, library_name="sdovis")
        self.endpoint: str = self.api.endpoint
        self._say = say
        self._contents: dict[tuple[str, ...], bytes] = {}

    def account(self) -> Account:
        """The account. Raises `HubFailure` if there is no valid token."""
        said = self._asked("looking up your account", self.api.whoami)
        token = said.get("auth", {}).get("accessToken") or {}
        scoped = (token.get("fineGrained") or {}).get("scoped") or []
        roles = {str(each.get("entity", {}).get("name", "")): "" for each in scoped}
        roles |= {str(each["name"]): str(each.get("roleInOrg", "")) for each in said.get("orgs", ())}
        return Account(str(said["name"]), roles | {str(said["name"]): ""}, str(token.get("role", "")))

    def objections(self, kind: str, card: str) -> list[str]:
        """What the Hub would refuse in the metadata of a card, in its own words; nothing is sent to any repository."""
        from huggingface_hub.utils import get_session, hf_raise_for_status  # type: ignore[attr-defined]

        def ask() -> list[str]:
            answer = get_session().post(
                f"{self.endpoint}/api/validate-yaml",
                json={"content": card, "repoType": repo_type(kind)},
                headers=self.api._build_hf_headers(),
            )
            if answer.status_code == 400:
                return [_line(each.get("message")) for each in answer.json().get("errors", ())] or [_line(answer.text)]
            hf_raise_for_status(answer)
            return []

        return self._asked(f"checking the card of the {kind}", ask)

    def remove(self, kind: str, name: str) -> None:
        """Delete a repository. Only for one that was created a moment ago and that nothing was put into."""
        self._asked(f"removing the empty {kind} {name}", lambda: self.api.delete_repo(name, repo_type=repo_type(kind)))

    def state(self, kind: str, name: str) -> State | None:
        """The repository's state; None if it does not exist, or not for this account."""
        from huggingface_hub.errors import RepositoryNotFoundError

        def read() -> State | None:
            try:
                info: Any = self.api.repo_info(name, repo_type=repo_type(kind))
            except RepositoryNotFoundError:
                return None
            return State(info.sha, bool(info.private), self._files(kind, name, info.sha))

        return self._asked(f"reading the {kind} {name}", read)

    def head(self, kind: str, name: str, branch: str = "main") -> str:
        """The newest commit of a branch."""
        doing = f"reading the {kind} {name}"
        return str(self._asked(doing, lambda: self.api.repo_info(name, repo_type=repo_type(kind), revision=branch)).sha)

    def refs(self, kind: str, name: str) -> Refs:
        """The repository's tags and branches."""
        found = self._asked(
            f"reading the tags of the {kind} {name}", lambda: self.api.list_repo_refs(name, repo_type=repo_type(kind))
        )
        tags, branches = ({ref.name: ref.target_commit for ref in refs} for refs in (found.tags, found.branches))
        return Refs(tags, branches)

    def files(self, kind: str, name: str, commit: str) -> Mapping[str, Stored]:
        """The files of a commit, except the Hub's own."""
        return self._asked(f"reading {commit[:12]} of the {kind} {name}", lambda: self._files(kind, name, commit))

    def _files(self, kind: str, name: str, commit: str) -> dict[str, Stored]:
        from huggingface_hub.hf_api import RepoFile

        return {
            entry.path: Stored(entry.blob_id, entry.size, entry.lfs.sha256 if entry.lfs else "")
            for entry in self.api.list_repo_tree(name, recursive=True, revision=commit, repo_type=repo_type(kind))
            if isinstance(entry, RepoFile) and entry.path != OF_THE_HUB
        }

    def content(self, kind: str, name: str, path: str, commit: str) -> bytes:
        """A small file of a commit; it is read once."""

        def read() -> bytes:
            with tempfile.TemporaryDirectory() as cache:
                file = self.api.hf_hub_download(name, path, repo_type=repo_type(kind), revision=commit, cache_dir=cache)
                return Path(file).read_bytes()

        key = (kind, name, path, commit)
        if key not in self._contents:
            self._contents[key] = self._asked(f"reading {path} of the {kind} {name}", read)
        return self._contents[key]

    def newest(self, kind: str, name: str, branch: str = "main") -> tuple[str, str, bool]:
        """Title and author of the newest commit, and whether it is the one with which the Hub created the repository."""
        commits = self._asked(
            f"reading the commits of the {kind} {name}",
            lambda: self.api.list_repo_commits(name, repo_type=repo_type(kind), revision=branch),
        )
        newest = commits[0]
        return newest.title, ", ".join(newest.authors), len(commits) == 1 and newest.title == FIRST_COMMIT

    def create(self, kind: str, name: str) -> None:
        """Create a private repository. Check its state afterwards: an existing one stays as it was."""
        sdk: dict[str, Any] = {"space_sdk": SDKS[kind]} if kind in SDKS else {}
        self._asked(
            f"creating the {kind} {name}",
            lambda: self.api.create_repo(name, repo_type=repo_type(kind), private=True, exist_ok=True, **sdk),
        )

    def branch(self, kind: str, name: str, branch: str, commit: str) -> None:
        """A branch that starts at a commit; one that exists stays as it is."""
        self._asked(
            f"preparing the {kind} {name}",
            lambda: self.api.create_branch(
                name, branch=branch, revision=commit, repo_type=repo_type(kind), exist_ok=True
            ),
        )

    def unbranch(self, kind: str, name: str, branch: str) -> None:
        """Remove a branch, if it is there. What is tagged stays."""
        from huggingface_hub.errors import RevisionNotFoundError

        def remove() -> None:
            with suppress(RevisionNotFoundError):
                self.api.delete_branch(name, branch=branch, repo_type=repo_type(kind))

        self._asked(f"removing the branch {branch} of the {kind} {name}", remove)

    def commit(self, kind: str, name: str, change: Change, *, branch: str = "main") -> str:
        """One commit; its id. Raises `Conflict` if ``change.parent`` is no longer the newest of the branch.

        It is tried again where the Hub fails: with its parent named, a commit cannot be made twice. But its answer may
        be lost, and then a later try ends as a `Conflict`: `files` tells whether it was made.
        """
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        def send() -> Any:
            operations: list[Any] = [CommitOperationAdd(path, source) for path, source in change.write.items()]
            operations += [CommitOperationDelete(path) for path in change.delete]
            with warnings.catch_warnings():
                # Our scores are Parquet in a model repository, on purpose.
                warnings.filterwarnings("ignore", message="It seems that you are about to commit a data file")
                return self.api.create_commit(
                    name,
                    operations,
                    commit_message=change.title,
                    repo_type=repo_type(kind),
                    parent_commit=change.parent,
                    revision=branch,
                )

        return str(self._asked(f"publishing the {kind} {name}", send).oid)

    def tag(self, kind: str, name: str, tag: str, commit: str) -> None:
        """Tag a commit. A tag that exists stays as it is, also at another commit."""
        self._asked(
            f"tagging the {kind} {name}",
            lambda: self.api.create_tag(name, tag=tag, revision=commit, repo_type=repo_type(kind), exist_ok=True),
        )

    def make_public(self, kind: str, name: str) -> None:
        self._asked(
            f"making the {kind} {name} public",
            lambda: self.api.update_repo_settings(name, repo_type=repo_type(kind), private=False),
        )

    def secrets(self, space: str) -> set[str]:
        """The names of a Space's secrets; their values cannot be read."""
        return set(self._asked(f"reading the secrets of the Space {space}", lambda: self.api.get_space_secrets(space)))

    def collection(self, owner: str, title: str) -> str:
        """The slug of an account's collection of that title, "" if it has none."""
        found = self._asked(
            f"reading the collections of {owner}", lambda: list(self.api.list_collections(owner=owner, limit=None))
        )
        return next((str(each.slug) for each in found if each.title == title), "")

    def collected(self, slug: str) -> set[tuple[str, str]]:
        """Kind and id of each thing in a collection."""
        found = self._asked(f"reading the collection {slug}", lambda: self.api.get_collection(slug))
        return {(str(each.item_type), str(each.item_id)) for each in found.items}

    def create_collection(self, owner: str, title: str, *, private: bool) -> str:
        """The slug of a new collection, or of the one of that title that is there."""
        doing = f"making the collection {title!r} of {owner}"
        return str(
            self._asked(
                doing, lambda: self.api.create_collection(title, namespace=owner, private=private, exists_ok=True)
            ).slug
        )

    def add_to_collection(self, slug: str, kind: str, name: str) -> None:
        """Add a repository; one that is in it stays."""
        item: Any = kind
        self._asked(
            f"adding the {kind} {name} to the collection {slug}",
            lambda: self.api.add_collection_item(slug, item_id=name, item_type=item, exists_ok=True),
        )

    def download(self, kind: str, name: str, revision: str, folder: Path) -> Path:
        """A whole repository at a revision, into ``folder``."""
        return Path(
            self._asked(
                f"downloading the {kind} {name} at {revision}",
                lambda: self.api.snapshot_download(
                    name, repo_type=repo_type(kind), revision=revision, local_dir=folder
                ),
            )
        )

    def _asked(self, doing: str, ask: Callable[[], Answer]) -> Answer:
        """The answer. Failures that may pass are met with pauses and more tries: all that is asked here may be asked twice."""
        from huggingface_hub import errors
        from huggingface_hub.utils.tqdm import disable_progress_bars

        disable_progress_bars()
        patience.PATIENT.begin()
        pauses = iter(patience.PAUSES)
        while True:
            try:
                return ask()
            except errors.HFValidationError as error:
                raise BadInput(f"{doing}: {_line(error)}") from error
            except errors.OfflineModeIsEnabled as error:
                raise HubFailure(f"{doing}: HF_HUB_OFFLINE is set, so no request was made; unset it") from error
            except (OSError, errors.HTTPError, RuntimeError, ValueError, HubFailure) as error:  # type: ignore[attr-defined]
                cause = _cause(error)
                pause = next(pauses, None) if _may_pass(cause) else None
                if pause is None:
                    raise self._failure(doing, cause) from error
                pause = _asked_for(cause) or pause
                self._say(f"{doing}: {_line(cause)}; trying again in {pause:.0f} s")
                time.sleep(pause)

    def _failure(self, doing: str, cause: BaseException) -> SdovisError:
        response = getattr(cause, "response", None)
        if response is None:
            return HubFailure(f"{doing}: {self.endpoint}: {_line(cause)}")
        status = response.status_code
        if status == 412:
            return Conflict(f"{doing}: somebody else has committed; look at it, then publish again")
        said = getattr(cause, "server_message", None) or _line(cause)
        hint = "; use a token with write access (HF_TOKEN, or hf auth login)" if status in (401, 403) else ""
        failure = HubFailure if status in patience.PASSING or status >= 500 else Refusal
        return failure(f"{doing}: {self.endpoint} answered {status}: {_line(said)}{hint}")


def _cause(error: BaseException) -> BaseException:
    """What the Hub said or the network did: an upload in a thread, or a download, comes back wrapped."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    while isinstance(error, RuntimeError | LocalEntryNotFoundError) and error.__cause__:
        error = error.__cause__
    return error


def _may_pass(cause: BaseException) -> bool:
    from huggingface_hub.errors import HfHubHTTPError, HTTPError  # type: ignore[attr-defined]

    if isinstance(cause, HfHubHTTPError):
        return cause.response is not None and cause.response.status_code in patience.PASSING
    return isinstance(cause, HTTPError | ConnectionError)


def _asked_for(cause: BaseException) -> float | None:
    response = getattr(cause, "response", None)
    return None if response is None else patience.asked_for(response.headers)


def _line(error: object) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:300] + "..."
