"""A board of which a larger one has every figure is shown only by its fingerprint; else nothing is hidden."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from harness.events import Finding
from harness.leaderboard.board import MEASURED, Board, Selection
from harness.leaderboard.ranking import boards, unranked
from harness.store.records import ExaminationRecord, ProtocolRecord, RunRecord
from harness.store.scope import Scope
from tests.harness.leaderboard.held import ATTACKS, DIGITS, PROTOCOL, Held, evaluation, model, run
from tests.tiny import PROTOCOL_DOCUMENT

ADDED = {"natural": "natural-0", "pgd": "pgd-20", "margin": "margin-9", "autoattack": "aa"}
LARGER = replace(PROTOCOL, fingerprint="2" * 64, attacks=ADDED)
BOTH = (PROTOCOL, LARGER)


def margin(correct: int, **changes: Any) -> Any:
    return evaluation("margin", correct, settings_sha256="margin-9", **changes)


def old(number: int, **changes: Any) -> RunRecord:
    """A run that was evaluated before the attack was added."""
    natural = evaluation("natural", 190, settings={})
    return run(number, natural, evaluation("pgd", 150), evaluation("autoattack", 140), **changes)


def attacked(number: int, **changes: Any) -> RunRecord:
    """The same run once the new attack was run on it."""
    before = old(number, **changes)
    checkpoint = before.checkpoints[0]
    return replace(before, checkpoints=(replace(checkpoint, evaluations=(*checkpoint.evaluations, margin(145))),))


def shown(runs: list[RunRecord], protocols: tuple[ProtocolRecord, ...] = BOTH, **selected: Any) -> list[str]:
    """The first letters of the fingerprints of the boards that are shown."""
    return [board.fingerprint[0] for board in boards(Held(runs, protocols), Selection(**selected))]


def test_a_board_is_hidden_once_every_network_has_the_new_attack() -> None:
    lrat = {"method": "lrat"}
    assert shown([attacked(1), attacked(2, **lrat)]) == ["2"]
    assert shown([attacked(1), old(2, **lrat)]) == ["1", "2"]
    assert shown([old(1), old(2, **lrat)]) == ["1", "2"]


def test_all_that_was_shown_is_still_shown() -> None:
    """The larger board has the rows and the figures of the board that it hides, and ranks by the same attack."""
    runs = [attacked(1), attacked(2, method="lrat"), attacked(3, train_seed=1)]
    (before,) = boards(Held(runs, [PROTOCOL]))
    (after,) = boards(Held(runs, BOTH))
    assert after.ranked_by == before.ranked_by == "autoattack"
    assert [(row.label, row.rank, row.runs) for row in after.rows] == [(r.label, r.rank, r.runs) for r in before.rows]
    for one, other in zip(after.rows, before.rows, strict=True):
        assert {name: one.metrics[name] for name in ATTACKS} == {name: other.metrics[name] for name in ATTACKS}


@pytest.mark.parametrize("protocol", ["1" * 64, "1" * 8])
def test_its_fingerprint_shows_it(protocol: str) -> None:
    runs = [attacked(1)]
    assert shown(runs, protocol=protocol) == ["1"]
    assert boards(Held(runs, BOTH), Selection(protocol=protocol)) == boards(Held(runs, [PROTOCOL]))
    assert shown(runs, protocol="tiny") == ["2"]
    assert shown(runs, protocol="2" * 8) == ["2"]


def test_an_alias_of_its_fingerprint_shows_it() -> None:
    alias = replace(PROTOCOL, fingerprint="0" * 64)
    assert shown([attacked(1)], (alias, *BOTH)) == ["2"]
    assert shown([attacked(1)], (alias, *BOTH), protocol="0" * 8) == ["1"]


def test_all_boards_are_there_to_choose_from() -> None:
    assert [board.fingerprint[0] for board in unranked(Held([attacked(1)], BOTH))] == ["1", "2"]


TURNED = PROTOCOL_DOCUMENT | {"evaluation": PROTOCOL_DOCUMENT["evaluation"] | {"steps": 50}}


@pytest.mark.parametrize(
    "larger",
    [
        pytest.param(replace(LARGER, name="other"), id="another name"),
        pytest.param(replace(LARGER, attacks=ADDED | {"pgd": "pgd-100"}), id="other settings of a shared attack"),
        pytest.param(replace(LARGER, attacks={k: v for k, v in ADDED.items() if k != "pgd"}), id="an attack less"),
        pytest.param(replace(LARGER, document=TURNED), id="another budget, which the checks of rigour had"),
    ],
)
def test_no_other_protocol_hides_it(larger: ProtocolRecord) -> None:
    assert shown([attacked(1)], (PROTOCOL, larger)) == ["1", "2"]


def test_another_training_does_not_hide_it() -> None:
    other = replace(LARGER, training_sha256="training-b")
    assert shown([attacked(1), attacked(2, training_sha256="training-b")], (PROTOCOL, other)) == ["1", "2"]


def test_a_board_of_the_same_attacks_is_no_larger_one() -> None:
    turned = replace(LARGER, attacks=dict(reversed(ADDED.items())))
    assert shown([attacked(1)], (LARGER, replace(turned, fingerprint="3" * 64))) == ["2", "3"]


def test_other_test_images_hide_nothing() -> None:
    few = {"examples": 10, "done": 10}
    sampled = [
        evaluation("natural", 9, settings={}, **few),
        evaluation("pgd", 8, **few),
        evaluation("autoattack", 7, **few),
    ]
    whole = attacked(1)
    checkpoint = whole.checkpoints[0]
    both = replace(whole, checkpoints=(replace(checkpoint, evaluations=(*checkpoint.evaluations, *sampled)),))
    found = boards(Held([both], BOTH))
    assert [(board.fingerprint[0], board.examples) for board in found] == [("1", 10), ("2", 10), ("2", 200)]


def test_another_data_set_hides_nothing() -> None:
    other = replace(DIGITS, fingerprint="e" * 64)
    found = boards(Held([attacked(1), old(2, dataset=other)], BOTH))
    there = [(board.fingerprint[0], (board.dataset_fingerprint or "")[0]) for board in found]
    assert there == [("1", "e"), ("2", "d"), ("2", "e")]


def test_an_evaluation_that_is_not_complete_hides_nothing() -> None:
    begun = run(1, *old(1).checkpoints[0].evaluations, margin(20, done=30))
    assert shown([begun]) == ["1", "2"]


def test_a_model_from_elsewhere_without_the_attack_keeps_the_board() -> None:
    evaluations = old(1).checkpoints[0].evaluations
    for further, expected in (((), ["1", "2"]), ((margin(100),), ["2"])):
        store = Held([attacked(2)], BOTH, models=[model("theirs", *evaluations, *further)])
        found = boards(store)
        assert [board.fingerprint[0] for board in found] == expected
        assert all({row.label for row in board.rows} == {"sat", "theirs"} for board in found)


class TestFlags:
    """A board whose networks were examined is hidden only if the larger board shows their flags."""

    def examined(self, *protocols: ProtocolRecord) -> RunRecord:
        whole = attacked(1)
        checkpoint = whole.checkpoints[0]
        made = [
            ExaminationRecord(self.scope(protocol).settings("verdicts"), datetime(2026, 1, 3), 1.0, {}, (FINDING,))
            for protocol in protocols
        ]
        return replace(whole, checkpoints=(replace(checkpoint, examinations=tuple(made)),))

    def scope(self, protocol: ProtocolRecord) -> Scope:
        return Scope.of_document(protocol.document, protocol.attacks, 200)

    def flags_of(self, found: list[Board]) -> list[tuple[str, str | None]]:
        return [(board.fingerprint[0], board.rows[0].marks) for board in found if board.source == MEASURED]

    def test_of_the_old_verdicts_alone(self) -> None:
        found = boards(Held([self.examined(PROTOCOL)], BOTH))
        assert self.flags_of(found) == [("1", "S"), ("2", None)]

    def test_of_both(self) -> None:
        found = boards(Held([self.examined(PROTOCOL, LARGER)], BOTH))
        assert self.flags_of(found) == [("2", "S")]


FINDING = Finding("square-stronger", "flagged", "S", 0.1, 0.05, "for a test", {})
