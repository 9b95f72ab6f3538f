"""What the items at work are about: the store has the items' keys alone, with the numbers of what they belong to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from harness.events import checkpoint_in, evaluation_in
from harness.protocols.run_spec import run_label
from harness.store.leases import Held
from harness.store.recorded import IDS_A_QUERY
from harness.store.schema import BlockRow, CheckpointRow, DatasetRow, EvaluationRow, ModelRow, RunRow
from harness.store.seen import EvaluationSeen, ItemSeen, RunSeen

_Place = tuple[str, int | None, int | None]
"""Of a checkpoint: its name, its run, and its model from elsewhere."""


def items_seen(session: Session, held: Sequence[Held], runs: Mapping[int, RunSeen]) -> Iterator[ItemSeen]:
    """The items that processes hold, each with what it is about, as far as the store knows it.

    Args:
        runs: those that are not done, by their numbers.
    """
    for first in range(0, len(held), IDS_A_QUERY):
        yield from _some_seen(session, held[first : first + IDS_A_QUERY], runs)


def _some_seen(session: Session, held: Sequence[Held], runs: Mapping[int, RunSeen]) -> Iterator[ItemSeen]:
    evaluations = _evaluations_of(session, {n for one in held if (n := evaluation_in(one.item)) is not None})
    wanted = {n for one in held if (n := checkpoint_in(one.item)) is not None}
    places = _places(session, wanted | {checkpoint for _, checkpoint in evaluations.values()})
    labels = _run_labels(session, {run for _, run, _ in places.values() if run is not None})
    names = _model_names(session, {model for *_, model in places.values() if model is not None})
    for one in held:
        if one.run_id is not None:
            training = runs.get(one.run_id)
            yield ItemSeen(one, training.label if training else None, one.run_id, training=training)
            continue
        found = evaluations.get(evaluation_in(one.item) or 0)
        evaluation, checkpoint = (None, checkpoint_in(one.item)) if found is None else found
        place = places.get(checkpoint or 0)
        if place is None:
            yield ItemSeen(one)
            continue
        name, run, model = place
        label = labels.get(run or 0) if model is None else names.get(model)
        yield ItemSeen(one, label, run, model=model, evaluation=evaluation, checkpoint=name if model is None else None)


def _evaluations_of(session: Session, numbers: set[int]) -> dict[int, tuple[EvaluationSeen, int]]:
    """Some evaluations, each with the number of its checkpoint."""
    done = select(func.coalesce(func.sum(BlockRow.examples), 0)).where(BlockRow.evaluation_id == EvaluationRow.id)
    columns = (EvaluationRow.id, EvaluationRow.attack, EvaluationRow.seed, EvaluationRow.examples)
    every = select(*columns, EvaluationRow.checkpoint_id, done.scalar_subquery()).where(EvaluationRow.id.in_(numbers))
    return {
        number: (EvaluationSeen(number, attack, seed, int(images), examples), checkpoint)
        for number, attack, seed, examples, checkpoint, images in session.execute(every)
    }


def _places(session: Session, numbers: set[int]) -> dict[int, _Place]:
    """Some checkpoints: what they are of."""
    columns = (CheckpointRow.id, CheckpointRow.name, CheckpointRow.run_id, CheckpointRow.model_id)
    rows = session.execute(select(*columns).where(CheckpointRow.id.in_(numbers)))
    return {number: (name, run, model) for number, name, run, model in rows}


def _run_labels(session: Session, numbers: set[int]) -> dict[int, str]:
    columns = (RunRow.id, RunRow.method, RunRow.wrappers, RunRow.network, DatasetRow.name, RunRow.train_seed)
    rows = session.execute(select(*columns).join(DatasetRow).where(RunRow.id.in_(numbers)))
    return {number: run_label(*named) for number, *named in rows}


def _model_names(session: Session, numbers: set[int]) -> dict[int, str]:
    return dict(session.execute(select(ModelRow.id, ModelRow.name).where(ModelRow.id.in_(numbers))).all())
