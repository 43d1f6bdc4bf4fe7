"""Markdown of the cards' kind as one page of HTML that asks nobody for anything: pictures inside, no script."""

from __future__ import annotations

import base64
import html
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token

from sdovis.errors import SdovisError
from sdovis.figures import DPI

#: Figures that are photographs; the others are drawings, whose white turns dark in the dark.
PHOTOGRAPHS = ("cutouts", "mistakes", "nearest", "maps")
#: Dots per inch of a screen, as style sheets count them.
SCREEN_DPI = 96
#: A browser that heeds it loads nothing from elsewhere and runs no script, whatever the page says.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def page(markdown: str, pictures: Mapping[str, bytes], title: str) -> str:
    """A whole page; ``pictures`` are the PNG files that the Markdown shows, by their path.

    HTML in the Markdown is shown as text. Raises `SdovisError` for a picture that is not among them.
    """
    tokens = MarkdownIt("commonmark", {"html": False}).enable("table").parse(markdown)
    contents = _headings(tokens)
    _notices(tokens)
    body = _render([*_pictures([*_tables(tokens)], pictures)])
    head, rest = _after_first_heading(body)
    style = files("sdovis.report").joinpath("report.css").read_text(encoding="utf-8")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{html.escape(title)}</title>
<style>
{style.strip()}
</style>
</head>
<body>
<header>
{head}</header>
{_contents(contents)}
<main>
{rest}</main>
</body>
</html>
"""


def _render(tokens: Sequence[Token]) -> str:
    parser = MarkdownIt("commonmark", {"html": False})
    return str(parser.renderer.render(tokens, parser.options, {}))


def _after_first_heading(body: str) -> tuple[str, str]:
    """The page's heading, and all that follows it."""
    head, end, rest = body.partition("</h1>\n")
    return head + end, rest


def _headings(tokens: Sequence[Token]) -> list[tuple[str, str]]:
    """Give each heading below the first an id; (id, words) of those of the second level."""
    used: dict[str, int] = {}
    found = []
    for opening, inline in pairwise(tokens):
        if opening.type != "heading_open" or opening.tag == "h1":
            continue
        words = _words(inline)
        slug = re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-") or "section"
        used[slug] = used.get(slug, 0) + 1
        slug += f"-{used[slug]}" if used[slug] > 1 else ""
        opening.attrSet("id", slug)
        if opening.tag == "h2":
            found.append((slug, words))
    return found


def _contents(found: Sequence[tuple[str, str]]) -> str:
    entries = "".join(f'<li><a href="#{slug}">{html.escape(words)}</a></li>' for slug, words in found)
    return f'<nav aria-label="Contents"><ul>{entries}</ul></nav>'


def _tables(tokens: Sequence[Token]) -> Iterator[Token]:
    """Heads of columns and of rows say what they head, an empty head is left out; a table may be wider than the page."""
    heading, headless = "", False
    for i, token in enumerate(tokens):
        if token.type == "heading_open":
            heading = _words(tokens[i + 1])
        elif token.type == "table_open":
            yield _raw(f'<div class="table" role="group" tabindex="0" aria-label="{html.escape(heading)}">\n')
        elif token.type == "thead_open":
            end = next(j for j, other in enumerate(tokens[i:], i) if other.type == "thead_close")
            headless = not any(other.content for other in tokens[i:end])
        elif token.type == "th_open" and tokens[i + 1].content:
            token.attrSet("scope", "col")
        elif token.type == "th_open":
            token.tag = tokens[i + 2].tag = "td"
        elif token.type == "tr_open" and tokens[i + 1].type == "td_open":
            tokens[i + 1].tag = tokens[i + 3].tag = "th"
            tokens[i + 1].attrSet("scope", "row")
        elif token.type == "td_open" and re.fullmatch(r"[^A-Za-z]+", tokens[i + 1].content):
            token.attrSet("class", "number")
            for child in tokens[i + 1].children or ():  # on paper a line may end before an interval, and not in it
                child.content = child.content.replace(", ", ",\N{NO-BREAK SPACE}")
        if not headless:
            yield token
        if token.type == "thead_close":
            headless = False
        elif token.type == "table_close":
            yield _raw("</div>\n")


def _words(inline: Token) -> str:
    """What a heading says, without marks."""
    return "".join(
        each.content for each in inline.children or () if each.type in ("text", "code_inline", "text_special")
    )


def _raw(text: str) -> Token:
    return Token("html_block", "", 0, content=text)


def _notices(tokens: Sequence[Token]) -> None:
    """Quotations that begin with [!WARNING] or [!NOTE], as GitHub and the Hub show them."""
    for i, token in enumerate(tokens):
        if token.type != "blockquote_open":
            continue
        children = tokens[i + 2].children or []
        match = re.fullmatch(r"\[!(WARNING|NOTE)\]", children[0].content) if children else None
        if match:
            token.tag = "div"
            token.attrSet("class", match[1].lower())
            token.attrSet("role", "note")
            del children[:2]
            closing = next(t for t in tokens[i:] if t.type == "blockquote_close" and t.level == token.level)
            closing.tag = "div"


def _pictures(tokens: Sequence[Token], pictures: Mapping[str, bytes]) -> Iterator[Token]:
    """Put the pictures in; one that stands alone in a paragraph becomes a figure with its words below."""
    alone: set[int] = set()  # numbers of the tokens that enclose such a picture
    for i, token in enumerate(tokens):
        children = token.children or []
        for child in children:
            if child.type == "image":
                _put_in(child, pictures)
        if token.type == "inline" and len(children) == 1 and children[0].type == "image":
            image = _render([token])
            told = image.partition('alt="')[2].partition('"')[0]
            yield _raw(f"<figure>{image}<figcaption>{told}</figcaption></figure>\n")
        elif token.type == "paragraph_open" and [child.type for child in tokens[i + 1].children or ()] == ["image"]:
            alone.add(i + 2)
        elif i not in alone:
            yield token


def _put_in(image: Token, pictures: Mapping[str, bytes]) -> None:
    source = str(image.attrGet("src"))
    if source not in pictures:
        raise SdovisError(f"a report would show {source!r}, which the run does not have")
    image.attrSet("src", "data:image/png;base64," + base64.b64encode(pictures[source]).decode())
    width, height = struct.unpack(">II", pictures[source][16:24])  # of the PNG's first chunk
    for name, pixels in (("width", width), ("height", height)):
        image.attrSet(name, str(round(pixels * SCREEN_DPI / DPI)))
    stem = source.rpartition("/")[2].removesuffix(".png")
    image.attrSet("class", "photograph" if stem in PHOTOGRAPHS else "drawing")
