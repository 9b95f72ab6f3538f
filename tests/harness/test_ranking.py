"""The ranking on hand-made records: what cannot be compared is never on one board, and figures equal a slow count."""

from __future__ import annotations

import csv
import statistics
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.errors import UnknownName
from harness.evaluation.statistics import Figure
from harness.identity import digest
from harness.leaderboard.board import MEASURED, REPORTED, Board, Row, Selection
from harness.leaderboard.cells import flags_text
from harness.leaderboard.flags import Flag
from harness.leaderboard.ranking import boards
from harness.reference import ReportedFigure
from harness.rigour.finding import Finding
from harness.store.records import (
    CheckpointRecord,
    DatasetRecord,
    EvaluationRecord,
    ExaminationRecord,
    ModelRecord,
    ProtocolRecord,
    RunRecord,
)
from harness.store.store import Store
from tests.tiny import PROTOCOL_DOCUMENT

DIGITS = DatasetRecord("digits", "d" * 64, 1437, 360, 1, 8, 8, 10)
ATTACKS = {"natural": "natural-0", "pgd": "pgd-20", "autoattack": "aa"}
PROTOCOL = ProtocolRecord("1" * 64, "tiny", "training-a", ATTACKS, PROTOCOL_DOCUMENT)


class Held(Store):
    """A store that holds what it is given; the first ``correct`` images of an evaluation are right."""

    def __init__(
        self,
        runs: Sequence[RunRecord],
        protocols: Sequence[ProtocolRecord] = (PROTOCOL,),
        reported: Sequence[ReportedFigure] = (),
        models: Sequence[ModelRecord] = (),
    ) -> None:
        self._verdicts: dict[int, bytes] = {}
        self._held = [self._numbered(run) for run in runs], list(protocols), list(reported)
        self._models = [replace(model, checkpoint=self._counted(model.checkpoint)) for model in models]

    def _numbered(self, run: RunRecord) -> RunRecord:
        return replace(run, checkpoints=tuple(map(self._counted, run.checkpoints)))

    def _counted(self, checkpoint: CheckpointRecord) -> CheckpointRecord:
        return replace(checkpoint, evaluations=tuple(map(self._kept, checkpoint.evaluations)))

    def _kept(self, evaluation: EvaluationRecord) -> EvaluationRecord:
        number = len(self._verdicts) + 1
        right = evaluation.provenance.get("right", bytes([1] * evaluation.correct))
        self._verdicts[number] = right.ljust(evaluation.done, b"\0")
        return replace(evaluation, id=number)

    def verdicts_of(self, evaluation_ids: Collection[int]) -> dict[int, bytes]:
        return {number: self._verdicts[number] for number in evaluation_ids}

    def runs(self) -> list[RunRecord]:
        return self._held[0]

    def protocols(self) -> list[ProtocolRecord]:
        return self._held[1]

    def models(self) -> list[ModelRecord]:
        return self._models

    def reported(self) -> list[ReportedFigure]:
        return self._held[2]


def evaluation(attack: str, correct: int, **changes: Any) -> EvaluationRecord:
    """A complete evaluation of 200 images, under the settings of PROTOCOL."""
    record = EvaluationRecord(
        id=0,
        attack=attack,
        settings={},
        settings_sha256=ATTACKS.get(attack, "?"),
        seed=0,
        examples=200,
        done=200,
        correct=correct,
        blocks=((0, 200),),
        duration_s=1.0,
        warnings=(),
        provenance={},
    )
    return replace(record, **changes)


def checkpoint(*evaluations: EvaluationRecord, name: str = "last", epoch: int = 10) -> CheckpointRecord:
    return CheckpointRecord(0, name, epoch, "c" * 64, evaluations)


def run(number: int, *checkpoints: CheckpointRecord | EvaluationRecord, **changes: Any) -> RunRecord:
    """A run that is done; evaluations given without a checkpoint are those of its last one."""
    loose = [c for c in checkpoints if isinstance(c, EvaluationRecord)]
    firm = [c for c in checkpoints if isinstance(c, CheckpointRecord)]
    record = RunRecord(
        id=number,
        identity=f"identity-{number}",
        attempt=1,
        method="sat",
        method_settings={},
        method_departures={},
        wrappers=[],
        network="smallcnn",
        network_settings={"width": 16},
        network_departures={},
        dataset=DIGITS,
        training={"epochs": 10},
        training_sha256="training-a",
        train_seed=0,
        status="done",
        failure=None,
        folder="",
        parameters=1,
        created_utc=datetime(2026, 1, 1),
        finished_utc=datetime(2026, 1, 2),
        provenance={},
        epochs=(),
        checkpoints=(*firm, *([checkpoint(*loose)] if loose else [])),
    )
    return replace(record, **changes)


def seeds(attack: str, *correct: int) -> list[EvaluationRecord]:
    return [evaluation(attack, count, seed=seed) for seed, count in enumerate(correct)]


def close(expected: float) -> Any:
    return pytest.approx(expected, rel=1e-12)


def all_rows(store: Store, selection: Selection | None = None) -> list[tuple[Board, Row]]:
    return [(board, row) for board in boards(store, selection) for row in board.rows]


def median(row: Row, attack: str) -> float | None:
    figure = row.metrics[attack]
    return None if figure is None else figure.median


class TestFigures:
    def test_by_hand(self) -> None:
        # 150, 152, 157 of 200 are 75, 76, 78.5 %: mean 76.5, variance (2.25 + 0.25 + 4) / 2
        store = Held([run(7, evaluation("natural", 190), *seeds("pgd", 150, 157, 152))])
        (board,) = boards(store)
        assert (board.dataset, board.source, board.protocol) == ("digits", MEASURED, "tiny")
        assert (board.fingerprint, board.examples, board.columns) == ("1" * 64, 200, (*ATTACKS, "worst_case"))
        (row,) = board.rows
        assert row.metrics["natural"] == Figure(95.0, None, 1)
        assert row.metrics["pgd"] == Figure(76.0, close(3.25**0.5), 3)
        assert row.metrics["autoattack"] is None
        assert (row.method, row.arch, row.checkpoint, row.train_seeds, row.runs) == ("sat", "smallcnn", "last", 1, (7,))

    def test_what_departs_from_defaults_is_in_the_labels(self) -> None:
        departing = run(
            1,
            evaluation("pgd", 1),
            method="lrat",
            method_settings={"kappa": 5.0, "minimum": 0.1},
            method_departures={"kappa": 5.0},
            wrappers=[{"name": "awp", "settings": {"gamma": 0.01, "warm": 1}, "departures": {"gamma": 0.01}}],
            network_settings={"width": 4},
            network_departures={"width": 4},
        )
        ((_, row),) = all_rows(Held([departing]))
        assert (row.settings, row.arch_settings) == ({"kappa": 5.0}, {"width": 4})
        assert (row.label, row.arch_label) == ("lrat kappa=5.0+awp gamma=0.01", "smallcnn width=4")

    def test_an_incomplete_evaluation_does_not_count(self) -> None:
        half = evaluation("autoattack", 100, done=199)
        ((_, row),) = all_rows(Held([run(1, evaluation("pgd", 150), half)]))
        assert row.metrics["autoattack"] is None
        assert boards(Held([run(1, half)])) == []

    def test_a_seed_whose_evaluation_is_incomplete_does_not_count(self) -> None:
        ((_, row),) = all_rows(Held([run(1, *seeds("pgd", 150, 160), evaluation("pgd", 0, seed=2, done=10))]))
        assert row.metrics["pgd"] == Figure(77.5, close(12.5**0.5), 2)

    @pytest.mark.parametrize("status", ["running", "failed"])
    def test_a_run_that_is_not_done_has_no_row(self, status: str) -> None:
        assert boards(Held([run(1, evaluation("pgd", 150), status=status)])) == []


class TestAttempts:
    def test_the_newest_that_is_done_counts(self) -> None:
        first = run(1, evaluation("pgd", 100), identity="same")
        second = run(2, evaluation("pgd", 120), identity="same", attempt=2)
        third = run(3, evaluation("pgd", 140), identity="same", attempt=3)
        assert [row.runs for _, row in all_rows(Held([first, second, third]))] == [(3,)]
        for status in ("running", "failed"):
            ((_, row),) = all_rows(Held([first, second, replace(third, status=status)]))
            assert (row.runs, median(row, "pgd")) == ((2,), 60.0)

    def test_a_newer_attempt_without_figures_is_not_filled_up_from_an_older(self) -> None:
        first = run(1, evaluation("pgd", 100), evaluation("natural", 190), identity="same")
        second = run(2, evaluation("natural", 180), identity="same", attempt=2)
        ((_, row),) = all_rows(Held([first, second]))
        assert (median(row, "natural"), row.metrics["pgd"]) == (90.0, None)


class TestRows:
    def test_train_seeds_share_a_row_and_their_spread_is_told_apart(self) -> None:
        runs = [run(i, *seeds("pgd", *counts), train_seed=i) for i, counts in enumerate([(100, 110), (120, 120)])]
        ((_, row),) = all_rows(Held(runs))
        figure = row.metrics["pgd"]
        assert (row.train_seeds, row.runs) == (2, (0, 1))
        assert figure is not None
        assert figure.median == 56.25  # of 52.5 and 60
        assert figure.train is not None
        assert (figure.train.mean, figure.train.n) == (56.25, 2)

    @pytest.mark.parametrize(
        "difference",
        [
            {"method": "lrat"},
            {"method_settings": {"kappa": 5.0}},
            {"wrappers": [{"name": "awp", "settings": {}, "departures": {}}]},
            {"network": "resnet18"},
            {"network_settings": {"width": 32}},
        ],
        ids=str,
    )
    def test_other_differences_make_other_rows_of_the_same_board(self, difference: dict[str, Any]) -> None:
        (board,) = boards(Held([run(1, evaluation("pgd", 1)), run(2, evaluation("pgd", 1), **difference)]))
        assert [row.runs for row in board.rows] in ([(1,), (2,)], [(2,), (1,)])

    @pytest.mark.parametrize("epoch", [6, 10])  # where the training is one epoch long, both are taken after it
    def test_checkpoints_are_rows_of_their_own(self, epoch: int) -> None:
        early = checkpoint(evaluation("pgd", 150), name="early", epoch=epoch)
        last = checkpoint(evaluation("pgd", 140), name="last", epoch=10)
        (board,) = boards(Held([run(1, early, last)]))
        assert [(row.checkpoint, median(row, "pgd")) for row in board.rows] == [("early", 75.0), ("last", 70.0)]


class TestNeverOnOneBoard:
    def test_another_training(self) -> None:
        other = replace(PROTOCOL, fingerprint="2" * 64, training_sha256="training-b")
        runs = [run(1, evaluation("pgd", 150)), run(2, evaluation("pgd", 140), training_sha256="training-b")]
        found = boards(Held(runs, [PROTOCOL, other]))
        assert [(board.fingerprint[0], [row.runs for row in board.rows]) for board in found] == [
            ("1", [(1,)]),
            ("2", [(2,)]),
        ]

    def test_another_attack_setting_on_the_same_network(self) -> None:
        other = replace(PROTOCOL, fingerprint="2" * 64, attacks=ATTACKS | {"pgd": "pgd-100"})
        both = run(1, evaluation("pgd", 150), evaluation("pgd", 100, settings_sha256="pgd-100"))
        found = all_rows(Held([both], [PROTOCOL, other]))
        assert [(board.fingerprint[0], row.metrics["pgd"]) for board, row in found] == [
            ("1", Figure(75.0, None, 1)),
            ("2", Figure(50.0, None, 1)),
        ]

    def test_another_set_of_examples(self) -> None:
        both = run(1, evaluation("pgd", 150), evaluation("pgd", 9, examples=10, done=10))
        found = boards(Held([both, run(2, evaluation("pgd", 8, examples=10, done=10), method="lrat")]))
        medians = {board.examples: {row.method: median(row, "pgd") for row in board.rows} for board in found}
        assert medians == {200: {"sat": 75.0}, 10: {"sat": 90.0, "lrat": 80.0}}

    def test_another_data_set_of_the_same_name(self) -> None:
        other = replace(DIGITS, fingerprint="e" * 64)
        found = boards(Held([run(1, evaluation("pgd", 1)), run(2, evaluation("pgd", 1), dataset=other)]))
        assert [len(board.rows) for board in found] == [1, 1]

    def test_what_is_reported_and_what_is_measured(self) -> None:
        figure = ReportedFigure("Someone 2020", "1", "digits", "smallcnn", "sat", "last", "pgd", 75.0, 0.1, "")
        found = boards(Held([run(1, evaluation("pgd", 150))], reported=[figure]))
        assert [(board.source, len(board.rows)) for board in found] == [(MEASURED, 1), (REPORTED, 1)]

    def test_what_two_papers_report(self) -> None:
        figure = ReportedFigure("Someone 2020", "1", "digits", "smallcnn", "sat", "last", "pgd", 75.0, 0.1, "")
        found = boards(Held([], reported=[figure, replace(figure, paper="Another 2021")]))
        assert [board.protocol for board in found] == ["Someone 2020", "Another 2021"]

    def test_a_run_under_no_known_protocol_has_no_board(self) -> None:
        assert boards(Held([run(1, evaluation("pgd", 1), training_sha256="unheard of")])) == []


def test_the_order_of_attacks_tells_protocols_apart() -> None:
    turned = replace(PROTOCOL, fingerprint="2" * 64, attacks=dict(reversed(ATTACKS.items())))
    runs = [run(1, evaluation("natural", 190), evaluation("autoattack", 100))]
    for protocol in (PROTOCOL, turned):
        (board,) = boards(Held(runs, [PROTOCOL, turned]), Selection(protocol=protocol.fingerprint))
        assert (board.fingerprint, board.columns) == (protocol.fingerprint, (*protocol.attacks, "worst_case"))


@st.composite
def stores(draw: st.DrawFn) -> Held:
    """Runs, attempts, checkpoints, and evaluations drawn from small pools, so that many of them meet."""
    protocols = [
        ProtocolRecord("1" * 64, "one", "training-a", {"natural": "n", "pgd": "p"}, PROTOCOL_DOCUMENT),
        ProtocolRecord("2" * 64, "two", "training-a", {"pgd": "q", "cw": "c"}, PROTOCOL_DOCUMENT),
        ProtocolRecord("3" * 64, "three", "training-b", {"natural": "n", "pgd": "p"}, PROTOCOL_DOCUMENT),
    ]
    runs: list[RunRecord] = []
    for number in range(draw(st.integers(0, 7))):
        key = (
            draw(st.sampled_from(["sat", "lrat"])),
            draw(st.sampled_from(["training-a", "training-b"])),
            draw(st.sampled_from(["d", "e"])),
            draw(st.integers(0, 2)),
        )
        identity = str(key)
        held = draw(
            st.lists(
                st.tuples(
                    st.sampled_from([("natural", "n"), ("pgd", "p"), ("pgd", "q"), ("cw", "c")]),
                    st.integers(0, 1),
                    st.sampled_from([10, 20]),
                ),
                unique=True,
                max_size=6,
            )
        )
        evaluations = [
            evaluation(
                attack,
                draw(st.integers(0, 10)),
                settings_sha256=sha,
                seed=seed,
                examples=examples,
                done=draw(st.sampled_from([examples, 10])),
            )
            for (attack, sha), seed, examples in held
        ]
        runs.append(
            run(
                number,
                *evaluations,
                method=key[0],
                training_sha256=key[1],
                dataset=replace(DIGITS, fingerprint=key[2]),
                train_seed=key[3],
                identity=identity,
                attempt=1 + sum(other.identity == identity for other in runs),
                status=draw(st.sampled_from(["done", "done", "failed"])),
            )
        )
    return Held(runs, protocols)


@given(stores())
def test_boards_equal_a_slow_count(store: Held) -> None:
    expected: dict[tuple[Any, ...], dict[str, dict[int, list[float]]]] = {}
    done = [r for r in store.runs() if r.status == "done"]
    for record in done:
        if any(other.identity == record.identity and other.attempt > record.attempt for other in done):
            continue
        for protocol in store.protocols():
            for e in (e for c in record.checkpoints for e in c.evaluations):
                same = protocol.attacks.get(e.attack) == e.settings_sha256
                if record.training_sha256 == protocol.training_sha256 and same and e.done == e.examples:
                    key = (record.dataset.fingerprint, protocol.fingerprint, e.examples, record.method)
                    networks = expected.setdefault(key, defaultdict(lambda: defaultdict(list)))
                    networks[e.attack][record.id].append(100 * e.correct / e.examples)
    by_number = {record.id: record for record in store.runs()}
    found: dict[tuple[Any, ...], Row] = {
        (by_number[row.runs[0]].dataset.fingerprint, board.fingerprint, board.examples, row.method): row
        for board, row in all_rows(store)
    }
    assert len(all_rows(store)) == len(found)
    assert found.keys() == expected.keys()
    for key, row in found.items():
        attacked = {attack for attack, figure in row.metrics.items() if figure} - {"worst_case"}
        assert attacked == expected[key].keys()
        assert set(row.runs) == {number for networks in expected[key].values() for number in networks}
        for attack, measured in expected[key].items():
            figure = row.metrics[attack]
            assert figure is not None
            assert figure.median == statistics.median(statistics.median(seeds) for seeds in measured.values())
            assert figure.n == min(len(seeds) for seeds in measured.values())
            assert (figure.train is None) == (len(measured) == 1)


class TestRanks:
    @pytest.fixture
    def store(self) -> Held:
        counts: dict[str, tuple[int, int | None]] = {  # pgd, autoattack
            "weak": (199, 100),
            "tied-b": (150, 140),
            "tied-a": (150, 140),
            "unfinished": (180, None),
            "best": (100, 160),
            "also-unfinished": (170, None),
        }
        return Held(
            [
                run(
                    number,
                    evaluation("pgd", pgd),
                    *([] if autoattack is None else [evaluation("autoattack", autoattack)]),
                    method=method,
                )
                for number, (method, (pgd, autoattack)) in enumerate(counts.items())
            ]
        )

    def test_by_the_last_column_with_ties_and_missing_figures_last(self, store: Held) -> None:
        assert [(row.rank, row.method) for _, row in all_rows(store)] == [
            (1, "best"),
            (2, "tied-a"),
            (2, "tied-b"),
            (4, "weak"),
            (None, "also-unfinished"),
            (None, "unfinished"),
        ]

    def test_by_another_column(self, store: Held) -> None:
        assert [(row.rank, row.method) for _, row in all_rows(store, Selection(sort="pgd"))] == [
            (1, "weak"),
            (2, "unfinished"),
            (3, "also-unfinished"),
            (4, "tied-a"),
            (4, "tied-b"),
            (6, "best"),
        ]

    def test_a_column_that_no_board_has(self, store: Held) -> None:
        with pytest.raises(UnknownName, match="unknown column 'autoatack'; did you mean 'autoattack'"):
            boards(store, Selection(sort="autoatack"))

    def test_a_board_without_the_column_is_ranked_by_its_last(self, store: Held) -> None:
        figures = [
            ReportedFigure("Someone 2020", "1", "digits", "smallcnn", method, "last", "cw", percent, 0.1, "")
            for method, percent in (("low", 40.0), ("high", 50.0))
        ]
        (_, reported) = boards(Held(store.runs(), reported=figures), Selection(sort="pgd"))
        assert [(row.rank, row.method) for row in reported.rows] == [(1, "high"), (2, "low")]

    def test_ranks_are_among_the_rows_that_are_shown(self) -> None:
        runs = [run(1, evaluation("pgd", 190), network="resnet18"), run(2, evaluation("pgd", 150))]
        (board,) = boards(Held(runs), Selection(arch="smallcnn", sort="pgd"))
        assert [(row.arch, row.rank) for row in board.rows] == [("smallcnn", 1)]

    def test_zero_per_cent_is_a_figure(self) -> None:
        ((_, row),) = all_rows(Held([run(1, evaluation("autoattack", 0))]))
        assert (row.rank, row.metrics["autoattack"]) == (1, Figure(0.0, None, 1))


class TestSelection:
    @pytest.fixture
    def store(self) -> Held:
        other = ProtocolRecord("2" * 64, "other", "training-b", ATTACKS, PROTOCOL_DOCUMENT)
        early = checkpoint(evaluation("pgd", 150), name="early", epoch=6)
        letters = replace(DIGITS, name="letters", fingerprint="e" * 64)
        runs = [
            run(1, early, evaluation("pgd", 140)),
            run(2, evaluation("pgd", 130), network="resnet18"),
            run(3, evaluation("pgd", 120), dataset=letters),
            run(4, evaluation("pgd", 110), training_sha256="training-b"),
        ]
        figure = ReportedFigure("Someone 2020", "1", "digits", "resnet18", "sat", "early", "pgd", 75.0, 0.1, "")
        return Held(runs, [PROTOCOL, other], [figure])

    @pytest.mark.parametrize(
        ("selection", "medians"),
        [
            (Selection(), [55.0, 60.0, 65.0, 70.0, 75.0, 75.0]),
            (Selection(dataset="digits"), [55.0, 65.0, 70.0, 75.0, 75.0]),
            (Selection(dataset="letters"), [60.0]),
            (Selection(arch="resnet18"), [65.0, 75.0]),
            (Selection(checkpoint="early"), [75.0, 75.0]),
            (Selection(protocol="tiny"), [60.0, 65.0, 70.0, 75.0]),
            (Selection(protocol="2222"), [55.0]),
            (Selection(protocol="Someone 2020"), [75.0]),
            (Selection(runs=frozenset({2, 4})), [55.0, 65.0]),
            (Selection(dataset="digits", arch="smallcnn", checkpoint="last", protocol="tiny"), [70.0]),
            (Selection(dataset="nothing"), []),
        ],
        ids=str,
    )
    def test_takes_what_is_asked_for(self, store: Held, selection: Selection, medians: list[float]) -> None:
        assert sorted(median(row, "pgd") or -1.0 for _, row in all_rows(store, selection)) == medians
        assert all(board.rows for board in boards(store, selection))


def right(attack: str, *verdicts: str, **changes: Any) -> list[EvaluationRecord]:
    """Evaluations of as many images as there are digits; 1 is right. One a seed."""
    return [
        evaluation(
            attack,
            digits.count("1"),
            seed=seed,
            examples=len(digits),
            done=len(digits),
            settings={} if attack == "natural" else {"block_size": 4},
            provenance={"right": bytes(map(int, digits))},
            **changes,
        )
        for seed, digits in enumerate(verdicts)
    ]


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
        assert row.notes == ("worst case: its networks differ in their attack seeds, and it falls with more",)

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

    def test_no_verdicts_are_read_where_nothing_is_complete(self) -> None:
        class Closed(Held):
            def verdicts_of(self, evaluation_ids: Collection[int]) -> dict[int, bytes]:
                raise AssertionError("read")

        assert boards(Closed([run(1, evaluation("pgd", 1, done=10))])) == []


def many(method: str, first: int, *counts: int) -> list[RunRecord]:
    """Networks of one method, trained from seeds 0, 1, …, with these many of 200 images right under AutoAttack."""
    return [
        run(first + seed, evaluation("autoattack", count), method=method, train_seed=seed)
        for seed, count in enumerate(counts)
    ]


class TestTies:
    def test_by_training_seeds_where_both_have_two_or_more(self) -> None:
        runs = [*many("best", 0, 150, 152, 157), *many("near", 10, 149, 155, 151), *many("far", 20, 100, 103, 106)]
        best, near, far = (row for _, row in all_rows(Held(runs)))
        # near - best: -0.5, +1.5, -3 points
        ours, theirs = [75.0, 76.0, 78.5], [74.5, 77.5, 75.5]
        p_near = stats.ttest_rel(theirs, ours).pvalue
        p_far = stats.ttest_rel([50.0, 51.5, 53.0], ours).pvalue
        assert (best.versus_best, best.tied) == (None, False)
        assert near.versus_best is not None
        assert far.versus_best is not None
        assert (near.versus_best.test, near.versus_best.n, near.tied) == ("paired t", 3, True)
        assert (near.versus_best.p, near.versus_best.p_holm) == (close(p_near), close(p_near))
        assert (far.versus_best.p, far.versus_best.p_holm, far.tied) == (close(p_far), close(2 * p_far), False)
        assert near.versus_best.difference == close(-2 / 3)

    def test_by_images_where_a_row_has_one_network(self) -> None:
        runs = [run(1, *right("autoattack", "1" * 30 + "0" * 10), method="best")]
        runs.append(run(2, *right("autoattack", "1" * 28 + "0" * 12), method="near"))
        runs.append(run(3, *right("autoattack", "1" * 15 + "0" * 25), method="far"))
        _, near, far = (row for _, row in all_rows(Held(runs)))
        assert near.versus_best is not None
        assert far.versus_best is not None
        assert (near.versus_best.test, near.versus_best.n) == ("McNemar", 40)
        assert (near.versus_best.p, near.versus_best.p_holm, near.tied) == (2 / 2**2, 0.5, True)
        assert (far.versus_best.p, far.versus_best.p_holm, far.tied) == (2 / 2**15, 4 / 2**15, False)
        assert (near.versus_best.difference, far.versus_best.difference) == (-5.0, -37.5)

    def test_images_count_under_every_attack_seed_that_both_have(self) -> None:
        # under seed 0 alone the two differ on 8 images one way; both seeds break the same images of the best too
        best = right("autoattack", "1" * 40, "1" * 40)
        other = right("autoattack", "1" * 32 + "0" * 8)
        _, row = (row for _, row in all_rows(Held([run(1, *best, method="best"), run(2, *other, method="other")])))
        assert row.versus_best is not None
        assert row.versus_best.p == 2 / 2**8
        assert row.versus_best.difference == -20.0
        unlike = [replace(e, seed=7) for e in other]
        _, row = (row for _, row in all_rows(Held([run(1, *best, method="best"), run(2, *unlike, method="other")])))
        assert (row.versus_best, row.tied) == (None, False)  # no seed in common: nothing is tested

    def test_where_all_seeds_differ_alike_the_images_decide(self) -> None:
        _, row = (row for _, row in all_rows(Held([*many("best", 0, 150, 151), *many("other", 9, 149, 150)])))
        assert row.versus_best is not None
        assert (row.versus_best.test, row.versus_best.p, row.tied) == ("McNemar", 1.0, True)

    def test_equal_rows_are_tied(self) -> None:
        _, row = (row for _, row in all_rows(Held([*many("a", 0, 150, 151), *many("b", 9, 150, 151)])))
        assert row.versus_best is not None
        assert (row.rank, row.versus_best.test, row.versus_best.p, row.tied) == (1, "paired t", 1.0, True)

    def test_by_the_column_that_ranks(self) -> None:
        def whole(number: int, method: str, pgd: int, autoattack: int) -> RunRecord:
            return run(number, evaluation("pgd", pgd), evaluation("autoattack", autoattack), method=method)

        store = Held([whole(1, "a", 150, 100), whole(2, "b", 100, 101)])
        assert {row.method: row.tied for _, row in all_rows(store)} == {"a": True, "b": False}
        assert {row.method: row.tied for _, row in all_rows(store, Selection(sort="pgd"))} == {"a": False, "b": False}

    def test_rows_without_a_figure_and_reported_rows_are_not_compared(self) -> None:
        figure = ReportedFigure("Someone 2020", "1", "digits", "smallcnn", "sat", "last", "pgd", 75.0, 0.1, "")
        runs = [run(1, evaluation("autoattack", 150)), run(2, evaluation("pgd", 150), method="lrat")]
        found = all_rows(Held(runs, reported=[figure, replace(figure, method="lrat")]))
        assert [(row.method, board.tied(row)) for board, row in found] == [
            ("sat", False),
            ("lrat", None),
            ("lrat", None),
            ("sat", None),
        ]
        assert all(row.versus_best is None for _, row in found)


ReportedRows = dict[tuple[str, str, str, str], Row]


@pytest.fixture(scope="module")
def rows() -> ReportedRows:
    found = all_rows(Store.read("sqlite://"), Selection(protocol="Gao et al. 2021"))
    assert {board.source for board, _ in found} == {REPORTED}
    rows = {(board.dataset, row.arch, row.method, row.checkpoint): row for board, row in found}
    assert len(rows) == len(found) == 26
    return rows


class TestReported:
    @pytest.mark.parametrize(  # read off the paper's tables 1, 2, 4, and 5
        ("row", "metric", "median", "std"),
        [
            (("svhn", "resnet18", "lrat", "early"), "cw", 55.47, 0.18),
            (("svhn", "resnet18", "gairat", "early"), "pgd", 62.96, 0.10),
            (("svhn", "resnet18", "sat", "early"), "natural", 92.38, None),
            (("cifar10", "resnet18", "sat", "early"), "autoattack", 48.57, 0.11),
            (("cifar10", "wrn-32-10", "lrat", "early"), "pgd", 55.01, 0.19),
            (("cifar10", "resnet18", "lrat-trades", "early"), "autoattack", 48.24, 0.19),
            (("cifar10", "wrn-32-10", "gair-trades", "last"), "autoattack", 35.88, 0.09),
            (("cifar10", "resnet18", "lrat[P,P+C]", "early"), "autoattack", 48.90, 0.12),
        ],
        ids=str,
    )
    def test_a_cell_of_the_paper(
        self,
        rows: ReportedRows,
        row: tuple[str, str, str, str],
        metric: str,
        median: float,
        std: float | None,
    ) -> None:
        assert rows[row].metrics[metric] == Figure(median, std, 1 if std is None else 5)
        assert rows[row].train_seeds is None

    def test_every_cell_is_there_once(self, rows: ReportedRows) -> None:
        names = {"natural": "natural", "pgd20": "pgd", "cw": "cw", "autoattack": "autoattack"}
        carried = Path(__file__).parents[2] / "harness" / "reference" / "reported.csv"
        with carried.open(encoding="utf-8", newline="") as file:
            cells = list(csv.DictReader(file))
        expected = {
            (cell["dataset"], cell["arch"], cell["method"], cell["checkpoint"], names[cell["metric"]]): (
                float(cell["median_percent"]),
                float(cell["std_percent"]) if cell["std_percent"] else None,
            )
            for cell in cells
        }
        assert len(cells) == len(expected) == 104
        found = {
            (*key, metric): (figure.median, figure.std)
            for key, row in rows.items()
            for metric, figure in row.metrics.items()
            if figure is not None
        }
        assert found == expected

    def test_the_note_on_a_figure_is_on_its_row_alone(self, rows: ReportedRows) -> None:
        (key,) = [key for key, row in rows.items() if row.notes]
        assert key == ("cifar10", "wrn-32-10", "gairat", "early")
        assert rows[key].notes[0].startswith("autoattack: printed equal to the CW cell")

    def test_their_ranking_by_hand(self) -> None:
        (svhn,) = boards(Store.read("sqlite://"), Selection(dataset="svhn"))
        assert [(row.rank, row.method) for row in svhn.rows] == [(1, "sat"), (2, "lrat"), (3, "gairat")]
        (by_pgd,) = boards(Store.read("sqlite://"), Selection(dataset="svhn", sort="pgd"))
        assert [(row.rank, row.method) for row in by_pgd.rows] == [(1, "gairat"), (2, "lrat"), (3, "sat")]


def test_a_protocol_that_differs_in_nothing_that_counts_finds_the_same_board() -> None:
    more_steps = replace(PROTOCOL, fingerprint="2" * 64)  # for attacks that take none
    store = Held([run(1, evaluation("autoattack", 80))], [PROTOCOL, more_steps])
    (everything,) = boards(store)
    for fingerprint in ("1" * 64, "2" * 64, "1" * 8):
        assert boards(store, Selection(protocol=fingerprint)) == [everything]
    assert boards(store, Selection(protocol="3" * 64)) == []


# ---- models from elsewhere, and flags


def model(name: str, *evaluations: EvaluationRecord, **changes: Any) -> ModelRecord:
    record = ModelRecord(
        id=1,
        identity=f"identity-of-{name}",
        name=name,
        network="resnet18",
        network_settings={},
        network_departures={},
        dataset=DIGITS,
        parameters=1,
        created_utc=datetime(2026, 1, 1),
        provenance={},
        checkpoint=CheckpointRecord(0, "given", None, "e" * 64, evaluations),
    )
    return replace(record, **changes)


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


def finding(check: str, status: str = "flagged", mark: str = "Z") -> Finding:
    flagged = status == "flagged"
    return Finding(check, status, mark if flagged else "", 0.5, 0.1, f"why {check}", {})  # type: ignore[arg-type]


THREAT = {"epsilon": 0.2, "steps": 20, "step_size": 0.05, "start": "uniform"}  # of PROTOCOL


def examined(number: int, *findings: Finding, **elsewhere: Any) -> RunRecord:
    """A run whose last checkpoint was examined under PROTOCOL, or elsewhere."""
    settings = {"kind": "model", "edition": 1, "epsilon": 0.2, "examples": 200, "threat": THREAT, "block_size": 100}
    examination = ExaminationRecord(settings | elsewhere, datetime(2026, 1, 3), 1.0, {}, findings)
    last = replace(checkpoint(evaluation("autoattack", 50)), examinations=(examination,))
    return run(number, last, train_seed=number)


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
