"""The verdicts of many evaluations, as the columns of a table: packed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.api.contents import TableColumn
from harness.api.packed import PartlyMissing, Positions, Repeated

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
    from harness.store.verdicts import NOT_KEPT

    images = {row["evaluation"]: row["examples"] for row in evaluations}
    held, counts = store.judgements(images), list(images.values())
    packed: dict[str, Any] = {
        column.name: Repeated([row[column.name] for row in evaluations], counts) for column in of_evaluation
    }
    packed |= {"position": Positions(counts), "correct": held.correct, "margin": held.margins}
    return packed | {"predicted": PartlyMissing(held.predicted, NOT_KEPT)}
