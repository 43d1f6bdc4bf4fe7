"""What is recognised as private by its look alone, wherever it stands: tokens and keys, e-mail addresses, home folders.

What is known to be private on this machine, such as the value of ``HF_TOKEN``, is added by `sdovis.release.private`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

#: Access tokens and keys, by the prefixes that services give them so that they can be found: Hugging Face, GitHub, GitLab,
#: OpenAI, AWS, Google, Slack; JSON web tokens; private keys in PEM.
TOKEN = re.compile(
    r"\b(?:hf_[A-Za-z0-9]{20,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{20,}|sk-[A-Za-z0-9_-]{20,}"
    r"|A(?:KIA|SIA)[A-Z0-9]{16}|AIza[\w-]{35}|xox[abeprs]-[\w-]{10,}|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]+)"
    r"|-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"
)
EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@(?:[\w-]+\.)+[A-Za-z]{2,}(?![\w-])")
HOME = re.compile(r"(?<![\w.:/~})\]-])/(?:home|Users)/[\w.-]+|\b[A-Za-z]:\\{1,2}Users\\{1,2}\w")
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")


def emails(texts: Iterable[str]) -> set[str]:
    """Every e-mail address in the texts."""
    return {found for text in texts for found in EMAIL.findall(text)}


def found(text: str, *, allowed: Collection[str] = ()) -> Iterator[str]:
    """What looks private in a text, in words that do not repeat it; ``allowed`` are addresses that may be published."""
    if TOKEN.search(text):
        yield "contains an access token or a key"
    if match := HOME.search(text):
        yield f"names a folder of a machine: {match[0]}"
    for address in EMAIL.findall(text):
        if address not in allowed:
            yield f"contains an e-mail address ({address[0]}...@{address.partition('@')[2]})"


def without_cells(reason: str, cells: Iterable[str]) -> str:
    """A reason with ``'...'`` for every quoted text that a cell holds, or that looks private."""
    whole = [_bare(repr(cell)) for cell in cells]

    def hidden(match: re.Match[str]) -> str:
        quoted = _bare(match[0])
        return "'...'" if any(quoted in cell for cell in whole) or any(found(quoted)) else match[0]

    shown = _QUOTED.sub(hidden, reason)
    for pattern in (TOKEN, EMAIL, HOME):
        shown = pattern.sub("...", shown)
    return shown


def _bare(quoted: str) -> str:
    """What stands between the quotes of a ``repr``, in any case."""
    return quoted[1:-1].replace("\\'", "'").replace('\\"', '"').casefold()
