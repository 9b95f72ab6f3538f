"""Models from elsewhere among the rows, and the flags that checks of rigour raise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.events import Finding
from harness.identity import digest
from harness.leaderboard.board import MEASURED, Row
from harness.leaderboard.cells import flags_text
from harness.leaderboard.flags import Flag
from harness.leaderboard.ranking import boards
from harness.store.records import ProtocolRecord, RunRecord
from harness.store.store import Store
from tests.harness.leaderboard.held import (
    ATTACKS,
    PROTOCOL,
    THREAT,
    Held,
    evaluation,
    examined,
    finding,
    model,
    run,
)
from tests.tiny import PROTOCOL_DOCUMENT


def labels(store: Store) -> list[list[str]]:
    """The rows of each measured board."""
    return [[row.label for row in board.rows] for board in boards(store) if board.source == MEASURED]


class TestModelsFromElsewhere:
    def test_one_is_ranked_among_the_runs_and_marked(self) -> None:
        runs = [run(1, evaluation("autoattack", 80)), run(2, evaluation("autoattack", 40), method="lrat")]
        store = Held(runs, models=[model("theirs", evaluation("autoattack", 60))])
        (board,) = boards(store)
        assert [(row.label, row.rank, row.trained_here, row.runs) for row in board.rows] == [
            ("sat", 1, True, (1,)),
            ("theirs", 2, False, ()),
            ("lrat", 3, True, (2,)),
        ]
        assert board.rows[1].train_seeds is None
        assert board.rows[1].versus_best is not None  # McNemar: it has no training seed

    def test_it_stands_beside_every_run_that_went_through_the_same_attacks(self) -> None:
        other_training = replace(PROTOCOL, fingerprint="2" * 64, training_sha256="training-b")
        runs = [
            run(1, evaluation("autoattack", 80)),
            run(2, evaluation("autoattack", 40), training_sha256="training-b", method="lrat"),
        ]
        store = Held(runs, [PROTOCOL, other_training], models=[model("theirs", evaluation("autoattack", 60))])
        assert labels(store) == [["sat", "theirs"], ["theirs", "lrat"]]  # 80, 60, and 40 images

    def test_where_no_run_is_it_stands_on_one_board(self) -> None:
        other_training = replace(PROTOCOL, fingerprint="2" * 64, training_sha256="training-b")
        store = Held([], [PROTOCOL, other_training], models=[model("theirs", evaluation("pgd", 60))])
        (board,) = boards(store)
        assert board.fingerprint == "2" * 64

    def test_it_stands_on_a_board_of_each_number_of_images(self) -> None:
        fewer = {"examples": 100, "done": 100}
        ours = run(1, evaluation("pgd", 80), evaluation("pgd", 40, **fewer))
        theirs = model("theirs", evaluation("pgd", 60), evaluation("pgd", 30, **fewer))
        assert labels(Held([ours], models=[theirs])) == [["sat", "theirs"], ["sat", "theirs"]]

    def test_other_images_or_attacks_are_other_boards(self) -> None:
        theirs = model("theirs", evaluation("pgd", 60, examples=100, done=100))
        store = Held([run(1, evaluation("pgd", 80))], models=[theirs])
        assert sorted(labels(store)) == [["sat"], ["theirs"]]
        strangers = model("theirs", evaluation("pgd", 60, settings_sha256="another ball"))
        assert labels(Held([run(1, evaluation("pgd", 80))], models=[strangers])) == [["sat"]]

    def test_an_attack_without_settings_alone_puts_nothing_on_a_board(self) -> None:
        natural = digest({})  # belongs to every protocol
        protocol = replace(PROTOCOL, attacks={"natural": natural, "pgd": "pgd-20"})
        clean = evaluation("natural", 90, settings_sha256=natural)
        assert labels(Held([run(1, clean)], [protocol])) == []
        assert labels(Held([run(1, clean, evaluation("pgd", 50))], [protocol])) == [["sat"]]
        alone = replace(PROTOCOL, attacks={"natural": natural})
        assert labels(Held([run(1, clean)], [alone])) == [["sat"]]


class TestFlags:
    def row(self, *runs: RunRecord, protocol: ProtocolRecord | None = None) -> Row:
        (board,) = boards(Held(runs, [protocol or PROTOCOL]))
        (row,) = board.rows
        return row

    def test_they_are_counted_over_networks_in_the_order_of_the_checks(self) -> None:
        good = finding("zero-gradient", "passed")
        row = self.row(
            examined(1, finding("zero-gradient"), finding("gap", mark="A")),
            examined(2, good, finding("gap", mark="A")),
            examined(3, good, finding("gap", "not-applicable")),
        )
        assert row.flags == (
            Flag("Z", "zero-gradient", 1, 3, "why zero-gradient"),
            Flag("A", "gap", 2, 3, "why gap"),
        )
        assert flags_text(row) == "ZA"

    def test_the_reason_is_of_the_first_network_and_checks_of_one_mark_are_counted_apart(self) -> None:
        def warned(check: str, reason: str) -> Finding:
            return replace(finding(check, mark="W"), reason=reason)

        row = self.row(
            examined(1, finding("random", "passed"), warned("square", "first")),
            examined(2, warned("random", "only"), warned("square", "second")),
        )
        assert row.flags == (Flag("W", "random", 1, 2, "only"), Flag("W", "square", 2, 2, "first"))

    def test_none_raised_is_told_from_none_looked_for(self) -> None:
        row = self.row(examined(1, finding("zero-gradient", "passed")))
        assert (row.flags, flags_text(row)) == ((), "none")
        row = self.row(run(1, evaluation("autoattack", 50)))
        assert (row.flags, flags_text(row)) == (None, "-")

    def test_none_raised_is_told_of_networks_that_were_all_examined(self) -> None:
        bare = run(2, evaluation("autoattack", 50), train_seed=2)
        assert self.row(examined(1, finding("zero-gradient", "passed")), bare).flags is None
        assert self.row(examined(1, finding("zero-gradient")), bare).flags == (
            Flag("Z", "zero-gradient", 1, 1, "why zero-gradient"),
        )

    @pytest.mark.parametrize(
        "elsewhere",
        [
            {"epsilon": 0.1},
            {"examples": 100},
            {"block_size": 50},
            {"threat": THREAT | {"steps": 100}},
            {"kind": "verdicts", "attacks": ATTACKS | {"pgd": "pgd-100"}},
        ],
    )
    def test_what_was_found_in_another_ball_or_on_other_images_is_not_told(self, elsewhere: dict[str, Any]) -> None:
        assert self.row(examined(1, finding("zero-gradient"), **elsewhere)).flags is None

    def test_the_ball_is_the_evaluations_own_where_it_has_one(self) -> None:
        evaluation = PROTOCOL_DOCUMENT["evaluation"] | {"epsilon": 0.1}
        own = replace(PROTOCOL, document=PROTOCOL_DOCUMENT | {"evaluation": evaluation})
        there = {"epsilon": 0.1, "threat": THREAT | {"epsilon": 0.1, "step_size": 0.025}}
        assert self.row(examined(1, finding("zero-gradient"), **there), protocol=own).flags
        assert self.row(examined(1, finding("zero-gradient")), protocol=own).flags is None

    def test_verdicts_are_those_of_the_boards_attacks(self) -> None:
        there = {"kind": "verdicts", "attacks": ATTACKS}
        assert self.row(examined(1, finding("gap", mark="A"), **there)).flags == (Flag("A", "gap", 1, 1, "why gap"),)
