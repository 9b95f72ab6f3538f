"""Which of the user's source files decide what a class or a function does, and their digest.

A result belongs to the code that computed it. The code of a plugin that does not ship is the file that defines it, the
files of its base classes, and the user's modules that these import, directly or not. Python's library, torch, and this
engine are left out: provenance records their versions. Other installed packages are left out, too, unless the plugin
belongs to the package.

If a file's text does not show what it imports (by a variable, by a path), all modules beside the file count. A file of
another type counts if the text names it in a string, such as ``"settings.toml"``, unless it is a log or a database of
results. In doubt a file counts: an edit that changes nothing then makes a new row, while an edit that went unnoticed
would make a wrong figure.

The environment, and files under computed names, cannot be seen in the source. Models from elsewhere are therefore
probed as well.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.machinery
import inspect
import os
import re
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.registry.import_names import EVERYTHING, Imports, imports_of

ENGINE = Path(__file__).resolve().parents[1]
SUFFIXES = tuple(importlib.machinery.all_suffixes())
CODE = (*SUFFIXES, ".dll", ".dylib", ".c", ".cc", ".cpp", ".cu", ".cuh", ".h", ".hpp")  # what a path may load
_PLUGIN_FOLDERS = {  # a user's class may derive from these plugins; in a checkout the first two are links
    (ENGINE / name).resolve(): ENGINE / name for name in ("methods", "attacks", "data", "networks", "wrappers")
}
_LOGS = (".csv", ".jsonl", ".log")  # files that code writes, not reads, as it runs
_SQLITE = b"SQLite format 3\0"  # how such a file begins
_RESULTS = b"harness_schema_version"  # a table that only a database of results has
_ENDING = re.compile(r"\.\w+")
_LONGEST = 200  # characters; a longer string is not taken for a path
_INSTALLED = ("site-packages", "dist-packages")
_LIBRARY = {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")}


@dataclass(frozen=True)
class Source:
    """Source files and the imports between them.

    Attributes:
        files: absolute path -> SHA-256 of the content.
        imports: (importing file, name in the import, imported file).
    """

    files: Mapping[Path, str]
    imports: frozenset[tuple[Path, str, Path]] = frozenset()

    @property
    def digest(self) -> str:
        """SHA-256 over the contents, and over which content imports which by what name.

        The folder of the files, and the name of the first file, do not enter it.
        """
        found = {f"{self.files[file]} {name} {self.files[other]}" for file, name, other in self.imports}
        return hashlib.sha256("\n".join(sorted({*self.files.values(), *found})).encode()).hexdigest()

    def document(self) -> dict[str, str]:
        """The files and their digests in JSON types, for provenance."""
        return {str(file): sha256 for file, sha256 in sorted(self.files.items())}


def source_of(*definers: object, directory: Path | None = None) -> Source:
    """The source of some classes and functions.

    Args:
        directory: a folder to search for absolute imports, besides ``sys.path``.
    """
    files = {file for definer in definers for part in _parts(definer) if (file := _file_of(part)) is not None}
    return closure(files, directory)


def closure(files: Iterable[Path], directory: Path | None = None) -> Source:
    """The files, and all of the user's files that they import or read, directly or not."""
    begun = sorted({file.resolve() for file in files})
    places = [*dict.fromkeys(file.parent for file in begun), *([directory.resolve()] if directory is not None else [])]
    found: dict[Path, str] = {}
    imports: set[tuple[Path, str, Path]] = set()
    waiting = begun
    while waiting:
        file = waiting.pop()
        if file in found:
            continue
        text = content(file)
        found[file] = hashlib.sha256(text).hexdigest()
        for name, other in _imported(file, text, places) if file.suffix == ".py" else ():
            imports.add((file, name, other))
            waiting.append(other)
    return Source(found, frozenset(imports))


def content(file: Path) -> bytes:
    """The bytes of a file with Unix line ends, so that checkouts on all systems have the same digest."""
    return file.read_bytes().replace(b"\r\n", b"\n")


def _parts(definer: object) -> Iterator[object]:
    """A class and its bases; a function, and the functions that it wraps; an object, and its class with bases."""
    if isinstance(definer, functools.partial):
        yield from _parts(definer.func)
    elif isinstance(definer, type):
        yield from inspect.getmro(definer)
    else:
        yield from (definer, inspect.unwrap(definer) if callable(definer) else definer)
        if not inspect.isroutine(definer):
            yield from inspect.getmro(type(definer))


def _file_of(part: object) -> Path | None:
    """The file that defines a class or a function; None for torch, Python, the engine, and objects without a file."""
    if getattr(part, "__module__", "").split(".")[0] == "torch":
        return None
    try:
        name = inspect.getsourcefile(part)  # type: ignore[arg-type]  # raises TypeError for other objects
    except (TypeError, OSError):
        return None
    file = Path(name).resolve() if name else None
    return file if file is not None and file.is_file() and not _left_out(file) else None


def _left_out(file: Path) -> bool:
    if any(folder in file.parents for folder in _PLUGIN_FOLDERS):
        return False
    library = _package(file) is None and any(place in file.parents for place in _LIBRARY)
    return ENGINE in file.parents or library


def _own(file: Path) -> bool:
    """Whether a file belongs to this program."""
    return any(folder in file.parents for folder in (ENGINE, *_PLUGIN_FOLDERS))


def _as_imported(file: Path) -> Path:
    """The path by which Python imports a file, from which relative imports go up; a link may lead elsewhere."""
    for folder, link in _PLUGIN_FOLDERS.items():
        if folder in file.parents:
            return link / file.relative_to(folder)
    return file


def _package(file: Path) -> Path | None:
    """The installed top-level package that a file belongs to; None for a file outside ``site-packages``."""
    for parent in file.parents:
        if parent.name in _INSTALLED:
            return parent / file.relative_to(parent).parts[0]
    return None


def _imported(file: Path, text: bytes, places: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """The user's own files that an import of a file runs or reads, each with the name by which it is found.

    Which of several files with one name Python takes depends on ``sys.path`` at the time, so all of them count.
    """
    package = _package(file)
    seen = imports_of(text)
    named = (*_named(file, seen, places), *_read(file, seen, places))
    for name, found in (*_packages_of(file), *named, *_hidden(file, seen, places)):
        if found != file and not _left_out(found) and _package(found) in (None, package):
            yield name, found


def _packages_of(file: Path) -> Iterator[tuple[str, Path]]:
    for level, folder in enumerate(file.parents):
        if not (folder / "__init__.py").is_file():
            return
        yield "." * (level + 1), folder / "__init__.py"


def _named(file: Path, seen: Imports, places: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    for level, parts in seen.names:
        name = "." * level + ".".join(parts)
        found = {module for root in _roots(file, level, places) for module in _modules(root, parts)}
        yield from ((name, module) for module in sorted(found or _loaded(parts)))


def _read(file: Path, seen: Imports, places: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """Data files that a text names. A text such as ``.toml`` means the file's own name with that ending."""
    if _package(file) is not None:
        return
    texts = [text for text in seen.texts if text.isprintable() and len(text) <= _LONGEST]
    roots = [file.parent]
    if not _own(file):
        roots += [file.parent.parent, *places, Path.cwd()]
    folders = [file.parent / text for text in texts if _there((file.parent / text).is_dir)]
    for text in texts:
        if text.endswith((".py", *_LOGS)):
            continue
        own = [file.with_suffix(text)] if _ENDING.fullmatch(text) else []
        paths = [*(root / text for root in (*roots, *folders)), *own]
        files = (path.resolve() for path in paths if _there(path.is_file) and os.access(path, os.R_OK))
        yield from ((text, file) for file in files if not _of_results(file))


def _of_results(file: Path) -> bool:
    """Whether a file is a database of results: a script names the database that its own results go to."""
    with file.open("rb") as opened:
        return opened.read(len(_SQLITE)) == _SQLITE and _RESULTS in opened.read()


def _there(asked: Callable[[], bool]) -> bool:
    """The answer of a question to the file system; False where it raises: a name too long, a folder without access."""
    try:
        return asked()
    except OSError:
        return False


def _hidden(file: Path, seen: Imports, places: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """Files that a file may import although its text does not show it: all modules beside it, and what strings name."""
    if not seen.hidden or _package(file) is not None:
        return
    for module in _beside(file.parent):
        yield f"./{module.relative_to(file.parent).as_posix()}", module.resolve()
    for text in seen.texts:
        if all(part.isidentifier() for part in text.split(".")):
            yield from _named(file, Imports(names=((0, tuple(text.split("."))),)), places)
        if text.endswith(CODE) and text.isprintable():
            yield from ((text, path.resolve()) for place in (file.parent, *places) if (path := place / text).is_file())


def _roots(file: Path, level: int, places: Sequence[Path]) -> Iterator[Path]:
    """The folders in which a file's import is searched; this program's own files never import a user's."""
    if level:
        yield _as_imported(file).parents[level - 1]
        return
    if _own(file):
        yield ENGINE.parent
        return
    top = file.parent
    while (top / "__init__.py").is_file():
        top = top.parent
    path = (Path(entry).resolve() for entry in sys.path if entry and not entry.endswith(".zip"))
    yield from dict.fromkeys([*places, file.parent, top, *path])


def _modules(root: Path, parts: Sequence[str]) -> Iterator[Path]:
    """The files that the import of a name from a root runs: ``__init__`` of each package, and the last module."""
    place = root
    for part in parts:
        if part == EVERYTHING:  # a package's __all__ may name modules
            yield from (module.resolve() for module in _beside(place))
            return
        place = place / part
        package = place / "__init__.py"
        modules = [place.with_name(part + suffix) for suffix in SUFFIXES]
        if package.is_file():
            yield package.resolve()
        elif any(module.is_file() for module in modules):
            yield from (module.resolve() for module in modules if module.is_file())
            return
        elif not place.is_dir():  # no package, no module, no folder: a name inside the module before it
            return


def _beside(folder: Path) -> Iterator[Path]:
    """The modules of a folder, of its packages (at any depth), and of its plain folders (one level down)."""
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix == ".py":
            yield path
        elif path.is_dir() and (path / "__init__.py").is_file():
            yield from _beside(path)
        elif path.is_dir() and not path.name.startswith((".", "__")):
            yield from sorted(filter(Path.is_file, path.glob("*.py")))


def _loaded(parts: Sequence[str]) -> Iterator[Path]:
    """The files of a module that is loaded but no longer on the search path."""
    for end in range(1, len(parts) + 1):
        name = getattr(sys.modules.get(".".join(parts[:end])), "__file__", None)
        if isinstance(name, str) and Path(name).is_file():
            yield Path(name).resolve()
