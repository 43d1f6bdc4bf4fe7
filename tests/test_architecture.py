"""The house stays as drawn: imports only go up and never in a circle, rooms stay small, the documentation shows them all."""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import sdovis
import yaml

PACKAGE = Path(sdovis.__file__).parent
REPOSITORY = Path(__file__).parents[1]
#: An import only ever goes to a room above, or stays in its own.
ROOMS = """
    version errors privacy patience formats disk records plugins allocation waiting study exchange manifests statistics
    figures sun images channels labels simulation readers fetching corpus summary learning inference evaluation cards report
    release hub webapp stages verbs printing plugin cli
""".split()
DATA_ONLY = {"sdovis.space", "sdovis.datacard", "sdovis.modelcard"}
MAX_SHARE = 0.18  #: of the package's lines in one room


def _walk(node: ast.AST, *, types: bool) -> Iterator[ast.AST]:
    """A syntax tree's nodes; with ``types`` also those that only a type checker comes to."""
    yield node
    if not types and isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        inner = [node.test, *node.orelse]
    else:
        inner = [*ast.iter_child_nodes(node)]
    for child in inner:
        yield from _walk(child, types=types)


def _imports(path: Path, *, types: bool = True) -> set[str]:
    """Dotted names of everything of ours that a module imports, lazily or not."""
    found = set()
    for node in _walk(ast.parse(path.read_text(encoding="utf-8")), types=types):
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


def _rooms_on_disk() -> dict[str, list[Path]]:
    """The modules of each room: of a folder all of them, of a file itself."""
    modules = [path for path in PACKAGE.rglob("*.py") if not path.relative_to(PACKAGE).parts[0].startswith("__")]
    rooms: dict[str, list[Path]] = {}
    for path in modules:
        rooms.setdefault(path.relative_to(PACKAGE).with_suffix("").parts[0], []).append(path)
    return rooms


def test_every_room_of_the_package_is_in_the_order():
    assert {*_rooms_on_disk()} == {*ROOMS}


def test_no_import_goes_in_a_circle():
    """Lazy imports count: they only hide a circle. What only a type checker sees does not."""
    modules = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        modules[".".join(["sdovis", *(part for part in parts if part != "__init__")])] = path

    def module_of(name: str) -> str:
        return name if name in modules else module_of(name.rpartition(".")[0])

    needs = {module: {module_of(n) for n in _imports(path, types=False)} for module, path in modules.items()}
    try:
        graphlib.TopologicalSorter(needs).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def test_no_room_has_more_than_its_share_of_the_package():
    lines = {
        room: sum(len(path.read_text(encoding="utf-8").splitlines()) for path in modules)
        for room, modules in _rooms_on_disk().items()
    }
    too_large = {room: count for room, count in lines.items() if count > MAX_SHARE * sum(lines.values())}
    assert not too_large, f"of {sum(lines.values())} lines"


def test_no_two_classes_have_one_name():
    names = Counter(
        node.name
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    )
    assert not [name for name, count in names.items() if count > 1]


def _tree() -> str:
    """The tree that the architecture page draws under 'Rooms'."""
    text = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    return text.split("## Rooms")[1].split("```")[1]


def test_the_architecture_page_shows_the_rooms_in_their_order():
    drawn = re.findall(r"^ {4}(\S.*?)(?=  )", _tree(), re.MULTILINE)
    files = {room for room, modules in _rooms_on_disk().items() if modules[0].parent == PACKAGE}
    assert " ".join(drawn).split() == [room if room in files else f"{room}/" for room in ROOMS]


def test_the_architecture_page_shows_the_folders_that_are_there():
    drawn = " ".join(re.findall(r"^(\S.*?)(?=  )", _tree(), re.MULTILINE)).split()
    assert [name for name in drawn if not (REPOSITORY / name).is_dir()] == []


def test_the_citation_names_this_version():
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    assert str(citation["version"]) == sdovis.__version__


def test_nothing_in_the_package_imports_the_folders_that_are_data_to_it():
    wrong = [p.name for p in PACKAGE.rglob("*.py") for n in _imports(p) if any(n.startswith(d) for d in DATA_ONLY)]
    assert not wrong


def test_importing_the_package_and_its_command_line_loads_nothing_heavy():
    heavy = "torch transformers datasets evaluate sunpy matplotlib pandas sklearn gradio".split()
    code = f"import sys, sdovis, sdovis.cli; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_the_package_loads_nothing_but_the_standard_library():
    code = (
        "import sys; before = {*sys.modules}; import sdovis\n"
        "names = {name.partition('.')[0] for name in {*sys.modules} - before}\n"
        "print(sorted(names - sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['sdovis']"


def test_the_public_face_is_small_and_guarded():
    assert sorted(sdovis.__all__) == [
        "BadInput",
        "Conflict",
        "Corpus",
        "SdovisError",
        "Study",
        "card",
        "describe",
        "evaluate",
        "load_study",
        "pipeline",
        "prepare",
        "run",
        "train",
    ]
    rooms = set(ROOMS) & set(sdovis.__all__)
    assert not rooms, "importing a room would put it in the place of the function of its name"
    assert all(getattr(sdovis, name) is not None for name in sdovis.__all__)


def test_the_face_towards_plug_ins_is_guarded_and_loads_nothing_heavy():
    from sdovis import plugin

    groups = "Augmentation Channel LabelScheme MetricSpec RawRow Reader Request Target".split()
    made_of = (
        "Columns Contrast FlareFacts Limits Release SolarImage Source SourceSettings UnknownLabel channel nearest"
    ).split()
    errors = "BadInput Conflict HubFailure Problem UnreadableImage".split()
    assert sorted(plugin.__all__) == sorted([*groups, *made_of, *errors])
    assert all(getattr(plugin, name) is not None for name in plugin.__all__)
    heavy = "torch transformers datasets evaluate sunpy matplotlib pandas pyarrow sklearn gradio".split()
    code = f"import sys, sdovis.plugin; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
