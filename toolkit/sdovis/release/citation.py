"""``CITATION.cff`` of each repository: the Citation File Format 1.2.0, which GitHub, Zotero and Zenodo read.

https://github.com/citation-file-format/citation-file-format/blob/1.2.0/schema-guide.md. It holds no date: a release's
contents must not hang on the day on which it was made.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sdovis.cards.facts import Facts
from sdovis.cards.markdown import plain, yaml_of

FILE = "CITATION.cff"
#: Kind of repository -> what it is in the format's words, and where the Hub has it.
_TYPES = {"dataset": ("dataset", "datasets/"), "model": ("software", ""), "space": ("software", "spaces/")}
_ASK = "If you use this, please cite it as below, and credit the images: {credit}"


def citation(facts: Facts, kind: str) -> str:
    """The text of the file for one repository."""
    where = facts.repositories
    form, at = _TYPES[kind]
    credit = plain(facts.provenance.credit)
    named = dict.fromkeys(["solar physics", "active regions", *(plain(channel.name) for channel in facts.channels)])
    said: dict[str, Any] = {
        "cff-version": "1.2.0",
        "message": _ASK.format(credit=credit) if credit else "If you use this, please cite it as below.",
        "title": plain(facts.title),
        "type": form,
        "authors": [author(plain(name)) for name in facts.authors] or [{"name": where.model.split("/")[0]}],
        "abstract": plain(facts.description),
        "keywords": [*named, *(["simulated"] if facts.simulated else [])],
        "version": where.pin,
        "doi": facts.doi,
        **_licence("mit" if kind == "space" else facts.licence, facts),
        "url": "" if where.placeholder else f"https://huggingface.co/{at}{getattr(where, kind)}",
    }
    kept = {key: value for key, value in said.items() if value}
    return yaml_of(kept)


def author(name: str) -> dict[str, str]:
    """A person where 'Family, Given' tells the names apart; otherwise a name as a whole, which is not guessed at."""
    family, comma, given = (part.strip() for part in name.partition(","))
    return {"family-names": family, "given-names": given} if comma and family and given else {"name": name}


def written(author: Mapping[str, str]) -> str:
    """An author in one text, as Zenodo lists it: 'Family, Given', or the name as a whole."""
    return author.get("name") or f"{author['family-names']}, {author['given-names']}"


def spdx(licence: str) -> str:
    """The SPDX identifier of a licence of the Hub, "" if it has none."""
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    try:
        return str(canonicalize_license_expression(licence)) if licence else ""
    except InvalidLicenseExpression:
        return ""


def _licence(licence: str, facts: Facts) -> dict[str, str]:
    if found := spdx(licence):
        return {"license": found}
    return {"license-url": facts.licence_link} if licence == "other" and facts.licence_link else {}


def write(facts: Facts, folder: Path) -> None:
    """Write the file into each repository of the release in ``folder``."""
    for kind in _TYPES:
        (folder / kind / FILE).write_text(citation(facts, kind), encoding="utf-8")
