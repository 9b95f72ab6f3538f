"""Training seeds that failed: which, of how many, and what the board then says of means and of ties."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from harness.events import Finding
from harness.leaderboard.board import Row, Selection
from harness.leaderboard.failed_seeds import AT_CHANCE, LEFT_BEHIND, NOT_TRAINED, FailedSeed
from harness.store.records import EvaluationRecord, ExaminationRecord, RunRecord
from harness.store.scope import Scope
from harness.store.store import Store
from tests.first_board import FIRST_BOARD
from tests.harness.leaderboard.held import PROTOCOL, Held, all_rows, checkpoint, evaluation, model, run
from tests.tiny import PROTOCOL_DOCUMENT

SCOPE = Scope.of_document(PROTOCOL_DOCUMENT, PROTOCOL.attacks, 200)


def trained(number: int, seed: int, natural: int, autoattack: int | None, **changes: Any) -> RunRecord:
    """A network with so many of 200 images right; ten classes, so that one answer for all has 20."""
    under: list[EvaluationRecord] = [evaluation("natural", natural)]
    under += [] if autoattack is None else [evaluation("autoattack", autoattack)]
    return run(number, *under, train_seed=seed, **changes)


def broken(
    number: int, seed: int, why: str = "the loss is not finite at epoch 3, batch 5", **changes: Any
) -> RunRecord:
    return run(number, train_seed=seed, status="failed", failure=why, **changes)


def row_of(runs: Sequence[RunRecord], **selected: Any) -> Row:
    (found,) = (row for _, row in all_rows(Held(runs), Selection(**selected)))
    return found


def failed_of(*runs: RunRecord) -> tuple[int, list[tuple[int, str]]]:
    """Of how many seeds, and which failed how."""
    found = row_of(runs).failed
    assert found is not None
    return found.of, [(seed.train_seed, seed.how) for seed in found.seeds]


def finding(check: str, reason: str) -> ExaminationRecord:
    found = Finding(check, "flagged", "Y", 0.1, None, reason, {})
    return ExaminationRecord(
        settings=SCOPE.settings("verdicts"),
        created_utc=datetime(2026, 1, 1, tzinfo=UTC),
        duration_s=1.0,
        provenance={},
        findings=(found,),
    )


def examined(one: RunRecord, check: str, reason: str) -> RunRecord:
    (weights,) = one.checkpoints
    return replace(one, checkpoints=(replace(weights, examinations=(finding(check, reason),)),))


class TestWhichFailed:
    def test_a_network_at_chance_on_natural_images_failed_by_itself(self) -> None:
        assert failed_of(trained(1, 0, 20, None)) == (1, [(0, AT_CHANCE)])
        assert failed_of(trained(1, 0, 190, 100)) == (1, [])
        assert failed_of(trained(1, 0, 30, None)) == (1, [])  # 15 % of 200: its lower bound, 11.0 %, is above 10 %

    def test_under_an_attack_it_failed_beside_a_network_that_stands(self) -> None:
        stands, falls = trained(1, 0, 190, 96), trained(2, 1, 180, 7)
        assert failed_of(stands, falls) == (2, [(1, AT_CHANCE)])
        assert failed_of(falls) == (1, [])
        assert failed_of(falls, replace(falls, id=3, identity="3", train_seed=4)) == (2, [])  # as of plain training

    def test_the_reason_has_both_figures_of_the_attack_that_leaves_fewest(self) -> None:
        both = [evaluation("natural", 180), evaluation("pgd", 8), evaluation("autoattack", 7)]
        stands = [evaluation("natural", 190), evaluation("pgd", 120), evaluation("autoattack", 96)]
        found = row_of([run(1, *stands, train_seed=6), run(2, *both, train_seed=2)]).failed
        assert found is not None
        said = "3.50 % right under autoattack, not above chance (10 %), while seed 6 has 48.00 %"
        assert found.seeds == (FailedSeed(2, 2, AT_CHANCE, said),)
        assert found.figures == {
            "natural": {2: 90.0, 6: 95.0},
            "pgd": {2: 4.0, 6: 60.0},
            "autoattack": {2: 3.5, 6: 48.0},
            "worst_case": {2: 3.5, 6: 48.0},
        }

    def test_a_median_over_attack_seeds_decides(self) -> None:
        low = [evaluation("autoattack", count, seed=seed) for seed, count in enumerate((7, 60, 61))]
        assert failed_of(trained(1, 0, 190, 96), run(2, evaluation("natural", 180), *low, train_seed=1)) == (2, [])

    def test_a_class_left_behind_is_a_failure_and_at_chance_comes_first(self) -> None:
        reason = "class 'cat' has 0.0 % of the whole accuracy (natural): the figure is an average"
        one, other = trained(1, 0, 190, 96), examined(trained(2, 1, 180, 90), "class-left-behind", reason)
        found = row_of([one, other]).failed
        assert found is not None
        assert found.seeds == (FailedSeed(1, 2, LEFT_BEHIND, "class 'cat' has 0.0 % of the whole accuracy (natural)"),)
        assert not found.spoils_means
        falls = examined(trained(2, 1, 180, 7), "class-left-behind", reason)
        assert failed_of(one, falls) == (2, [(1, AT_CHANCE)])

    def test_crowded_answers_count_where_the_accuracy_is_not_clear_of_chance(self) -> None:
        """Where the largest class has more than its share, one answer for all lies above chance."""
        crowded = "class 3 is predicted 81 points more often than it occurs: the network tends to a constant answer"
        assert failed_of(examined(trained(1, 0, 38, None), "class-collapse", crowded)) == (1, [(0, AT_CHANCE)])
        assert failed_of(examined(trained(1, 0, 120, None), "class-collapse", crowded)) == (1, [])

    def test_a_model_from_elsewhere_has_no_training_seeds(self) -> None:
        rows = all_rows(Held([], models=[model("theirs", evaluation("natural", 20), evaluation("autoattack", 0))]))
        assert [row.failed for _, row in rows] == [None]


class TestTrainings:
    def test_a_training_that_failed_is_one_of_the_rows_seeds(self) -> None:
        assert failed_of(trained(1, 0, 190, 96), broken(2, 3)) == (2, [(3, NOT_TRAINED)])

    @pytest.mark.parametrize(
        "why",
        [
            "the method 'sat' (methods/sat.py): RuntimeError: the loss is not finite at epoch 3, batch 5",
            "CUDA out of memory",
            "a file was refused",
        ],
    )
    def test_another_reason_says_nothing_of_the_seed(self, why: str) -> None:
        assert failed_of(trained(1, 0, 190, 96), broken(2, 3, why)) == (1, [])

    def test_a_later_attempt_that_ended_well_replaces_it(self) -> None:
        again = trained(3, 3, 188, 95, identity="identity-2", attempt=2)
        assert failed_of(trained(1, 0, 190, 96), broken(2, 3), again) == (2, [])
        running = run(4, train_seed=3, identity="identity-2", attempt=2, status="running")
        assert failed_of(trained(1, 0, 190, 96), broken(2, 3), running) == (2, [(3, NOT_TRAINED)])
        faulty = broken(4, 3, "the method broke its contract", identity="identity-2", attempt=2)
        assert failed_of(trained(1, 0, 190, 96), broken(2, 3), faulty) == (1, [])

    @pytest.mark.parametrize(
        "changes",
        [
            {"method": "trades"},
            {"method_settings": {"beta": 1.0}},
            {"network_settings": {"width": 32}},
            {"wrappers": [{"name": "awp", "settings": {}, "departures": {}}]},
            {"code": {"method": "f" * 64}},
            {"training_sha256": "training-b"},
            {"dataset": replace(run(9).dataset, fingerprint="e" * 64)},
        ],
    )
    def test_of_another_row_it_does_not_count(self, changes: dict[str, Any]) -> None:
        assert failed_of(trained(1, 0, 190, 96), broken(2, 3, **changes)) == (1, [])

    def test_it_counts_at_every_checkpoint_of_the_row(self) -> None:
        both = [checkpoint(evaluation("natural", 190), name=name, epoch=e) for name, e in (("early", 5), ("last", 10))]
        rows = all_rows(Held([run(1, *both, train_seed=0), broken(2, 3)]))
        assert [(row.failed.count, row.failed.of) for _, row in rows if row.failed] == [(1, 2), (1, 2)]


@given(some.lists(some.integers(0, 200), min_size=1, max_size=5), some.integers(100, 200), some.integers(0, 99))
def test_the_order_of_runs_changes_nothing_and_a_sound_seed_takes_no_failure_back(
    counts: list[int], sound: int, shuffled: int
) -> None:
    runs = [trained(number, number, 190, count) for number, count in enumerate(counts, 1)]
    mixed = random.Random(shuffled).sample(runs, len(runs))
    assert row_of(runs).failed == row_of(mixed).failed
    more = [*runs, trained(9, 9, 190, sound)]
    before, after = failed_of(*runs), failed_of(*more)
    assert after[0] == before[0] + 1
    assert set(before[1]) <= set(after[1])
    assert (9, AT_CHANCE) not in after[1]


class TestTies:
    """A row with a network at chance, beside one that is better with every seed."""

    BEST = tuple(trained(n, n, 190, count, method="best") for n, count in ((0, 100), (1, 101), (2, 102)))
    FALLS = tuple(trained(10 + n, n, 190, count) for n, count in ((0, 96), (1, 92), (2, 7)))
    FALLEN_BEST = tuple(trained(20 + n, n, 190, count, method="x") for n, count in ((0, 130), (1, 128), (2, 7)))

    def test_it_is_not_said_to_tie(self) -> None:
        rows = {row.method: row for _, row in all_rows(Held([*self.BEST, *self.FALLS]))}
        assert rows["sat"].versus_best is None
        sound = trained(12, 2, 190, 93)
        rows = {row.method: row for _, row in all_rows(Held([*self.BEST, *self.FALLS[:2], sound]))}
        assert rows["sat"].versus_best is not None

    def test_nor_is_another_row_tested_against_it(self) -> None:
        board, _ = all_rows(Held([*self.BEST, *self.FALLEN_BEST]))[0]
        assert [(row.method, row.versus_best) for row in board.rows] == [("x", None), ("best", None)]
        assert [board.tied(row) for row in board.rows] == [False, None]

    def test_a_test_of_two_networks_on_images_stays(self) -> None:
        rows = {row.method: row for _, row in all_rows(Held([self.BEST[0], *self.FALLS]))}
        assert rows["sat"].versus_best is not None
        assert rows["sat"].versus_best.test == "McNemar"

    def test_a_class_left_behind_leaves_the_test(self) -> None:
        weak = [examined(one, "class-left-behind", "class 3: weak") for one in self.BEST]
        others = [trained(12 + n, n, 190, count) for n, count in ((0, 96), (1, 92), (2, 90))]
        rows = {row.method: row for _, row in all_rows(Held([*weak, *others]))}
        assert rows["best"].failed is not None
        assert rows["best"].failed.count == 3
        assert rows["sat"].versus_best is not None


def test_each_seeds_line_has_the_whole_rows_failures() -> None:
    rows = [row for _, row in all_rows(Held(TestTies.FALLS), Selection(by_seed=True))]
    assert [row.train_seed for row in rows] == [0, 1, 2]
    assert all(row.failed is not None and [s.train_seed for s in row.failed.seeds] == [2] for row in rows)


def test_the_first_seven_methods_have_no_failed_seed_on_the_digits() -> None:
    store = Store.read(str(FIRST_BOARD))
    rows = [row for board, row in all_rows(store, Selection(dataset="digits", source="measured"))]
    store.close()
    assert [(row.failed.count, row.failed.of) for row in rows if row.failed] == [(0, 5)] * 7
