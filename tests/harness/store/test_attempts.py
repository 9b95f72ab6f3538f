"""Which attempt at an evaluation counts, by hand: in the records, in the standings, and in the views, one answer."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from harness.api.origin import repeated
from harness.errors import StoreError
from harness.leaderboard.board import MEASURED
from harness.leaderboard.ranking import boards
from harness.protocols.run_spec import TRIAL_SEED
from harness.statistics.figures import Figure
from harness.store.records import CheckpointRecord
from harness.store.store import Store
from tests.harness.store.entries import make_spec, start
from tests.stores import add_checkpoint, add_evaluation, as_digits, see_protocol

EXAMPLES = 4
WHOLE, OTHER, PART, NONE = "1100", "1110", "1", ""  # the verdicts of an attempt


def attacked(store: Store, *attempts: str, numbers: tuple[int, ...] | None = None) -> CheckpointRecord:
    """The checkpoint of a run that is done, with these attempts at one attack; they are stored in the order given.

    Args:
        numbers: of the attempts; None: from 1 on.
    """
    run = start(store, make_spec(train_seed=0))
    checkpoint = add_checkpoint(store, run)
    store.end_run(run.id)
    for attempt, verdicts in zip(numbers or range(1, len(attempts) + 1), attempts, strict=True):
        if verdicts:
            add_evaluation(store, checkpoint, "pgd", {}, as_digits(verdicts), attempt=attempt, examples=EXAMPLES)
        else:
            store.open_evaluation(checkpoint.id, "pgd", {}, 0, EXAMPLES, attempt=attempt)
    return store.checkpoint(checkpoint.id)


def damage(store: Store, attempt: int) -> None:
    with store._engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE blocks SET correct = 0 WHERE evaluation_id IN (SELECT id FROM evaluations WHERE attempt = :n)"
            ),
            {"n": attempt},
        )


@pytest.mark.parametrize(
    ("attempts", "counts", "begun"),
    [
        ([WHOLE], 1, None),
        ([WHOLE, OTHER], 2, None),
        ([WHOLE, PART], 1, 2),
        ([WHOLE, NONE], 1, 2),
        ([WHOLE, PART, OTHER], 3, None),
        ([WHOLE, PART, NONE], 1, 3),
        ([PART, NONE], 2, None),  # none is complete
        ([PART, WHOLE, PART, PART], 2, 4),
    ],
)
@pytest.mark.parametrize("backwards", [False, True], ids=["in order", "the newest first"])
def test_the_newest_complete_attempt_counts(
    store: Store, attempts: list[str], counts: int, begun: int | None, backwards: bool
) -> None:
    order = range(len(attempts), 0, -1) if backwards else range(1, len(attempts) + 1)
    checkpoint = attacked(store, *(attempts[n - 1] for n in order), numbers=tuple(order))
    (whole,) = store.runs()
    assert whole.checkpoints == (checkpoint,)
    assert [e.attempt for e in checkpoint.evaluations] == [counts]
    assert [e.attempt for e in checkpoint.begun] == ([] if begun is None else [begun])

    ((standing,),) = ([c for run in store.standings()[0] for c in run.checkpoints],)
    assert [e.id for e in standing.evaluations] == [e.id for e in checkpoint.evaluations]

    with store._engine.connect() as connection:
        seen = connection.execute(text("SELECT attempt, complete FROM evaluations_overview WHERE counts = 1")).all()
    assert [tuple(row) for row in seen] == ([(counts, 1)] if checkpoint.evaluations[0].complete else [])


def test_a_stopped_repetition_takes_no_figure_away(store: Store) -> None:
    see_protocol(store, {"pgd": {}}, {"epochs": 2, "epsilon": 0.1})
    attacked(store, WHOLE, PART)
    (board,) = (board for board in boards(store) if board.source == MEASURED)
    (row,) = board.rows
    figure = row.metrics["pgd"]
    assert isinstance(figure, Figure)
    assert (figure.median, figure.n) == (50.0, 1)


@pytest.mark.parametrize("after", [[], [PART], [NONE]])
def test_a_damaged_attempt_is_told_and_no_older_one_stands_in_for_it(store: Store, after: list[str]) -> None:
    see_protocol(store, {"pgd": {}}, {"epochs": 2, "epsilon": 0.1})
    checkpoint = attacked(store, WHOLE, OTHER, *after)
    damage(store, attempt=2)
    for found in (
        store.checkpoint(checkpoint.id),
        store.runs()[0].checkpoints[0],
        store.standings()[0][0].checkpoints[0],
    ):
        (evaluation,) = found.evaluations
        with pytest.raises(StoreError, match=r"is damaged: it counts 0 images as right, and its verdicts 3"):
            _ = evaluation.complete
    with pytest.raises(StoreError, match="is damaged"):
        boards(store)


@pytest.mark.parametrize(
    ("attempts", "said"),
    [
        ([WHOLE], None),
        ([WHOLE, WHOLE], "attacked again: 1 evaluations, every verdict as the store had it"),
        (
            [WHOLE, OTHER],
            "attacked again: the verdicts differ from those that the store had: pgd seed 0 on 1 of 4 images",
        ),
        # a stopped attempt is compared with nothing: the complete one before it is
        (
            [WHOLE, PART, OTHER],
            "attacked again: the verdicts differ from those that the store had: pgd seed 0 on 1 of 4 images",
        ),
        ([WHOLE, NONE, WHOLE], "attacked again: 1 evaluations, every verdict as the store had it"),
        ([PART, OTHER], "attacked again: no attempt before was complete, so there is nothing to compare: pgd seed 0"),
        ([NONE, OTHER], "attacked again: no attempt before was complete, so there is nothing to compare: pgd seed 0"),
    ],
)
def test_a_repeated_attack_is_compared_with_the_last_complete_attempt(
    store: Store, attempts: list[str], said: str | None
) -> None:
    assert repeated(attacked(store, *attempts).evaluations, store) == said


def test_a_trial_of_a_tuning_counts_nowhere(store: Store) -> None:
    for seed in (0, TRIAL_SEED):
        run = start(store, make_spec(train_seed=seed))
        store.end_run(run.id)
        add_evaluation(store, add_checkpoint(store, run), "pgd", {}, as_digits(WHOLE))
    assert store.newest_runs() == [1]
    with store._engine.connect() as connection:
        for view in ("runs_overview", "evaluations_overview"):
            counting = connection.execute(text(f"SELECT run FROM {view} WHERE counts = 1")).scalars().all()
            assert counting == [1], view
            assert connection.execute(text(f"SELECT count(*) FROM {view}")).scalar() == 2
