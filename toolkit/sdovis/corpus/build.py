"""The corpus: a folder of Parquet that `datasets.load_dataset` opens, and its reading back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from sdovis import manifests, plugins
from sdovis.corpus.audit import audit
from sdovis.corpus.catalog import REJECT_COLUMNS, Catalog, catalog, image_inventory
from sdovis.corpus.rows import RawRow
from sdovis.corpus.split import PARTS, assign
from sdovis.errors import BadInput
from sdovis.manifests import Manifest
from sdovis.study import Study
from sdovis.sun.channels import channel
from sdovis.sun.labels import LabelScheme


@dataclass(frozen=True)
class Corpus:
    """A finished corpus in memory.

    ``rows`` has a row an image, in the corpus' order (train, validation, test): id, image (PNG bytes, 8 bit), label
    (index into ``classes``), noaa_ar, observed, group (the independent unit: a region, or a frame of the quiet Sun),
    source and provenance columns, and split. ``facts`` is ``corpus.json``: classes with their meanings, scheme,
    channel, counts.
    """

    folder: Path
    classes: tuple[str, ...]
    rows: pd.DataFrame
    facts: Mapping[str, Any]
    manifest: Manifest

    def part(self, name: str) -> pd.DataFrame:
        """The rows of one part, indexed from 0."""
        return self.rows[self.rows["split"] == name].reset_index(drop=True)

    @classmethod
    def load(cls, folder: Path) -> Corpus:
        """Read a corpus folder. Raises `BadInput` where it is absent, unfinished or damaged."""
        import pyarrow.parquet as pq

        manifest = manifests.read(folder, made_by="prepare")
        facts = json.loads((folder / "corpus.json").read_text(encoding="utf-8"))
        frames = []
        for part in PARTS:
            for path in sorted((folder / "data").glob(f"{part}-*.parquet")):
                frame = pq.read_table(path).to_pandas().assign(split=part)
                frame["image"] = [image["bytes"] for image in frame["image"]]
                frames.append(frame)
        return cls(folder, tuple(facts["classes"]), pd.concat(frames, ignore_index=True), facts, manifest)


def read_rows(study: Study) -> list[RawRow]:
    """The rows of the study's source, through its reader. Raises `BadInput`."""
    rows: list[RawRow] = plugins.load("sdovis.readers", study.source.reader)(study.source)
    return rows


def made_from(study: Study, rows: Sequence[RawRow]) -> dict[str, str]:
    """What a corpus depends on: the study's sections, the rows, every image, the plug-ins."""
    return {
        "study": study.digest_of("source", "images", "labels", "split"),
        "about": f"{study.name} seed {study.study.seed} simulated {study.study.simulated}",
        "rows": manifests.sha256_text(json.dumps([asdict(row) for row in rows])),
        "images": manifests.sha256_text(json.dumps(list(image_inventory(study, rows)))),
        "reader": plugins.version("sdovis.readers", study.source.reader),
        "scheme": plugins.version("sdovis.labels", study.labels.scheme),
        "channel": plugins.version("sdovis.channels", study.images.channel),
    }


def check(study: Study, *, progress: bool = True) -> Catalog:
    """Everything `build` would complain about, without writing: rows, labels, images, split."""
    found = catalog(study, read_rows(study), progress=progress)
    _divided(study, found)
    return found


def build(study: Study, folder: Path, rows: Sequence[RawRow], *, progress: bool = True) -> Corpus:
    """Make the corpus of ``study`` in ``folder``, which appears whole or not at all.

    Raises `BadInput` with every problem of rows, images and split; nothing is written then.
    """
    found = catalog(study, rows, progress=progress)
    kept, rejects, facts, checked = _divided(study, found)
    with manifests.whole(folder, stage="prepare", made_from=made_from(study, rows)) as beside:
        _write_parquet(kept, tuple(facts["classes"]), beside / "data")
        (beside / "corpus.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        (beside / "audit.json").write_text(json.dumps(checked, indent=1) + "\n", encoding="utf-8")
        rejects.to_csv(beside / "rejects.csv", index=False)
    return Corpus.load(folder)


def _divided(study: Study, found: Catalog) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any], dict[str, Any]]:
    """Rows kept, with their part; rejects; facts; audit. Raises `BadInput` where the split or its audit fails."""
    assignment = assign(found.rows, study.split, seed=study.study.seed)
    kept = found.rows.assign(split=assignment.part)
    dropped = _dropped(kept[assignment.part == ""], assignment.dropped[assignment.part == ""])
    rejects = pd.concat([table for table in (found.rejects, dropped) if len(table)] or [found.rejects])
    # Within a part the rows stand in time: the order is the data's own, not a machine's.
    kept = kept[assignment.part != ""].sort_values(["observed", "id"], kind="stable")
    kept = pd.concat([kept[kept["split"] == part] for part in PARTS], ignore_index=True)
    facts = _facts(study, found.scheme, kept, rejects)
    gap = study.split.gap_days if study.split.method == "temporal" else None
    return kept, rejects, facts, audit(kept, facts["classes"], gap_days=gap)


def _dropped(rows: pd.DataFrame, reasons: Iterable[str]) -> pd.DataFrame:
    renamed = rows.rename(
        columns={"source_file": "file", "source_sheet": "sheet", "source_row": "row", "label": "class"}
    ).rename(columns={"label_text": "label"})
    renamed["image"] = renamed["image_file"]
    return renamed.assign(reason=[f"split: {reason}" for reason in reasons])[list(REJECT_COLUMNS)]


def _facts(study: Study, scheme: LabelScheme, kept: pd.DataFrame, rejects: pd.DataFrame) -> dict[str, Any]:
    occurring = set(kept["label"])
    # A class that the scheme knows and the data lacks would only add an output that never learns.
    classes = [name for name in scheme.classes if name in occurring]
    if len(classes) < 2:
        raise BadInput(f"only the class {classes[0]!r} is left; there is nothing to tell apart")
    kind = channel(study.images.channel)
    return {
        "study": study.name,
        "simulated": bool(study.study.simulated or kept["simulated"].any()),
        "classes": {name: scheme.meanings.get(name, "") for name in classes},
        "scheme": {
            "name": scheme.name,
            "version": scheme.version,
            "ordered": scheme.ordered,
            "merged": dict(scheme.merged),
            "absent": [name for name in scheme.classes if name not in occurring],
            "augmentations": sorted(scheme.augmentations),
            "agreement": scheme.agreement,
        },
        "spellings": {
            name: {str(text): int(n) for text, n in group["label_text"].value_counts().items()}
            for name, group in kept.groupby("label")
        },
        "channel": {
            "name": kind.name, "version": kind.version, "title": kind.title, "unit": kind.unit,
            "signed": kind.signed, "browse": kind.browse, "source": kind.source, "colormap": kind.colormap,
        },
        "size_px": study.images.size_px,
        "cutout_arcsec": study.images.cutout_arcsec,
        "rows": len(kept),
        "rejects": len(rejects),
        "rejects_by_reason": count_reasons(rejects["reason"]),
    }  # fmt: skip


def count_reasons(reasons: pd.Series) -> dict[str, int]:
    """Reason, its figures left out -> how often it was given."""
    general = reasons.str.replace(r"^\d+(\.\d+)? degrees", "too many degrees", regex=True)
    general = general.str.replace(r"row \d+", "another row", regex=True)
    return {str(reason): int(n) for reason, n in general.value_counts().items()}


def _write_parquet(rows: pd.DataFrame, classes: tuple[str, ...], folder: Path) -> None:
    import datasets

    text, whole, real = datasets.Value("string"), datasets.Value("int64"), datasets.Value("float64")
    features = datasets.Features(
        {
            "id": text, "image": datasets.Image(), "label": datasets.ClassLabel(names=list(classes)),
            "noaa_ar": whole, "observed": datasets.Value("timestamp[ms, tz=UTC]"), "group": text, "frame": text,
            "latitude_deg": real, "longitude_deg": real, "x_px": real, "y_px": real,
            "label_text": text, "source_file": text, "source_sheet": text, "source_row": whole,
            "image_file": text, "image_sha256": text, "pixels_sha256": text, "header": text,
        }
    )  # fmt: skip
    folder.mkdir()
    datasets.disable_progress_bars()
    for part in PARTS:
        table = rows[rows["split"] == part]
        columns: dict[str, Any] = {name: table[name].tolist() for name in features if name != "image"}
        columns["noaa_ar"] = [None if pd.isna(number) else int(number) for number in table["noaa_ar"]]
        # HMI's times have hundredths of a second at most; pandas keeps microseconds.
        columns["observed"] = table["observed"].dt.round("ms").tolist()
        columns["label"] = [classes.index(name) for name in table["label"]]
        # Bytes with a bare name: a path would be stored instead of the pixels.
        columns["image"] = [{"bytes": b, "path": f"{i}.png"} for b, i in zip(table["image"], table["id"], strict=True)]
        data = datasets.Dataset.from_dict({name: columns[name] for name in features}, features=features)
        data.to_parquet(str(folder / f"{part}-00000-of-00001.parquet"))
