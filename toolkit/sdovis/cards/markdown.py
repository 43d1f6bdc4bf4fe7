"""Text from a workbook or a study made safe for Markdown, YAML and BibTeX; numbers as a card prints them."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

import yaml  # type: ignore[import-untyped]  # PyYAML ships no types

from sdovis.errors import SdovisError
from sdovis.statistics.bootstrap import Estimate

UNDEFINED = "not defined"


class Markdown(str):
    """Text that is meant as Markdown: it is printed as is; any other text is escaped."""


def lines(*given: str) -> Markdown:
    """Lines of Markdown, without the empty ones."""
    return Markdown("\n".join(line for line in given if line))


def blocks(*given: str) -> Markdown:
    """Blocks of Markdown separated by an empty line, without the empty ones."""
    return Markdown("\n\n".join(block for block in given if block))


def plain(text: str) -> str:
    """One line of visible characters: no control or format characters, white space collapsed."""
    kept = (" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text)
    return " ".join("".join(c for c in kept if unicodedata.category(c) not in ("Cf", "Cs", "Co", "Cn")).split())


# As entities: a table cell, a Jinja template or HTML would interpret these even after a backslash.
_ENTITIES = {c: f"&#{ord(c)};" for c in "|`{}$"} | {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_BACKSLASHED = frozenset("\\*_[]#~!")


def md(text: str) -> Markdown:
    """``text`` as inline Markdown that shows it literally, also in a table and at the start of a line."""
    line = plain(text)
    shown = "".join(_ENTITIES.get(c, f"\\{c}" if c in _BACKSLASHED else c) for c in line)
    # These begin a list or a heading; the next line treats numbered items.
    shown = re.sub(r"^([-+=])", r"\\\1", shown)
    return Markdown(re.sub(r"^(\d+)([.)])(?= |$)", r"\1\\\2", shown))


def code(value: object) -> Markdown:
    """A name or value as inline code; what inline code cannot show safely is escaped instead."""
    text = plain(str(value))
    return Markdown(f"`{text}`") if re.fullmatch(r"[^`|<>{}&$]+", text) else md(text)


def verbatim(text: str) -> Markdown:
    """A repository's name or a tag, for code and URLs, where nothing can be escaped: text that would need it is refused."""
    if not re.fullmatch(r"[A-Za-z0-9._/-]+", text):
        raise SdovisError(f"a card would show {text!r} where only letters, digits and . _ / - are allowed")
    return Markdown(text)


_BIBTEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}"}
_BIBTEX |= {">": r"\textgreater{}", "`": "'"} | {c: f"\\{c}" for c in "{}%&#_$"}


def bibtex(text: str) -> Markdown:
    """``text`` as the value of a BibTeX field inside a fenced block."""
    return Markdown("".join(_BIBTEX.get(c, c) for c in plain(text)))


def score(value: float | None) -> Markdown:
    """Two decimals."""
    # Adding zero turns -0.0 into 0.0.
    defined = value is not None and math.isfinite(value)
    return Markdown(f"{round(value, 2) + 0.0:.2f}" if defined and value is not None else UNDEFINED)


def interval(entry: Estimate) -> Markdown:
    """``0.71 [0.66, 0.75]``."""
    if entry.estimate is None or not math.isfinite(entry.estimate):
        return Markdown(UNDEFINED)
    if entry.low is None or entry.high is None:
        return Markdown(f"{score(entry.estimate)} (no interval)")
    return Markdown(f"{score(entry.estimate)} [{score(entry.low)}, {score(entry.high)}]")


def difference(entry: Estimate) -> Markdown:
    """``+0.05 [-0.01, 0.11]``."""
    text = interval(entry)
    return Markdown(text if text.startswith(("-", UNDEFINED)) else f"+{text}")


def percent(share: float) -> Markdown:
    """A share as a whole percentage."""
    return Markdown(f"{share * 100:.0f} %")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Markdown:
    """A table of cells that are Markdown already; without rows it is empty."""
    body = [f"| {' | '.join(row)} |" for row in rows]
    return lines(f"| {' | '.join(head)} |", "|" + "---|" * len(head), *body) if body else Markdown("")


def count(number: int) -> Markdown:
    """An integer with thousands separators."""
    return Markdown(f"{number:,}")


def number(value: float) -> Markdown:
    """A number with up to three significant digits."""
    return Markdown(f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}")


def day(moment: str) -> Markdown:
    """The date of an ISO time."""
    if not re.match(r"\d{4}-\d\d-\d\d", moment):
        raise ValueError(f"{moment!r} is not an ISO time")
    return Markdown(moment[:10])


_QUOTED = re.compile(r"""(['"])(?:~|[A-Za-z]:)?[\\/][^'"]*[\\/]([^'"\\/]*)\1""")
_FOLDERS = re.compile(r"(?<![\w:/\\.])(?:~|[A-Za-z]:)?[\\/](?:[^\\/\s'\"]+[\\/])+([^\\/\s'\"]*)")


def without_folders(text: str) -> str:
    """``text`` with each absolute path in it cut down to its last name: cells and messages may contain one."""
    return _FOLDERS.sub(r"…/\1", _QUOTED.sub(r"\1…/\2\1", text))


def setting(value: object) -> Markdown:
    """A configuration value as inline code; a path in it is cut down to its last name."""
    return code(without_folders(str(value)))


_ABBREVIATED = {"tss": "TSS", "hss": "HSS", "sedi": "SEDI", "auroc": "AUROC", "f1": "F1"}


def named(score_name: str) -> Markdown:
    """A score's registered name as people write it: ``macro-f1`` is macro F1."""
    return md(" ".join(_ABBREVIATED.get(word, word) for word in score_name.split("-")))


class _Dumper(yaml.SafeDumper):
    """Quotes every string that another YAML reader might take for something else, such as 1e3."""


def _quoted(dumper: Any, text: str) -> Any:
    style = None if re.fullmatch(r"[A-Za-z]([\w ./()-]*[\w./()])?", text, re.ASCII) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _quoted)


def yaml_of(data: Any) -> str:
    """``data`` in YAML, texts in quotes where another reader might take them for something else."""
    return str(yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000))


def front_matter(data: dict[str, Any]) -> str:
    """The YAML block at the top of a card, including its fences."""
    return f"---\n{yaml_of(data)}---\n"
