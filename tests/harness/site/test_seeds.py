"""Runs that differ in the training seed alone are one group; of each seed the run that counts."""

from __future__ import annotations

from typing import Any, cast

from harness.protocols.run_spec import TRIAL_SEED
from harness.site import seeds
from harness.site.seeds import Attempts
from harness.store.records import RunRecord
from harness.store.run_state import RunState, State
from tests.harness.leaderboard.held import run

FAILED = {"status": "failed", "failure": "the loss is not finite"}


def attempts(runs: list[RunRecord], *states: State) -> list[Attempts]:
    """The groups; the first runs are in these states, all others in those of their rows."""
    every = {r.id: RunState(cast(State, r.status), None, None) for r in runs}
    return seeds.attempts(runs, every | {n: RunState(state, None, None) for n, state in enumerate(states, 1)})


def test_a_seed_that_failed_is_counted_beside_those_that_did_not() -> None:
    (group,) = attempts([run(1), run(2, train_seed=1, **FAILED), run(3, train_seed=2, status="running")])
    assert [[r.id for r in runs] for runs in (group.done, group.failed, group.open)] == [[1], [2], [3]]
    assert group.text == "1 of 3 training seeds failed, 1 of 3 training seeds still running"


def test_a_seed_that_is_not_done_is_called_what_became_of_it() -> None:
    unended = [run(n, train_seed=n, status="running") for n in range(1, 6)]
    (group,) = attempts([*unended, run(6, train_seed=6)], "lost", "running", "queued", "lost", "cancelled")
    told = ["2 of 6 training seeds lost", "1 of 6 training seeds still running", "1 of 6 training seeds queued"]
    assert group.text == ", ".join([*told, "1 of 6 training seeds cancelled"])


def test_a_trial_is_no_training_seed_of_a_row() -> None:
    trial = {"train_seed": TRIAL_SEED}
    (group,) = attempts([run(1), run(2, **trial, status="running"), run(3, method="lrat", **trial, **FAILED)])
    assert ([r.id for r in group.done], group.of, group.text) == ([1], 1, "")


def test_a_later_attempt_that_is_done_makes_up_for_a_failure_and_is_not_lost_to_a_later_one() -> None:
    same = {"identity": "one"}
    for order in ([FAILED, {}], [{}, FAILED]):
        (group,) = attempts([run(n, **same, **changes) for n, changes in enumerate(order, 1)])
        assert (len(group.done), group.of, group.text) == (1, 1, "")
    (group,) = attempts([run(1, **same, **FAILED), run(2, **same, **FAILED)])
    assert [r.id for r in group.failed] == [2]


def test_runs_that_differ_in_anything_else_are_groups_of_their_own() -> None:
    others: list[dict[str, Any]] = [
        {"method": "lrat"},
        {"method_settings": {"floor": 1}, "method_departures": {"floor": 1}},
        {"network_settings": {"width": 8}},
        {"training_sha256": "another"},
        {"code": {"method": "version 2"}},
        {"wrappers": [{"name": "ema", "settings": {}, "departures": {}}]},
    ]
    groups = attempts([run(1), *(run(n, **changes) for n, changes in enumerate(others, 2))])
    assert len(groups) == 7
    assert [group.label for group in groups[:3]] == ["sat", "lrat", "sat floor=1"]
    assert groups[-1].label == "sat+ema"
