"""The page's words: everything escaped, nothing of the machine in them."""

from __future__ import annotations

import ast
import sys

import pytest
import sdovis.webapp
from sdovis.channels.view import View
from sdovis.errors import BadInput, HubFailure, Problem, UnreadableImage
from sdovis.webapp import page
from sdovis.webapp.source import ModelSource

EVIL = '<img src=x onerror="alert(1)">'


def test_words_from_workbooks_headers_and_studies_are_escaped_wherever_they_appear():
    texts = [
        page.head(ModelSource(title=EVIL, description=EVIL), None, EVIL, EVIL),
        page.invitation({EVIL: EVIL}),
        page.verdict({EVIL: 1.0}, {EVIL: EVIL}, [EVIL]),
        page.failure(BadInput(EVIL)),
        page.fact_table([(EVIL, EVIL)], is_picture=False),
        page.what_to_send(View(()), [EVIL], False, EVIL),
    ]
    for text in texts:
        assert "<img" not in text
        assert "&lt;img" in text


def test_an_error_names_the_file_but_not_where_it_lies():
    error = UnreadableImage(
        "/tmp/gradio/0123abc/spot.fits", "cannot be read: '/tmp/gradio/0123abc/spot.fits'", "try again"
    )
    assert page.plain(error) == "spot.fits: cannot be read: 'spot.fits'; try again"
    assert page.plain(BadInput([Problem("one"), Problem("two", file="b.png")])) == "one\nb.png: two"
    assert page.plain(HubFailure("the Hub is away")) == "the Hub is away"


def test_the_snippets_are_python_that_pins_the_revision_everywhere():
    text = page.snippet(ModelSource("sun/m", "sun/d", "r-0123456789ab"), "study")
    ast.parse(text)
    assert text.count('revision="r-0123456789ab"') == 3
    ast.parse(page.client_snippet("sun/space"))
    assert "runs/study/model" in page.snippet(ModelSource(), "study")


def test_the_answer_shows_percentages_and_what_each_class_means():
    text = page.verdict({"beta": 0.875, "alpha": 0.125}, {"beta": "Two.", "alpha": "One."}, [])
    assert text.index("beta") < text.index("alpha")
    assert "87.5 %" in text and "Two." in text and "12.5 %" in text and "One." in text


def test_a_picture_is_said_to_have_no_header_and_a_fits_file_is_not():
    assert "no solar header" in page.fact_table([], is_picture=True)
    assert "no solar header" not in page.fact_table([], is_picture=False)


def test_without_gradio_the_error_says_what_to_install(monkeypatch):
    for name in ("sdovis.webapp.app", "sdovis.webapp.interface"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(BadInput, match="pip install gradio"):
        sdovis.webapp.launch  # noqa: B018


def test_the_limits_name_the_studys_own_longitude():
    assert "beyond 45° from the central meridian" in page.limits(View((), max_longitude_deg=45.0))
    assert "Beyond about 60°" in page.limits(View(()))


@pytest.mark.parametrize(
    ("tested", "has_map", "said"),
    [
        (None, True, ["attention rollout (Abnar and Zuidema 2020)", "not tested"]),
        (
            "integrated-gradients",
            True,
            ["integrated gradients (Sundararajan et al. 2017)", "named best what the network needs"],
        ),
        ("", False, ["No map of where it looked was found to be better than one drawn at random"]),
        (None, False, ["has no attention map"]),
    ],
)
def test_the_guide_says_which_map_it_is_and_whether_it_was_tested(tested, has_map, said):
    text = page.reading_guide(True, has_map, tested)
    assert all(each in text for each in said)
