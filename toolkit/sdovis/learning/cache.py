"""Pictures decoded and resized once: a file of codes for each part of a corpus, memory-mapped by every reader.

    FOLDER/train/codes.npy        (N, S, S) or (N, S, S, 3), 8 bit
    FOLDER/train/manifest.json    what it was made from, sha256
    FOLDER/train.checked.json     the state of the file when its checksum was last verified

It lies in the training's own folder, which is writable wherever the corpus is, moves with the run, and can be shared by
several trainings. A process killed while making it leaves nothing that counts; the next one makes it again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm.auto import tqdm

from sdovis import disk, manifests
from sdovis.errors import BadInput
from sdovis.learning import loader
from sdovis.learning.checkpoints import write_json
from sdovis.manifests import sha256_text
from sdovis.version import __version__

if TYPE_CHECKING:
    from sdovis.corpus.build import Corpus

CODES = "codes.npy"
#: Pictures decoded at once, which are all that is in memory while the cache is made.
AT_ONCE = 100

log = logging.getLogger(__name__)


def codes(folder: Path, corpus: Corpus, part: str, processor: Any, *, progress: bool = True) -> loader.Pixels:
    """The codes of a part's pictures as `loader.decode` makes them, mapped read-only; made if they do not exist.

    Codes of other pictures, of another size or by another processor are made again, and so are damaged ones, with a
    message. Of several processes, one makes them while the others wait. Raises `BadInput` for a picture that does not
    have 8 bits, OSError if the disk is full.
    """
    import filelock

    made_from = _made_from(corpus, part, processor)
    disk.make(folder)
    with filelock.FileLock(folder / f".{part}.lock"):
        if not _is_there(folder, part, made_from):
            with manifests.whole(folder / part, stage="cache", made_from=made_from) as beside:
                _write(beside / CODES, corpus, part, processor, progress)
            _note_checked(folder, part)
        mapped: loader.Pixels = np.load(folder / part / CODES, mmap_mode="r")
    return mapped


def _made_from(corpus: Corpus, part: str, processor: Any) -> dict[str, str]:
    files = {path: digest for path, digest in corpus.manifest.files.items() if path.startswith(f"data/{part}-")}
    resizes = {
        key: value for key, value in processor.to_dict().items() if key in ("size", "resample", "do_convert_rgb")
    }
    return {
        "pictures": sha256_text(json.dumps(files, sort_keys=True)),
        "processor": f"{type(processor).__name__} {json.dumps(resizes, sort_keys=True)}",
        "pillow": version("pillow"),
        "transformers": version("transformers"),
    }


def _is_there(folder: Path, part: str, made_from: Mapping[str, str]) -> bool:
    """Whether the codes are whole and belong to these pictures.

    The checksum is verified only if the file has changed since the last time, so that not every start has to read it all.
    """
    try:
        manifest = json.loads((folder / part / manifests.NAME).read_text(encoding="utf-8"))
        if manifest["made_from"] != {**made_from, "sdovis": __version__}:
            return False
        if _checked(folder, part) != _state(folder / part / CODES):
            manifests.read(folder / part, made_by="train")
            _note_checked(folder, part)
    except (OSError, BadInput, ValueError, KeyError, TypeError):
        if (folder / part).exists():
            log.warning("%s is damaged: decoding its pictures again", folder / part)
        return False
    return True


def _state(file: Path) -> dict[str, int]:
    """What a file looks like from outside: every write changes this."""
    seen = file.stat()
    return {"bytes": seen.st_size, "mtime_ns": seen.st_mtime_ns, "ctime_ns": seen.st_ctime_ns, "inode": seen.st_ino}


def _checked(folder: Path, part: str) -> object:
    try:
        return json.loads((folder / f"{part}.checked.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _note_checked(folder: Path, part: str) -> None:
    write_json(folder / f"{part}.checked.json", _state(folder / part / CODES))


def _write(file: Path, corpus: Corpus, part: str, processor: Any, progress: bool) -> None:
    """All pictures in grey if all are grey, otherwise all in colour, which may turn out only at the last one."""
    if not _written(file, corpus, part, processor, progress, colours=()):
        _written(file, corpus, part, processor, progress, colours=(3,))


def _written(
    file: Path, corpus: Corpus, part: str, processor: Any, progress: bool, *, colours: tuple[int, ...]
) -> bool:
    """Write the file from its beginning; stop and return false at pictures with more colours than ``colours``.

    It is written, not mapped: on a full disk a map kills the process, while a write raises an error.
    """
    where = np.flatnonzero(corpus.rows["split"] == part).tolist()
    shape = (len(where), processor.size["height"], processor.size["width"], *colours)
    starts = range(0, len(where), AT_ONCE)
    with file.open("wb") as out:
        np.lib.format.write_array_header_1_0(out, {"descr": "|u1", "fortran_order": False, "shape": shape})
        for start in tqdm(starts, desc=f"decode {part}", unit="batch", disable=not progress, dynamic_ncols=True):
            pictures = [corpus.pictures[i] for i in where[start : start + AT_ONCE]]
            batch = loader.decode(pictures, processor, first=start)
            if batch.ndim > len(shape):
                return False
            out.write((batch if batch.ndim == len(shape) else np.repeat(batch[..., None], 3, axis=-1)).data)
    return True
