"""Archives of summaries are read without unpacking, and bounded before anything is believed."""

from __future__ import annotations

import io
import tarfile
from datetime import timedelta
from pathlib import Path

import pytest
from sdovis.errors import BadInput
from sdovis.sun import archives
from sdovis.sun.archives import read_archive
from sun.summaries import ROW, SUMMARY

TEXT = SUMMARY.format(spotted=ROW, plage="None", returning="None")


def _tar(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def test_a_folder_of_texts_and_year_archives_is_read_in_order_of_time(tmp_path):
    folder = tmp_path / "srs"
    folder.mkdir()
    later = TEXT.replace("15 Feb 2011", "16 Feb 2011").replace("14/2400Z", "15/2400Z")
    _tar(folder / "2011_SRS.tar.gz", {"SRS/20110216SRS.txt": later.encode(), "SRS/readme.md": b"x"})
    (folder / "20110215SRS.txt").write_bytes(TEXT.replace("\n", "\r\n").encode())
    found = read_archive(folder)
    assert [s.file for s in found.summaries] == ["srs/20110215SRS.txt", "srs/2011_SRS.tar.gz/SRS/20110216SRS.txt"]
    assert [[region.line for region in s.regions] for s in found.summaries] == [[11], [11]]
    assert read_archive(folder / "2011_SRS.tar.gz").summaries[0].regions == found.summaries[1].regions
    assert sorted(p.name for p in folder.iterdir()) == ["20110215SRS.txt", "2011_SRS.tar.gz"]


def test_a_text_that_is_no_summary_is_a_remark(tmp_path):
    (tmp_path / "a.txt").write_text(TEXT)
    (tmp_path / "notes.txt").write_text("remember the milk")
    found = read_archive(tmp_path, "srs")
    assert len(found.summaries) == 1
    assert [remark.file for remark in found.remarks] == ["srs/notes.txt"]


def test_links_in_an_archive_are_passed_over(tmp_path):
    with tarfile.open(tmp_path / "y.tar.gz", "w:gz") as archive:
        link = tarfile.TarInfo("SRS/passwd.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        info = tarfile.TarInfo("../../20110215SRS.txt")
        info.size = len(TEXT)
        archive.addfile(info, io.BytesIO(TEXT.encode()))
    assert len(read_archive(tmp_path / "y.tar.gz").summaries) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["y.tar.gz"]


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"SRS/a.txt": b"x" * (archives.MAX_TEXT_BYTES + 1)}, "holds a file of"),
        ({f"SRS/{i}.txt": bytes(60_000) for i in range(1200)}, "unpacks to more than"),
        ({"SRS/a.md": b"x"}, "contains no Solar Region Summary"),
    ],
)
def test_an_archive_beyond_its_bounds_is_refused(tmp_path, members, why):
    _tar(tmp_path / "y.tar.gz", members)
    with pytest.raises(BadInput, match=why):
        read_archive(tmp_path / "y.tar.gz")


def test_a_header_that_declares_gigabytes_is_refused_before_they_are_read(tmp_path):
    import gzip

    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 4 * 2**30
    with gzip.open(tmp_path / "y.tar.gz", "wb") as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT))
        for _ in range(80):
            file.write(bytes(2**20))
    with pytest.raises(BadInput, match="unpacks to more than 64 MB"):
        read_archive(tmp_path / "y.tar.gz")


def test_a_cut_archive_and_an_absent_one_are_said_clearly(tmp_path):
    _tar(tmp_path / "y.tar.gz", {f"{i}.txt": TEXT.encode() for i in range(50)})
    data = (tmp_path / "y.tar.gz").read_bytes()
    (tmp_path / "y.tar.gz").write_bytes(data[: len(data) // 2])
    with pytest.raises(BadInput, match="is damaged"):
        read_archive(tmp_path / "y.tar.gz")
    (tmp_path / "y.tar.gz").write_bytes(b"no archive")
    with pytest.raises(BadInput, match="is damaged"):
        read_archive(tmp_path / "y.tar.gz")
    with pytest.raises(BadInput, match="there is no such folder or archive"):
        read_archive(tmp_path / "nowhere")


def test_the_regions_on_the_disc_are_rotated_to_the_time_and_plages_count(tmp_path):
    spotted = ROW + "\n1159 N10W80   102  0010 Axx  01   01 Alpha"
    text = SUMMARY.format(spotted=spotted, plage="1160  N20E30   340", returning="1150 N13    200")
    (tmp_path / "a.txt").write_text(text)
    archive = read_archive(tmp_path)
    valid = archive.summaries[0].valid
    assert archive.at(valid) == {11158: (-21.0, 14.0), 11159: (10.0, 80.0), 11160: (20.0, -30.0)}
    later = archive.at(valid + timedelta(hours=12))
    assert later[11160][1] == pytest.approx(-30 + 6.6, abs=0.2) and later[11158][0] == -21.0
    with pytest.raises(BadInput, match="no region summary lies within 24 hours of 2011-02-16 01:00; the nearest"):
        archive.at(valid + timedelta(hours=25))
    (tmp_path / "a.txt").write_text(text.replace("1159 N10W80", "1159 N10X80"))
    with pytest.raises(BadInput, match="a region that cannot be read"):
        read_archive(tmp_path).at(valid)
