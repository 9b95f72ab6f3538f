"""The house as its import graph shows it: few rooms, few floors, every arrow down, and a sentence on every door."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path

import harness

PACKAGE = Path(harness.__file__).parent
ROOMS, FLOORS = 38, 10
LINES = 300  # of a file, at most


def _modules() -> Iterator[tuple[str, Path]]:
    for file in sorted({*PACKAGE.rglob("*.py"), *PACKAGE.glob("*/*.py")}):  # the second goes through links
        parts = file.relative_to(PACKAGE).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), file


MODULES = {name: file for name, file in _modules() if name}


def _room(module: str) -> str:
    """The folder, or the module at the root, that a module belongs to."""
    return module.split(".")[0]


def _imported(file: Path) -> Iterator[str]:
    """The modules that a file imports, at its head or later, also those that only its types need."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        yield from (name.removeprefix("harness.") for name in names if name.startswith("harness."))


Arrows = Mapping[str, set[str]]


@cache
def _arrows(place: Callable[[str], str] = _room) -> Arrows:
    """Which place imports which: rooms, or modules where ``place`` is ``str``."""
    arrows: dict[str, set[str]] = defaultdict(set)
    for name, file in MODULES.items():
        arrows[place(name)] |= {place(other) for other in _imported(file) if other in MODULES} - {place(name)}
    return arrows


def _floors(arrows: Arrows) -> dict[str, int]:
    """1 for what imports nothing of the house, else one more than the highest that it imports."""
    floors: dict[str, int] = {}

    def floor(place: str, above: tuple[str, ...] = ()) -> int:
        assert place not in above, f"a circle: {' -> '.join([*above, place])}"
        if place not in floors:
            floors[place] = 1 + max((floor(other, (*above, place)) for other in arrows[place]), default=0)
        return floors[place]

    for place in list(arrows):
        floor(place)
    return floors


def test_no_circle_and_few_rooms_on_few_floors() -> None:
    floors = _floors(_arrows())
    assert len(floors) <= ROOMS
    assert max(floors.values()) <= FLOORS


def test_the_map_has_every_room_on_its_floor() -> None:
    text = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    drawn: dict[str, int] = {}
    floor = 0
    for line in text.split("```")[1].splitlines():
        number, parts = line[:2].strip(), line[2:].split("  ")
        floor = int(number or floor)
        drawn |= {part.strip(" /").removesuffix(".py"): floor for part in parts if part.endswith(("/", ".py"))}
    assert drawn == _floors(_arrows())


def test_no_module_imports_itself_by_a_detour() -> None:
    assert _floors(_arrows(str)).keys() == MODULES.keys()


def test_plugins_that_ship_stand_on_the_contracts_alone() -> None:
    allowed = {"plugin", "runtime", "errors"}
    for room in ("methods", "attacks", "networks", "wrappers"):
        assert _arrows()[room] <= allowed, room


def test_every_folder_says_what_lives_there() -> None:
    folders = {_room(name) for name in MODULES if MODULES[name].parent != PACKAGE}
    for folder in folders:
        text = ast.get_docstring(ast.parse((PACKAGE / folder / "__init__.py").read_text(encoding="utf-8")))
        assert text is not None, folder
        assert text.split("\n")[0].endswith((".", ":")), folder


def test_no_file_is_too_long_to_be_one_concept() -> None:
    root = PACKAGE.parent
    folders = (root / name for name in ("harness", "methods", "attacks", "tests", "scripts", "benchmarks"))
    lengths = {file: len(file.read_text(encoding="utf-8").splitlines()) for f in folders for file in f.rglob("*.py")}
    assert {str(file.relative_to(root)): length for file, length in lengths.items() if length > LINES} == {}


def test_what_tests_share_stands_in_modules_that_are_no_tests() -> None:
    tests = PACKAGE.parent / "tests"
    for file in tests.rglob("*.py"):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("tests."):
                assert not node.module.rpartition(".")[2].startswith("test_"), file
