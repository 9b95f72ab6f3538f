"""The worst case: an image counts where it is right under every attack with every seed."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from harness.leaderboard.board import Selection
from harness.leaderboard.legend import answer
from harness.leaderboard.ranking import boards
from harness.statistics.figures import Figure
from harness.store.records import RunRecord
from tests.harness.leaderboard.held import ATTACKS, Held, all_rows, close, evaluation, median, right, run


class TestWorstCase:
    def test_by_hand(self) -> None:
        # right under all: images 0 and 5; image 2 is misclassified without an attack, and right under all others
        evaluations = [
            *right("natural", "1101110111"),
            *right("pgd", "1111010010", "1110110010"),
            *right("autoattack", "1011010100", "1111011000"),
        ]
        ((board, row),) = all_rows(Held([run(1, *evaluations)]))
        assert board.columns[-1] == "worst_case"
        assert row.metrics["worst_case"] == Figure(20.0, None, 2)
        assert row.worst_case_seeds == {"natural": 1, "pgd": 2, "autoattack": 2}
        assert row.notes == ()

    @pytest.mark.parametrize("missing", list(ATTACKS))
    def test_it_needs_every_attack_of_the_protocol(self, missing: str) -> None:
        held = [e for attack in ATTACKS for e in right(attack, "1100") if attack != missing]
        for more in (
            [],
            right(missing, "1111", settings_sha256="another"),
            [evaluation(missing, 1, examples=4, done=3)],
        ):
            ((_, row),) = all_rows(Held([run(1, *held, *more)]))
            assert (row.metrics["worst_case"], row.worst_case_seeds) == (None, {})

    def test_an_attack_outside_the_protocol_plays_no_part(self) -> None:
        held = [e for attack in ATTACKS for e in right(attack, "1100")]
        ((_, row),) = all_rows(Held([run(1, *held, *right("cw", "0000", settings_sha256="cw"))]))
        assert median(row, "worst_case") == 50.0

    def test_it_falls_with_more_seeds_and_never_exceeds_its_parts(self) -> None:
        held = [*right("natural", "1111"), *right("autoattack", "1110")]
        seeds_of_pgd = ["1101", "0111", "1011"]
        found = []
        for n in (1, 2, 3):
            ((_, row),) = all_rows(Held([run(1, *held, *right("pgd", *seeds_of_pgd[:n]))]))
            found.append(median(row, "worst_case"))
        assert found == [50.0, 25.0, 0.0]

    def test_networks_are_summed_up_as_in_other_columns(self) -> None:
        parts = [("1111", "1110"), ("1111", "1000"), ("1110", "1111")]  # natural, and both attacks
        runs = [
            run(i, *right("natural", nat), *right("pgd", att), *right("autoattack", att), train_seed=i)
            for i, (nat, att) in enumerate(parts)
        ]
        ((_, row),) = all_rows(Held(runs))
        figure = row.metrics["worst_case"]  # of 75, 25, 75
        assert figure is not None
        assert (figure.median, figure.std, figure.n) == (75.0, None, 1)
        assert figure.train is not None
        assert (figure.train.mean, figure.train.n) == (close(175 / 3), 3)

    def test_networks_with_other_numbers_of_seeds_are_told(self) -> None:
        held = [*right("natural", "11"), *right("autoattack", "11")]
        runs = [
            run(0, *held, *right("pgd", "11"), train_seed=0),
            run(1, *held, *right("pgd", "11", "01"), train_seed=1),
        ]
        ((_, row),) = all_rows(Held(runs))
        assert row.worst_case_seeds["pgd"] == 1
        assert row.notes == (
            "pgd: its networks have 1, 2 attack seeds; ± is over the seeds of 1 of its 2 networks",
            "worst case: its networks differ in their attack seeds, and it falls with more",
        )

    def test_it_ranks_where_it_is_asked_for_alone(self) -> None:
        def whole(number: int, pgd: str, autoattack: str, method: str) -> RunRecord:
            parts = (*right("natural", "1111"), *right("pgd", pgd), *right("autoattack", autoattack))
            return run(number, *parts, method=method)

        # a: autoattack 75, worst 25; b: autoattack 50, worst 50
        store = Held([whole(1, "1100", "0111", "a"), whole(2, "1110", "1100", "b")])
        assert [(row.rank, row.method) for _, row in all_rows(store)] == [(1, "a"), (2, "b")]
        asked = all_rows(store, Selection(sort="worst_case"))
        assert [(row.rank, row.method, median(row, "worst_case")) for _, row in asked] == [
            (1, "b", 50.0),
            (2, "a", 25.0),
        ]
        assert {board.ranked_by for board, _ in asked} == {"worst_case"}

    def test_where_it_ranks_rows_of_unequal_seeds_the_answer_says_so(self) -> None:
        def whole(number: int, method: str, *pgd: str) -> RunRecord:
            parts = (*right("natural", "1111"), *right("pgd", *pgd), *right("autoattack", "1111"))
            return run(number, *parts, method=method)

        unequal = Held([whole(1, "a", "1110", "1100"), whole(2, "b", "1110")])
        equal = Held([whole(1, "a", "1110", "1100"), whole(2, "b", "1110", "1111")])
        said = "the rows differ in their attack seeds (natural 1, pgd 1-2, autoattack 1), and the worst case falls with"
        for store, sort, told in ((unequal, "worst_case", True), (unequal, "pgd", False), (equal, "worst_case", False)):
            (board,) = boards(store, Selection(sort=sort))
            assert (said in answer(board)) is told

    def test_no_verdicts_are_read_where_nothing_is_complete(self) -> None:
        class Closed(Held):
            def verdicts_of(self, evaluation_ids: Collection[int]) -> dict[int, bytes]:
                raise AssertionError("read")

        assert boards(Closed([run(1, evaluation("pgd", 1, done=10))])) == []
