"""The target `zenodo`: an archive ready to upload and, with a token, a draft of it on Zenodo that its owner publishes.

Deposit, https://developers.zenodo.org (zenodo/developers.zenodo.org at commit c00999dc3668c23a127562e88930e430e51aea2f):
a deposition is created empty, its metadata and files are put into it, the files into the bucket that it names. Publishing,
by which the DOI is registered for ever, is never asked for here.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from sdovis import disk, manifests
from sdovis.errors import BadInput, Conflict, HubFailure, Problem
from sdovis.hub import patience
from sdovis.release import archive
from sdovis.release.archive import Archived
from sdovis.release.assembly import Release
from sdovis.release.request import Request, Say
from sdovis.release.targets import in_words

#: Where Zenodo is, or https://sandbox.zenodo.org, which forgets.
ADDRESS, TOKEN = "ZENODO_URL", "ZENODO_TOKEN"
ZENODO = "https://zenodo.org"
#: Beside the archive: which draft it became.
DRAFT = "zenodo-draft.json"


def zenodo(asked: Request) -> list[str]:
    """To PLACE/STUDY-PIN, a folder with one zip file, its sums and descriptions; with ZENODO_TOKEN also a draft on Zenodo.

    Raises `BadInput` without a place, without authors or a licence, and for what only a Hub can do; `Conflict` if the draft
    was published; `HubFailure`.
    """
    problems = [Problem("publish: the target zenodo needs a folder", "write it as --to zenodo:FOLDER")] * (
        not asked.place
    )
    if asked.public or asked.accept:
        problems.append(
            Problem("publish: a draft on Zenodo is published there, by its owner", "omit --public, --accept")
        )
    if problems:
        raise BadInput(problems)
    release = Release.load(asked.release)
    archive.describe(release)
    folder = Path(asked.place).expanduser() / archive.name(release)
    if folder.resolve().is_relative_to(release.folder.resolve()):
        raise BadInput(Problem(f"publish: {asked.place} is inside the release itself", "name another folder"))
    token, address = os.environ.get(TOKEN, ""), os.environ.get(ADDRESS, ZENODO).rstrip("/")
    size = in_words(sum(path.stat().st_size for path in release.folder.rglob("*") if path.is_file()))
    if asked.dry_run:
        would = (
            f"a draft of it would be made at {address}, or gone on with" if token else f"no draft: {TOKEN} is not set"
        )
        return [f"{folder}: an archive of {size} would be written", would]
    made_from = {"release": manifests.sha256_text(json.dumps(manifests.sums(release.folder)))}
    if not manifests.finished(folder, made_from):
        asked.say(f"writing {folder}")
        try:
            disk.make(folder.parent)
            with manifests.whole(folder, stage="archive", made_from=made_from) as beside:
                archive.write(release, beside)
        except OSError as error:
            raise Conflict(f"{folder} cannot be written: {error}; nothing was changed") from error
    made = archive.load(folder, release)
    lines = [f"{folder}: {', '.join(made.files)}, {size}"]
    if not token:
        return [*lines, f"no draft was made: set {TOKEN}, or upload these files at {address}/uploads/new"]
    return [*lines, *_draft(made, Deposits(address, token, asked.say), folder.with_name(f"{folder.name}.{DRAFT}"))]


def _draft(made: Archived, deposits: Deposits, journal: Path) -> list[str]:
    """Make a draft of the archive, or go on with the one that is there. Every step may be repeated."""
    draft = _known(deposits, journal, made) or deposits.find(made) or deposits.create(made)
    if draft.get("submitted"):
        doi = draft.get("doi") or draft.get("metadata", {}).get("doi", "")
        raise Conflict(
            f"this release is published on Zenodo already, as {doi}: nothing was changed; set publish.doi to it in the study"
        )
    disk.write(journal, json.dumps({"zenodo": deposits.address, "id": draft["id"]}) + "\n")
    there = {each["filename"]: str(each.get("checksum", "")).removeprefix("md5:") for each in draft.get("files", ())}
    for name in made.files:
        if there.get(name) != _md5(made.folder / name):
            deposits.upload(draft, made.folder / name)
    draft = deposits.update(draft, made.metadata)
    doi = draft["metadata"].get("prereserve_doi", {}).get("doi", "")
    lines = [f"a draft on Zenodo holds it: {draft['links'].get('html', draft['id'])}; look at it and publish it there"]
    if doi:
        lines.append(f'its DOI will be {doi}: once it is published, set publish.doi = "{doi}" in the study')
    if others := sorted(there.keys() - {*made.files}):
        lines.append(f"the draft also holds files that are not of this release, and were left: {', '.join(others)}")
    return lines


def _known(deposits: Deposits, journal: Path, made: Archived) -> Mapping[str, Any] | None:
    """The draft that an earlier call made, if it is still there."""
    try:
        said = json.loads(journal.read_text(encoding="utf-8"))
        return deposits.read(int(said["id"])) if said["zenodo"] == deposits.address else None
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(
            Problem(f"is damaged: {error!r}", "delete it: the draft is found again", str(journal))
        ) from error


def _md5(file: Path) -> str:
    """Zenodo's own checksum: it is compared, and protects nothing."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


class Deposits:
    """The depositions of an account on Zenodo. Every method raises `HubFailure` if the network or Zenodo fails."""

    def __init__(self, address: str, token: str, say: Say) -> None:
        import httpx

        at = urlsplit(address)
        if at.scheme != "https" and not (at.scheme == "http" and at.hostname in ("127.0.0.1", "localhost")):
            raise BadInput(
                Problem(f"{ADDRESS} = {address!r} is not https, and a token is not sent there", "correct it")
            )
        self.address, self._say, self._waiting = address, say, patience.Waiting()
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {token}"},
            event_hooks={"request": [self._waiting.asking], "response": [self._waiting.answered]},
        )

    def read(self, number: int) -> Mapping[str, Any] | None:
        """A deposition; None if it was deleted."""
        answer = self._asked("reading the draft", "GET", f"{self._all}/{number}", missing=True)
        return None if answer is None else dict(answer)

    def find(self, made: Archived) -> Mapping[str, Any] | None:
        """A draft of this archive that was made before, and of which nothing is known here."""
        page = 1
        while True:
            query = f"?status=draft&sort=mostrecent&size=100&page={page}"
            found = self._asked("looking for a draft", "GET", f"{self._all}{query}")
            for each in found:
                said = each.get("metadata", {})
                if said.get("version") == made.pin and said.get("title") == made.title and not each.get("submitted"):
                    return dict(each)
            if len(found) < 100:
                return None
            page += 1

    def create(self, made: Archived) -> Mapping[str, Any]:
        """A draft with the archive's metadata, by which it is found again if the answer is lost."""
        self._say(f"making a draft at {self.address}")
        pauses = iter(patience.PAUSES)
        while True:
            try:
                return dict(self._once("making a draft", "POST", self._all, json={"metadata": dict(made.metadata)}))
            except _Passing as error:
                self._wait(error, pauses)
                if (found := self.find(made)) is not None:  # only the answer was lost
                    return found

    def upload(self, draft: Mapping[str, Any], file: Path) -> None:
        """Put a file into the draft, in place of one of that name."""
        bucket = draft["links"]["bucket"]
        if urlsplit(bucket).netloc != urlsplit(self.address).netloc:
            raise HubFailure(
                f"{self.address} names a bucket at {urlsplit(bucket).netloc}, to which the token is not sent"
            )
        self._say(f"uploading {file.name}, {in_words(file.stat().st_size)}")
        answer = self._asked(f"uploading {file.name}", "PUT", f"{bucket}/{quote(file.name)}", file=file)
        if str(answer.get("checksum", "")).removeprefix("md5:") != _md5(file):
            raise HubFailure(f"{file.name} did not arrive as it was sent; try again")

    def update(self, draft: Mapping[str, Any], metadata: Mapping[str, Any]) -> Mapping[str, Any]:
        """Give the draft the archive's metadata."""
        said = draft.get("metadata", {})
        if all(said.get(key) == value for key, value in metadata.items()):
            return draft
        return dict(
            self._asked("describing the draft", "PUT", f"{self._all}/{draft['id']}", json={"metadata": dict(metadata)})
        )

    @property
    def _all(self) -> str:
        return f"{self.address}/api/deposit/depositions"

    def _asked(self, doing: str, method: str, url: str, **how: Any) -> Any:
        """The answer, after more tries if need be: what is asked for here may be done twice."""
        self._waiting.begin()
        pauses = iter(patience.PAUSES)
        while True:
            try:
                return self._once(doing, method, url, **how)
            except _Passing as error:
                self._wait(error, pauses)

    def _wait(self, error: _Passing, pauses: Any) -> None:
        pause = next(pauses, None)
        if pause is None:
            raise HubFailure(str(error)) from error
        pause = error.asked_for or pause
        self._say(f"{error}; trying again in {pause:.0f} s")
        time.sleep(pause)

    def _once(
        self, doing: str, method: str, url: str, *, missing: bool = False, file: Path | None = None, json: Any = None
    ) -> Any:
        import httpx

        quiet = patience.COMMITTING if file else patience.SILENCE
        limits = httpx.Timeout(patience.SILENCE, connect=patience.CONNECT, read=quiet)
        try:
            if file is None:
                answer = self._client.request(method, url, json=json, timeout=limits)
            else:
                with file.open("rb") as content:
                    sized = {"Content-Length": str(file.stat().st_size), "Content-Type": "application/octet-stream"}
                    answer = self._client.request(method, url, content=content, headers=sized, timeout=limits)
        except httpx.TransportError as error:
            raise _Passing(f"{doing}: {self.address}: {str(error) or type(error).__name__}") from error
        if missing and answer.status_code in (404, 410):
            return None
        if answer.is_success:
            try:
                return answer.json()
            except ValueError as error:
                raise HubFailure(f"{doing}: {self.address} answered something that is not JSON") from error
        said = f"{doing}: {self.address} answered {answer.status_code}: {_said(answer)}"
        if answer.status_code in patience.PASSING:
            raise _Passing(said, patience.asked_for(answer.headers))
        hint = f"; {TOKEN} needs the scope deposit:write" if answer.status_code in (401, 403) else ""
        raise HubFailure(said + hint)


class _Passing(Exception):
    """What may pass, and the pause in seconds that was asked for."""

    def __init__(self, said: str, asked_for: float | None = None) -> None:
        super().__init__(said)
        self.asked_for = asked_for


def _said(answer: Any) -> str:
    """Zenodo's words: a message, and what is wrong with each field."""
    try:
        told = answer.json()
        fields = [
            f"{each.get('field', '')} {each.get('message') or each.get('messages')}" for each in told.get("errors", ())
        ]
        return " ".join([str(told.get("message", "")), *fields]).strip()[:300]
    except (ValueError, AttributeError):
        return " ".join(answer.text.split())[:300]
