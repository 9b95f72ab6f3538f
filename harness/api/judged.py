"""The verdicts of many evaluations, as the columns of a table: packed, and read block by block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.api.contents import TableColumn
from harness.api.packed import Positions, Repeated

if TYPE_CHECKING:
    from harness.store.store import Store


def verdict_columns(
    store: Store, evaluations: Sequence[Mapping[str, Any]], of_evaluation: Sequence[TableColumn]
) -> dict[str, Sequence[Any]]:
    """The columns of the table of verdicts.

    Args:
        evaluations: rows of complete evaluations.
        of_evaluation: the columns that are the same in all rows of an evaluation.
    """
    import numpy as np

    counts = [row["examples"] for row in evaluations]
    ends = np.cumsum([0, *counts])
    first = {row["evaluation"]: int(start) for row, start in zip(evaluations, ends, strict=False)}
    correct = np.zeros(int(ends[-1]), np.bool_)
    margins = np.full(int(ends[-1]), np.nan, np.float16)
    for block in store.packed_blocks(list(first)):
        place = first[block.evaluation_id] + block.start
        part = slice(place, place + block.examples)
        correct[part] = np.unpackbits(np.frombuffer(block.verdicts, np.uint8), count=block.examples)
        if block.margins is not None:
            margins[part] = np.frombuffer(block.margins, "<f2")
    packed: dict[str, Any] = {
        column.name: Repeated([row[column.name] for row in evaluations], counts) for column in of_evaluation
    }
    return packed | {"position": Positions(counts), "correct": correct, "margin": margins}
