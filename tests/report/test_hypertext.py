"""Markdown as a page that stands alone: nothing runs, nothing is asked for, and everyone can read it."""

from __future__ import annotations

import re

import figures_of
import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st
from sdovis.cards.markdown import md, table
from sdovis.errors import SdovisError
from sdovis.report.hypertext import page

PICTURES = {"figures/curve.png": figures_of.png(150, 75), "figures/maps.png": figures_of.png(30, 30)}


def soup(markdown: str) -> BeautifulSoup:
    return BeautifulSoup(page(markdown, PICTURES, "T"), "html.parser")


@pytest.mark.parametrize(
    "text",
    ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "a & b", '"quoted"', "</style><b>", "&lt;i&gt;"],
)
def test_text_that_looks_like_html_is_text_wherever_it_stands(text):
    found = soup(
        f"# {md(text)}\n\n## {md(text)}\n\n{md(text)}\n\n{table([md(text)], [[md(text)], [md(text)]])}\n\n{text}"
    )
    assert not found.find_all(["script", "b", "i"])
    assert all(image["src"].startswith("data:") for image in found.find_all("img"))
    assert found.h1.get_text() == found.h2.get_text() == found.th.get_text() == text
    assert found.nav.get_text() == text


@given(st.text(max_size=60))
def test_any_text_comes_out_as_it_went_in(text):
    shown = soup(f"# Title\n\nBegin {md(text)} end").main.p.get_text()
    assert " ".join(shown.split()) == " ".join(("Begin " + "".join(plain(text)) + " end").split())


def plain(text: str) -> str:
    from sdovis.cards import markdown

    return markdown.plain(text)


def test_a_page_asks_for_nothing_and_runs_nothing():
    written = page("# T\n\n![A curve](figures/curve.png)\n\n[a link](https://example.org/x)", PICTURES, "T")
    found = BeautifulSoup(written, "html.parser")
    assert not found.find_all(
        ["script", "link", "iframe", "object", "embed", "form", "video", "audio", "source", "base"]
    )
    assert all(each.startswith("data:image/png;base64,") for each in re.findall(r'src="([^"]*)"', written))
    assert "url(" not in written and "@import" not in written
    policy = found.find("meta", {"http-equiv": "Content-Security-Policy"})["content"]
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert found.a["href"] == "https://example.org/x"


def test_a_picture_alone_is_a_figure_of_its_own_size_with_its_words_below():
    found = soup("# T\n\nBefore.\n\n![A *curve* & more](figures/curve.png)\n\nAfter ![small](figures/maps.png) words.")
    (figure,) = found.find_all("figure")
    assert figure.figcaption.get_text() == figure.img["alt"] == "A curve & more"
    assert (figure.img["width"], figure.img["height"], figure.img["class"]) == ("100", "50", ["drawing"])
    assert not figure.find_parent("p")
    assert found.find_all("img")[1]["class"] == ["photograph"]
    assert found.find_all("img")[1].parent.name == "p"


def test_a_picture_that_the_run_does_not_have_is_an_error():
    with pytest.raises(SdovisError, match=r"figures/none\.png"):
        page("![x](figures/none.png)", PICTURES, "T")


def test_heads_of_rows_and_columns_say_what_they_head_and_empty_ones_are_no_heads():
    found = soup("# T\n\n## The scores\n\n" + table(["", "one", "two"], [["first", "1", "2"], ["second", "3", "4"]]))
    assert [(th.get_text(), th["scope"]) for th in found.find_all("th")] == [
        ("one", "col"), ("two", "col"), ("first", "row"), ("second", "row")
    ]  # fmt: skip
    assert found.thead.td.get_text() == ""
    wrapper = found.table.parent
    assert (wrapper["role"], wrapper["tabindex"], wrapper["aria-label"]) == ("group", "0", "The scores")


def test_cells_of_numbers_alone_are_not_broken_into_lines():
    found = soup("# T\n\n" + table(["a", "b", "c"], [["1", "**0.52 [0.41, 0.60]**", "0.5 of all"]]))
    assert [cell.get("class") for cell in found.tbody.find_all("td")] == [["number"], None]
    assert found.find("td", class_="number").get_text() == "0.52 [0.41,\N{NO-BREAK SPACE}0.60]"


def test_a_table_without_any_head_has_no_empty_row():
    found = soup("# T\n\n" + table(["", ""], [["a", "1"]]) + "\n\nBetween.\n\n" + table(["x", ""], [["b", "2"]]))
    first, second = found.find_all("table")
    assert first.thead is None and second.thead is not None
    assert [cell.get_text() for cell in first.find_all(["th", "td"])] == ["a", "1"]


def test_headings_can_be_linked_to_and_no_two_have_one_address():
    found = soup("# T\n\n## Skill\n\n### By `class`\n\n## Skill\n\n## Größe & mehr\n\n## 黒点\n\n## ☉")
    assert [h["id"] for h in found.find_all(["h2", "h3"])] == [
        "skill",
        "by-class",
        "skill-2",
        "gr-e-mehr",
        "section",
        "section-2",
    ]
    assert [a["href"] for a in found.nav.find_all("a")] == [
        "#skill",
        "#skill-2",
        "#gr-e-mehr",
        "#section",
        "#section-2",
    ]
    assert found.nav["aria-label"] == "Contents"


@pytest.mark.parametrize(("mark", "kind"), [("WARNING", "warning"), ("NOTE", "note")])
def test_notices_are_marked_as_such_and_quotations_stay_quotations(mark, kind):
    found = soup(f"# T\n\n> [!{mark}]\n> **Simulated.** Beware.\n\n> A plain quotation.")
    notice = found.find(role="note")
    assert (notice["class"], notice.get_text().strip()) == ([kind], "Simulated. Beware.")
    assert found.blockquote.get_text().strip() == "A plain quotation."


def test_the_same_markdown_gives_the_same_page():
    assert page("# T\n\n![c](figures/curve.png)", PICTURES, "T") == page(
        "# T\n\n![c](figures/curve.png)", PICTURES, "T"
    )
