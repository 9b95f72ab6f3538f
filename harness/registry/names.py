"""Names of plugins without importing them: a shell that completes a name cannot wait for torch."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.registry.catalogue import KINDS, NAME, candidates


def names(kind: str, files: Sequence[Path] = ()) -> list[str]:
    """The names of a kind, in the order of ``discover``: from file names and entry points.

    Args:
        files: plugin files beside the built-in folders, the entry points, and the folder ``HARNESS_PLUGINS``.
    Returns:
        Also those of plugins that turn out to be broken once they are imported.
    """
    found = (c.name for c in candidates(KINDS[kind], files) if c.file is None or kind in _kinds(c.file))
    return [name for name in dict.fromkeys(found) if NAME.fullmatch(name)]


def _kinds(file: Path) -> set[str]:
    """What kinds of plugins a file defines, by the modules that the bases of its classes come from.

    Where no base is known, such as one from another file of the user's, it may be any kind.
    """
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return set()
    origins = dict(_imports(tree))
    bases = [ast.unparse(base) for node in tree.body if isinstance(node, ast.ClassDef) for base in node.bases]
    known: set[str] = set()
    for base in bases:
        head, dot, rest = base.partition(".")
        known.update(_kind_of(f"{origins.get(head, head)}{dot}{rest}"))
    return known or (set(KINDS) if bases else set())


def _imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Each name that a module imports, and the dotted name of what it stands for."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from ((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.asname, alias.name) for alias in node.names if alias.asname)


def _kind_of(base: str) -> Iterator[str]:
    """The kind of a class that derives from this one: its contract, or a plugin that comes with harness."""
    for kind, spec in KINDS.items():
        if base == spec.contract.replace(":", ".") or base.startswith(f"{spec.package}."):
            yield kind
