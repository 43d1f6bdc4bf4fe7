"""Any text shows letter by letter and breaks nothing."""

from __future__ import annotations

import math

import pytest
import yaml
from huggingface_hub import DatasetCard
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from sdovis.cards.markdown import (
    bibtex,
    code,
    day,
    difference,
    front_matter,
    interval,
    md,
    named,
    number,
    percent,
    plain,
    score,
    setting,
    verbatim,
)
from sdovis.errors import SdovisError
from sdovis.statistics.bootstrap import Estimate

MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
#: Text that has broken cards, beside anything else.
NASTY = st.one_of(
    st.text(),
    st.text(alphabet="|`<>{}*_[]()#~!\\&$-+=.%\n\r\t 1a\u2028\u202e:'\""),
    st.sampled_from(["---", "1. a", "- a", "# a", "{{ 7*7 }}", "{% raw %}", "<!-- x", "```", "&lt;", "a\n---\nb: c"]),
)


def shown(markdown: str) -> tuple[list[str], list[str]]:
    """What a reader sees of the inline text, and the kinds of all else."""
    tokens = [
        child for token in MARKDOWN.parse(markdown) for child in (token.children if token.type == "inline" else [token])
    ]
    return [t.content for t in tokens if t.type.startswith("text")], [
        t.type for t in tokens if not t.type.startswith("text")
    ]


@settings(deadline=None)
@given(NASTY)
def test_text_shows_letter_by_letter_in_a_paragraph(text):
    words, kinds = shown(f"{md(text)}\n")
    assert "".join(words) == plain(text)
    assert kinds == (["paragraph_open", "paragraph_close"] if plain(text) else [])


@settings(deadline=None)
@given(NASTY)
def test_text_shows_letter_by_letter_in_a_table(text):
    words, kinds = shown(f"| a | b |\n|---|---|\n| {md(text)} | end |\n")
    assert "".join(words) == f"ab{plain(text)}end"
    assert kinds == shown("| a | b |\n|---|---|\n| x | end |\n")[1]


@given(NASTY)
def test_code_in_a_table_stays_in_its_cell(text):
    words, kinds = shown(f"| a | b |\n|---|---|\n| {code(text)} | end |\n")
    assert words[-1] == "end"
    assert [k for k in kinds if k != "code_inline"] == shown("| a | b |\n|---|---|\n| x | end |\n")[1]


@given(NASTY)
def test_text_in_bibtex_keeps_its_braces_balanced_and_its_fence_whole(text):
    entry = f"```bibtex\n@misc{{x,\n  title = {{{bibtex(text)}}},\n}}\n```\nafter\n"
    tokens = MARKDOWN.parse(entry)
    assert [t.type for t in tokens] == ["fence", "paragraph_open", "inline", "paragraph_close"]
    bare = tokens[0].content.replace(r"\{", "").replace(r"\}", "")
    assert bare.count("{") == bare.count("}")


@given(st.dictionaries(st.text(), NASTY), st.lists(NASTY))
def test_front_matter_gives_back_what_was_put_in(entries, items):
    data = {"names": entries, "items": items}
    block = front_matter(data)
    assert yaml.safe_load(block.removeprefix("---\n").removesuffix("---\n")) == data
    # The Hub's client finds the same block, and the body after it.
    card = DatasetCard(block + "\nbody\n")
    assert (card.data.to_dict()["names"], card.text) == (entries, "\nbody\n")


@pytest.mark.parametrize(
    "text", ["1e3", "0x1F", "no", "null", "012192", "1_000", "2011-02-15", "~", "yes", ".5", "1:30"]
)
def test_front_matter_quotes_what_another_yaml_would_read_as_something_else(text):
    assert front_matter({"a": text}) in (f'---\na: "{text}"\n---\n', f"---\na: '{text}'\n---\n")


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (Estimate(0.7134, 0.6551, 0.7549), "0.71 [0.66, 0.75]"),
        (Estimate(-0.001, -0.2, 0.1), "0.00 [-0.20, 0.10]"),
        (Estimate(0.5, None, None), "0.50 (no interval)"),
        (Estimate(None, None, None), "not defined"),
        (Estimate(math.nan, None, None), "not defined"),
    ],
)
def test_an_interval_is_printed_with_two_decimals_or_says_that_it_is_none(entry, text):
    assert interval(entry) == text


def test_a_difference_shows_its_sign():
    assert difference(Estimate(0.05, -0.01, 0.11)) == "+0.05 [-0.01, 0.11]"
    assert difference(Estimate(-0.05, -0.11, 0.01)) == "-0.05 [-0.11, 0.01]"
    assert difference(Estimate(None, None, None)) == "not defined"


def test_numbers_are_printed_as_a_reader_expects():
    assert (score(0.4949), percent(0.071), number(1e-4), number(12.34), number(1234.5)) == (
        "0.49", "7 %", "0.0001", "12.3", "1,234"
    )  # fmt: skip
    assert (named("macro-f1"), named("tss"), named("balanced-accuracy")) == ("macro F1", "TSS", "balanced accuracy")
    assert day("2011-02-15 01:30:00+00:00") == "2011-02-15"
    with pytest.raises(ValueError, match="NaT"):
        day("NaT")


def test_a_setting_shows_no_folder():
    assert setting("/home/jane/deepspeed.json") == "`…/deepspeed.json`"
    assert setting({"fsdp": "/home/jane/x.json"}) == r"&#123;'fsdp': '…/x.json'&#125;"


@pytest.mark.parametrize("text", ["a b", "a`", "", 'x", y="', "a\n"])
def test_verbatim_refuses_what_would_need_escaping(text):
    with pytest.raises(SdovisError):
        verbatim(text)


def test_a_text_that_ends_in_dashes_is_quoted_so_that_no_simple_reader_takes_it_for_the_end():
    block = front_matter({"license": "a---", "model_name": "Regions ---", "tags": ["b---"]})
    assert [line for line in block.splitlines() if line.endswith("---")] == ["---", "---"]
