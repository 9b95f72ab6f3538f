"""What cannot be compared is never on one board, and all boards equal a slow count."""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from harness.leaderboard.board import MEASURED, REPORTED, Row, Selection
from harness.leaderboard.cells import heading
from harness.leaderboard.ranking import boards
from harness.leaderboard.tidy import tidy_rows
from harness.reference import ReportedFigure
from harness.statistics.figures import Figure
from harness.store.records import ProtocolRecord, RunRecord
from tests.harness.leaderboard.held import (
    ATTACKS,
    DIGITS,
    PROTOCOL,
    Held,
    all_rows,
    checkpoint,
    evaluation,
    median,
    run,
)
from tests.tiny import PROTOCOL_DOCUMENT


class TestNeverOnOneBoard:
    def test_another_training(self) -> None:
        other = replace(PROTOCOL, fingerprint="2" * 64, training_sha256="training-b")
        runs = [run(1, evaluation("pgd", 150)), run(2, evaluation("pgd", 140), training_sha256="training-b")]
        found = boards(Held(runs, [PROTOCOL, other]))
        assert [(board.fingerprint[0], [row.runs for row in board.rows]) for board in found] == [
            ("1", [(1,)]),
            ("2", [(2,)]),
        ]

    def test_a_run_without_the_wrappers_of_the_protocol(self) -> None:
        """Its training is the same in all else; a run that has the wrappers, and more, is of both protocols."""
        ema = {"name": "ema", "settings": {"decay": 0.9}, "departures": {}}
        awp = {"name": "awp", "settings": {"gamma": 0.1}, "departures": {}}
        other = replace(
            PROTOCOL, fingerprint="2" * 64, document=PROTOCOL.document | {"wrappers": {"ema": {"decay": 0.9}}}
        )
        changed = ema | {"settings": {"decay": 0.8}}
        wrapped = [[], [ema], [ema, awp], [awp, ema], [changed]]
        runs = [run(n, evaluation("pgd", 100 + n), wrappers=its) for n, its in enumerate(wrapped, 1)]
        found = boards(Held(runs, [PROTOCOL, other]))
        assert {board.fingerprint[0]: {row.runs for row in board.rows} for board in found} == {
            "1": {(1,), (2,), (3,), (4,), (5,)},
            "2": {(2,), (3,)},
        }

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
        assert [heading(board).split(", ")[4] for board in found] == ["data set [dddddddd]", "data set [eeeeeeee]"]
        assert "data set [" not in heading(boards(Held([run(1, evaluation("pgd", 1))]))[0])

    def test_what_shares_a_board_is_told_by_the_tidy_rows(self) -> None:
        """Programs have nothing else to see which figures they must not compare."""
        runs = [
            run(1, evaluation("pgd", 1)),
            run(2, evaluation("pgd", 1), dataset=replace(DIGITS, fingerprint="e" * 64)),
        ]
        samples = run(3, evaluation("pgd", 4, sample="balanced"), method="lrat")
        rows = list(tidy_rows(boards(Held([*runs, samples]))))
        keys = ("source", "dataset", "dataset_fingerprint", "fingerprint", "sample", "examples")
        assert len({tuple(row[key] for key in keys) for row in rows}) == len(rows) == 3

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
                checkpoint(*evaluations),
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
    members: dict[tuple[Any, ...], set[int]] = defaultdict(set)
    done = [r for r in store.runs() if r.status == "done"]
    for record in done:
        newest = max((other for other in done if other.identity == record.identity), key=lambda one: one.attempt)
        for protocol in store.protocols():
            for e in (e for c in record.checkpoints for e in c.evaluations):
                same = protocol.attacks.get(e.attack) == e.settings_sha256
                if record.training_sha256 == protocol.training_sha256 and same and e.done == e.examples:
                    key = (record.dataset.fingerprint, protocol.fingerprint, e.examples, record.method)
                    networks = expected.setdefault(key, defaultdict(lambda: defaultdict(list)))
                    members[key].add(newest.id)  # it stands where an earlier attempt stood, without its figures
                    if record is newest:
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
        assert set(row.runs) == members[key]
        for attack, measured in expected[key].items():
            figure = row.metrics[attack]
            assert figure is not None
            assert figure.median == statistics.median(statistics.median(seeds) for seeds in measured.values())
            assert figure.n == min(len(seeds) for seeds in measured.values())
            assert (figure.train is None) == (len(measured) == 1)


def test_a_protocol_that_differs_in_nothing_that_counts_finds_the_same_board() -> None:
    more_steps = replace(PROTOCOL, fingerprint="2" * 64)  # for attacks that take none
    store = Held([run(1, evaluation("autoattack", 80))], [PROTOCOL, more_steps])
    (everything,) = boards(store)
    for fingerprint in ("1" * 64, "2" * 64, "1" * 8):
        assert boards(store, Selection(protocol=fingerprint)) == [everything]
    assert boards(store, Selection(protocol="3" * 64)) == []
