"""The pages as readers meet them: on a phone, nothing makes a page wider than the screen. `make docs` builds them."""

from __future__ import annotations

from typing import Any

import pytest
from studies import ROOT

BUILT = ROOT / "docs" / "_build"
PHONE = {"width": 390, "height": 844}

pytestmark = pytest.mark.browser


def test_no_page_scrolls_sideways_on_a_phone(chromium: Any):
    if not (BUILT / "index.html").is_file():
        pytest.skip("the pages are not built: run make docs")
    pages = sorted(BUILT.rglob("*.html"))
    assert len(pages) > 20
    page, wide = chromium.new_page(viewport=PHONE), {}
    for file in pages:
        page.goto(file.as_uri(), wait_until="domcontentloaded")
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > PHONE["width"]:
            wide[file.relative_to(BUILT).as_posix()] = width
    page.close()
    assert wide == {}
