"""The verb card: writes dataset card and model card from facts, and carries over what was written in them by hand."""

from __future__ import annotations

import hashlib
import html
import os
import re
from pathlib import Path
from typing import Any

from sdovis import figures, manifests, privacy
from sdovis.cards.facts import Facts
from sdovis.cards.markdown import front_matter
from sdovis.cards.metadata import dataset_metadata, model_metadata, space_metadata
from sdovis.cards.render import Template, render
from sdovis.cards.templates import Templates
from sdovis.errors import BadInput, Problem

README = "README.md"
LEARNING_CURVE = "figures/learning_curve.png"


def dataset_card(facts: Facts, templates: Templates) -> str:
    """The dataset repository's README.md."""
    return _card(dataset_metadata(facts), templates.dataset, facts)


def model_card(facts: Facts, templates: Templates) -> str:
    """The model repository's README.md."""
    return _card(model_metadata(facts), templates.model, facts)


def space_card(facts: Facts, templates: Templates) -> str:
    """The Space repository's README.md."""
    return _card(space_metadata(facts), templates.space, facts)


def _card(metadata: dict[str, Any], template: Template, facts: Facts) -> str:
    card = front_matter(metadata) + "\n" + render(template, facts)
    refuse_private(card)
    _sections(card, template.file)
    return card


def refuse_private(card: str) -> None:
    """Raise `BadInput` if what is to be read by others contains a token, or a folder of this machine."""
    bare = html.unescape(card.replace("\\", ""))
    found = [match[0][:6] + "..." for match in privacy.TOKEN.finditer(bare)]
    for folder in sorted({str(Path.home()), str(Path.cwd())} - {"/"}):
        found += [folder] if re.search(rf"(?<![\w.-]){re.escape(folder)}(?![\w.-])", bare) else []
    secret = os.environ.get("HF_TOKEN", "")
    found += ["the value of HF_TOKEN"] if len(secret) >= 8 and secret in bare else []
    if found:
        what = f"a card would contain {', '.join(found)}"
        raise BadInput(Problem(what, "remove it from the study's texts or the workbook's cells"))


def write(facts: Facts, run_dir: Path, templates: Templates) -> Path:
    """Write ``run_dir/cards``: for each repository its README.md and the files that it shows. Returns the folder.

    Kept sections of an earlier card in that folder are carried over. Raises `BadInput` if they are damaged.
    """
    folder = run_dir / "cards"
    cards = {"dataset": dataset_card(facts, templates), "model": model_card(facts, templates)}
    for kind, text in cards.items():
        old = folder / kind / README
        cards[kind] = merge(text, old.read_text(encoding="utf-8")) if old.exists() else text
    made_from = {"pin": facts.repositories.pin, "templates": templates.digest}
    wanted = {f"{kind}/{README}": text.encode() for kind, text in cards.items()}
    wanted |= {f"model/{name}": content for name, content in shown(facts, run_dir).items()}
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


def shown(facts: Facts, run_dir: Path) -> dict[str, bytes]:
    """Path in the model repository -> bytes of each picture that the model card shows."""
    made = [run_dir / folder for folder in ("scores", "explanation")]
    found = {name: next(path for folder in made if (path := folder / name).is_file()) for name in facts.figures}
    curve = figures.learning_curve(facts.training.curves, _kept_by(facts), facts.training.kept_step)
    pictures = {name: path.read_bytes() for name, path in found.items()} | {LEARNING_CURVE: figures.png(curve)}
    return pictures | {example.file: example.png for example in facts.examples}


# --- what is written by hand ----------------------------------------------------------------------------------------

_MARK = re.compile(r"<!-- (/?)sdovis:keep(?: ([a-z0-9-]+))? -->")


def merge(new: str, old: str) -> str:
    """``new`` with the kept sections of ``old``: the text between ``<!-- sdovis:keep NAME -->`` and
    ``<!-- /sdovis:keep -->``, each on a line of its own.

    A section missing from ``new`` is appended, so that nothing written by hand is lost. Raises `BadInput` if the marks
    in ``old`` do not pair up.
    """
    kept, lines = _sections(old, README), []
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


def _sections(card: str, file: str) -> dict[str, list[str]]:
    """Name -> lines of each kept section. Raises `BadInput` naming ``file`` if the marks do not pair up."""
    found: dict[str, list[str]] = {}
    name = None
    for line in _parted(card)[1]:
        match = _MARK.fullmatch(line.rstrip())
        if match and not match[1]:
            if name is not None or not match[2] or match[2] in found:
                what = f"the kept section {match[2] or '(no name)'!r} begins inside another, or a second time"
                raise _damaged(what, file)
            name = match[2]
            found[name] = []
        elif match:
            if name is None:
                raise _damaged("a kept section ends without having begun", file)
            name = None
        elif name is not None:
            found[name].append(line)
    if name is not None:
        raise _damaged(f"the kept section {name!r} does not end", file)
    return found


def _damaged(what: str, file: str) -> BadInput:
    return BadInput(Problem(what, "pair each <!-- sdovis:keep NAME --> with one <!-- /sdovis:keep -->", file))
