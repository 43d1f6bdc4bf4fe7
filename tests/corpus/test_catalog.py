import numpy as np
import pandas as pd
import pytest
from sdovis import study as studies
from sdovis.channels.channel import channel
from sdovis.corpus import build
from sdovis.corpus.catalog import catalog
from sdovis.corpus.observations import understand
from sdovis.errors import BadInput
from sdovis.images import isolation
from sdovis.labels import schemes as labels
from sdovis.readers.rows import RawRow


@pytest.fixture
def study(small_study):
    return studies.load(small_study)


def _raw(study, row=2, **cells) -> RawRow:
    """A good row, with some cells changed."""
    good = build.read_rows(study)[0]
    return RawRow("book.xlsx", "Regions", row, {**good.cells, **cells}, good.headings)


def _understood(study, *rows):
    return understand(study, rows, labels.scheme("mount-wilson-3"))


@pytest.mark.parametrize(
    ("text", "number"), [("11158", 11158), ("1158", 11158), ("AR 11158", 11158), ("NOAA AR11158", 11158), ("", None)]
)
def test_noaa_numbers_are_understood_as_people_write_them(study, text, number):
    (row,) = _understood(study, _raw(study, noaa_ar=text)).kept
    assert row.noaa_ar == number


@pytest.mark.parametrize("text", ["15.02.2011", "02/15/2011", "40589", "yesterday", "1995-01-01", "2211-01-01"])
def test_a_time_that_is_ambiguous_or_outside_sdo_is_a_problem(study, text):
    found = _understood(study, _raw(study, observed=text))
    assert not found.kept
    assert "2011-02-15 01:30:00" in str(found.problems[0][1])


def test_a_row_without_a_class_is_rejected_and_not_guessed(study):
    found = _understood(study, _raw(study, label=""))
    assert found.rejects[0].reason == "no class: the cell 'Mount Wilson' is empty"


def test_a_repeated_row_is_rejected_and_a_contradicting_one_is_a_problem(study):
    found = _understood(
        study, _raw(study, label="Alpha"), _raw(study, row=3, label="alpha"), _raw(study, row=4, label="Beta")
    )
    assert len(found.kept) == 1
    assert found.rejects[0].reason == "repeats row 2"
    assert "says 'beta' and row 2 says 'alpha'" in str(found.problems[0][1])


def test_every_row_becomes_an_example_a_reject_or_a_problem(study):
    rows = build.read_rows(study)
    found = catalog(study, rows, progress=False)
    assert len(found.rows) + len(found.rejects) == len(rows)
    assert found.rows["id"].is_unique


def test_rows_far_from_the_meridian_are_rejected_with_their_angle(study):
    strict = study.model_copy(update={"images": study.images.model_copy(update={"max_longitude_deg": 30.0})})
    found = catalog(strict, build.read_rows(strict), progress=False)
    assert (found.rows["longitude_deg"].abs() <= 30).all()
    assert found.rejects["reason"].str.contains("degrees from the central meridian, beyond 30").any()


def test_the_same_file_under_two_names_is_used_once(study):
    rows = build.read_rows(study)[:3]
    first = study.image_root / rows[0].text("image")
    (study.image_root / "copy.fits").write_bytes(first.read_bytes())
    again = RawRow("book", "s", 99, {**rows[0].cells, "image": "copy.fits"}, rows[0].headings)
    found = catalog(study, [*rows, again], progress=False)
    assert "the image is the same file as" in found.rejects["reason"].iloc[0]


def test_the_result_does_not_depend_on_the_number_of_workers(study):
    rows = build.read_rows(study)[:40]
    one, two = (catalog(study, rows, progress=False, workers=n).rows for n in (1, 2))
    pd.testing.assert_frame_equal(one, two)


def _real(shared_data, example: str, **more):
    from studies import ROOT

    return studies.load(
        ROOT / "examples" / example, [f"source.root={shared_data}", *(f"{k}={v}" for k, v in more.items())]
    )


def test_the_off_pointed_frame_of_the_real_archive_is_rejected_by_looking_at_it(shared_data):
    study = _real(shared_data, "aia211.toml")
    rows = [row for row in build.read_rows(study) if "201311" in row.text("image")]
    found = catalog(study, rows, progress=False)
    bad = found.rejects[found.rejects["image"] == "20131128_195937_512_0211.jpg"]
    assert len(bad) == sum(row.text("image").startswith("20131128") for row in rows)
    assert bad["reason"].str.startswith("off-pointed").all()
    assert (
        not found.rejects[found.rejects["image"] != "20131128_195937_512_0211.jpg"]["reason"].str.contains("off").any()
    )
    assert set(found.rows["label"]) == {"spotted", "plage", "quiet"}


def test_what_a_channel_loads_is_loaded_before_any_child_is_started(shared_data, monkeypatch):
    study = _real(shared_data, "aia211.toml")
    loaded = []
    imap = isolation.imap
    monkeypatch.setattr(isolation, "imap", lambda *a, **k: (loaded.extend(k["imports"]), imap(*a, **k))[1])
    rows = [row for row in build.read_rows(study) if row.text("image").startswith("201102")]
    catalog(study, rows, progress=False)
    assert set(loaded) > set(channel("aia-211-browse").imports) > set()


def test_the_real_mount_wilson_study_keeps_its_spotted_regions_and_rejects_plages(shared_data):
    study = _real(shared_data, "hmi_continuum.toml")
    rows = [row for row in build.read_rows(study) if row.text("image").startswith("201102")]
    found = catalog(study, rows, progress=False)
    assert set(found.rows["label"]) <= {"alpha", "beta", "complex"}
    plage = found.rejects["reason"] == "no class: the cell 'Mount Wilson' is empty"
    assert plage.sum() == sum(not row.text("label") for row in rows)


def test_a_row_without_a_time_has_that_of_its_image(study):
    (row,) = build.read_rows(study)[:1]
    silent = RawRow(row.file, row.sheet, row.row, {**row.cells, "observed": ""}, row.headings)
    times = [catalog(study, [raw], progress=False).rows["observed"].iloc[0] for raw in (row, silent)]
    assert times[0] == times[1]


def test_two_rows_without_a_class_for_one_region_are_both_rejected(study):
    found = _understood(study, _raw(study, label=""), _raw(study, row=3, label=""), _raw(study, row=4, label="Beta"))
    assert (len(found.kept), len(found.rejects), found.problems) == (1, 2, [])


def test_a_row_with_two_faults_is_one_reject(study):
    lenient = study.model_copy(update={"source": study.source.model_copy(update={"on_problem": "reject"})})
    rows = build.read_rows(study)
    faulty = RawRow("book", "s", 99, {**rows[0].cells, "label": "Btea", "noaa_ar": "012192"}, rows[0].headings)
    rejects = catalog(lenient, [*rows, faulty], progress=False).rejects
    (reason,) = rejects[rejects["row"] == 99]["reason"]
    assert "Btea" in reason and "012192" in reason


def test_a_position_beside_a_picture_that_is_one_region_needs_no_coordinates(study):
    from PIL import Image

    rows = build.read_rows(study)[:1]
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (96, 96), dtype=np.uint8)).save(study.image_root / "region.png")
    picture = RawRow("book", "s", 2, {**rows[0].cells, "image": "region.png"}, rows[0].headings)
    kept = catalog(study, [picture], progress=False).rows
    assert kept["longitude_deg"].iloc[0] == float(rows[0].text("longitude_deg"))


def test_every_numbered_region_of_an_image_is_a_neighbour_whatever_becomes_of_its_row(study):
    """Rejected for want of a class, repeated, or of a class that nobody knows: the region is on the Sun all the same."""
    places = {"latitude_deg": "10", "longitude_deg": "75"}
    rows = [
        _raw(study, noaa_ar="11158"),
        _raw(study, row=3, noaa_ar="1159", label="", **places),
        _raw(study, row=4, noaa_ar="11160", label="Epsilon", **places),
        _raw(study, row=5, noaa_ar="11159", label="", latitude_deg="-50", longitude_deg="0"),
        _raw(study, row=6, noaa_ar="", label=""),
        _raw(study, row=7, noaa_ar="11161", label="", latitude_deg="", longitude_deg="", x_px="", y_px=""),
    ]
    found = _understood(study, *rows)
    (numbered,) = found.numbered.values()
    assert [row.noaa_ar for row in numbered] == [11158, 11159, 11160, 11159]
    assert [row.position.on_sun for row in numbered[1:]] == [(10, 75), (10, 75), (-50, 0)]


def test_a_study_that_masks_neighbours_and_knows_of_none_is_refused(study):
    masking = study.model_copy(
        update={"images": study.images.model_copy(update={"neighbours": "mask", "cutout_arcsec": 100.0})}
    )
    nameless = [_raw(study, row=n, noaa_ar="", latitude_deg="1", longitude_deg="2") for n in (2, 3)]
    with pytest.raises(
        BadInput, match=r"no row has both a region's number and its position.*set source.columns.noaa_ar"
    ):
        catalog(masking, nameless, progress=False)


@pytest.mark.parametrize("cell", ["ask ada@noaa.gov", "/home/ada/notes", "Btea?"])
def test_a_cell_of_a_reject_stays_with_its_owner(study, cell):
    lenient = study.model_copy(update={"source": study.source.model_copy(update={"on_problem": "reject"})})
    rows = build.read_rows(study)
    faulty = RawRow("book", "s", 99, {**rows[0].cells, "label": cell}, rows[0].headings)
    rejects = catalog(lenient, [*rows, faulty], progress=False).rejects.set_index("row")
    assert cell in rejects.loc[99, "reason"]
    assert cell not in rejects.loc[99, "published"] and "'...'" in rejects.loc[99, "published"]
