"""The house stays as drawn: imports only go up, importing costs nothing, the public face is what it was."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import sdovis

PACKAGE = Path(sdovis.__file__).parent
#: An import only ever goes to a room above, or stays in its own.
ROOMS = """
    version errors records plugins allocation study manifests statistics figures sun images channels labels simulation readers
    corpus summary learning inference evaluation cards release hub webapp stages printing cli
""".split()
DATA_ONLY = {"sdovis.space", "sdovis.datacard", "sdovis.modelcard"}


def _imports(path: Path) -> set[str]:
    """Dotted names of everything of ours that a module imports, lazily or not."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path.name}: a relative import hides which room it goes to"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.startswith("sdovis.")}


def _room(dotted: str) -> str:
    return dotted.split(".")[1]


def test_an_import_only_ever_goes_to_a_room_above():
    wrong = []
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[0].startswith("__"):
            continue
        here = ROOMS.index(parts[0])
        rooms = {name: _room(name) for name in _imports(path)}
        below = (name for name, room in rooms.items() if room in ROOMS and ROOMS.index(room) > here)
        wrong += [f"{'/'.join(parts)} imports {name}" for name in below]
    assert not wrong


def test_every_room_of_the_package_is_in_the_order():
    rooms = {p.stem for p in PACKAGE.iterdir() if (p.is_dir() or p.suffix == ".py") and not p.name.startswith("__")}
    assert rooms - {"py.typed"} - {"py"} <= set(ROOMS)


def test_nothing_in_the_package_imports_the_folders_that_are_data_to_it():
    wrong = [p.name for p in PACKAGE.rglob("*.py") for n in _imports(p) if any(n.startswith(d) for d in DATA_ONLY)]
    assert not wrong


def test_importing_the_package_and_its_command_line_loads_nothing_heavy():
    heavy = "torch transformers datasets evaluate sunpy matplotlib pandas sklearn gradio".split()
    code = f"import sys, sdovis, sdovis.cli; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_public_face_is_small_and_guarded():
    assert sorted(sdovis.__all__) == [
        "BadInput",
        "Conflict",
        "Corpus",
        "SdovisError",
        "Study",
        "load_study",
        "pipeline",
    ]
    assert all(getattr(sdovis, name) is not None for name in sdovis.__all__)
