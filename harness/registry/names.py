"""Find the names of plugins without importing them: shell completion cannot wait for torch."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.registry.catalogue import KINDS, NAME, candidates


def names(kind: str, files: Sequence[Path] = ()) -> list[str]:
    """The names of all plugins of a kind, from file names and entry points, in the order of ``discover``.

    Args:
        files: plugin files, or folders of them, besides the built-in folders, the entry points, and the folder
            ``HARNESS_PLUGINS``.
    Returns:
        May include plugins that turn out to be broken when they are imported.
    """
    found = (c.name for c in candidates(KINDS[kind], files) if c.file is None or kind in _kinds(c.file))
    return [name for name in dict.fromkeys(found) if NAME.fullmatch(name)]


def _kinds(file: Path) -> set[str]:
    """The kinds of plugins that a file may define: its bases are contracts, or plugins that ship with harness.

    All kinds, if no base class is known (as when it comes from another file of the user).
    """
    try:
        tree = ast.parse(file.read_bytes() if file.is_file() else b"")  # a pipe would keep the shell waiting
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):  # the last two: nested too deep
        return set()
    origins = dict(_imports(tree))
    named = [ast.unparse(base) for node in tree.body if isinstance(node, ast.ClassDef) for base in node.bases]
    bases = [f"{origins.get(head, head)}{dot}{rest}" for head, dot, rest in (name.partition(".") for name in named)]
    known = {
        kind
        for kind, spec in KINDS.items()
        if any(base == spec.contract.replace(":", ".") or base.startswith(f"{spec.package}.") for base in bases)
    }
    return known or (set(KINDS) if bases else set())


def _imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Each name that a module imports, with the full dotted name of the imported object."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from ((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.asname, alias.name) for alias in node.names if alias.asname)
