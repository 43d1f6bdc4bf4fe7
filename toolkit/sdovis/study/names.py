"""Names that become those of repositories on the Hub, checked before anything is made under them."""

from __future__ import annotations

import re

#: Characters of a repository's id, NAMESPACE/NAME, that the Hub allows.
LONGEST_ID = 96
STUDY = r"[a-z0-9][a-z0-9._-]{0,63}"
_NAMESPACE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9]|[._-](?=[A-Za-z0-9]))*")


def repository(name: object) -> object:
    """``name``, if it can be that of a study: a folder's, and a repository's on the Hub.

    Raises ValueError with the nearest name that can.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    if not isinstance(name, str):
        return name  # pydantic says so
    why = "" if re.fullmatch(STUDY, name) else "letters a to z, digits and . _ - are allowed, 64 at most"
    try:
        validate_repo_id(name)
    except HFValidationError as error:
        why = why or "the Hub says: " + " ".join(str(error).split()).rstrip(".")
    if why:
        nearest = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).removesuffix(".git")
        nearest = re.sub(r"([.-])[.-]+", r"\1", nearest).strip("._-")[:64].rstrip(".-")
        raise ValueError(
            f"{name!r} cannot be the name of a study and its repositories ({why}); write {nearest or 'study'!r}"
        )
    return name


def namespace(name: str) -> str:
    """``name``, if it can be that of a user or an organisation on the Hub, or empty. Raises ValueError."""
    if name and not _NAMESPACE.fullmatch(name):
        nearest = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")
        hint = f"; write {nearest!r} if that is the account" if nearest else ""
        raise ValueError(f"{name!r} cannot be the name of a user or organisation on the Hub{hint}")
    return name
