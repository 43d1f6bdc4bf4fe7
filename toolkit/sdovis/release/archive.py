"""A release as one file for an archive such as Zenodo, and what describes it: the same release is the same file on any day.

``STUDY-PIN.zip`` holds the release and its sums; beside it are ``croissant.json`` (the dataset), ``CITATION.cff``,
``.zenodo.json`` (what Zenodo is told) and ``SHA256SUMS``. No file in the zip is compressed, as Parquet, safetensors and PNG
already are, so that no version of zlib makes another file; times in it are those of the oldest date that a zip can name.
"""

from __future__ import annotations

import hashlib
import html
import json
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # PyYAML ships no types

from sdovis import manifests
from sdovis.errors import BadInput, Problem
from sdovis.manifests import sha256_file
from sdovis.release import citation, croissant
from sdovis.release.assembly import README, RELEASE, Release

SUMS, ZENODO = "SHA256SUMS", ".zenodo.json"
_OLDEST = (1980, 1, 1, 0, 0, 0)
#: Licences by Zenodo's names, where these are not the Hub's: https://zenodo.org/api/licenses.
_OF_ZENODO = {
    "gpl-2.0": "gpl-2.0-only",
    "gpl-3.0": "gpl-3.0-only",
    "lgpl-3.0": "lgpl-3.0-only",
    "agpl-3.0": "agpl-3.0-only",
}


@dataclass(frozen=True)
class Archived:
    """An archive in ``folder``, and its files in the order in which they are uploaded; ``metadata`` is Zenodo's."""

    folder: Path
    pin: str
    files: tuple[str, ...]
    metadata: Mapping[str, Any]

    @property
    def title(self) -> str:
        """The title under which it is archived."""
        return str(self.metadata["title"])


def name(release: Release) -> str:
    """What an archive of the release is called."""
    return f"{release.study}-{release.pin}"


def describe(release: Release) -> Mapping[str, Any]:
    """What Zenodo is told of a release: `deposit metadata <https://developers.zenodo.org/#deposit-metadata>`_.

    Raises `BadInput` with everything that Zenodo asks for and the release does not say. Nothing is made up: where no licence
    is given, Zenodo would declare a dataset to be in the public domain.
    """
    cited, card = _cited(release), _front_matter(release, "dataset")
    licence = str(_front_matter(release, "model").get("license", "unknown"))
    problems = []
    if all(author.get("name") in (_owner(release), "your-name") for author in cited["authors"]):
        problems.append(Problem("an archive needs authors", "set publish.authors, and run sdovis card"))
    if not citation.spdx(licence):
        what = f"an archive needs a licence that it knows, and that of the model and the annotations is {licence!r}"
        problems.append(Problem(what, "set publish.licence, and run sdovis card"))
    if problems:
        raise BadInput(problems)
    said = {
        "title": cited["title"],
        "upload_type": "dataset",
        "description": f"<p>{html.escape(cited.get('abstract') or cited['title'])}</p>"
        "<p>Dataset, model and page of one study, made with SDOVIS.</p>",
        "creators": [{"name": citation.written(author)} for author in cited["authors"]],
        "access_right": "open",
        "license": _OF_ZENODO.get(licence, licence),
        "keywords": cited["keywords"],
        "version": release.pin,
        "notes": html.escape(_licence_of_images(card, cited)),
        "related_identifiers": [
            {"identifier": f"{at}/tree/{release.pin}", "relation": "isVariantFormOf"} for at in _on_the_hub(release)
        ],
    }
    return {key: value for key, value in said.items() if value}


def write(release: Release, folder: Path) -> None:
    """Write the archive of a release into ``folder``, new and empty. Raises `BadInput` as `describe` does."""
    metadata, stem = describe(release), name(release)
    zipped = folder / f"{stem}.zip"
    _zip(release, stem, zipped)
    text = _croissant(release, f"{stem}/dataset", (zipped.name, sha256_file(zipped)))
    (folder / croissant.FILE).write_text(text, encoding="utf-8")
    (folder / citation.FILE).write_bytes(release.path("dataset", citation.FILE).read_bytes())
    (folder / ZENODO).write_text(json.dumps(metadata, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    sums = manifests.sums(folder)
    (folder / SUMS).write_text("".join(f"{digest}  {file}\n" for file, digest in sums.items()), encoding="utf-8")


def load(folder: Path, release: Release) -> Archived:
    """The archive of a release that is in ``folder``."""
    metadata = json.loads((folder / ZENODO).read_text(encoding="utf-8"))
    # The zip comes last: with it, all is there.
    files = (citation.FILE, croissant.FILE, SUMS, f"{name(release)}.zip")
    return Archived(folder, release.pin, files, metadata)


def _croissant(release: Release, inside: str, archive: tuple[str, str] | None = None) -> str:
    licence = f"https://spdx.org/licenses/{citation.spdx(str(_front_matter(release, 'model')['license']))}"
    card = _front_matter(release, "dataset")
    return croissant.description(_cited(release), card, inside=inside, licence=licence, archive=archive)


def _zip(release: Release, stem: str, file: Path) -> None:
    files: dict[str, Path | bytes] = {
        f"{kind}/{path}": release.path(kind, path)
        for kind in release.repositories
        for path in release.repositories[kind].files
    }
    files |= {RELEASE: release.folder / RELEASE, croissant.FILE: _croissant(release, "dataset").encode()}
    sums = "".join(f"{_sha256(files[path])}  {path}\n" for path in sorted(files))
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for path, content in sorted({**files, SUMS: sums.encode()}.items()):
            if isinstance(content, bytes):
                archive.writestr(_entry(f"{stem}/{path}", len(content)), content)
                continue
            entry = _entry(f"{stem}/{path}", content.stat().st_size)
            with content.open("rb") as source, archive.open(entry, "w") as target:
                shutil.copyfileobj(source, target, 1 << 20)


def _sha256(content: Path | bytes) -> str:
    return sha256_file(content) if isinstance(content, Path) else hashlib.sha256(content).hexdigest()


def _entry(path: str, size: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(path, _OLDEST)
    entry.external_attr, entry.create_system, entry.file_size = 0o100644 << 16, 3, size
    return entry


def _cited(release: Release) -> Mapping[str, Any]:
    """The dataset's CITATION.cff. Raises `BadInput` for a release of an older sdovis, which has none."""
    try:
        found: Mapping[str, Any] = yaml.safe_load(release.path("dataset", citation.FILE).read_text(encoding="utf-8"))
        return found
    except FileNotFoundError:
        what = f"the release has no {citation.FILE}: it was made by an older sdovis"
        raise BadInput(Problem(what, "run sdovis card", str(release.folder))) from None


def _front_matter(release: Release, kind: str) -> Mapping[str, Any]:
    from huggingface_hub import RepoCard

    text = release.path(kind, README).read_text(encoding="utf-8")
    found: Mapping[str, Any] = RepoCard(text, ignore_metadata_errors=True).data.to_dict()
    return found


def _owner(release: Release) -> str:
    return release.repositories["dataset"].id.split("/")[0]


def _on_the_hub(release: Release) -> Iterator[str]:
    if _owner(release) != "your-name":
        yield from (
            f"https://huggingface.co/{at}{release.repositories[kind].id}"
            for kind, at in (("dataset", "datasets/"), ("model", ""), ("space", "spaces/"))
        )


def _licence_of_images(card: Mapping[str, Any], cited: Mapping[str, Any]) -> str:
    """What the one licence that an archive takes does not say."""
    given = card.get("license", "unknown")
    listed = given if isinstance(given, list) else [given]
    named = f"{card['license_name']} ({card.get('license_link', 'no link given')})" if card.get("license_name") else ""
    return (
        f"Licences of the dataset, images included: {', '.join(named or each for each in listed)}. {cited['message']}"
    )
