"""What each format says of failed training seeds, and that a board without any is as it was."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.api.ranked import wide_table
from harness.leaderboard.board import Board, Selection
from harness.leaderboard.cells import failed_lines, header, spread_lines
from harness.leaderboard.ranking import boards
from harness.leaderboard.render_csv import render_csv
from harness.leaderboard.render_html import render_html
from harness.leaderboard.render_json import render_json
from harness.leaderboard.render_latex import render_latex
from harness.leaderboard.render_markdown import render_markdown
from tests.harness.leaderboard.golden import HOSTILE
from tests.harness.leaderboard.held import Held, checkpoint, evaluation, run
from tests.harness.leaderboard.rendered import printed, table_rows

WHY = "the loss is not finite at epoch 3, batch 5"
LINE = (
    "sat failed 2 of 4 training seeds, 95 % [6.8, 93.2]: seed 1 collapsed (3.50 % right under autoattack, not above"
    f" chance (10 %), while seed 0 has 48.00 %); seed 3 training failed ({WHY}); autoattack, every seed: 48.00 (seed"
    " 0), 3.50 (seed 1), 46.00 (seed 2), median 46.00"
)


def failed(selection: Selection | None = None) -> list[Board]:
    """Four seeds of ``sat``: one at chance, one without a network; and three of ``trades``, which stand."""
    networks = [
        run(
            10 * place + seed,
            evaluation("natural", 190),
            evaluation("autoattack", count),
            method=method,
            train_seed=seed,
        )
        for place, (method, counts) in enumerate({"sat": (96, 7, 92), "trades": (80, 82, 81)}.items(), 1)
        for seed, count in enumerate(counts)
    ]
    return boards(Held([*networks, run(99, train_seed=3, status="failed", failure=WHY)]), selection)


def test_the_line_of_the_row() -> None:
    assert failed_lines(failed()[0]) == [LINE]


TEXTS: dict[str, Callable[[list[Board]], str]] = {
    "table": lambda chosen: printed(chosen, 500),
    "markdown": render_markdown,
    "html": lambda chosen: re.sub("<[^>]*>", "", render_html(chosen)),
    "latex": lambda chosen: render_latex(chosen).replace("\\%", "%").replace("{}", ""),
    "latex of papers": lambda chosen: render_latex(chosen, paper=True).replace("\\%", "%").replace("{}", ""),
}


@pytest.mark.parametrize("name", TEXTS)
def test_every_format_has_the_line_and_no_mean_of_that_row(name: str) -> None:
    text = TEXTS[name](failed())
    assert LINE in text.replace("\\[", "[")
    mean = f"{(48 + 3.5 + 46) / 3:.2f}"
    assert mean not in text
    assert "32.5" not in text


def test_the_cells() -> None:
    first, _, *rows = table_rows(render_markdown(failed()))
    place = first.index("failed")
    assert {row[1]: row[place] for row in rows} == {"sat": "2 of 4", "trades": "0 of 3"}
    brief = printed(failed(), 200, brief=True)
    assert "2 of 4" in brief
    assert LINE not in brief


def test_below_the_board_stands_every_seed_in_place_of_a_mean() -> None:
    of_sat, of_trades = sorted(spread_lines(failed()[0]))
    assert of_sat.startswith(
        "sat over 3 training seeds, no mean since 1 failed: natural 95.00 (seed 0), 95.00 (seed 1)"
    )
    assert "autoattack 48.00 (seed 0), 3.50 (seed 1), 46.00 (seed 2), median 46.00" in of_sat
    assert of_trades.startswith(
        "trades over 3 training seeds: natural 95.00 ± 0.00 [95.0, 95.0], autoattack 40.50 ± 0.50"
    )


def test_a_line_for_each_seed() -> None:
    board = failed(Selection(by_seed=True))[0]
    first, _, *rows = table_rows(render_markdown([board]))
    told = [(row[1], row[first.index("seed")], row[first.index("failed")]) for row in rows]
    assert told == [
        ("sat", "0", "no"),
        ("sat", "1", "failed"),
        ("sat", "2", "no"),
        *(("trades", s, "no") for s in "012"),
    ]
    assert failed_lines(board) == [LINE]  # once


def test_json() -> None:
    sat, trades = json.loads(render_json(failed()))["rows"]
    told = sat["failed_seeds"]
    assert (told["count"], told["of"]) == (2, 4)
    interval = told["interval"]
    assert (interval["kind"], interval["level"], interval["unit"], interval["n"]) == (
        *("Clopper-Pearson", 0.95, "training seeds"),
        4,
    )
    assert [interval["low"], interval["high"]] == pytest.approx([6.7586, 93.2414], abs=1e-4)
    assert [(seed["train_seed"], seed["run"], seed["how"]) for seed in told["seeds"]] == [
        (1, 11, "at chance"),
        (3, 99, "training failed"),
    ]
    assert [one["percent"] for one in told["figures"]["autoattack"]] == [48.0, 3.5, 46.0]
    assert not any("train" in figure for figure in sat["metrics"].values() if figure)
    assert (trades["failed_seeds"]["count"], trades["failed_seeds"]["figures"]) == (0, {})
    assert trades["metrics"]["autoattack"]["train"]["mean"] == pytest.approx(40.5)
    assert (sat["tied"], trades["tied"], trades["versus_best"]) == (False, None, None)


def test_csv_and_data_frames() -> None:
    lines = [line for line in csv.DictReader(io.StringIO(render_csv(failed()))) if line["attack"] == "autoattack"]
    sat, trades = lines
    assert [sat[name] for name in ("failed", "failed_of", "failed_train_seeds", "train_mean_percent")] == [
        "2",
        "4",
        "1 3",
        "",
    ]
    assert sat["failed_why"].endswith(f"seed 3 training failed ({WHY})")
    assert [trades[name] for name in ("failed", "failed_of", "failed_train_seeds", "failed_why")] == ["0", "3", "", ""]
    wide = {row["method"]: row for row in wide_table(failed(), {})}
    assert (wide["sat"]["autoattack_train_mean_percent"], wide["sat"]["failed"], wide["sat"]["failed_of"]) == (
        None,
        2,
        4,
    )
    assert wide["trades"]["autoattack_train_mean_percent"] == pytest.approx(40.5)


def test_survivors_keep_their_mean() -> None:
    """Of a row whose only failure has no network the mean is of networks that stand; the line says how many did not."""
    networks = [
        run(n, checkpoint(evaluation("natural", 190), evaluation("autoattack", 90 + n)), train_seed=n) for n in (1, 2)
    ]
    (board,) = boards(Held([*networks, run(9, train_seed=3, status="failed", failure=WHY)]))
    (line,) = spread_lines(board)
    assert line.startswith("sat over 2 training seeds: natural 95.00 ± 0.00")
    assert failed_lines(board)[0].startswith(
        "sat failed 1 of 3 training seeds, 95 % [0.8, 90.6]: seed 3 training failed"
    )


class TestRowless:
    """A method of which no training gave a network."""

    GONE = tuple(run(50 + n, method="trades", train_seed=n, status="failed", failure=WHY) for n in (0, 1))
    STANDS = run(1, evaluation("natural", 190), evaluation("autoattack", 90))
    SAID = "trades on smallcnn has no row: failed 2 of 2 training seeds, 95 % [15.8, 100.0]: seed 0 training failed"

    def test_its_boards_say_so(self) -> None:
        chosen = boards(Held([self.STANDS, *self.GONE]))
        assert [row.method for board in chosen for row in board.rows] == ["sat"]
        for name, text in TEXTS.items():
            assert self.SAID in text(chosen).replace("\\[", "["), name
        document = json.loads(render_json(chosen))
        assert document == json.loads(json.dumps(document))
        (one,) = document["rowless"]
        assert (one["method"], one["arch"], one["dataset"], one["protocol"]) == ("trades", "smallcnn", "digits", "tiny")
        assert (one["failed_seeds"]["count"], one["failed_seeds"]["of"]) == (2, 2)

    def test_it_is_hidden_as_a_row_would_be(self) -> None:
        store = Held([self.STANDS, *self.GONE])
        told = {
            "all": Selection(),
            "its own": Selection(methods=("trades", "sat")),
            "its run": Selection(runs=frozenset({1, 51})),
            "another": Selection(methods=("sat",)),
            "another run": Selection(runs=frozenset({1})),
        }
        found = {name: len(boards(store, selection)[0].rowless) for name, selection in told.items()}
        assert found == {"all": 1, "its own": 1, "its run": 1, "another": 0, "another run": 0}

    def test_with_a_network_that_was_not_attacked_it_is_not_without(self) -> None:
        """How many of its seeds failed is then not known of this board."""
        trained = run(60, checkpoint(), method="trades", train_seed=7)
        (board,) = boards(Held([self.STANDS, *self.GONE, trained]))
        assert board.rowless == ()

    def test_of_another_data_set_or_training_it_is_not_told(self) -> None:
        other = replace(run(9).dataset, fingerprint="e" * 64)
        for changes in ({"dataset": other}, {"training_sha256": "training-b"}):
            gone = [replace(one, **changes) for one in self.GONE]
            (board,) = boards(Held([self.STANDS, *gone]))
            assert board.rowless == ()


@pytest.mark.parametrize("name", TEXTS)
def test_a_hostile_name_stays_in_its_line(name: str) -> None:
    gone = run(5, method=HOSTILE, train_seed=3, status="failed", failure=WHY)
    text = TEXTS[name](boards(Held([TestRowless.STANDS, gone])))
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    assert sum("has no row: failed 1 of 1" in line for line in text.splitlines()) == 1


def test_without_a_failure_nothing_is_said() -> None:
    chosen = boards(Held([run(1, evaluation("natural", 190), evaluation("autoattack", 90))]))
    assert "failed" not in header(chosen[0])
    for name, text in TEXTS.items():
        assert "failed" not in text(chosen), name
