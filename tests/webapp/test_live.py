"""Today's Sun: from a server that has it, and from servers that are slow, wrong, huge, absent or lead elsewhere."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import observatory
import pytest
from observatory import Page
from regions_of import JSON
from sdovis.channels.channel import channel
from sdovis.channels.view import View
from sdovis.study import Space
from sdovis.webapp import live, reach
from sdovis.webapp.live import Live, LiveAddresses
from sdovis.webapp.reach import Unreachable, WebFile

AIA = View((channel("aia-211-browse"),), cutout_arcsec=300.0, center_px=(255.5, 255.5), arcsec_per_px=4.8)
HMI = View((channel("hmi-magnetogram"),), cutout_arcsec=216.0)
NOW = datetime.now(UTC)
JPEG = b"\xff\xd8\xff" + bytes(500)


@pytest.fixture
def sky():
    with observatory.opened() as server:
        yield server


def asked(url, seconds=10.0, max_bytes=2**20, private=True, types=("image/*",)):
    return WebFile(url, types, max_bytes, seconds, private)


def today(where, folder):
    return asyncio.run(Live(where, folder).today())


# --- one file ---------------------------------------------------------------------------------------------------------


def test_a_file_comes_with_the_time_that_its_server_says(sky):
    sky.pages["/sun.jpg"] = Page(JPEG, "image/jpeg", headers={"Last-Modified": "Tue, 15 Feb 2011 01:30:00 GMT"})
    got = reach.get(asked(f"{sky.url}/sun.jpg"))
    assert (got.content, got.written) == (JPEG, datetime(2011, 2, 15, 1, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (Page(JPEG, "text/html"), "sends text/html, and not image"),
        (Page(JPEG, ""), "something without a type"),
        (Page(b"", "image/jpeg", 500), "status 500"),
        (Page(b"", "image/jpeg"), "sent nothing"),
        (Page(bytes(2**21), "image/jpeg"), "more than 1 MB"),
        (Page(JPEG, "image/jpeg", part=True), "cannot be reached|only a part"),
        (Page(JPEG, "image/jpeg", headers={"Content-Encoding": "gzip"}), "packed"),
        (Page(status=302, headers={"Location": "/again"}), "redirects more than 3 times"),
        (Page(status=302, headers={"Location": "file:///etc/passwd"}), "only addresses that begin with http"),
        (Page(status=302, headers={"Location": "http://a:b@127.0.0.1/"}), "password"),
    ],
)  # fmt: skip
def test_a_wrong_answer_is_refused_in_words(page, words, sky):
    sky.pages["/x"] = page
    sky.pages["/again"] = Page(status=302, headers={"Location": "/again"})
    with pytest.raises(Unreachable, match=words):
        reach.get(asked(f"{sky.url}/x"))


def test_a_server_that_is_silent_or_drips_is_left_in_time(sky):
    sky.pages["/silent"] = Page(JPEG, "image/jpeg", silent_s=30)
    sky.pages["/drips"] = Page(JPEG, "image/jpeg", drip_s=0.3)
    for path in ("silent", "drips"):
        began = time.monotonic()
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1 took longer than 2 s"):
            reach.get(asked(f"{sky.url}/{path}", seconds=2.0))
        assert time.monotonic() - began < 20


def test_private_addresses_are_not_asked_unless_the_owner_allows_it(sky):
    sky.pages["/sun.jpg"] = Page(JPEG, "image/jpeg")
    port = sky.server_port
    for name in ("127.0.0.1", "localhost", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "10.0.0.1"):
        with pytest.raises(Unreachable, match=r"private address|cannot be reached"):
            reach.get(asked(f"http://{name}:{port}/sun.jpg", private=False))
    assert not sky.asked


def test_a_public_address_may_not_lead_to_a_private_one(sky, monkeypatch):
    """As the child sees it: the first name is public, what it redirects to is not."""
    sky.pages["/public"] = Page(status=302, headers={"Location": f"http://127.0.0.1:{sky.server_port}/inside"})
    sky.pages["/inside"] = Page(JPEG, "image/jpeg")
    real = reach.ipaddress.ip_address
    seen = []

    def judged(text):
        seen.append(text)
        return real("8.8.8.8") if len(seen) == 1 else real(text)

    monkeypatch.setattr(reach.ipaddress, "ip_address", judged)
    found = reach._get(asked(f"{sky.url}/public", private=False))
    assert "127.0.0.1 is a private address" in found
    assert sky.asked == ["/public"]


def test_an_absent_server_is_said_to_be_absent():
    with observatory.opened() as server:
        gone = server.url
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1 cannot be reached: ConnectError"):
        reach.get(asked(f"{gone}/sun.jpg"))
    with pytest.raises(Unreachable, match="cannot be reached"):
        reach.get(asked("http://no-such-host.invalid/sun.jpg"))


# --- the newest image -------------------------------------------------------------------------------------------------


def index(*names):
    return Page("".join(f'<a href="{name}">{name}</a>' for name in names).encode())


def pictures(server, day, *times):
    """A folder as NASA's: pictures of that day, of another channel and size among them."""
    folder = f"/{day:%Y/%m/%d}/"
    names = [f"{day:%Y%m%d}_{time}_512_0211.jpg" for time in times]
    strangers = [f"{day:%Y%m%d}_235959_512_0193.jpg", f"{day:%Y%m%d}_235959_1024_0211.jpg", "?C=M;O=A"]
    strangers += [f"{there}20300101_000000_512_0211.jpg" for there in ("../", "http://elsewhere.invalid/")]
    server.pages[folder] = index(*names, *strangers)
    for name in names:
        server.pages[folder + name] = Page(JPEG, "image/jpeg")


def addresses(server):
    return LiveAddresses(f"{server.url}/%Y/%m/%d/*_512_0211.jpg", f"{server.url}/regions.json", private=True)


def test_the_newest_picture_of_the_channel_is_taken_with_the_days_regions(sky, tmp_path):
    pictures(sky, NOW, "000010", "000110", "000040")
    sky.pages["/regions.json"] = Page(JSON.encode(), "application/json")
    found = today(addresses(sky), tmp_path)
    assert found.image.name == f"{NOW:%Y%m%d}_000110_512_0211.jpg" and found.image.read_bytes() == JPEG
    assert found.regions.name == "regions.json" and found.regions.read_text() == JSON
    assert not found.notes


def test_early_in_the_day_yesterdays_newest_is_taken(sky, tmp_path):
    day = NOW - timedelta(days=1)
    pictures(sky, day, "234510")
    sky.pages[f"/{NOW:%Y/%m/%d}/"] = index()
    assert today(addresses(sky), tmp_path).image.name == f"{day:%Y%m%d}_234510_512_0211.jpg"


def test_an_image_without_a_time_of_its_own_takes_its_servers_and_says_so(sky, tmp_path):
    sky.pages["/latest.jpg"] = Page(JPEG, "image/jpeg", headers={"Last-Modified": "Tue, 15 Feb 2011 01:30:00 GMT"})
    found = today(LiveAddresses(f"{sky.url}/latest.jpg", f"{sky.url}/absent", private=True), tmp_path)
    assert found.image.name == "20110215_013000_latest.jpg"
    assert "its server wrote it at 2011-02-15 01:30 UTC" in found.notes[0]
    assert "newest image to be had is of 2011-02-15" in found.notes[1]
    assert found.regions is None and "could not be had: 127.0.0.1 answers with status 404" in found.notes[2]
    sky.pages["/latest.jpg"] = Page(JPEG, "image/jpeg")
    with pytest.raises(Unreachable, match="does not say when its image was taken"):
        today(LiveAddresses(f"{sky.url}/latest.jpg", "", private=True), tmp_path)


def test_many_visitors_ask_once_and_a_failure_is_remembered_for_a_moment(sky, tmp_path):
    pictures(sky, NOW, "000010")

    async def many(page):
        return await asyncio.gather(*(page.today() for _ in range(9)), return_exceptions=True)

    assert len({found.image for found in asyncio.run(many(Live(addresses(sky), tmp_path)))}) == 1
    assert len(sky.asked) == 3  # the folder, the picture, the regions, which are absent
    sky.asked.clear()

    async def twice(page):
        return [*await many(page), *await many(page)]

    found = asyncio.run(twice(Live(LiveAddresses(f"{sky.url}/absent.fits", private=True), tmp_path)))
    assert len(found) == 18 and all(isinstance(each, Unreachable) for each in found)
    assert sky.asked == ["/absent.fits"]


# --- who may ----------------------------------------------------------------------------------------------------------


def test_nothing_is_asked_unless_the_study_or_the_environment_allows_it():
    assert "has not allowed" in live.addresses(AIA, Space(), {}).why_not
    assert not live.addresses(AIA, Space(live=True), {}).why_not
    assert not live.addresses(AIA, Space(), {"SDOVIS_LIVE": "1"}).why_not
    assert "has not allowed" in live.addresses(AIA, Space(live=True), {"SDOVIS_LIVE": "0"}).why_not


def test_addresses_come_from_the_environment_the_study_or_what_is_known_of_the_channel():
    known = live.addresses(AIA, Space(live=True), {})
    assert known.image == "https://sdo.gsfc.nasa.gov/assets/img/browse/%Y/%m/%d/*_512_0211.jpg"
    assert known.regions == "https://services.swpc.noaa.gov/json/solar_regions.json" and not known.private
    study = Space(live=True, live_image="https://a/x.jpg", live_regions="https://a/srs.txt")
    assert live.addresses(AIA, study, {}).image == "https://a/x.jpg"
    environment = {"SDOVIS_LIVE_IMAGE": "https://b/y.jpg", "SDOVIS_LIVE_PRIVATE": "1"}
    found = live.addresses(AIA, study, environment)
    assert (found.image, found.regions, found.private) == ("https://b/y.jpg", "https://a/srs.txt", True)


def test_a_browse_picture_is_never_taken_for_physical_values():
    assert "No address is known that has today's image of HMI" in live.addresses(HMI, Space(live=True), {}).why_not
    assert not live.addresses(HMI, Space(live=True, live_image="https://a/x.fits"), {}).why_not
