"""A release becomes an archive that anybody can read, and a draft on Zenodo that only its owner publishes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from loopback import Fault, LoopbackZenodo
from sdovis.errors import BadInput, Conflict, HubFailure
from sdovis.hub import patience
from sdovis.hub.zenodo import zenodo
from sdovis.release.request import Request

Crafted = Callable[..., Path]
PIN = "r-000000000000"
STEM = f"sun-{PIN}"
CITED = {
    "cff-version": "1.2.0",
    "message": "If you use this, please cite it as below.",
    "title": "Spots & plage",
    "type": "dataset",
    "authors": [{"family-names": "Lovelace", "given-names": "Ada"}, {"name": "The SDO team"}],
    "abstract": "Regions <of> the Sun.",
    "keywords": ["solar physics"],
    "version": PIN,
}
CARD = """---
license: {licence}
pretty_name: Spots
dataset_info:
  features:
  - name: id
    dtype: string
  - name: image
    dtype: image
  - name: label
    dtype:
      class_label:
        names:
          "0": alpha
          "1": beta
  splits:
  - name: train
  - name: test
---
Release `r-000000000000`.
"""


def files(licence: str = "cc-by-4.0", **changes: object) -> dict[str, bytes]:
    """What a release of this sdovis holds besides."""
    cited = {key: value for key, value in {**CITED, **changes}.items() if value}
    named = "[other, mit]\nlicense_name: sdo-data-use\nlicense_link: https://example.org/rules"
    return {
        "dataset/CITATION.cff": yaml.safe_dump(cited).encode(),
        "dataset/README.md": CARD.format(licence=named).encode(),
        "model/README.md": f"---\nlicense: {licence}\n---\nRelease `{PIN}`.\n".encode(),
    }


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackZenodo]:
    monkeypatch.setattr("sdovis.hub.zenodo.time.sleep", lambda seconds: None)
    with LoopbackZenodo() as service:
        monkeypatch.setenv("ZENODO_URL", service.address)
        monkeypatch.setenv("ZENODO_TOKEN", service.token)
        yield service


def sent(crafted: Crafted, tmp_path: Path, **how: object) -> list[str]:
    return zenodo(Request(crafted(extra=files()), str(tmp_path / "drafts"), **how))


# --- the archive ----------------------------------------------------------------------------------------------------


def test_the_archive_is_one_zip_with_sums_and_descriptions_and_the_same_on_any_day(
    crafted: Crafted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("ZENODO_TOKEN", raising=False)
    release = crafted(extra=files())
    for name in ("one", "two"):
        lines = zenodo(Request(release, str(tmp_path / name)))
        for path in release.rglob("*"):
            os.utime(path, (10**9, 10**9))  # another day
    assert lines[-1] == "no draft was made: set ZENODO_TOKEN, or upload these files at https://zenodo.org/uploads/new"
    one, two = (tmp_path / name / STEM for name in ("one", "two"))
    made = sorted(path.name for path in one.iterdir())
    assert made == [".zenodo.json", "CITATION.cff", "SHA256SUMS", "croissant.json", "manifest.json", f"{STEM}.zip"]
    for name in made:
        assert (one / name).read_bytes() == (two / name).read_bytes(), name
    for folder, file in ((one, "SHA256SUMS"), (None, f"{STEM}/SHA256SUMS")):
        with zipfile.ZipFile(one / f"{STEM}.zip") as archive:
            assert archive.testzip() is None
            text = (folder / file).read_text() if folder else archive.read(file).decode()
            for line in text.splitlines():
                digest, name = line.split("  ")
                content = (folder / name).read_bytes() if folder else archive.read(f"{STEM}/{name}")
                assert hashlib.sha256(content).hexdigest() == digest
            inside = {name.removeprefix(f"{STEM}/") for name in archive.namelist()}
    released = {path.relative_to(release).as_posix() for path in release.rglob("*") if path.is_file()}
    assert inside == (released - {"manifest.json"}) | {"SHA256SUMS", "croissant.json"}


def test_zenodo_is_told_what_the_release_says_and_nothing_made_up(crafted: Crafted, tmp_path: Path, monkeypatch):
    monkeypatch.delenv("ZENODO_TOKEN", raising=False)
    zenodo(Request(crafted(extra=files()), str(tmp_path)))
    said = json.loads((tmp_path / STEM / ".zenodo.json").read_text())
    assert said["creators"] == [{"name": "Lovelace, Ada"}, {"name": "The SDO team"}]
    assert (said["license"], said["version"], said["upload_type"]) == ("cc-by-4.0", PIN, "dataset")
    assert "Regions &lt;of&gt; the Sun." in said["description"]
    assert "sdo-data-use (https://example.org/rules)" in said["notes"]
    assert "publication_date" not in said
    assert said["related_identifiers"][0]["identifier"].endswith(f"/datasets/org/sun/tree/{PIN}")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"licence": "unknown"}, "an archive needs a licence .* 'unknown'; set publish.licence"),
        ({"licence": "other"}, "that of the model and the annotations is 'other'"),
        ({"licence": "llama2"}, "that of the model and the annotations is 'llama2'"),
        ({"authors": [{"name": "org"}]}, "an archive needs authors; set publish.authors"),
    ],
)
def test_what_an_archive_lacks_is_told_and_nothing_is_written(crafted: Crafted, tmp_path: Path, changes, told):
    with pytest.raises(BadInput, match=told):
        zenodo(Request(crafted(extra=files(**changes)), str(tmp_path / "drafts")))
    assert not (tmp_path / "drafts").exists()


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"place": ""}, "write it as --to zenodo:FOLDER"),
        ({"public": True}, "omit --public"),
        ({"accept": ("abc1234",)}, "omit --public, --accept"),
    ],
)
def test_what_zenodo_has_no_use_for_is_refused(crafted: Crafted, tmp_path: Path, how, told):
    with pytest.raises(BadInput, match=told):
        zenodo(replace(Request(crafted(extra=files()), str(tmp_path / "drafts")), **how))


def test_a_release_of_an_older_sdovis_is_told_to_be_made_again(crafted: Crafted, tmp_path: Path):
    with pytest.raises(BadInput, match=r"has no CITATION\.cff: it was made by an older sdovis; run sdovis card"):
        zenodo(Request(crafted(), str(tmp_path / "drafts")))


# --- the draft ------------------------------------------------------------------------------------------------------


def test_with_a_token_a_draft_holds_the_archive_and_is_not_published(service, crafted: Crafted, tmp_path: Path):
    lines = sent(crafted, tmp_path)
    ((number, draft),) = service.depositions.items()
    folder = tmp_path / "drafts" / STEM
    assert service.files[number] == {
        name: (folder / name).read_bytes() for name in ("CITATION.cff", "croissant.json", "SHA256SUMS", f"{STEM}.zip")
    }
    assert draft["metadata"] == json.loads((folder / ".zenodo.json").read_text()) and not draft["submitted"]
    assert not [path for _, path in service.requests if path.endswith("/publish")]
    assert f'set publish.doi = "10.5072/zenodo.{number}" in the study' in lines[-1]
    assert service.token not in "".join(
        path.read_text(errors="replace") for path in folder.parent.rglob("*") if path.is_file()
    )


def test_a_second_call_sends_nothing_and_other_words_replace_what_differs(service, crafted: Crafted, tmp_path: Path):
    sent(crafted, tmp_path)
    service.requests.clear()
    sent(crafted, tmp_path)
    assert {method for method, _ in service.requests} == {"GET"}
    service.requests.clear()
    release = crafted(extra=files(abstract="Other words."))
    zenodo(Request(release, str(tmp_path / "drafts")))
    puts = [path.rpartition("/")[2] for method, path in service.requests if method == "PUT"]
    assert {*puts} == {"croissant.json", "CITATION.cff", "SHA256SUMS", f"{STEM}.zip", "1000"}
    assert len(service.depositions) == 1


def test_a_draft_is_found_again_without_our_note_among_many_and_a_deleted_one_is_made_again(
    service, crafted: Crafted, tmp_path: Path
):
    sent(crafted, tmp_path)
    for number in range(130):
        service.new({"title": "Spots & plage", "version": f"r-{number}"})
    (note,) = (tmp_path / "drafts").glob("*zenodo-draft.json")
    note.unlink()
    sent(crafted, tmp_path)
    assert len(service.depositions) == 131
    service.depositions.pop(1000)
    assert "holds it" in sent(crafted, tmp_path)[1]
    assert [each["metadata"]["version"] for each in service.depositions.values()].count(PIN) == 1


def test_a_published_draft_is_left_alone(service, crafted: Crafted, tmp_path: Path):
    sent(crafted, tmp_path)
    service.depositions[1000]["submitted"] = True
    service.requests.clear()
    with pytest.raises(Conflict, match=r"published on Zenodo already, as 10\.5072/zenodo\.1000: nothing was changed"):
        sent(crafted, tmp_path)
    assert {method for method, _ in service.requests} == {"GET"}


def test_others_files_in_the_draft_are_left_and_told(service, crafted: Crafted, tmp_path: Path):
    sent(crafted, tmp_path)
    service.files[1000]["paper.pdf"] = b"%PDF"
    assert sent(crafted, tmp_path)[-1].endswith("and were left: paper.pdf")
    assert service.files[1000]["paper.pdf"] == b"%PDF"


def test_a_dry_run_writes_and_asks_nothing(service, crafted: Crafted, tmp_path: Path):
    lines = sent(crafted, tmp_path, dry_run=True)
    assert "would be written" in lines[0] and service.address in lines[1]
    assert service.requests == [] and not (tmp_path / "drafts").exists()


@pytest.mark.parametrize("address", ["http://zenodo.org", "ftp://127.0.0.1", "zenodo.org", "http://127.0.0.1.evil.org"])
def test_a_token_is_sent_over_https_only(service, crafted: Crafted, tmp_path: Path, monkeypatch, address: str):
    monkeypatch.setenv("ZENODO_URL", address)
    with pytest.raises(BadInput, match="is not https, and a token is not sent there"):
        sent(crafted, tmp_path)


def test_a_token_is_not_sent_to_another_host(service, crafted: Crafted, tmp_path: Path):
    service.bucket_host = "http://127.0.0.2:9"
    with pytest.raises(HubFailure, match=r"names a bucket at 127\.0\.0\.2:9, to which the token is not sent"):
        sent(crafted, tmp_path)


def test_a_wrong_token_and_refused_metadata_are_one_clear_line(service, crafted: Crafted, tmp_path: Path, monkeypatch):
    service.faults.append(Fault("POST ", status=400))
    with pytest.raises(HubFailure, match=r"making a draft.*answered 400: the server is not well"):
        sent(crafted, tmp_path)
    monkeypatch.setenv("ZENODO_TOKEN", "wrong")
    with pytest.raises(HubFailure, match=r"answered 401: .*ZENODO_TOKEN needs the scope deposit:write") as caught:
        sent(crafted, tmp_path)
    assert "\n" not in str(caught.value) and "wrong" not in str(caught.value)


FOR_EVER = 10**9
#: As on the Hub (test_faults.py): what passes, and what lasts from request number ``skip`` on.
PASSING = {
    "429 with Retry-After": Fault(".", status=429, retry_after="7"),
    "500": Fault(".", status=500),
    "503 with Retry-After": Fault(".", status=503, retry_after="1"),
    "504": Fault(".", status=504),
    "closed before it was done": Fault(".", early=True),
    "closed after it was done": Fault(".", drop=True),
}
LASTING = {
    "gone before it was done": [Fault(".", early=True, times=FOR_EVER)],
    "gone after it was done": [Fault(".", drop=True), Fault(".", early=True, skip=1, times=FOR_EVER)],
    "500 from then on": [Fault(".", status=500, times=FOR_EVER)],
    "silent from then on": [Fault(".", silent=True, times=FOR_EVER)],
}


@pytest.mark.parametrize("kind", [*PASSING, *LASTING])
def test_a_draft_with_something_wrong_at_every_request_is_made_once_and_whole(
    service, crafted: Crafted, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
):
    """SDOVIS_FAULTS=1 tries every request; CI every second one, and a silent Zenodo, which takes seconds, at two."""
    if "silent" in kind:
        monkeypatch.setattr(patience, "SILENCE", 1.0)
        monkeypatch.setattr(patience, "COMMITTING", 1.0)
        monkeypatch.setattr(patience, "PAUSES", ())
    asking = Request(crafted(extra=files()), str(tmp_path / "drafts"))
    zenodo(asking)
    whole, asked = dict(service.files[1000]), len(service.requests)
    step = 1 if os.environ.get("SDOVIS_FAULTS") == "1" else asked - 1 if "silent" in kind else 2
    tried = range(0, asked, step)
    began = time.monotonic()
    for number in tried:
        service.depositions.clear(), service.files.clear()
        next((tmp_path / "drafts").glob("*zenodo-draft.json")).unlink(missing_ok=True)
        given = LASTING.get(kind) or [PASSING[kind]]
        service.faults = [dataclasses.replace(fault, skip=fault.skip + number) for fault in given]
        failed = ""
        try:
            zenodo(asking)
        except HubFailure as error:
            failed = str(error)
        assert bool(failed) == (kind in LASTING), f"request {number}: {failed}"
        service.faults.clear()
        zenodo(asking)
        assert list(service.files.values()) == [whole], f"request {number}"
        assert [each["submitted"] for each in service.depositions.values()] == [False]
    print(f"\nZenodo, {kind}: {len(tried)} faults, {time.monotonic() - began:.0f} s, one draft each")
