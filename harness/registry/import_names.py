"""Which modules the text of a Python file imports, and whether the text shows them all."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass

EVERYTHING = "*"  # the last part of ``from package import *``
_BY_NAME = {"import_module", "__import__"}  # functions that import the module that their first argument names
_UNSEEN = {  # names whose use can run code that the text does not name
    *("spec_from_file_location", "spec_from_loader", "find_spec", "module_from_spec", "exec_module", "load_module"),
    *("SourceFileLoader", "ExtensionFileLoader", "iter_modules", "walk_packages", "run_path", "run_module", "exec"),
    *("hub.load", "cpp_extension", "load_library", "CDLL", "LoadLibrary"),
}


@dataclass(frozen=True)
class Imports:
    """What the text of a Python file imports.

    Attributes:
        names: for each import its leading dots, counted, and the name's parts. ``from a import b`` gives ``a.b``, since
            b may be a module.
        hidden: whether the text may import or run a file that ``names`` lacks, by a variable or a path.
        texts: all string literals, which may contain names and paths of modules.
    """

    names: tuple[tuple[int, tuple[str, ...]], ...] = ()
    hidden: bool = False
    texts: tuple[str, ...] = ()


@functools.lru_cache(maxsize=1000)
def imports_of(text: bytes) -> Imports:
    """What a file with this content imports; nothing if it is not valid Python, which cannot run."""
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError):
        return Imports()
    aliases = [alias for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names]
    known = _BY_NAME | {alias.asname for alias in aliases if alias.name in _BY_NAME and alias.asname}
    names: list[tuple[int, tuple[str, ...]]] = []
    understood: set[int] = set()
    for node in nodes:
        names += _statement(node)
        if isinstance(node, ast.Call) and _called(node.func) in known and (name := _literal(node)) is not None:
            names.append(name)
            understood.add(id(node.func))
    hidden = any(set(_mentions(node)) & (known | _UNSEEN) for node in nodes if id(node) not in understood)
    texts = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return Imports(tuple(names), hidden, tuple(texts))


def _statement(node: ast.AST) -> Iterator[tuple[int, tuple[str, ...]]]:
    if isinstance(node, ast.Import):
        yield from ((0, tuple(alias.name.split("."))) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module.split(".") if node.module else []
        yield from ((node.level, (*base, alias.name)) for alias in node.names)


def _called(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _literal(call: ast.Call) -> tuple[int, tuple[str, ...]] | None:
    """The module that an import call names; None where the text does not show it."""
    given = dict(zip(("name", "package"), call.args, strict=False))
    given |= {word.arg or "": word.value for word in call.keywords}
    package = given.pop("package", None)
    name = getattr(given.pop("name", None), "value", None)
    if not isinstance(name, str) or given or len(call.args) > 2:
        return None
    dots = len(name) - len(name.lstrip("."))
    parts = tuple(name.lstrip(".").split("."))
    if package is None or not dots or getattr(package, "id", "") in ("__package__", "__name__"):
        return dots, parts
    base = getattr(package, "value", None)
    if not isinstance(base, str):
        return None
    levels = base.split(".")
    return 0, (*levels[: len(levels) - dots + 1], *parts)


def _mentions(node: ast.AST) -> Iterator[str]:
    """Names that a node uses, or imports under any alias."""
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.Attribute):
        yield from (node.attr, f"{_called(node.value)}.{node.attr}")
    elif isinstance(node, ast.Import):
        yield from (alias.name.rpartition(".")[2] for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        module = (node.module or "").rpartition(".")[2]
        yield module
        for name in {alias.name for alias in node.names} - _BY_NAME:
            yield from (name, f"{module}.{name}")
