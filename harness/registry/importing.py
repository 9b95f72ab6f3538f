"""Importing a user's file: its neighbours can be imported, and what runs is what lies on the disk.

A process may live longer than an edit (a notebook, a test), and Python keeps what it has imported. Identities are taken
from the source on the disk; so a module of the user's is imported anew when it, or one that it imports, was edited,
and a neighbour is never mistaken for another file of that name. No stale bytecode is taken for the source either.
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

from harness.registry.source import Source, closure

_seen: dict[Path, str] = {}  # source file of the user's -> its SHA-256 when it was imported
_brought: set[str] = set()  # modules that were not loaded before an import here


def forget() -> None:
    """Drop what was imported here: a file or a variable that a module reads as it is imported may be another now."""
    for name in _brought:
        sys.modules.pop(name, None)
    _brought.clear()


def import_file(file: Path) -> ModuleType:
    """Run a file as a module whose name comes from its path, so that it is the same in every process.

    Raises:
        ImportError: it is no Python file, or a neighbour's name is taken by a module that is loaded already. What else
            the file raises is passed on, and the module is forgotten.
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
        sys.modules[name] = module  # dataclasses look their module up
        try:
            with on_path(file.parent), _no_bytecode():
                spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return module


def import_module(name: str, directory: Path) -> ModuleType:
    """Import a module by its dotted name, from a directory first.

    Raises:
        ImportError: as Python does, or as ``import_file`` does. What else the module raises is passed on.
    """
    with on_path(directory), _no_bytecode():
        importlib.invalidate_caches()
        loaded = _file_of(sys.modules.get(name))
        spec = None if loaded else importlib.util.find_spec(name)
        file = loaded or (
            Path(spec.origin).resolve() if spec is not None and spec.has_location and spec.origin else None
        )
        source = closure([file] if file is not None else [], directory)
        _forget_the_outdated(source, directory)
        with _remembering(source.files):
            return importlib.import_module(name)


@contextlib.contextmanager
def _remembering(files: Mapping[Path, str]) -> Iterator[None]:
    """Remember what an import that succeeds brings of the user's files."""
    before = set(sys.modules)
    yield
    _seen.update(files)
    _brought.update(name for name in set(sys.modules) - before if _file_of(sys.modules[name]) in files)


@contextlib.contextmanager
def on_path(directory: Path) -> Iterator[None]:
    """Put a directory first on the search path; what the user's code puts there itself stays."""
    sys.path.insert(0, str(directory))
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # the user's code took it away
            sys.path.remove(str(directory))


@contextlib.contextmanager
def _no_bytecode() -> Iterator[None]:
    """Leave no bytecode behind: Python takes it for current where time (in seconds) and size of an edit are equal."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def _forget_the_outdated(source: Source, directory: Path) -> None:
    """Drop loaded modules of the user's that are not what an import of these files must find."""
    edited = {file for file, sha256 in source.files.items() if _seen.get(file, sha256) != sha256}
    for name, module in list(sys.modules.items()) if edited else ():
        file = _file_of(module)
        if file in _seen and file.is_file() and not edited.isdisjoint(closure([file], directory).files):
            del sys.modules[name]
    asked_for = {other for _, name, other in source.imports if name.split(".")[0] == other.stem}
    for neighbour in (file for file in source.files if file.parent == directory.resolve()):
        loaded = _file_of(sys.modules.get(neighbour.stem))
        if loaded in _seen and loaded != neighbour:
            del sys.modules[neighbour.stem]
        elif neighbour in asked_for and loaded not in (None, neighbour):
            raise ImportError(f"{neighbour.name} has the name of {loaded}, which is loaded already; rename it")


def _file_of(module: ModuleType | None) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(file).resolve() if isinstance(file, str) and file.endswith(".py") else None
