"""The page as strangers meet it: started like a Space, called by gradio_client, driven in a real Chromium."""

from __future__ import annotations

import io
import json
import re
import shutil
from urllib.parse import urlparse

import numpy as np
import pytest
from saved_models import MEANINGS
from sdovis import inference
from server import free_port, started
from solar_uploads import SHARP

PHONE = {"width": 375, "height": 800}


@pytest.fixture(scope="module")
def addresses(magnetogram_model, cutout_model, composite_model, uploads, tmp_path_factory):
    """Pages started by space/app.py at once: of whole images, of cutouts, of a model that cannot be had, of composites."""
    regions, cutouts, nothing, composites = (tmp_path_factory.mktemp("space") for _ in range(4))
    (regions / "examples").mkdir()
    shutil.copy(uploads / "region.fits", regions / "examples")
    (nothing / "space.json").write_text(json.dumps({"model": "sun/private", "dataset": "sun/d", "revision": "r-0"}))
    with (
        started(regions, SDOVIS_MODEL=str(magnetogram_model), GRADIO_SERVER_PORT=str(free_port())) as first,
        started(cutouts, SDOVIS_MODEL=str(cutout_model), GRADIO_SERVER_PORT=str(free_port())) as second,
        # Port 9 is discard: nobody answers there.
        started(
            nothing, HF_HUB_OFFLINE="0", HF_ENDPOINT="http://127.0.0.1:9", GRADIO_SERVER_PORT=str(free_port())
        ) as third,
        started(composites, SDOVIS_MODEL=str(composite_model), GRADIO_SERVER_PORT=str(free_port())) as fourth,
    ):
        yield first(), second(), third(), fourth()


@pytest.fixture
def address(addresses):
    """The page of the magnetogram model, with one example."""
    return addresses[0]


@pytest.fixture
def disc_address(addresses):
    """The page of a model that reads cutouts."""
    return addresses[1]


@pytest.fixture
def composite_address(addresses):
    """The page of a model that sees three channels."""
    return addresses[3]


def send(page, file):
    page.set_input_files("#sdovis-file input[type=file]", str(file))


def label_of(page):
    return page.wait_for_selector("[data-testid=label]").inner_text()


def picture(page, selector):
    """The pixels (H, W, 3) of an image on the page, as the server sent them."""
    from PIL import Image

    shown = page.wait_for_selector(f"{selector} img")
    page.wait_for_function("image => image.complete && image.naturalWidth > 0", arg=shown)
    data = page.request.get(shown.get_attribute("src")).body()
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def overflow(page):
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


# --- programs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["region.fits", "region.png"])
def test_the_named_endpoint_gives_what_the_pipeline_gives(name, address, magnetogram_model, uploads):
    from gradio_client import Client, handle_file

    answer = Client(address, verbose=False).predict(handle_file(uploads / name), api_name="/classify")
    expected = inference.pipeline(magnetogram_model)(str(uploads / name), top_k=3)
    assert answer["label"] == expected[0]["label"]
    assert answer["probabilities"] == {entry["label"]: entry["score"] for entry in expected}


def test_the_two_named_endpoints_are_the_only_public_ones_and_the_position_is_optional(disc_address):
    from gradio_client import Client

    endpoints = Client(disc_address, verbose=False).view_api(return_format="dict")["named_endpoints"]
    assert list(endpoints) == ["/classify", "/classify_regions"]
    optional = {p["parameter_name"]: p["parameter_has_default"] for p in endpoints["/classify"]["parameters"]}
    assert optional == {"file": False, "latitude_deg": True, "longitude_deg": True}


def test_a_program_gets_errors_in_words_without_folders_or_tracebacks(address, disc_address, uploads):
    from gradio_client import Client, handle_file
    from gradio_client.exceptions import AppError

    for where, file, words in (
        (address, "text.fits", "text.fits: not a FITS"),
        (disc_address, "disc.fits", "send latitude_deg and longitude_deg"),
    ):
        with pytest.raises(AppError, match=words) as caught:
            Client(where, verbose=False).predict(handle_file(uploads / file), api_name="/classify")
        assert "Traceback" not in str(caught.value) and "/" not in str(caught.value).replace("-FITS", "")


def test_a_program_may_say_where_the_region_lies(disc_address, uploads):
    from gradio_client import Client, handle_file

    client = Client(disc_address, verbose=False)
    answer = client.predict(handle_file(uploads / "disc.fits"), latitude_deg=8, longitude_deg=20, api_name="/classify")
    assert answer["facts"]["Position"].startswith("N8.0 W20.0")
    assert sum(answer["probabilities"].values()) == pytest.approx(1)


def test_a_program_sends_three_files_in_any_order(composite_address, composite_model, uploads):
    from gradio_client import Client, handle_file

    files = [uploads / f"hmi.sharp_cea_720s.377.20110215_020000_TAI.{name}.fits" for name in SHARP]
    client = Client(composite_address, verbose=False)
    answer = client.predict([handle_file(file) for file in files[::-1]], api_name="/classify")
    expected = inference.pipeline(composite_model)(tuple(files), top_k=3)
    assert answer["probabilities"] == {entry["label"]: entry["score"] for entry in expected}


def test_a_file_of_the_server_cannot_be_named_as_an_upload(address):
    import httpx

    call = f"{address}/gradio_api/call/classify"
    data = [{"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}, None, None]
    reply = httpx.post(call, json={"data": data})
    assert reply.status_code == 422
    assert "file: not a file that was uploaded to this server" in reply.json()["error"]


def test_a_file_that_is_too_large_is_refused_by_the_server(address):
    import httpx

    files = {"files": ("big.fits", io.BytesIO(b"0" * (81 * 2**20)))}
    assert httpx.post(f"{address}/gradio_api/upload", files=files, timeout=60).status_code == 413


# --- people -----------------------------------------------------------------------------------------------------------


@pytest.mark.browser
@pytest.mark.parametrize("name", ["region.fits", "region.png"])
def test_an_upload_shows_label_meanings_picture_and_overlay(name, visit, address, magnetogram_model, uploads):
    page = visit(address)
    send(page, uploads / name)
    best = inference.pipeline(magnetogram_model)(str(uploads / name), top_k=3)[0]
    assert label_of(page) == f"{best['label']} {100 * best['score']:.1f} %"
    text = page.inner_text("body")
    assert all(meaning in text for meaning in MEANINGS.values())
    image, overlay = picture(page, "#sdovis-picture"), picture(page, "#sdovis-overlay")
    assert image.shape == overlay.shape
    reddish = image[..., 0] - image[..., 2] > 80  # one polarity in hmimag, of the spot at x = 42 of 64
    bluish = image[..., 2] - image[..., 0] > 80
    assert reddish.any() and bluish.any()
    glow = overlay[..., 0] - overlay[..., 2]
    assert glow.max() > 60 and glow.min() == 0  # bright at the most attended patch, grey at the least
    assert not page.errors


@pytest.mark.browser
def test_the_header_is_shown_as_text_whatever_it_says(visit, address, uploads):
    page = visit(address)
    send(page, uploads / "region.fits")
    label_of(page)
    facts = page.inner_text(".sdovis-facts")
    for fact in ("SDO/HMI <b>", "HMI_SIDE1", "2011-02-15 00:00:03", "6173 Å", "11158", "2″ per pixel"):
        assert fact in facts


@pytest.mark.browser
def test_a_text_file_named_fits_is_refused_in_words_and_the_next_file_works(visit, address, uploads):
    page = visit(address)
    send(page, uploads / "text.fits")
    said = page.wait_for_selector("[role=alert]").inner_text()
    assert "text.fits: not a FITS" in said
    assert "Traceback" not in page.inner_text("body")
    page.click("#sdovis-file button[aria-label='Remove this file'], #sdovis-file button[aria-label='Clear']")
    page.wait_for_selector("[role=alert]", state="detached")
    send(page, uploads / "region.fits")
    assert label_of(page)


@pytest.mark.browser
def test_three_files_sent_together_get_one_answer_and_two_a_clear_word(
    visit, composite_address, composite_model, uploads
):
    files = [uploads / f"hmi.sharp_cea_720s.377.20110215_020000_TAI.{name}.fits" for name in SHARP]
    page = visit(composite_address)
    assert "Send the 3 files together, in any order" in page.inner_text("body")
    page.set_input_files("#sdovis-file input[type=file]", [str(file) for file in files[:2]])
    said = page.wait_for_selector("[role=alert]").inner_text()
    assert "2 file(s), but the model takes 3 channels" in said
    page = visit(composite_address)
    page.set_input_files("#sdovis-file input[type=file]", [str(file) for file in files[::-1]])
    best = inference.pipeline(composite_model)(tuple(files), top_k=3)[0]
    assert label_of(page) == f"{best['label']} {100 * best['score']:.1f} %"
    assert "hmi.sharp_cea_720s.377.20110215_020000_TAI.Br.fits" in page.inner_text(".sdovis-facts")
    assert picture(page, "#sdovis-overlay").shape[:2] == picture(page, "#sdovis-picture").shape[:2]
    assert not page.errors


@pytest.mark.browser
def test_an_example_is_tried_by_a_click(visit, address):
    page = visit(address)
    page.click("#sdovis-examples button.thumbnail-item")
    assert label_of(page)
    assert "region.fits" in page.inner_text("#sdovis-file").replace("…", "").replace("\n", "")


@pytest.mark.browser
def test_on_a_phone_nothing_scrolls_sideways(visit, address, disc_address, uploads):
    for where, file in ((address, "region.fits"), (disc_address, "disc.fits")):
        page = visit(where, PHONE)
        assert overflow(page) == 0
        send(page, uploads / file)
        page.wait_for_selector("#sdovis-picture img")
        page.get_by_text("The same from Python").click()
        page.wait_for_selector(".cm-content >> visible=true")
        assert overflow(page) == 0


@pytest.mark.browser
def test_light_and_dark_are_both_readable(visit, address, uploads):
    def brightness(page, selector, name):
        colour = page.evaluate(f"getComputedStyle(document.querySelector('{selector}')).{name}")
        return np.mean([float(part) for part in re.findall(r"[\d.]+", colour)[:3]])

    for query, dark in (("?__theme=light", False), ("?__theme=dark", True)):
        page = visit(address, query=query)
        send(page, uploads / "region.png")
        label_of(page)
        for selector in (".sdovis-answer", ".sdovis-class p", ".sdovis-head h1"):
            ink = brightness(page, selector, "color")
            paper = brightness(page, "gradio-app", "backgroundColor")
            assert bool(ink > paper) is dark
            assert abs(ink - paper) > 90


@pytest.mark.browser
def test_the_page_asks_nobody_but_its_own_server(visit, address, uploads):
    page = visit(address)
    send(page, uploads / "region.fits")
    label_of(page)
    page.wait_for_load_state("networkidle")
    hosts = {urlparse(url).hostname for url in page.asked if url.startswith(("http", "ws"))}
    assert hosts == {"127.0.0.1"}


@pytest.mark.browser
def test_simulated_data_limits_and_snippet_are_on_the_page(visit, address, disc_address):
    page = visit(address)
    page.get_by_text("A demonstration, not a forecast").wait_for()  # the last part of the page to be drawn
    assert "Simulated data" in page.inner_text("body")
    page = visit(disc_address)
    page.get_by_text("A demonstration, not a forecast").wait_for()
    assert "Simulated data" not in page.inner_text("body")
    page.get_by_text("The same from Python").click()
    page.wait_for_selector(".cm-content >> visible=true")
    assert "sdovis.pipeline(" in page.inner_text("body")


@pytest.mark.browser
def test_a_click_on_a_full_disc_classifies_the_region_there(visit, disc_address, uploads):
    page = visit(disc_address)
    send(page, uploads / "disc.fits")
    page.get_by_text("Click on a region in the picture").wait_for()
    assert page.query_selector("[data-testid=label]") is None
    image = page.wait_for_selector("#sdovis-picture img")
    box = image.bounding_box()
    image.click(position={"x": box["width"] * 160.5 / 256, "y": box["height"] * 100.5 / 256})
    assert label_of(page)
    position = re.search(r"([NS])([\d.]+) ([EW])([\d.]+)", page.inner_text(".sdovis-facts"))
    assert position[1] + position[3] == "NW"
    assert picture(page, "#sdovis-overlay").shape[0] == picture(page, "#sdovis-overlay").shape[1]
    page.get_by_label("Latitude").fill("-10")
    page.get_by_label("Longitude").fill("-30")
    page.get_by_role("button", name="Classify here").click()
    page.get_by_text("S10.0 E30.0").wait_for()


@pytest.mark.browser
def test_a_model_that_cannot_be_had_leaves_a_page_that_says_what_is_missing(chromium, addresses):
    page = chromium.new_page()
    page.goto(addresses[2])
    said = page.wait_for_selector("[role=alert]").inner_text()
    page.close()
    assert "the model sun/private at revision r-0 cannot be downloaded" in said
