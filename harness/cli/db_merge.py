"""``harness db merge``: take the results of another database, such as a colleague's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from harness.cli.console import print_json, print_lines
from harness.cli.grouped import grouped
from harness.cli.options import AS_JSON, DB, WHAT, argument, option
from harness.errors import visible

if TYPE_CHECKING:
    from harness.store.merged_results import Merged

_MOST_LINES = 20  # of conflicts, and of what was left out


@grouped
def merge_db(
    other: Annotated[str, argument("OTHER", "The database to take results from, a path or a URL; it is only read.")],
    dry_run: bool = option(WHAT, "--dry-run", "Print what a merge would add; write nothing.", False),
    db: str | None = DB,
    as_json: bool = AS_JSON,
) -> None:
    """Take the results that another database has and this one lacks; overwrite nothing, and name each conflict."""
    from harness.store.merging import merge_database

    merged = merge_database(other, db, _same_function, dry_run=dry_run)
    if as_json:
        print_json({"dry_run": dry_run} | vars(merged))
    else:
        print_lines(merge_lines(merged, "would add" if dry_run else "added"))


def _same_function(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    from harness.targets.probe import same_function  # imports torch, which few merges need

    return same_function(one, other)


def merge_lines(merged: Merged, added: str = "added") -> list[str]:
    """What a merge did, line by line."""
    counts = {name: count for name, count in vars(merged).items() if isinstance(count, int)}
    filled = counts.pop("filled")
    lines = [f"{added}: {', '.join(f'{count} {name}' for name, count in counts.items())}"]
    if filled:
        lines.append(f"filled in: margins, classes, or images of {filled} evaluations")
    for head, texts in (("conflict", merged.conflicts), ("replaced", merged.replaced), ("left out", merged.left)):
        lines += [f"{head}: {visible(text)}" for text in texts[:_MOST_LINES]]
        if len(texts) > _MOST_LINES:
            lines.append(f"{head}: {len(texts) - _MOST_LINES} more; --json lists all")
    return lines
