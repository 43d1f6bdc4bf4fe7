"""What a Hub would refuse, found before anything is created there: names, licences, languages, tags, rights of the account."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from sdovis.errors import BadInput, HubFailure, Problem
from sdovis.hub.remote import Account, Hub
from sdovis.release.assembly import README, Release
from sdovis.study import names
from sdovis.study.licences import HUB

#: ISO 639-1 and 639-3, or what stands for no one language: docs/hub/model-cards.md of github.com/huggingface/hub-docs.
_LANGUAGE = re.compile(r"[a-z]{2,3}|code|multilingual")
#: Roles that may read only, of a token or in an organisation.
_READERS = frozenset({"read"})


def check(hub: Hub, release: Release) -> None:
    """Raise `BadInput` with everything that the Hub would refuse of the release, `HubFailure` for an account without rights.

    What can be known here is looked at first; then the Hub is shown each card, which it checks as it would on a commit.
    """
    if problems := [problem for kind in release.repositories for problem in _problems(release, kind)]:
        raise BadInput(problems)
    _check_rights(hub.account(), release)
    for kind in release.repositories:
        if (release.folder / kind / README).is_file():
            text = release.path(kind, README).read_text(encoding="utf-8")
            problems += [_of(kind, f"the Hub refuses this card: {what}") for what in hub.objections(kind, text)]
    if problems:
        raise BadInput(problems)


def _of(kind: str, what: str, hint: str = "") -> Problem:
    return Problem(what, hint, f"{kind}/{README}")


def _check_rights(account: Account, release: Release) -> None:
    for kind in release.repositories:
        owner = release.repositories[kind].id.split("/")[0]
        if owner not in account.roles:
            raise HubFailure(
                f"your account {account.name!r} does not belong to {owner!r}, so nothing can be created there; use a token "
                "with write access to it (HF_TOKEN, or hf auth login), or set publish.namespace in the study"
            )
        if account.token in _READERS or account.roles[owner] in _READERS:
            whose = "your token" if account.token in _READERS else f"your account {account.name!r}"
            raise HubFailure(
                f"{whose} may only read {owner!r}, so nothing was created; use a token with write access "
                "(HF_TOKEN, or hf auth login)"
            )


def _problems(release: Release, kind: str) -> Iterator[Problem]:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    id = release.repositories[kind].id
    try:
        validate_repo_id(id)
        names.namespace(id.split("/")[0])
        if len(id) > names.LONGEST_ID:
            raise ValueError(f"it has more than {names.LONGEST_ID} characters")
    except (HFValidationError, ValueError) as error:
        why = " ".join(str(error).split()).rstrip(".")
        yield _of(kind, f"the Hub does not accept the name {id!r}: {why}", "change publish.namespace or study.name")
    if README in release.repositories[kind].files:
        yield from _in_card(release, kind)


def _in_card(release: Release, kind: str) -> Iterator[Problem]:
    from huggingface_hub import RepoCard

    try:
        said: Mapping[str, Any] = RepoCard(release.path(kind, README).read_text(encoding="utf-8")).data.to_dict()
    except Exception as error:  # PyYAML's own errors, and what the reader makes of them
        yield _of(kind, f"its metadata cannot be read: {' '.join(str(error).split())}", "run sdovis card")
        return
    yield from (_of(kind, what, hint) for what, hint in _of_licence(said, release, kind))
    for language in _listed(said.get("language")):
        if not (isinstance(language, str) and _LANGUAGE.fullmatch(language)):
            yield _of(kind, f"language {language!r} is no code of ISO 639", "write it as en")
    for tag in _listed(said.get("tags")):
        if not (isinstance(tag, str) and tag.strip()):
            yield _of(kind, f"the tag {tag!r} is not a text", "put it in quotes")


def _of_licence(said: Mapping[str, Any], release: Release, kind: str) -> Iterator[tuple[str, str]]:
    given = _listed(said.get("license"))
    for licence in given:
        if licence not in HUB:
            yield f"the Hub knows no licence {licence!r}", "set publish.licence and source.licence, and run sdovis card"
    name, link = said.get("license_name"), said.get("license_link")
    if "other" not in given:
        return
    if not name or not link:
        what = f"its licence is 'other' without {'a link to its text' if name else 'its name'}"
        yield what, "set publish.licence_name and publish.licence_link, and run sdovis card"
    elif not str(link).startswith(("http://", "https://")) and str(link) not in release.repositories[kind].files:
        yield f"its licence_link {link!r} is neither a web address nor a file of the repository", "give a web address"


def _listed(value: Any) -> list[Any]:
    return [] if value is None else list(value) if isinstance(value, list | tuple) else [value]
