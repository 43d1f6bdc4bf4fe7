"""Cards from facts: strict templates that a scientist may edit, and what is written by hand carried over."""

from __future__ import annotations

import hashlib
import html
import os
import re
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined, Template, Undefined
from jinja2.sandbox import SandboxedEnvironment

from sdovis import figures, manifests
from sdovis.cards import markdown
from sdovis.cards.facts import Facts
from sdovis.cards.markdown import Markdown, front_matter, md
from sdovis.cards.metadata import dataset_metadata, model_metadata
from sdovis.cards.sentences import SENTENCES
from sdovis.cards.tables import TABLES
from sdovis.errors import BadInput, Problem, SdovisError

README = "README.md"
LEARNING_CURVE = "figures/learning_curve.png"


def dataset_card(facts: Facts) -> str:
    """The dataset repository's README.md."""
    return _card("datacard", dataset_metadata(facts), facts)


def model_card(facts: Facts) -> str:
    """The model repository's README.md."""
    return _card("modelcard", model_metadata(facts), facts)


def write(facts: Facts, run_dir: Path) -> Path:
    """Write ``run_dir/cards``: for each repository its README.md and the files this shows. Returns the folder.

    Kept sections of an earlier card in that folder are carried over. Raises `BadInput` where that card's are damaged.
    """
    folder = run_dir / "cards"
    cards = {"dataset": dataset_card(facts), "model": model_card(facts)}
    for kind, text in cards.items():
        old = folder / kind / README
        cards[kind] = merge(text, old.read_text(encoding="utf-8")) if old.exists() else text
    made_from = {"pin": facts.repositories.pin}
    wanted = {f"{kind}/{README}": text.encode() for kind, text in cards.items()}
    wanted |= {f"model/{name}": content for name, content in _shown(facts, run_dir).items()}
    curve = figures.learning_curve(facts.training.curves, _kept_by(facts), facts.training.kept_step)
    wanted[f"model/{LEARNING_CURVE}"] = figures.png(curve)
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in wanted.items()}
    if manifests.finished(folder, made_from) and manifests.read(folder, made_by="card").files == sums:
        return folder
    with manifests.whole(folder, stage="card", made_from=made_from) as beside:
        for name, content in wanted.items():
            (beside / name).parent.mkdir(parents=True, exist_ok=True)
            (beside / name).write_bytes(content)
    return folder


def _kept_by(facts: Facts) -> str:
    return facts.training.kept_by if facts.training.kept_by != "last" else "balanced_accuracy"


def _shown(facts: Facts, run_dir: Path) -> dict[str, bytes]:
    """Path in the model repository -> bytes of each picture the model card shows."""
    shown = {name: (run_dir / "scores" / name).read_bytes() for name in facts.figures}
    return shown | {example.file: example.png for example in facts.examples}


# --- templates ------------------------------------------------------------------------------------------------------


def _finalize(value: object) -> str:
    """What a template may print: text, escaped, and whole numbers. Others have a filter that says how."""
    if isinstance(value, Markdown):
        return value
    if isinstance(value, str):
        return md(value)
    if isinstance(value, Undefined) or (isinstance(value, int) and not isinstance(value, bool)):
        return str(value)  # of what is undefined: raises, and says its name
    raise SdovisError(f"a card's template prints {value!r} without saying how: use a filter")


def _environment() -> SandboxedEnvironment:
    # Escaping is for Markdown, in _finalize: Jinja's own would be for HTML.
    environment = SandboxedEnvironment(
        undefined=StrictUndefined,
        autoescape=False,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    filters = "md code verbatim setting named bibtex score interval difference percent count number day".split()
    environment.filters |= {name: getattr(markdown, name) for name in filters}
    return environment


@cache
def _template(package: str) -> Template:
    # By name: nothing of the package imports the folders that are data to it.
    source = files(f"sdovis.{package}").joinpath("README.md.j2").read_text(encoding="utf-8")
    return _environment().from_string(source)


def _card(package: str, metadata: dict[str, Any], facts: Facts) -> str:
    named = {"sentences": SENTENCES, "tables": TABLES}
    printed = {name: {each: make(facts) for each, make in makers.items()} for name, makers in named.items()}
    body = _template(package).render(facts=facts, **printed)
    card = front_matter(metadata) + "\n" + re.sub(r"\n{3,}", "\n\n", body).strip() + "\n"
    _refuse_private(card)
    return card


#: An access token of the Hub, or of a common host of code.
_TOKEN = re.compile(r"\b(?:hf_[A-Za-z0-9]{20,}|gh[pousr]_[A-Za-z0-9]{20,})\b")


def _refuse_private(card: str) -> None:
    """Raise `BadInput` where a card holds a token, or a folder of this machine."""
    bare = html.unescape(card.replace("\\", ""))
    found = [match[0][:6] + "..." for match in _TOKEN.finditer(bare)]
    for folder in sorted({str(Path.home()), str(Path.cwd())} - {"/"}):
        found += [folder] if re.search(rf"(?<![\w.-]){re.escape(folder)}(?![\w.-])", bare) else []
    secret = os.environ.get("HF_TOKEN", "")
    found += ["the value of HF_TOKEN"] if len(secret) >= 8 and secret in bare else []
    if found:
        what = f"a card would hold {', '.join(found)}"
        raise BadInput(Problem(what, "take it out of the study's texts or of the workbook's cells"))


# --- what is written by hand ----------------------------------------------------------------------------------------

_MARK = re.compile(r"<!-- (/?)sdovis:keep(?: ([a-z0-9-]+))? -->")


def merge(new: str, old: str) -> str:
    """``new`` with the kept sections of ``old``: what stands between ``<!-- sdovis:keep NAME -->`` and
    ``<!-- /sdovis:keep -->``, each on a line of its own.

    A section that ``new`` does not have is put at its end, so that nothing written by hand is lost. Raises `BadInput`
    where the marks of ``old`` do not pair up.
    """
    kept, lines = _sections(old), []
    head, body = _parted(new)
    inside = False
    for line in body:
        match = _MARK.fullmatch(line)
        if match and not match[1] and match[2] in kept:
            lines += [line, *kept.pop(match[2])]
            inside = True
        elif match and match[1]:
            inside = False
            lines.append(line)
        elif not inside:
            lines.append(line)
    while lines and not lines[-1]:
        lines.pop()
    for name, content in kept.items():
        lines += ["", f"<!-- sdovis:keep {name} -->", *content, "<!-- /sdovis:keep -->"]
    return "\n".join([*head, *lines]) + "\n"


def _parted(card: str) -> tuple[list[str], list[str]]:
    """The lines of the front matter, its fences included, and those of the body."""
    lines = card.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if lines[0].rstrip() == "---":
        for number, line in enumerate(lines[1:], 2):
            if line.rstrip() == "---":
                return lines[:number], lines[number:]
    return [], lines


def _sections(card: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    name = None
    for line in _parted(card)[1]:
        match = _MARK.fullmatch(line.rstrip())
        if match and not match[1]:
            if name is not None or not match[2] or match[2] in found:
                raise _damaged(f"the kept section {match[2] or '(no name)'!r} begins inside another, or a second time")
            name = match[2]
            found[name] = []
        elif match:
            if name is None:
                raise _damaged("a kept section ends that did not begin")
            name = None
        elif name is not None:
            found[name].append(line)
    if name is not None:
        raise _damaged(f"the kept section {name!r} does not end")
    return found


def _damaged(what: str) -> BadInput:
    return BadInput(Problem(what, "mend the lines <!-- sdovis:keep NAME --> and <!-- /sdovis:keep -->", README))
