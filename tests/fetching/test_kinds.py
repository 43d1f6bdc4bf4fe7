"""`sdovis fetch srs | images | sharp | harps`: each kind of file, in its archive's layout, over bad lines."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from fetching import simulated_sun as sun
from fetching.archive import LoopbackArchive
from fetching.ftp_archive import FtpArchive
from jpeg2000_files import jp2
from PIL import Image
from sdovis.cli import run_command
from sdovis.images.images import read_image
from sdovis.images.keywords import Keywords
from sdovis.readers.joins import read_harps
from sdovis.sun.archives import read_archive
from sun.summaries import ROW, SUMMARY

REGIONS = [{"observed_date": "2026-11-27", "region": 14300, "location": "N12W34", "area": 90, "mag_class": "B"}]
HARPS = "HARPNUM NOAA_ARS\n1 11067\n377 11158\n393 11160,11166\n"


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch, impatient: None, tmp_path: Path) -> Iterator[LoopbackArchive]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JSOC_EMAIL", "ada@example.org")
    monkeypatch.setattr("sdovis.fetching.courier.Courier.rest", lambda self, seconds: None)
    with LoopbackArchive(share=0.15, seed=11) as made:
        for name, base in {
            "SRS": "srs",
            "SWPC": "swpc",
            "BROWSE": "browse",
            "HELIOVIEWER": "hv",
            "JSOC": "jsoc",
        }.items():
            monkeypatch.setenv(f"SDOVIS_FETCH_{name}", f"{made.address}{base}/")
        yield made


def fetch(*arguments: str, code: int = 0) -> dict[str, dict[str, object]]:
    """Run the verb at full speed into the folder ``out``; the files of its record."""
    assert run_command(["fetch", *arguments, "-o", "out"]) == code
    record = Path("out", "fetched.json")
    return json.loads(record.read_text())["files"] if record.is_file() else {}


def march(first: int, last: int) -> tuple[str, ...]:
    return "--from", f"2012-03-{first:02d}", "--to", f"2012-03-{last:02d}"


def tar(texts: dict[str, str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, text in texts.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()


def test_summaries_by_day_are_what_the_reader_takes(archive):
    for day in (14, 15, 16):
        text = SUMMARY.format(spotted=ROW, plage="None", returning="None").replace("15 Feb", f"{day} Feb")
        archive.files[f"/srs/2011/02/201102{day}SRS.txt"] = text.replace("14/2400Z", f"{day - 1}/2400Z").encode()
    files = fetch("srs", "--from", "2011-02-14", "--to", "2011-02-15")
    assert list(files) == [f"srs/201102{day}SRS.txt" for day in (14, 15, 16)]
    assert len(read_archive(Path("out", "srs")).summaries) == 3


def test_summaries_by_year_come_by_ftp(archive, monkeypatch):
    packed = tar({"2011_SRS/20110215SRS.txt": SUMMARY.format(spotted=ROW, plage="None", returning="None")})
    with FtpArchive({"/pub/warehouse/2011/2011_SRS.tar.gz": packed}, cut_after=100) as warehouse:
        monkeypatch.setenv("SDOVIS_FETCH_SRS_YEARS", f"{warehouse.address}pub/warehouse/")
        files = fetch("srs", "--by", "years", "--from", "2011-02-14", "--to", "2011-02-15")
    assert list(files) == ["srs/2011_SRS.tar.gz"] and files["srs/2011_SRS.tar.gz"]["bytes"] == len(packed)
    assert len(read_archive(Path("out", "srs")).summaries) == 1


def test_without_days_srs_is_swpcs_list_of_today(archive):
    archive.files["/swpc/json/solar_regions.json"] = json.dumps(REGIONS).encode()
    fetch("srs")
    assert json.loads(Path("out", "solar_regions.json").read_text()) == REGIONS


def test_harps(archive):
    archive.files["/jsoc/doc/data/hmi/harpnum_to_noaa/all_harps_with_noaa_ars.txt"] = HARPS.encode()
    fetch("harps")
    assert read_harps(Path("out", "all_harps_with_noaa_ars.txt"))[11158] == (377,)


def jpeg(seed: int) -> bytes:
    made = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (64, 64), np.uint8)).save(made, "JPEG")
    return made.getvalue()


def test_browse_images_are_those_nearest_to_the_cadence(archive, capsys):
    """Of two sizes and products, at irregular times; one slot has none, and its day has a folder without any."""
    for n, time in enumerate(
        ("20120301_000730", "20120301_115500", "20120301_121000", "20120302_003000", "20120302_235900")
    ):
        for side, product in ((1024, "HMIB"), (512, "HMIB"), (1024, "0171")):
            archive.files[f"/browse/{time[:4]}/{time[4:6]}/{time[6:8]}/{time}_{side}_{product}.jpg"] = jpeg(n)
    archive.list_folders("/browse/")
    options = ("images", "--channel", "hmi-magnetogram-browse", *march(1, 3))
    assert run_command(["fetch", *options, "-o", "out", "--dry-run"]) == 0
    said = capsys.readouterr().out
    files = fetch(*options)
    names = [
        f"images/{time}_1024_HMIB.jpg"
        for time in ("20120301_000730", "20120301_115500", "20120302_003000", "20120302_235900")
    ]
    assert list(files) == names
    total = sum(int(str(each["bytes"])) for each in files.values())
    assert f"to load: 4 files, {total / 1000:.1f} kB\n" in said
    assert (
        "NASA/GSFC, SDO browse images does not have HMIB, 1024 px, within 60 min of 2012-03-02 12:00 and 1 more" in said
    )
    assert read_image(Path("out", names[0])).format == "JPEG"


def test_helioviewers_images_are_loaded_by_number_and_opened(archive):
    times = [datetime(2012, 3, 1, hour, 0, 13, tzinfo=UTC) for hour in (0, 12)]
    images = {
        time: jp2(
            np.full((190, 201), 90 + n, np.uint8),
            T_OBS=(time + timedelta(seconds=34)).strftime("%Y.%m.%d_%H:%M:%S_TAI"),
        )
        for n, time in enumerate(times)
    }
    archive.helioviewer(images, 19)
    files = fetch("images", "--channel", "hmi-magnetogram-browse", "--archive", "helioviewer", *march(1, 1))
    assert list(files) == [f"images/2012_03_01__{h:02d}_00_13__SDO_HMI_HMI_magnetogram.jp2" for h in (0, 12)]
    first = read_image(Path("out", next(iter(files))))
    assert first.format == "JPEG2000" and first.observed == times[0]


def test_an_image_of_another_time_than_its_name_says_is_refused(archive, capsys):
    """The archive answers for 12:00 with the file of the day before."""
    archive.share = 0.0
    archive.helioviewer({datetime(2012, 3, 1, 12, tzinfo=UTC): jp2(np.zeros((190, 201), np.uint8))}, 19)
    fetch("images", "--channel", "hmi-magnetogram-browse", "--archive", "helioviewer", "--cadence", "24",
          "--from", "2012-03-01", "--to", "2012-03-01")  # fmt: skip
    assert "does not have HMI magnetogram within 60 min of 2012-03-01 00:00" in capsys.readouterr().err
    files = fetch("images", "--channel", "hmi-magnetogram-browse", "--archive", "helioviewer", *march(1, 1), code=3)
    assert not files
    assert "holds an image of 2014-03-01 00:00:50, not of 2012-03-01 12:00:00" in capsys.readouterr().err


def test_aias_full_discs_are_found_in_an_export_by_jsocs_own_names(archive, discs):
    """The image is the simulator's magnetogram of that time; what matters are the names."""
    (data, *_) = sun.magnetograms(discs).values()
    records = {"aia.lev1_euv_12s[2012-03-01T00:00:02Z][171]": {"image": data["magnetogram"]}}
    exports = archive.jsoc(records, {name: {"T_REC": "2012-03-01T00:00:02Z"} for name in records})
    files = fetch("images", "--channel", "aia-171", *march(1, 1), "--cadence", "24")
    assert list(files) == ["images/aia.lev1_euv_12s.20120301T000002Z.171.image.fits"]
    assert exports.requests[0]["ds"] == "aia.lev1_euv_12s[2012-03-01T00:00:00Z/1d@24h][171]{image}"


def sharps(discs: Path) -> dict[str, dict[str, bytes]]:
    """Two cutouts of HARP 377, one of another: any image will do."""
    found = list(sun.magnetograms(discs).items())[:3]
    harps = (377, 377, 401)
    return {
        name.replace("hmi.M_720s", f"hmi.sharp_cea_720s[{harp}]"): {
            "magnetogram": data["magnetogram"],
            "bitmap": data["magnetogram"],
        }
        for harp, (name, data) in zip(harps, found, strict=True)
    }


@pytest.mark.parametrize("protocol", ["fits", "as-is"])
def test_sharps_come_by_harp_and_time_both_ways(archive, discs, protocol):
    records = sharps(discs)
    keywords = {name: {"T_REC": name[-24:-1], "HARPNUM": name.split("[")[1].rstrip("]")} for name in records}
    exports = archive.jsoc(records, keywords)
    files = fetch("sharp", "--harp", "377", *march(1, 5), "--cadence", "48", "--segments", "magnetogram,bitmap",
                  "--protocol", protocol)  # fmt: skip
    names = [f"sharp/hmi.sharp_cea_720s.377.201203{day}_000000_TAI.{segment}.fits"
             for day in ("01", "03") for segment in ("bitmap", "magnetogram")]  # fmt: skip
    assert [path for path in files if path.endswith(".fits")] == names
    assert files[names[0]]["record"] and len(exports.requests) == (protocol == "fits")
    assert Path("out", names[1]).read_bytes() == next(iter(records.values()))["magnetogram"]
    if protocol == "as-is":
        assert Keywords.read(Path("out", "sharp_keywords.csv")).cards_of(names[1])["HARPNUM"] == 377


def test_a_damaged_fits_file_is_found_by_its_own_sum(archive, discs, capsys):
    """It opens, but its header's DATASUM is not that of its data: the first time it was damaged on its way."""
    from astropy.io import fits

    archive.share = 0.0
    made = io.BytesIO()
    hdu = fits.PrimaryHDU(np.arange(64 * 64, dtype=np.float32).reshape(64, 64))
    hdu.header["BUNIT"] = "Gauss"
    hdu.writeto(made, checksum=True)
    good = made.getvalue()
    bad = bytearray(good)
    bad[2880 + 50] ^= 1
    records = {"hmi.M_720s[2012.03.01_00:00:00_TAI]": {"magnetogram": bytes(bad)}}
    archive.jsoc(records, sun.keywords(records))
    options = ("images", "--channel", "hmi-magnetogram", *march(1, 1), "--cadence", "24", "--protocol", "as-is")
    fetch(*options, code=3)
    assert "the DATASUM of its HDU 0 is not that of its data" in capsys.readouterr().err
    (path,) = (path for path, data in archive.files.items() if data == bytes(bad))
    archive.files[path] = good
    files = fetch(*options)
    assert Path("out", "images", "hmi.M_720s.20120301_000000_TAI.magnetogram.fits").read_bytes() == good
    assert len(files) == 3, "the image, JSOC's answer, and the table of keywords"


def test_what_is_there_and_was_not_fetched_is_left_as_it_is(archive, capsys):
    archive.files["/jsoc/doc/data/hmi/harpnum_to_noaa/all_harps_with_noaa_ars.txt"] = HARPS.encode()
    mine = Path("out", "all_harps_with_noaa_ars.txt")
    mine.parent.mkdir()
    mine.write_text("my own")
    assert not fetch("harps")
    assert mine.read_text() == "my own"
    assert "1 files are there and were not fetched: they are left as they are" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (
            ("sharps",),
            "'sharps' is neither a study file nor one of srs, flares, images, sharp, harps; did you mean 'sharp'?",
        ),
        (("images", *march(1, 2)), "which channel?"),
        (("images", "--channel", "aia-172-browse", *march(1, 2)), "did you mean 'aia-171-browse'?"),
        (("images", "--channel", "hmi-br", *march(1, 2)), "JSOC has no full discs for the channel 'hmi-br'"),
        (("images", "--channel", "hmi-magnetogram"), "images needs --from and --to"),
        (("images", "--from", "2012-03-01"), "--from and --to go together"),
        (("flares", *march(9, 2)), "--to 2012-03-02 lies before --from 2012-03-09"),
        (("sharp", *march(1, 2)), "which HARP?"),
        (("sharp", "--harp", "377", "--segments", "bz", *march(1, 2)), "SHARPs have no segment 'bz'"),
        (("srs", "--channel", "aia-171", *march(1, 2)), "--channel means nothing for srs; leave it out"),
        (("harps", *march(1, 2)), "--from means nothing for harps"),
        (("images", "--harp", "377", *march(1, 2)), "--harp means nothing for images"),
        (("flares", "--set", "study.seed=1", *march(1, 2)), "--set means nothing for flares"),
        (("study.toml", "--cadence", "3"), "--cadence means nothing for a study; a study says it in [source.fetch]"),
        (("srs", "--by", "month", *march(1, 2)), "--by 'month' is unknown; choose one of days, years"),
    ],
)
def test_a_wish_that_makes_no_sense_is_one_line_and_nothing_is_asked(archive, capsys, options, why):
    fetch(*options, code=2)
    assert why in capsys.readouterr().err
    assert not archive.seen and not Path("out").exists()
