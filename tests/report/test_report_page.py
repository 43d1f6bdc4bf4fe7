"""The report as readers meet it: in a real Chromium, light, dark, on a phone, on paper, and with a screen reader's rules."""

from __future__ import annotations

from pathlib import Path

import pytest
from sdovis.report.report import PAGE, report

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def file(facts, finished, tmp_path_factory) -> Path:
    """The page of the finished run, without the run beside it."""
    import shutil

    folder = tmp_path_factory.mktemp("report") / "crafted"
    shutil.copytree(finished.folder, folder)
    report(facts, folder)
    return Path(shutil.move(folder / "report" / PAGE, tmp_path_factory.mktemp("sent")))


def luminance(colour: str) -> float:
    """From 0 to 1, of CSS's rgb(r, g, b)."""
    return sum(map(int, colour.removeprefix("rgb(").removesuffix(")").split(","))) / 765


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_asks_for_nothing_and_has_no_barrier_that_axe_finds(file, chromium, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    context = chromium.new_context(color_scheme=scheme, bypass_csp=True)  # axe is a script, which the page forbids
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    assert [url for url in asked if not url.startswith("data:")] == [file.as_uri()]
    found = axe.Axe().run(page).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"][:200]) for each in found] == []
    context.close()


def test_it_is_light_or_dark_as_the_reader_s_system_is_and_light_on_paper(file, chromium):
    paper = {}
    for scheme, media in (("light", "screen"), ("dark", "screen"), ("dark", "print")):
        context = chromium.new_context(color_scheme=scheme, java_script_enabled=True)
        page = context.new_page()
        page.emulate_media(media=media, color_scheme=scheme)
        page.goto(file.as_uri())
        paper[scheme, media] = luminance(page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))
        context.close()
    assert paper["light", "screen"] > 0.95 > 0.2 > paper["dark", "screen"]
    assert paper["dark", "print"] > 0.95


def test_every_picture_is_there_without_a_script_and_nothing_is_wider_than_a_phone(file, chromium):
    context = chromium.new_context(java_script_enabled=False, viewport={"width": 375, "height": 800})
    page = context.new_page()
    page.goto(file.as_uri())
    images = page.locator("img")
    assert images.count() >= 4
    for i in range(images.count()):
        box = images.nth(i).bounding_box()
        assert box["width"] > 50 and box["x"] + box["width"] <= 375
    context.close()


def test_it_prints(file, chromium):
    page = chromium.new_page()
    page.goto(file.as_uri())
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.close()
