"""A disk of which a power cut leaves only what was synced: `power.c` watches the processes, and this does the cutting."""

from __future__ import annotations

import ctypes
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("power.c")
#: Name -> (type, key), as in `power.c`.
Names = dict[str, tuple[str, str]]


def built(folder: Path) -> Path:
    """The library made of `power.c`. Raises OSError where it cannot be used."""
    library = folder / "power.so"
    made = ["cc", "-O1", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"]
    subprocess.run(made, check=True)
    Disk(folder, folder, library).key(folder)
    return library


@dataclass(frozen=True)
class Disk:
    """The folder ``root`` as a disk; ``store``, outside it, has what of it was synced."""

    root: Path
    store: Path
    library: Path

    def key(self, path: Path) -> tuple[str, str]:
        """Type and key of a path. Raises OSError on a file system that does not note when a file was made."""
        key = ctypes.create_string_buffer(64)
        kind = ctypes.CDLL(str(self.library)).power_key(-100, bytes(path), key, 64)
        if kind <= 0:
            raise OSError(f"{path}: its file system does not note when a file was made")
        return chr(kind), key.value.decode()

    def remember(self) -> None:
        """Let all that is there now be on the disk."""
        shutil.rmtree(self.store, ignore_errors=True)
        self.store.mkdir()
        keep = ctypes.CDLL(str(self.library)).power_keep
        for path in (self.root, *self.root.rglob("*")):
            opened = os.open(path, os.O_RDONLY)
            assert keep(opened, bytes(self.store)) == 0, path
            os.close(opened)

    def cut(self, chance: random.Random, survives: float) -> None:
        """Turn ``root`` into what a power cut leaves.

        Whatever was not synced is lost, or survives with that probability: each name of a folder by itself, so that a
        rename may be there by halves, and of each file its contents, or a beginning of them.
        """
        living = {self.key(path)[1]: path for path in (self.root, *self.root.rglob("*"))}
        after = self.root.with_name(f"{self.root.name}.after")

        def lucky() -> bool:
            return chance.random() < survives

        def rebuild(kind: str, key: str, target: Path) -> None:
            if kind == "f":
                contents = synced = self._synced(key)
                if key in living and lucky():
                    contents = living[key].read_bytes()
                if contents != synced and lucky():
                    contents = contents[: chance.randint(0, len(contents))]
                target.write_bytes(contents)
                return
            target.mkdir()
            synced = _listed(self._synced(key))
            now = {path.name: self.key(path) for path in living[key].iterdir()} if key in living else synced
            for name in sorted(synced.keys() | now.keys()):
                if found := (now if lucky() else synced).get(name):
                    rebuild(*found, target / name)

        rebuild(*self.key(self.root), after)
        shutil.rmtree(self.root)
        after.rename(self.root)
        self.remember()

    def _synced(self, key: str) -> bytes:
        kept = self.store / key
        return kept.read_bytes() if kept.exists() else b""


def _listed(contents: bytes) -> Names:
    fields: Iterator[str] = iter(contents.decode().split("\0"))
    return {name: (kind, key) for kind, key, name in zip(fields, fields, fields, strict=False)}
