"""Which of the user's source files decide what a class or a function does, and their digest.

A result belongs to the code that computed it. For code that does not ship with this project that is: the file that
defines it, the files of its base classes, and, from each of these, the modules of the user's own that it imports,
and so on. Left out are Python's library, torch, and this engine, whose versions provenance records; of an installed
package only the part that the code itself belongs to is followed.

Where the text of a file does not show which other it imports (by a variable, by a path), all that lies beside it
counts. A file of another kind beside it counts where the text names it between quotes, such as ``"settings.toml"``.
Rather one edit too many makes another row than one too few: that would be a wrong figure.

What a source cannot show (the environment, a file under a computed name) is not seen here; models from elsewhere are
therefore probed as well.
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
_PLUGIN_FOLDERS = [  # what a user's class may derive from; in a checkout the first two are links out of ENGINE
    (ENGINE / name).resolve() for name in ("methods", "attacks", "data", "networks", "wrappers")
]
_LOGS = (".csv", ".jsonl", ".log")  # which code writes as it runs
_ENDING = re.compile(r"\.\w+")
_LONGEST = 200  # characters of a path; a longer text is none
_INSTALLED = ("site-packages", "dist-packages")
_LIBRARY = {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")}


@dataclass(frozen=True)
class Source:
    """Source files, absolute, each with the SHA-256 of its content, and which of them imports which by what name."""

    files: Mapping[Path, str]
    imports: frozenset[tuple[Path, str, Path]] = frozenset()

    @property
    def digest(self) -> str:
        """SHA-256 over the contents, and over which content finds which other by what name.

        It does not matter where the files lie, nor what the file is called that all begins with.
        """
        found = {f"{self.files[file]} {name} {self.files[other]}" for file, name, other in self.imports}
        return hashlib.sha256("\n".join(sorted({*self.files.values(), *found})).encode()).hexdigest()

    def document(self) -> dict[str, str]:
        """The files in JSON types, for provenance."""
        return {str(file): sha256 for file, sha256 in sorted(self.files.items())}


def source_of(*definers: object, directory: Path | None = None) -> Source:
    """The source of some classes and functions.

    Args:
        directory: where absolute imports are looked for, beside the places where Python looks.
    """
    files = {file for definer in definers for part in _parts(definer) if (file := _file_of(part)) is not None}
    return closure(files, directory)


def closure(files: Iterable[Path], directory: Path | None = None) -> Source:
    """Some files and all of the user's modules that they import, directly or not."""
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
    """The bytes of a file, with the line ends of a checkout on any system."""
    return file.read_bytes().replace(b"\r\n", b"\n")


def _parts(definer: object) -> Iterator[object]:
    """A class and its bases; a function, and what it was wrapped or bound from."""
    if isinstance(definer, functools.partial):
        yield from _parts(definer.func)
        return
    if isinstance(definer, type):
        yield from inspect.getmro(definer)
        return
    yield definer
    yield inspect.unwrap(definer) if callable(definer) else definer
    if not inspect.isroutine(definer):
        yield from inspect.getmro(type(definer))


def _file_of(part: object) -> Path | None:
    """The source file of a class or a function; None for torch's, Python's, the engine's, and those without a file."""
    if getattr(part, "__module__", "").split(".")[0] == "torch":
        return None
    try:
        name = inspect.getsourcefile(part)  # type: ignore[arg-type]  # what it cannot tell raises TypeError
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
    """Whether a file is this program's."""
    return any(folder in file.parents for folder in (ENGINE, *_PLUGIN_FOLDERS))


def _package(file: Path) -> Path | None:
    """The part of an environment that a file belongs to: its top-level package; None for a file outside of any."""
    for parent in file.parents:
        if parent.name in _INSTALLED:
            return parent / file.relative_to(parent).parts[0]
    return None


def _imported(file: Path, text: bytes, places: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """The user's own files that run when a file is imported, each with the name that finds it.

    Which of several files of one name Python takes depends on what the search path was then; so all of them count.
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
    """Files that a text names, which may hold numbers; ``.toml`` alone is the file's own name with that ending."""
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
        yield from ((text, path.resolve()) for path in paths if _there(path.is_file) and os.access(path, os.R_OK))


def _there(asked: Callable[[], bool]) -> bool:
    """False where the system refuses to say: a name is too long for it, a folder is closed."""
    try:
        return asked()
    except OSError:
        return False


def _hidden(file: Path, seen: Imports, places: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """What a file may import that its text does not show: all that lies beside it, and what its texts name."""
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
    """Where an import of a file may be found; this program's own files find nothing of the user's."""
    if level:
        yield file.parents[level - 1]
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
    """The files that importing a name from a root runs: each package's ``__init__``, and the last module."""
    place = root
    for part in parts:
        if part == EVERYTHING:  # __all__ may name modules
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
        elif not place.is_dir():  # neither a package nor a namespace: a name within the module before
            return


def _beside(folder: Path) -> Iterator[Path]:
    """The modules of a folder, of the packages in it, however deep, and of the plain folders in it."""
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix == ".py":
            yield path
        elif path.is_dir() and (path / "__init__.py").is_file():
            yield from _beside(path)
        elif path.is_dir() and not path.name.startswith((".", "__")):
            yield from sorted(path.glob("*.py"))


def _loaded(parts: Sequence[str]) -> Iterator[Path]:
    """The file of a module that was found in a place where Python looks no more."""
    for end in range(1, len(parts) + 1):
        name = getattr(sys.modules.get(".".join(parts[:end])), "__file__", None)
        if isinstance(name, str) and Path(name).is_file():
            yield Path(name).resolve()
