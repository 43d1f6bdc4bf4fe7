"""The dataset of a release in Croissant 1.0, JSON-LD that `mlcroissant` validates and iterates, images included.

http://mlcommons.org/croissant/1.0, https://docs.mlcommons.org/croissant/docs/croissant-spec.html. The Parquet files
are read from the folder of the dataset, unpacked: `mlcroissant` 1.1 opens no Parquet of a file set inside a zip file, and
cannot join a label to its class either. An image is a column of a mapping ``{"bytes": ..., "path": ...}``, as `datasets`
writes it: without the transform that takes its bytes a description is valid, and no image can be read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sdovis.corpus.columns import BY_NAME

FILE = "croissant.json"
#: The context that the specification gives, appendix 1.
_TERMS = (
    "citeAs column conformsTo equivalentProperty extract field fileProperty fileObject fileSet format includes isLiveDataset "
    "jsonPath key md5 parentField path recordSet references regex repeated replace samplingRate separator source subField "
    "transform"
).split()
CONTEXT: Mapping[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    **{term: f"cr:{term}" for term in _TERMS},
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "sc": "https://schema.org/",
}
#: Beginning of a column's type in `datasets` -> its type here.
_TYPES = {
    "image": "sc:ImageObject",
    "timestamp": "sc:Date",
    "int": "sc:Integer",
    "uint": "sc:Integer",
    "float": "sc:Float",
    "bool": "sc:Boolean",
    "string": "sc:Text",
    "large_string": "sc:Text",
}


def description(
    cited: Mapping[str, Any],
    card: Mapping[str, Any],
    *,
    inside: str,
    licence: str,
    archive: tuple[str, str] | None = None,
) -> str:
    """The text of the description.

    ``cited`` is the dataset's CITATION.cff and ``card`` the front matter of its card; ``inside`` the folder, from where the
    description lies, that holds the dataset; ``archive`` the name and sha256 of a zip file beside it to unpack first.
    """
    features = card["dataset_info"]["features"]
    parts = [split["name"] for split in card["dataset_info"]["splits"]]
    classes = _classes(features)
    said = {
        "@context": dict(CONTEXT),
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": cited["title"],
        "description": cited.get("abstract") or cited["title"],
        "creator": [{"@type": "sc:Person", "name": _name(author)} for author in cited["authors"]],
        "keywords": cited["keywords"],
        # A release's version is its pin, and Croissant's a number: what is asked for is said in the citation.
        "citeAs": f"{' and '.join(map(_name, cited['authors']))}: {cited['title']}, {cited['version']}",
        "license": licence,
        "url": cited.get("url", ""),
        "identifier": f"https://doi.org/{cited['doi']}" if cited.get("doi") else "",
        "distribution": [*([_archive(*archive)] if archive else []), *(_files(part, inside) for part in parts)],
        "recordSet": [_names(classes), *(_records(part, features) for part in parts)],
    }
    kept = {key: value for key, value in said.items() if value}
    return json.dumps(kept, indent=1, ensure_ascii=False) + "\n"


def _name(author: Mapping[str, str]) -> str:
    return author.get("name") or f"{author['given-names']} {author['family-names']}"


def _classes(features: Sequence[Mapping[str, Any]]) -> list[str]:
    label = next(each for each in features if each["name"] == "label")
    named = label["dtype"]["class_label"]["names"]
    return [named[key] for key in sorted(named, key=int)]


def _archive(name: str, sha256: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "description": "The whole release. Unpack it here.",
        "@id": name,
        "name": name,
        "contentUrl": name,
        "encodingFormat": "application/zip",
        "sha256": sha256,
    }


def _files(part: str, inside: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": f"{part}-files",
        "encodingFormat": "application/x-parquet",
        "includes": f"{inside}/data/{part}-*.parquet",
    }


def _names(classes: Sequence[str]) -> dict[str, Any]:
    """The classes by the number that ``label`` holds."""
    return {
        "@type": "cr:RecordSet",
        "@id": "classes",
        "name": "classes",
        "description": "The classes by number.",
        "dataType": "sc:Enumeration",
        "key": {"@id": "classes/number"},
        "field": [
            {"@type": "cr:Field", "@id": "classes/number", "name": "number", "dataType": "sc:Integer"},
            {"@type": "cr:Field", "@id": "classes/name", "name": "name", "dataType": "sc:Text"},
        ],
        "data": [{"classes/number": number, "classes/name": name} for number, name in enumerate(classes)],
    }


def _records(part: str, features: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": part,
        "name": part,
        "description": f"The {part} part: it shares no region and no image with another.",
        "field": list(_fields(part, features)),
    }


def _fields(part: str, features: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for feature in features:
        name, kind = feature["name"], feature["dtype"]
        form = "sc:Integer" if isinstance(kind, Mapping) else _type(kind)
        source: dict[str, Any] = {"fileSet": {"@id": f"{part}-files"}, "extract": {"column": name}}
        if form == "sc:ImageObject":
            source["transform"] = {"jsonPath": "bytes"}
        yield {
            "@type": "cr:Field",
            "@id": f"{part}/{name}",
            "name": name,
            "description": f"{_meaning(name)}, a number of classes" if name == "label" else _meaning(name),
            "dataType": form,
            "source": source,
        }


def _meaning(name: str) -> str:
    known = BY_NAME.get(name)
    return f"{known.meaning}{f', {known.unit}' if known.unit else ''}" if known else name


def _type(kind: str) -> str:
    return next(form for beginning, form in _TYPES.items() if kind.startswith(beginning))
