"""A Hub as this package needs it: a thin layer over `huggingface_hub` that raises our own errors, one line each."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdovis.errors import BadInput, Conflict, HubFailure

#: Created by the Hub itself with each repository, and maintained by it.
OF_THE_HUB = ".gitattributes"
#: Title of the commit that the Hub makes when a repository is created.
FIRST_COMMIT = "initial commit"


@dataclass(frozen=True)
class Stored:
    """A file on the Hub: its git blob, its size in bytes, and its sha256 if it is in LFS (otherwise "")."""

    blob: str
    size: int
    sha256: str


@dataclass(frozen=True)
class State:
    """A repository as it is: newest commit, visibility, and its files except the Hub's own."""

    commit: str
    private: bool
    files: Mapping[str, Stored]


class Hub:
    """A Hub with the account of ``token``; without one, that of the environment or of ``hf auth login``.

    Every method raises `HubFailure` if the network or the Hub fails, `Conflict` if somebody else was faster.
    """

    def __init__(self, endpoint: str | None = None, token: str | None = None) -> None:
        from huggingface_hub import HfApi

        self.api = HfApi(endpoint=endpoint, token=token, library_name="sdovis")
        self.endpoint: str = self.api.endpoint

    def account(self) -> str:
        """The name of the account. Raises `HubFailure` if there is no valid token."""
        with self._told("looking up your account"):
            return str(self.api.whoami()["name"])

    def state(self, kind: str, name: str) -> State | None:
        """The repository's state; None if it does not exist, or not for this account."""
        from huggingface_hub.errors import RepositoryNotFoundError

        with self._told(f"reading the {kind} {name}"):
            try:
                info: Any = self.api.repo_info(name, repo_type=kind)
            except RepositoryNotFoundError:
                return None
            return State(info.sha, bool(info.private), self._files(kind, name, info.sha))

    def files_at(self, kind: str, name: str, revision: str) -> tuple[str, Mapping[str, Stored]] | None:
        """Commit and files of a tag; None if there is no such tag."""
        from huggingface_hub.errors import RevisionNotFoundError

        with self._told(f"reading {revision} of the {kind} {name}"):
            try:
                commit = str(self.api.repo_info(name, repo_type=kind, revision=revision).sha)
            except RevisionNotFoundError:
                return None
            return commit, self._files(kind, name, commit)

    def _files(self, kind: str, name: str, commit: str) -> dict[str, Stored]:
        from huggingface_hub.hf_api import RepoFile

        return {
            entry.path: Stored(entry.blob_id, entry.size, entry.lfs.sha256 if entry.lfs else "")
            for entry in self.api.list_repo_tree(name, recursive=True, revision=commit, repo_type=kind)
            if isinstance(entry, RepoFile) and entry.path != OF_THE_HUB
        }

    def text(self, kind: str, name: str, path: str, revision: str) -> str:
        """A text file of the repository."""
        with self._told(f"reading {path} of the {kind} {name}"), tempfile.TemporaryDirectory() as cache:
            file = self.api.hf_hub_download(name, path, repo_type=kind, revision=revision, cache_dir=cache)
            return Path(file).read_text(encoding="utf-8")

    def newest(self, kind: str, name: str) -> tuple[str, str, bool]:
        """Title and author of the newest commit, and whether it is the one with which the Hub created the repository."""
        with self._told(f"reading the commits of the {kind} {name}"):
            commits = self.api.list_repo_commits(name, repo_type=kind)
        newest = commits[0]
        return newest.title, ", ".join(newest.authors), len(commits) == 1 and newest.title == FIRST_COMMIT

    def create(self, kind: str, name: str) -> None:
        """Create a private repository. Check its state afterwards: an existing one stays as it was."""
        with self._told(f"creating the {kind} {name}"):
            sdk = {"space_sdk": "gradio"} if kind == "space" else {}
            self.api.create_repo(name, repo_type=kind, private=True, exist_ok=True, **sdk)  # type: ignore[arg-type]

    def commit(
        self,
        kind: str,
        name: str,
        *,
        parent: str,
        title: str,
        write: Mapping[str, Path | bytes],
        delete: Sequence[str],
    ) -> str:
        """One commit on top of ``parent``; its id. Raises `Conflict` if ``parent`` is no longer the newest."""
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        operations: list[Any] = [CommitOperationAdd(path, source) for path, source in write.items()]
        operations += [CommitOperationDelete(path) for path in delete]
        with self._told(f"publishing the {kind} {name}"), warnings.catch_warnings():
            # Our scores are Parquet in a model repository, on purpose.
            warnings.filterwarnings("ignore", message="It seems that you are about to commit a data file")
            made = self.api.create_commit(
                name, operations, commit_message=title, repo_type=kind, parent_commit=parent, revision="main"
            )
        return str(made.oid)

    def tag(self, kind: str, name: str, tag: str, commit: str, *, instead: bool) -> None:
        """Tag a commit; ``instead`` moves the tag from the commit that carries it now."""
        with self._told(f"tagging the {kind} {name}"):
            if instead:
                self.api.delete_tag(name, tag=tag, repo_type=kind)
            self.api.create_tag(name, tag=tag, revision=commit, repo_type=kind, exist_ok=True)

    def make_public(self, kind: str, name: str) -> None:
        with self._told(f"making the {kind} {name} public"):
            self.api.update_repo_settings(name, repo_type=kind, private=False)

    def secrets(self, space: str) -> set[str]:
        """The names of a Space's secrets; their values cannot be read."""
        with self._told(f"reading the secrets of the Space {space}"):
            return set(self.api.get_space_secrets(space))

    def download(self, kind: str, name: str, revision: str, folder: Path) -> Path:
        """A whole repository at a revision, into ``folder``."""
        with self._told(f"downloading the {kind} {name} at {revision}"):
            return Path(self.api.snapshot_download(name, repo_type=kind, revision=revision, local_dir=folder))

    @contextmanager
    def _told(self, doing: str) -> Iterator[None]:
        from huggingface_hub import errors
        from huggingface_hub.utils.tqdm import disable_progress_bars

        disable_progress_bars()
        try:
            yield
        except errors.HFValidationError as error:
            raise BadInput(f"{doing}: {_line(error)}") from error
        except errors.OfflineModeIsEnabled as error:
            raise HubFailure(f"{doing}: HF_HUB_OFFLINE is set, so no request was made; unset it") from error
        except (OSError, errors.HTTPError, RuntimeError, ValueError) as error:  # type: ignore[attr-defined]
            # An upload in a thread comes back wrapped: what the Hub said is the cause.
            cause = error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ else error
            if not isinstance(cause, errors.HfHubHTTPError):
                raise HubFailure(f"{doing}: {self.endpoint}: {_line(cause)}") from error
            status = cause.response.status_code
            if status == 412:
                raise Conflict(f"{doing}: somebody else has committed; look at it, then publish again") from error
            said = cause.server_message or _line(cause)
            hint = "; use a token with write access (HF_TOKEN, or hf auth login)" if status in (401, 403) else ""
            raise HubFailure(f"{doing}: {self.endpoint} answered {status}: {_line(said)}{hint}") from error


def _line(error: object) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:300] + "..."
