"""Tokens and folders of this machine are found in every kind of file that a release may hold, and nothing else is."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, PngImagePlugin
from sdovis.release.private import Private

CANARY = "canary-token-of-nobody"
HOME = "/home/ada"


def text(words: str) -> bytes:
    return f"# Notes\n\nThey say {words!r}.\n".encode()


def document(words: str) -> bytes:
    return json.dumps({"a": [{"b": words}]}).encode()


def table(words: str) -> bytes:
    return f'id,reason\n1,"cannot read {words}, sorry"\n'.encode()


def parquet(column: pa.Array) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({"id": ["a"], "column": column}), file)
    return file.getvalue()


def strings(words: str) -> bytes:
    return parquet(pa.array([f"was {words}"]))


def structs(words: str) -> bytes:
    return parquet(pa.array([{"bytes": b"", "path": words}]))


def images(words: str) -> bytes:
    return parquet(pa.array([{"bytes": png(f"{words}/x"), "path": "a.png"}]))


def tensors(words: str) -> bytes:
    header = json.dumps({"__metadata__": {"made": words}}).encode()
    return struct.pack("<Q", len(header)) + header


def png(words: str) -> bytes:
    file, info = io.BytesIO(), PngImagePlugin.PngInfo()
    info.add_text("Software", f"{words}/")
    Image.new("L", (2, 2)).save(file, "PNG", pnginfo=info)
    return file.getvalue()


KINDS: dict[str, Callable[[str], bytes]] = {
    "README.md": text,
    "CITATION.cff": text,
    "eval.yaml": text,
    "model.sig": document,
    "sdovis/code.py": text,
    "scores.json": document,
    "rejects.csv": table,
    "strings.parquet": strings,
    "structs.parquet": structs,
    "images.parquet": images,
    "model.safetensors": tensors,
    "figures/a.png": png,
}


@pytest.fixture
def private(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Private:
    monkeypatch.setenv("HF_TOKEN", CANARY)
    monkeypatch.setenv("HOME", HOME)
    return Private((Path("/data/solar/runs/sun"),))


def found(private: Private, folder: Path, name: str, content: bytes) -> str:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return "\n".join(map(str, private.problems(folder)))


@pytest.mark.parametrize("name", KINDS)
def test_a_token_is_found_and_not_repeated(private: Private, tmp_path: Path, name: str):
    told = found(private, tmp_path, name, KINDS[name](CANARY))
    assert told.startswith(f"{name}: ")
    assert "the value of HF_TOKEN" in told
    assert CANARY not in told


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("folder", [f"{HOME}/solar", "/data/solar/runs/sun"])
def test_a_folder_of_this_machine_is_found(private: Private, tmp_path: Path, name: str, folder: str):
    told = found(private, tmp_path, name, KINDS[name](folder))
    assert told.startswith(f"{name}: ")
    assert "names a folder of this machine" in told


@pytest.mark.parametrize("path", ["/scratch/x/weights", "C:\\Temp\\x.png", "~/weights", "file:///x/y"])
@pytest.mark.parametrize("name", ["scores.json", "structs.parquet"])
def test_a_value_that_is_an_absolute_path_is_found_wherever_it_leads(
    private: Private, tmp_path: Path, name: str, path: str
):
    assert "absolute path" in found(private, tmp_path, name, KINDS[name](path))


KEYS = {
    "hf": "hf_" + "a1" * 12,
    "github": "ghp_" + "b2" * 12,
    "github-pat": "github_pat_" + "c3" * 12,
    "gitlab": "glpat-" + "d4" * 12,
    "aws": "AKIA" + "E5" * 8,
    "google": "AIza" + "f6-_x" * 7,
    "slack": "xoxb-" + "12345-" * 3,
    "jwt": "eyJ" + "g7" * 8 + ".eyJ" + "h8" * 8 + ".sig",
    "pem": "-----BEGIN RSA PRIVATE KEY-----",
}
ADDRESSES = ["ada.lovelace@noaa.gov", "eve+sun@mail.example.org", "x_1@observatoire.fr"]


@pytest.mark.parametrize("words", ["/home/eve/x", "C:\\Users\\eve", *KEYS.values()])
@pytest.mark.parametrize("name", ["README.md", "sdovis/code.py", "scores.json", "rejects.csv", "strings.parquet"])
def test_homes_and_tokens_of_others_are_found(private: Private, tmp_path: Path, words: str, name: str):
    told = found(private, tmp_path, name, KINDS[name](words))
    assert told and words not in told.replace("names a folder of a machine: /home/eve", "")


def with_notes(words: str) -> bytes:
    file = io.BytesIO()
    field = pa.field("column", pa.string(), metadata={"by": words})
    pq.write_table(pa.table([pa.array(["a"])], schema=pa.schema([field])), file)
    return file.getvalue()


def with_file_notes(words: str) -> bytes:
    file = io.BytesIO()
    with pq.ParquetWriter(file, pa.schema([("a", pa.string())])) as writer:
        writer.write_table(pa.table({"a": ["b"]}))
        writer.add_key_value_metadata({"made by": words})
    return file.getvalue()


def headers(words: str) -> bytes:
    return strings(json.dumps({"ORIGIN": words, "CONTENT": "MAGNETOGRAM"}))


def signed(words: str) -> bytes:
    file, info = io.BytesIO(), PngImagePlugin.PngInfo()
    info.add_text("Author", words)
    Image.new("L", (2, 2)).save(file, "PNG", pnginfo=info)
    return file.getvalue()


SIGNED = {
    "README.md": text, "CITATION.cff": text, "eval.yaml": text, "scores.json": document, "rejects.csv": table,
    "strings.parquet": strings,
    "notes.parquet": with_notes, "file_notes.parquet": with_file_notes, "headers.parquet": headers,
    "model.safetensors": tensors, "figures/a.png": signed,
}  # fmt: skip


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("name", SIGNED)
def test_an_address_is_found_wherever_it_stands_and_not_repeated(
    private: Private, tmp_path: Path, name: str, address: str
):
    told = found(private, tmp_path, name, SIGNED[name](f"by {address}."))
    assert "contains an e-mail address" in told and address not in told
    assert address.partition("@")[2] in told


def test_an_address_that_its_owner_gave_to_be_published_is_let_through(tmp_path: Path):
    private = Private(addresses={"ada@noaa.gov"})
    assert found(private, tmp_path, "README.md", text("ada@noaa.gov")) == ""
    assert found(private, tmp_path, "README.md", text("eve@noaa.gov"))


@pytest.mark.parametrize("words", ["weights@values.mean(0)", "Ada <ada@noaa.gov>", "@pytest.fixture"])
def test_code_is_its_authors_to_sign(private: Private, tmp_path: Path, words: str):
    assert found(private, tmp_path, "sdovis/code.py", words.encode()) == ""


@pytest.mark.parametrize("escaped", ["hf\\_" + "a1" * 12, "ada&#64;noaa.gov", "ada@noaa\\.gov"])
def test_what_markdown_hides_is_found(private: Private, tmp_path: Path, escaped: str):
    assert found(private, tmp_path, "README.md", escaped.encode())


@pytest.mark.parametrize(
    "words",
    [
        "https://huggingface.co/home/ada",
        "km/s and W/m2/Hz",
        "hf_token",
        "org/sun",
        "an /adaptive/ filter",
        "/home",
        "α/β",
        "C: 3",
        "3 @ 5 px",
        "@misc{sdovis",
        "sdovis@main",
    ],
)
@pytest.mark.parametrize("name", ["README.md", "scores.json", "strings.parquet"])
def test_ordinary_words_are_let_through(private: Private, tmp_path: Path, name: str, words: str):
    assert found(private, tmp_path, name, KINDS[name](words)) == ""


@pytest.mark.parametrize("name", ["training_args.bin", "optimizer.pt", "model.pkl", "a.exe", ".env"])
def test_a_kind_of_file_that_is_never_released_is_told(private: Private, tmp_path: Path, name: str):
    assert "never released" in found(private, tmp_path, name, b"")


def test_a_file_that_cannot_be_looked_through_is_told(private: Private, tmp_path: Path):
    assert "cannot be searched" in found(private, tmp_path, "a.json", b"{")
    assert "cannot be searched" in found(private, tmp_path, "a.parquet", b"PAR1")
