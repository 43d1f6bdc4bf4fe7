"""The page with all the regions of a disc, several files and today's Sun, and as a server of the Model Context Protocol."""

from __future__ import annotations

import csv
import io
import json

import httpx
import observatory
import pytest
from observatory import Page
from regions_of import JSON, SRS
from server import free_port, started, uploads_of

PHONE = {"width": 375, "height": 800}
DESK = {"width": 1200, "height": 900}
META = {"_type": "gradio.FileData"}


@pytest.fixture(scope="module")
def sky(uploads):
    with observatory.opened() as server:
        server.pages["/disc.fits"] = Page((uploads / "disc.fits").read_bytes(), "application/fits")
        server.pages["/regions.json"] = Page(JSON.encode(), "application/json")
        yield server


@pytest.fixture(scope="module")
def served(cutout_model, sky, tmp_path_factory):
    """The address of the page, and the folder it runs in."""
    folder = tmp_path_factory.mktemp("discs")
    space = {"live": True, "live_image": f"{sky.url}/disc.fits", "live_regions": f"{sky.url}/regions.json"}
    about = {"model": "sun/m", "dataset": "sun/d", "revision": "r-0", "space": space}
    (folder / "space").mkdir()
    (folder / "space" / "space.json").write_text(json.dumps(about))
    (folder / "model").symlink_to(cutout_model)
    environment = {"SDOVIS_MODEL": str(folder), "SDOVIS_LIVE_PRIVATE": "1", "SDOVIS_MCP": "1"}
    pytest.importorskip("mcp", reason="mcp is not installed: pip install 'mcp<2'")
    with started(folder, GRADIO_SERVER_PORT=str(free_port()), **environment) as page:
        yield page(), folder


@pytest.fixture
def client(served):
    with httpx.Client(base_url=served[0], timeout=90) as client:
        yield client


@pytest.fixture
def srs(tmp_path):
    file = tmp_path / "srs.txt"
    file.write_text(SRS)
    return file


def send(page, *files):
    page.set_input_files("#sdovis-file input[type=file]", [str(file) for file in files])


def rows_of(page):
    return [row.inner_text() for row in page.wait_for_selector("[data-testid=results]").query_selector_all("tbody tr")]


def downloaded(page):
    with page.expect_download() as download:
        page.click("[data-testid=download]")
    return download.value.suggested_filename, list(csv.DictReader(io.StringIO(download.value.path().read_text())))


def overflow(page):
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


# --- people -----------------------------------------------------------------------------------------------------------


@pytest.mark.browser
def test_a_disc_with_the_list_of_its_regions_gives_all_of_them_and_a_table_to_download(visit, served, uploads, srs):
    page = visit(served[0])
    send(page, uploads / "disc.fits", srs)
    rows = rows_of(page)
    assert [row.split("\n")[0].strip() for row in rows] == ["AR 11153", "AR 11158", "AR 11160"]
    assert "NOAA: Beta-Gamma-Delta, Ekc" in rows[1] and "%" in rows[1]
    assert "more than 60 degrees" in rows[0] and "NOAA lists no spots here" in rows[0]
    name, table = downloaded(page)
    assert name == "tiny-2011-02-15.csv"
    assert [row["name"] for row in table] == ["AR 11153", "AR 11158", "AR 11160"]
    assert table[1]["label"] in rows[1] and table[1]["model"] == "sun/m@r-0"
    image = page.wait_for_selector("#sdovis-picture img")
    box = image.bounding_box()
    image.click(position={"x": box["width"] * 164.7 / 256, "y": box["height"] * 101 / 256})
    assert page.wait_for_selector("[data-testid=label]")
    assert not page.errors


@pytest.mark.browser
def test_regions_may_be_pasted_and_what_is_no_list_is_refused_in_words(visit, served, uploads):
    page = visit(served[0])
    send(page, uploads / "disc.fits")
    page.get_by_text("Click on a region in the picture").wait_for()
    page.fill("#sdovis-regions textarea", "somewhere")
    page.click("#sdovis-everywhere")
    assert "is not a position" in page.wait_for_selector("[role=alert]").inner_text()
    page.fill("#sdovis-regions textarea", SRS)
    page.click("#sdovis-everywhere")
    assert len(rows_of(page)) == 3


@pytest.mark.browser
def test_several_files_get_a_row_each(visit, served, uploads):
    page = visit(served[0])
    send(page, uploads / "region.png", uploads / "text.fits", uploads / "disc.fits")
    rows = rows_of(page)
    assert [row.split("\n")[0].strip() for row in rows] == ["region.png", "text.fits", "disc.fits"]
    assert "%" in rows[0] or "No answer" in rows[0]
    assert "not a FITS" in rows[1] and "/" not in rows[1].replace("-FITS", "")
    assert "a whole disc: send it alone" in rows[2]
    assert len(downloaded(page)[1]) == 3


@pytest.mark.browser
def test_a_list_of_regions_alone_asks_for_the_image(visit, served, srs):
    page = visit(served[0])
    send(page, srs)
    assert "send the image of the disc as well" in page.wait_for_selector("[role=alert]").inner_text()


@pytest.mark.browser
def test_todays_sun_comes_by_a_button_and_its_regions_can_be_clicked(visit, served, sky):
    page = visit(served[0])
    page.click("#sdovis-live")
    assert [row.split("\n")[0].strip() for row in rows_of(page)] == ["AR 11153", "AR 11158", "AR 11160"]
    assert "The newest image to be had is of 2011-02-15" in page.inner_text("body")
    assert "disc.fits" in page.inner_text("#sdovis-file").replace("…", "").replace("\n", "")
    image = page.wait_for_selector("#sdovis-picture img")
    box = image.bounding_box()
    image.click(position={"x": box["width"] * 164.7 / 256, "y": box["height"] * 101 / 256})
    assert page.wait_for_selector("[data-testid=label]")
    assert set(sky.asked) == {"/disc.fits", "/regions.json"} and len(sky.asked) == 2
    assert not page.errors


@pytest.mark.browser
@pytest.mark.parametrize(("viewport", "theme"), [(DESK, "light"), (DESK, "dark"), (PHONE, "dark")])
def test_nothing_stands_in_the_way_of_those_who_do_not_see_or_have_a_phone(
    viewport, theme, visit, served, uploads, srs
):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    page = visit(served[0], viewport, f"?__theme={theme}")

    def barriers():
        found = axe.Axe().run(page).response["violations"]
        return [(each["id"], each["nodes"][0]["target"]) for each in found if each["impact"] in ("serious", "critical")]

    assert not barriers()
    send(page, uploads / "disc.fits", srs)
    rows_of(page)
    page.wait_for_selector("#sdovis-picture img")
    assert not barriers()
    assert overflow(page) == 0


# --- programs ---------------------------------------------------------------------------------------------------------


def sent(client, file):
    return client.post("/gradio_api/upload", files={"files": (file.name, file.read_bytes())}).json()[0]


def test_a_program_gets_all_the_regions_of_a_disc(served, uploads, srs):
    from gradio_client import Client, handle_file

    program = Client(served[0], verbose=False)
    disc = handle_file(uploads / "disc.fits")
    pasted = program.predict(disc, regions=SRS, api_name="/classify_regions")
    listed = program.predict(disc, regions_file=handle_file(srs), api_name="/classify_regions")
    assert pasted == listed and [each["name"] for each in pasted] == ["AR 11153", "AR 11158", "AR 11160"]
    assert pasted[1]["label"] == max(pasted[1]["probabilities"], key=pasted[1]["probabilities"].get)


def test_health_says_which_model_is_ready_and_nothing_else(client):
    reply = client.get("/health")
    assert reply.status_code == 200
    assert reply.json().keys() == {"ready", "model", "revision", "sdovis"}
    assert (reply.json()["ready"], reply.json()["model"], reply.json()["revision"]) == (True, "sun/m", "r-0")
    assert client.post("/health").status_code == 404
    assert client.get("/health/x").status_code == 404


def asks(client, method, **params):
    accept = {"Accept": "application/json, text/event-stream"}
    reply = client.post(
        "/gradio_api/mcp/", json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params}, headers=accept
    )
    if reply.status_code != 200:
        return reply.status_code, reply.text
    return 200, json.loads(next(line for line in reply.text.splitlines() if line.startswith("data: "))[6:])


def test_a_program_of_the_protocol_finds_the_tools_and_calls_one(client, uploads):
    about = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    assert asks(client, "initialize", **about)[0] == 200
    names = [tool["name"] for tool in asks(client, "tools/list")[1]["result"]["tools"]]
    assert names == ["classify", "classify_regions"]
    arguments = {"file": sent(client, uploads / "disc.fits"), "regions": "N08W20, S20E10"}
    _, answer = asks(client, "tools/call", name="classify_regions", arguments=arguments)
    assert "N08W20" in str(answer) and "probabilities" in str(answer)


def test_what_the_page_forbids_its_tools_forbid_too(client, served, sky, uploads):
    """No address is asked, no file of the server read, whichever way a tool is told to."""
    asked = len(sky.asked)
    inside = uploads_of(served[1])
    for named in (
        f"{sky.url}/x.fits", {"path": f"{sky.url}/x.fits", "meta": META}, [f"{sky.url}/x.fits"], "/etc/passwd",
        f"{inside}/../../app.py", f"{sky.url}/gradio_api/file=/etc/passwd", "data:image/png;base64," + "A" * 99,
        {"path": "/etc/passwd", "url": f"{sky.url}/x.fits", "meta": META}, "file:///etc/passwd",
    ):  # fmt: skip
        for tool, arguments in (
            ("classify", {"file": named}),
            ("classify_regions", {"file": named, "regions": "N08W20"}),
            ("classify_regions", {"file": sent(client, uploads / "disc.fits"), "regions_file": named}),
        ):
            status, said = asks(client, "tools/call", name=tool, arguments=arguments)
            assert (status == 422 and "not a file that was uploaded" in said) or "not a file" in said, (named, said)
    assert len(sky.asked) == asked
    for method in ("resources/list", "resources/read", "prompts/get", "sampling/createMessage"):
        assert asks(client, method)[0] == 422
    for path in ("sse", "schema", "messages/?session_id=1", "http"):
        assert client.get(f"/gradio_api/mcp/{path}").status_code == 404
        assert client.post(f"/gradio_api/mcp/{path}", json={}).status_code == 404
    assert client.get("/gradio_api/mcp/", headers={"Accept": "text/event-stream"}).status_code == 404
    assert client.post("/gradio_api/mcp/", content=b"[" * 20_000).status_code == 422
    assert client.post("/gradio_api/mcp/", content=b" " * 70_000).status_code == 413
    assert "Traceback" not in (served[1] / "log.txt").read_text()
