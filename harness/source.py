"""Which of the user's source files decide what a class or a function does, and their digest.

A result belongs to the code that computed it. For code that does not ship with this project that is: the file that
defines it, the files of its base classes, and, from each of these, the modules of the user's own that it imports,
and so on. Left out are Python's library, torch, and this engine, whose versions provenance records; of an installed
package only the part that the code itself belongs to is followed.

What a source cannot show (a number read from a file or from the environment) is not seen here; models from elsewhere
are therefore probed as well.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ENGINE = Path(__file__).resolve().parent
_PLUGIN_FOLDERS = ("data", "networks", "wrappers")  # of the engine's folder: what a user's class may derive from
_INSTALLED = ("site-packages", "dist-packages")
_LIBRARY = {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")}


@dataclass(frozen=True)
class Source:
    """Source files, absolute, each with the SHA-256 of its content."""

    files: Mapping[Path, str]

    @property
    def digest(self) -> str:
        """SHA-256 over the contents, whatever the files are called and wherever they lie."""
        return hashlib.sha256("".join(sorted(self.files.values())).encode()).hexdigest()

    def document(self) -> dict[str, str]:
        """The files in JSON types, for provenance."""
        return {str(file): sha256 for file, sha256 in sorted(self.files.items())}


def source_of(*definers: object, directory: Path | None = None) -> Source:
    """The source of some classes and functions.

    Args:
        directory: where absolute imports are looked for, beside the places where Python looks.
    """
    files = {file for definer in definers for part in _parts(definer) if (file := _file_of(part)) is not None}
    return Source(closure(files, directory))


def closure(files: Iterable[Path], directory: Path | None = None) -> dict[Path, str]:
    """Some files and all of the user's modules that they import, directly or not, each with its SHA-256."""
    found: dict[Path, str] = {}
    waiting = [file.resolve() for file in files]
    while waiting:
        file = waiting.pop()
        if file in found:
            continue
        text = content(file)
        found[file] = hashlib.sha256(text).hexdigest()
        waiting += [other for other in _imports(file, text, directory) if other not in found]
    return found


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
    if ENGINE in file.parents:
        return file.relative_to(ENGINE).parts[0] not in _PLUGIN_FOLDERS
    return _package(file) is None and any(place in file.parents for place in _LIBRARY)


def _package(file: Path) -> Path | None:
    """The part of an environment that a file belongs to: its top-level package; None for a file outside of any."""
    for parent in file.parents:
        if parent.name in _INSTALLED:
            return parent / file.relative_to(parent).parts[0]
    return None


def _imports(file: Path, text: bytes, directory: Path | None) -> Iterator[Path]:
    """The user's own files that run when a file is imported: those that it imports, and its packages' own."""
    package = _package(file)
    for folder in file.parents:
        if not (folder / "__init__.py").is_file():
            break
        if not _left_out(folder / "__init__.py"):
            yield folder / "__init__.py"
    for level, names in _imported_names(text):
        for root in _roots(file, level, directory):
            there = list(_modules(root, names))
            yield from (
                found
                for found in there
                if not _left_out(found) and (_package(found) is None or _package(found) == package)
            )
            if there:
                break  # Python takes the first


@functools.lru_cache(maxsize=1000)
def _imported_names(text: bytes) -> list[tuple[int, list[str]]]:
    """Dots before the name, and the name's parts; of ``from a import b`` a and b, since b may be a module."""
    try:
        return list(_names_in(ast.parse(text)))
    except (SyntaxError, ValueError):  # nothing is imported from it, then
        return []


def _names_in(tree: ast.AST) -> Iterator[tuple[int, list[str]]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module.split(".") if node.module else []
            yield from ((node.level, [*base, alias.name]) for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                name = node.args[0].value
                yield len(name) - len(name.lstrip(".")), name.lstrip(".").split(".")


def _roots(file: Path, level: int, directory: Path | None) -> Iterator[Path]:
    """Where an import of a file is looked for."""
    if level:
        yield file.parents[level - 1]
        return
    top = file.parent
    while (top / "__init__.py").is_file():
        top = top.parent
    yield from dict.fromkeys([file.parent, top, *([directory.resolve()] if directory is not None else [])])
    yield from (Path(entry).resolve() for entry in sys.path if entry and not entry.endswith(".zip"))


def _modules(root: Path, names: list[str]) -> Iterator[Path]:
    """The files that importing ``names`` from a root runs: each package's ``__init__``, and the last module."""
    place = root
    for name in names:
        place = place / name
        module, package = place.with_name(f"{name}.py"), place / "__init__.py"
        if package.is_file():
            yield package.resolve()
        elif module.is_file():
            yield module.resolve()
            return
        elif not place.is_dir():  # neither a package nor a namespace: a name within the module before
            return
