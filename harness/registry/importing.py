"""Import a user's file: it can import its neighbours, and the code that runs is the code on the disk.

A process can outlive an edit (a notebook, a test), and Python keeps imported modules. But identities are computed from
the source on the disk. So a user's module is imported again when it, or a module that it imports, was edited; a
neighbour is never confused with another file of the same name; and no bytecode is written that could go stale.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

from harness.registry.source import ENGINE, Source, closure

_seen: dict[Path, str] = {}  # a user's source file -> its SHA-256 when it was imported
_brought: set[str] = set()  # names of the user's modules that were loaded by an import here


def forget() -> None:
    """Unload the user's modules: a file or variable that a module reads on import may have changed."""
    for name in _brought:
        sys.modules.pop(name, None)
    _brought.clear()


def import_file(file: Path) -> ModuleType:
    """Run a file as a module. The module's name is derived from the path, and so is the same in every process.

    Raises:
        ImportError: it is not a Python file, or another loaded module already has the name of a neighbour. Exceptions
            of the file itself pass through, and the module is unloaded.
    """
    name = f"harness_file_{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:12]}"
    source = closure([file])
    _forget_the_outdated(source, file.parent)
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError("it is not a Python file, its name ending in .py")
    module = importlib.util.module_from_spec(spec)
    with _remembering(source.files):
        sys.modules[name] = module  # before it runs: a dataclass looks its module up
        try:
            with on_path(file.parent):
                spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return module


def import_module(name: str, directory: Path) -> ModuleType:
    """Import a module by its dotted name; ``directory`` is searched first.

    Raises:
        ImportError: as in Python, or as in ``import_file``. Exceptions of the module itself pass through.
    """
    with on_path(directory):
        importlib.invalidate_caches()
        file = _file_of(sys.modules.get(name))
        spec = importlib.util.find_spec(name) if file is None else None
        if spec is not None and spec.has_location and spec.origin:
            file = Path(spec.origin).resolve()
        source = closure([file] if file is not None else [], directory)
        _forget_the_outdated(source, directory)
        with _remembering(source.files):
            return importlib.import_module(name)


@contextlib.contextmanager
def _remembering(files: Mapping[Path, str]) -> Iterator[None]:
    """Record the files and modules that the import in the body loads, if it succeeds."""
    before = set(sys.modules)
    yield
    _seen.update(files)
    _brought.update(name for name in set(sys.modules) - before if _file_of(sys.modules[name]) in files)


@contextlib.contextmanager
def on_path(directory: Path) -> Iterator[None]:
    """Put a directory first on ``sys.path``, and write no bytecode; entries that the user's code adds there stay.

    Python would reuse bytecode after an edit within the same second that keeps the file's size.
    """
    sys.path.insert(0, str(directory))
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before
        with contextlib.suppress(ValueError):  # the user's code removed it
            sys.path.remove(str(directory))


def _forget_the_outdated(source: Source, directory: Path) -> None:
    """Unload the user's modules that were edited, or that are another file than these files would import by that name.

    Raises:
        ImportError: a module that was not loaded here has the name of a neighbour that the files import.
    """
    edited = {file for file, sha256 in source.files.items() if _seen.get(file, sha256) != sha256}
    for name, module in list(sys.modules.items()) if edited else ():
        file = _file_of(module)
        if file in _seen and file.is_file() and not edited.isdisjoint(closure([file], directory).files):
            del sys.modules[name]
    _forget_packages_of_others(source)
    asked_for = {other for _, name, other in source.imports if name.split(".")[0] == other.stem}
    for neighbour in (file for file in source.files if file.parent == directory.resolve()):
        loaded = _file_of(sys.modules.get(neighbour.stem))
        if loaded in _seen and loaded != neighbour:
            del sys.modules[neighbour.stem]
        elif neighbour in asked_for and loaded not in (None, neighbour):
            raise ImportError(f"{neighbour.name} has the name of {loaded}, which is loaded already; rename it")


def _forget_packages_of_others(source: Source) -> None:
    """Unload the user's packages that have the name of one that the files import, and lie in another folder."""
    folders: dict[str, set[Path]] = {}
    for _, name, other in source.imports:
        top = name.split(".")[0]  # none of a relative import
        found = next((parent for parent in (other, *other.parents) if top and parent.stem == top), None)
        if found is not None and ENGINE not in other.parents:
            folders.setdefault(top, set()).add(found.parent)
    for top, allowed in folders.items():
        held = {name: _file_of(sys.modules[name]) for name in list(sys.modules) if name.split(".")[0] == top}
        own = {name: file for name, file in held.items() if file in _seen}
        if any(_root(name, file) not in allowed for name, file in own.items()):
            for name in (name for name, file in held.items() if file is None or name in own):
                del sys.modules[name]


def _root(name: str, file: Path) -> Path:
    """The folder in which the import of a loaded module began."""
    return file.parents[name.count(".") + (file.name == "__init__.py")]


def _file_of(module: ModuleType | None) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(file).resolve() if isinstance(file, str) and file.endswith(".py") else None
