"""Rows joined to images: every row becomes an example, a reject with its reason, or a problem to fix."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sdovis.channels.channel import channel
from sdovis.corpus import examples, motion, units
from sdovis.corpus.observations import Observation, Reject, Sorted, understand
from sdovis.corpus.shards import HEAVY, Looked, Shards, chunks
from sdovis.errors import BadInput, Problem, UnreadableImage, once
from sdovis.images import cluster, isolation
from sdovis.images.address import Address
from sdovis.images.bounds import MAX_BYTES
from sdovis.images.containers import members
from sdovis.images.images import located
from sdovis.images.keywords import Keywords
from sdovis.labels import schemes as label_schemes
from sdovis.labels.schemes import LabelScheme
from sdovis.manifests import sha256_file
from sdovis.privacy import without_cells
from sdovis.readers.rows import RawRow
from sdovis.study import Images, Study, reader
from sdovis.sun.geometry import DiscFrame

#: ``reason`` is for the owner of the rows and may quote a cell; ``published`` is the same without what cells hold.
REJECT_COLUMNS = ("file", "sheet", "row", "image", "noaa_ar", "label", "reason", "published")
#: Limits beyond which the decoder of an image is stopped: seconds, and bytes beyond those of an idle worker.
DECODING_SECONDS = 60.0
DECODING_BYTES = 2 * 2**30
#: Images of a store that are handed to a child at once: as many results wait in memory.
TOGETHER = 32
#: Images from whose limbs the place of the disc is proposed.
LIMBS = 20


@dataclass(frozen=True)
class Catalog:
    """``rows``: one row per example, without its picture; ``rejects``: one row per reject, with its reason.

    With shards, the columns shard and place of ``rows`` say where the pictures are. ``notices`` are the reader's.
    """

    rows: pd.DataFrame
    rejects: pd.DataFrame
    scheme: LabelScheme
    notices: tuple[str, ...] = ()


def scheme_of(study: Study, rows: Sequence[RawRow]) -> LabelScheme:
    """The study's label scheme, fitted to the column's values if the scheme asks for it."""
    values = [row.text("label") for row in rows]
    return label_schemes.scheme(study.labels.scheme, values=values, classes=study.labels.classes)


def catalog(
    study: Study,
    rows: Sequence[RawRow],
    *,
    shards: Shards | None = None,
    progress: bool = True,
    workers: int | None = None,
    scheduler: str = "",
) -> Catalog:
    """Parse every row and look at every image, in order of time.

    The pictures go to ``shards``, where finished ones are not made again; without it, images are only looked at. Raises
    `BadInput` with all problems of all rows and images; with ``source.on_problem = "reject"`` these become rejects, and
    it raises only if no row is left.
    """
    scheme = scheme_of(study, [raw for raw in rows if not raw.faults])
    signed = any(channel(name).signed for name in study.images.channels)
    scheme.policy.chosen(
        study.method.augment, signed=signed
    )  # augmentations that break labels are refused before the work
    understood = understand(study, rows, scheme)
    if study.images.neighbours == "mask" and not understood.numbered:
        what = (
            "images.neighbours: no row has both a region's number and its position, so there are no neighbours to mask"
        )
        hint = "set source.columns.noaa_ar and those of the position"
        raise BadInput([*once(p for _, p in understood.problems), Problem(what, hint, study.source.rows_from)])
    frames = frames_of(understood.kept)
    where = {"workers": workers, "scheduler": scheduler}
    look = partial(_look, study, understood.numbered, where=where, progress=progress, total=len(frames))
    parts = _kept_on_disk(frames, shards, look) if shards else _only_looked_at(frames, look)
    table, seen = _gathered(frames, parts)
    problems = understood.problems + seen.problems
    rejects = understood.rejects + seen.rejects
    if problems and study.source.on_problem == "error":
        raise BadInput(once(problem for _, problem in sorted(problems, key=lambda p: (p[0].sheet, p[0].row))))
    faults: dict[tuple[object, ...], list[tuple[RawRow, Problem]]] = {}
    for raw, problem in problems:
        faults.setdefault((raw.file, raw.sheet, raw.row, raw.images), []).append((raw, problem))
    rejects += [Reject(of[0][0], "; ".join(p.what for _, p in of)) for of in faults.values()]
    left_out = pd.DataFrame([_reject_row(reject) for reject in rejects], columns=list(REJECT_COLUMNS))
    left_out = left_out.sort_values(["sheet", "row"], kind="stable", ignore_index=True)
    if not len(table):
        reasons = left_out["reason"].value_counts().head(3).to_dict()
        hint = "check [images] and [labels] in the study"
        if study.images.center_px is not None and left_out["reason"].str.contains("off-pointed").all():
            hint = _where_the_limb_is(study, frames, workers) or hint
        raise BadInput(Problem(f"no row is left: {reasons}", hint, study.source.rows_from))
    if fault := motion.fault(table):
        raise BadInput(replace(fault, file=study.source.rows_from))
    notices = reader(study.source.reader).notices(study.source, study.source.settings, rows)
    return Catalog(table, left_out, scheme, tuple(notices))


Frame = tuple[Observation, ...]


def frames_of(rows: Iterable[Observation]) -> list[Frame]:
    """The rows of each image (with several channels, of each set of images), in order of time."""
    frames: dict[tuple[str, ...], list[Observation]] = {}
    for row in rows:
        frames.setdefault(row.images, []).append(row)
    return sorted(map(tuple, frames.values()), key=lambda f: (str(f[0].observed or ""), f[0].images))


Look = Callable[[Sequence[Frame]], Iterator[Looked]]
#: The outcome for some images, in order, and one table of all their examples.
Part = tuple[Sequence[Looked], pd.DataFrame]


#: The rows of each image that number a region and say where it is: see `Sorted.numbered`.
Numbered = Mapping[tuple[str, ...], Sequence[Observation]]


Task = tuple[Frame, Sequence[Observation]]


def _looked(root: Path, images: Images, keywords: Keywords | None, tasks: Sequence[Task]) -> list[Looked]:
    return [Looked(*examples.look(root, images, frame, keywords, numbered)) for frame, numbered in tasks]


def _look(
    study: Study,
    numbered: Numbered,
    frames: Sequence[Frame],
    *,
    where: Mapping[str, Any],
    progress: bool,
    total: int,
) -> Iterator[Looked]:
    """Look at ``frames`` in child processes: an image that crashes its decoder becomes a problem of its rows.

    ``where`` says whose children they are, as `cluster.imap` is told. Frames of one piece of a store are looked at by one
    child, one after the other, so that the piece is decoded once.
    """
    from tqdm import tqdm

    keywords = Keywords.read(study.keywords) if study.keywords else None
    work = partial(_looked, study.image_root, study.images, keywords)
    imports = [*isolation.READING_IMPORTS, *(m for name in study.images.channels for m in channel(name).imports)]
    stores = {kind for frame in frames for name in frame[0].images if (kind := Address.of(name).kind)}
    needed = [name for kind in sorted(stores) for name in members.opener(kind).IMPORTS]
    imports += [name for name in needed if find_spec(name.partition(".")[0])]  # what is missing is said of each image
    pieces = _pieces(study.image_root, frames) if stores else [[frame] for frame in frames]
    results = cluster.imap(
        work,
        [[(frame, numbered.get(frame[0].images, ())) for frame in piece] for piece in pieces],
        **where,
        seconds=DECODING_SECONDS,
        memory_bytes=DECODING_BYTES,
        imports=imports,
    )
    with tqdm(None, "images", total, initial=total - len(frames), disable=not progress, leave=False) as shown:
        for piece, found in zip(pieces, results, strict=True):
            shown.update(len(piece))
            if not isinstance(found, UnreadableImage):
                yield from found
            elif len(piece) > 1:  # one image may have killed the child: the others have done nothing
                each = partial(_look, where=where, progress=False, total=1)
                yield from itertools.chain.from_iterable(each(study, numbered, [frame]) for frame in piece)
            else:
                yield _lost(piece[0], found)


def _lost(frame: Frame, death: UnreadableImage) -> Looked:
    """What became of an image whose child died."""
    what = f"image {frame[0].image!r}: {death.why}"
    return Looked("", Sorted(problems=[(r.raw, r.raw.problem(what, field="image")) for r in frame]))


def _pieces(root: Path, frames: Sequence[Frame]) -> list[list[Frame]]:
    """``frames`` in their order, those that follow one another and are read in one piece of a store together."""

    def piece(frame: Frame) -> Hashable:
        try:
            found = [located(root, name) for name in frame[0].images]
            return tuple(members.opener(each.kind).together(each) if each.member else str(each) for each in found)
        except UnreadableImage:  # said when it is looked at
            return frame[0].images

    together = (list(of) for _, of in itertools.groupby(frames, piece))
    return [of[start : start + TOGETHER] for of in together for start in range(0, len(of), TOGETHER)]


def _where_the_limb_is(study: Study, frames: Sequence[Frame], workers: int | None) -> str:
    """What the study should say of where the disc is: the median over some of the images; "" if they show no limb."""
    some = frames[:: -(-len(frames) // LIMBS)]
    found = isolation.imap(
        partial(examples.disc_shown, study.image_root, study.images),
        some,
        workers=workers,
        seconds=DECODING_SECONDS,
        memory_bytes=DECODING_BYTES,
        imports=isolation.READING_IMPORTS,
    )
    discs = [disc for disc in found if isinstance(disc, DiscFrame)]
    if not discs:
        return ""
    x, y = np.median([disc.center_px for disc in discs], axis=0)
    scale = np.median([disc.arcsec_per_px for disc in discs])
    return (
        f"the limb of {len(discs)} of them says images.center_px = [{x:.1f}, {y:.1f}] and "
        f"images.arcsec_per_px = {scale:.4g}"
    )


def _only_looked_at(frames: Sequence[Frame], look: Look) -> Iterator[Part]:
    results = look(frames)
    for part in chunks(frames):
        looked = [next(results) for _ in part]
        light = [{k: v for k, v in row.items() if k not in HEAVY} for image in looked for row in image.rows.kept]
        yield looked, pd.DataFrame(light)


def _kept_on_disk(frames: Sequence[Frame], shards: Shards, look: Look) -> Iterator[Part]:
    done = shards.finished()
    parts = chunks(frames)
    results = look([frame for number, part in enumerate(parts) if number not in done for frame in part])
    for number, part in enumerate(parts):
        if number not in done:
            shards.write(number, [next(results) for _ in part])
        yield shards.read(number)


def _gathered(frames: Sequence[Frame], parts: Iterable[Part]) -> tuple[pd.DataFrame, Sorted]:
    """One table of all examples; an image whose file has the same bytes as an earlier one gives none."""
    out = Sorted()
    tables = []
    owner: dict[str, str] = {}
    following = iter(frames)
    for looked, table in parts:
        new = []
        for image in looked:
            frame = next(following)
            first = owner.setdefault(image.sha256, frame[0].image) if image.sha256 else frame[0].image
            new += [first == frame[0].image] * len(image.rows.kept)
            if first == frame[0].image:
                out.rejects += image.rows.rejects
                out.problems += image.rows.problems
            else:
                out.rejects += [Reject(row.raw, f"the image is the same file as {first}") for row in frame]
        if any(new):
            tables.append(table[np.array(new)])
    if not tables:
        return pd.DataFrame(), out
    rows = pd.concat(tables, ignore_index=True)
    return rows.assign(group=units.groups(rows["unit"].tolist(), rows["frame"].tolist())), out


def _reject_row(reject: Reject) -> dict[str, Any]:
    raw = reject.raw
    return {
        "file": raw.file,
        "sheet": raw.sheet,
        "row": raw.row,
        "image": "; ".join(raw.images),
        "noaa_ar": raw.text("noaa_ar"),
        "label": raw.text("label"),
        "reason": reject.reason,
        "published": without_cells(reject.reason, raw.cells.values()),
    }


def image_inventory(study: Study, rows: Iterable[RawRow]) -> str:
    """JSON with (name, sha256, or why there is none) of each image that the rows name: what a corpus was made from."""
    found = []
    sums: dict[Path, str] = {}  # a store's file holds many images

    def summed(file: Path, *, store: bool) -> str:
        if file not in sums:
            size = file.stat().st_size  # an image that is too large to be read is not read for its sum either
            sums[file] = sha256_file(file) if size <= MAX_BYTES or store else f"{size} bytes"
        return sums[file]

    for name in sorted({name for row in rows for name in row.images}):
        try:
            address = located(study.image_root, name)
            files = members.opener(address.kind).files(address) if address.member else (address.path,)
            found.append((name, " ".join(summed(file, store=bool(address.member)) for file in files)))
        except UnreadableImage:
            found.append((name, "missing"))
        except OSError as error:
            found.append((name, f"{error.strerror}"))
    return json.dumps(found)
