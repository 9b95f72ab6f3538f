"""Tables that say what the command line says: intervals of ranks, orders of two boards, correlation over seeds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

import harness
from harness.leaderboard import rank_spread
from harness.store.store import Store
from tests.command import exit_code
from tests.first_board import FIRST_BOARD
from tests.stores import add_checkpoint, add_evaluation, as_digits, make_spec, see_protocol, start

RANKS = ["rank_low", "rank_high", "rank_drawn"]
ORDERS = [
    *("row", "first_percent", "second_percent"),
    *("first", "first_fingerprint", "first_dataset", "first_attack", "first_examples", "first_networks"),
    *("second", "second_fingerprint", "second_dataset", "second_attack", "second_examples", "second_networks"),
    *("tau", "tau_low", "tau_high", "drawn", "same_images", "same_networks"),
]
PAIRS = [
    *("dataset", "dataset_fingerprint", "sample", "examples", "protocol", "fingerprint", "attack", "first", "second"),
    *("unit", "units", "difference_points", "low_points", "high_points", "test", "p", "p_holm", "significant"),
    *("first_seeds", "second_seeds"),
]
OF_SEEDS = [
    *("first_seeds", "second_seeds", "correlation", "correlation_low", "correlation_high", "correlation_seeds"),
    "variance_ratio",
]


@pytest.fixture
def board() -> Iterator[harness.Results]:
    with harness.open(FIRST_BOARD) as opened:
        yield opened


@pytest.fixture
def unpaired(tmp_path: Path) -> Path:
    """sat with four training seeds on one network, lrat with five on another, trades with one; pgd on eight images."""
    file, attacks, training = tmp_path / "unpaired.db", {"natural": {}, "pgd": {"block_size": 4}}, {"epochs": 3}
    store = Store.write(str(file))
    see_protocol(store, attacks, training)
    right = {"sat": ((5, 7, 6, 8), "smallcnn"), "lrat": ((3, 2, 5, 4, 1), "resnet18"), "trades": ((2,), "smallcnn")}
    for method, (counts, network) in right.items():
        for seed, count in enumerate(counts):
            run = start(store, make_spec(method=method, network=network, training=training, train_seed=seed))
            checkpoint = add_checkpoint(store, run, epoch=3)
            for attack, settings in attacks.items():
                add_evaluation(store, checkpoint, attack, settings, as_digits("1" * count + "0" * (8 - count)))
            store.end_run(run.id)
    store.close()
    return file


def printed(capsys: pytest.CaptureFixture[str], command: str, file: Path = FIRST_BOARD) -> Any:
    assert exit_code(f"harness {command} --db {file}") == 0
    return json.loads(capsys.readouterr().out)


def ends(interval: dict[str, Any] | None) -> tuple[Any, Any]:
    return (None, None) if interval is None else (interval["low"], interval["high"])


class TestIntervalsOfRanks:
    def test_they_are_those_of_the_command(self, board: harness.Results, capsys: pytest.CaptureFixture[str]) -> None:
        told = printed(capsys, "leaderboard --dataset digits --source measured --format json --intervals")["rows"]
        expected = {row["method"]: (*ends(row["rank_interval"]), row["rank_interval"]["unit"]) for row in told}
        assert len(expected) == 7
        tables = [
            board.leaderboard(dataset="digits", source="measured", intervals=True),
            board.leaderboard(dataset="digits", source="measured", intervals=True, wide=True),
        ]
        for table in tables:
            assert list(table.columns[-3:]) == RANKS
            assert {row["method"]: tuple(row[name] for name in RANKS) for row in table} == expected
            assert table.notes == (
                "digits, measured, protocol digits [8d1ebbb8], 360 test images: intervals of ranks, 95 %, over test"
                " images and training seeds, n = 360 and 5",
            )
            assert all(row["rank_low"] <= row["rank"] <= row["rank_high"] for row in table)
            types = table.to_pandas().dtypes[RANKS].astype(str).tolist()
            assert types == ["Int64", "Int64", "category"]
        assert len(tables[0]) == 7 * 6  # a row for each figure; in the wide form for each row
        assert len(tables[1]) == 7
        few = board.leaderboard(dataset="digits", intervals=True, wide=True, method=["sat", "gairat"])
        assert {row["method"]: (row["rank_low"], row["rank_high"]) for row in few} == {
            name: expected[name][:2] for name in ("sat", "gairat")
        }

    def test_without_them_the_table_is_as_before(self, board: harness.Results) -> None:
        plain = board.leaderboard(dataset="digits")
        assert not {*plain.columns} & {*RANKS}
        assert plain.notes == ()
        with pytest.raises(harness.HarnessError, match="rank_low"):
            board.leaderboard(dataset="digits", rank_low=1)

    def test_rows_without_an_interval_have_none(
        self, unpaired: Path, monkeypatch: pytest.MonkeyPatch, board: harness.Results
    ) -> None:
        reported = board.leaderboard(source="reported", dataset="cifar100", intervals=True)
        assert {tuple(row[name] for name in RANKS) for row in reported} == {(None, None, None)}
        with harness.open(unpaired) as results:
            monkeypatch.setattr(rank_spread, "MOST_ROWS", 2)
            table = results.leaderboard(intervals=True, source="measured")
            assert {row["rank_low"] for row in table} == {None}
            assert any("no intervals of ranks: 3 rows" in note for note in table.notes)

    def test_nothing_that_is_measured(self, tmp_path: Path) -> None:
        Store.write(str(tmp_path / "empty.db")).close()
        with harness.open(tmp_path / "empty.db") as results:
            assert {row["rank_low"] for row in results.leaderboard(intervals=True)} == {None}  # reported figures
            for wide in (False, True):
                table = results.leaderboard(intervals=True, wide=wide, dataset="svhn", arch="wrn-32-10")
                assert (len(table), list(table.columns[-3:]), table.notes) == (0, RANKS, ())


class TestOrders:
    def test_they_are_those_of_the_command(self, board: harness.Results, capsys: pytest.CaptureFixture[str]) -> None:
        told = printed(capsys, "compare --protocols digits,photographs --json")
        table = board.compare_protocols("digits", "photographs")
        assert list(table.columns) == ORDERS
        assert [(row["row"], row["first_percent"], row["second_percent"]) for row in table] == [
            (row["row"], row["first_percent"], row["second_percent"]) for row in told["rows"]
        ]
        for row in table:
            assert (row["tau"], (row["tau_low"], row["tau_high"])) == (told["tau"], ends(told["interval"]))
            assert row["drawn"] == told["interval"]["unit"]
            assert (row["same_images"], row["same_networks"]) == (told["same_images"], told["same_networks"])
            for side, of_board in zip(("first", "second"), told["boards"], strict=True):
                parts = ("", "_fingerprint", "_dataset", "_attack", "_examples", "_networks")
                keys = ("protocol", "protocol_fingerprint", "dataset", "column", "examples", "networks")
                assert [row[f"{side}{part}"] for part in parts] == [of_board[key] for key in keys]
        assert list(table.notes) == told["notes"]
        ours, theirs = table.column("first_percent"), table.column("second_percent")
        assert table[0]["tau"] == pytest.approx(stats.kendalltau(ours, theirs).statistic)
        kinds = {name: str(kind) for name, kind in table.to_pandas().dtypes.items()}
        assert (kinds["row"], kinds["first_percent"], kinds["tau"]) == ("category", "float64", "float64")
        assert (kinds["first_networks"], kinds["same_images"]) == ("Int64", "boolean")

    def test_another_attack_ranks(self, board: harness.Results, capsys: pytest.CaptureFixture[str]) -> None:
        told = printed(capsys, "compare --protocols digits,photographs --attack pgd --json")
        table = board.compare_protocols("digits", "photographs", attack="pgd")
        assert (table[0]["tau"], table[0]["first_attack"]) == (told["tau"], "pgd")

    @pytest.mark.parametrize(
        ("names", "told"),
        [
            (("digits", "digits"), "--protocols digits,digits is refused: name two different protocols"),
            (("digits", ""), "name two different protocols"),
            (("digits", "8d1ebbb8"), "both name the board of"),
            (("digits", "nothing"), "no measured board has the protocol nothing"),
        ],
    )
    def test_what_is_refused(self, board: harness.Results, names: tuple[str, str], told: str) -> None:
        with pytest.raises(harness.HarnessError, match=told):
            board.compare_protocols(*names)

    def test_an_empty_database_has_no_board(self, tmp_path: Path) -> None:
        Store.write(str(tmp_path / "empty.db")).close()
        with (
            harness.open(tmp_path / "empty.db") as results,
            pytest.raises(harness.HarnessError, match="no measured board has the protocol digits"),
        ):
            results.compare_protocols("digits", "photographs")


class TestAllPairs:
    @pytest.mark.parametrize(
        "options", [{"dataset": "digits"}, {"attack": "pgd"}, {"protocol": "photographs"}], ids=str
    )
    def test_they_are_those_of_the_command(
        self, board: harness.Results, capsys: pytest.CaptureFixture[str], options: dict[str, str]
    ) -> None:
        given = " ".join(f"--{name} {value}" for name, value in options.items())
        told = printed(capsys, f"compare --all --json {given}")["boards"]
        table = board.compare_all(**options)
        assert list(table.columns) == PAIRS
        expected = [(of_board, pair) for of_board in told for pair in of_board["pairs"]]
        assert len(table) == len(expected) > 20
        for row, (of_board, pair) in zip(table, expected, strict=True):
            parts = ("dataset", "protocol", "fingerprint", "examples", "sample", "attack")
            keys = ("dataset", "protocol", "protocol_fingerprint", "examples", "sample", "column")
            assert [row[part] for part in parts] == [of_board[key] for key in keys]
            assert (row["first"], row["second"]) == (pair["first"], pair["second"])
            tested = pair["comparison"]
            found = [row[name] for name in ("test", "unit", "units", "difference_points", "p", "p_holm", "significant")]
            of_test = ("test", "unit", "n", "difference", "p", "p_holm", "significant")
            assert found == [tested[key] for key in of_test]
            assert (row["low_points"], row["high_points"]) == ends(tested["interval"])
            seeds = tested["n"] if tested["test"] == "paired t" else None
            assert (row["first_seeds"], row["second_seeds"]) == (seeds, seeds)
        kinds = {name: str(kind) for name, kind in table.to_pandas().dtypes.items()}
        assert (kinds["first"], kinds["units"], kinds["p_holm"]) == ("category", "Int64", "float64")
        assert (kinds["significant"], kinds["first_seeds"]) == ("boolean", "Int64")

    def test_of_several_networks_a_board(self, unpaired: Path) -> None:
        with harness.open(unpaired) as results:
            table = results.compare_all(attack="pgd")
            (pair,) = [pair for pair in table if pair["test"] == "Welch's t"]
            alone = results.compare("sat", "lrat", attack="pgd")[0]
        assert len(table) == 3
        assert (pair["first"], pair["second"]) == ("sat smallcnn", "lrat resnet18")
        assert (pair["first_seeds"], pair["second_seeds"], pair["units"]) == (4, 5, 4)
        for name in ("p", "difference_points", "low_points", "high_points"):
            assert pair[name] == alone[name]
        assert {pair["significant"] for pair in table} == {pair["p_holm"] < 0.05 for pair in table}

    def test_nothing_to_compare(self, tmp_path: Path, unpaired: Path) -> None:
        Store.write(str(tmp_path / "empty.db")).close()
        with harness.open(tmp_path / "empty.db") as results:
            assert (len(results.compare_all()), list(results.compare_all().columns)) == (0, PAIRS)
        with harness.open(unpaired) as results:
            assert len(results.compare_all(arch="resnet18")) == 0  # one row
            with pytest.raises(harness.HarnessError, match="digitz"):
                results.compare_all(dataset="digitz")
            with pytest.raises(harness.HarnessError, match="nothing"):
                results.compare_all(attack="nothing")


class TestSeedBySeed:
    def test_the_correlation_is_that_of_the_command(
        self, board: harness.Results, capsys: pytest.CaptureFixture[str]
    ) -> None:
        methods = printed(capsys, "compare sat lrat --dataset digits --attack pgd --json")["methods"]
        table = board.compare("sat", "lrat", dataset="digits", attack="pgd")
        assert list(table.columns[-7:]) == OF_SEEDS
        together = methods["correlation"]
        low, high = ends(together["interval"])
        assert [table[0][name] for name in OF_SEEDS] == [
            *(5, 5, together["r"], low, high, 5),
            together["variance_ratio"],
        ]
        assert {row[name] for row in table[1:] for name in OF_SEEDS} == {None}
        kinds = table.to_pandas().dtypes[OF_SEEDS].astype(str).tolist()
        assert kinds == ["Int64", "Int64", "float64", "float64", "float64", "Int64", "float64"]

    def test_of_sides_that_are_not_paired_by_hand(self, unpaired: Path, capsys: pytest.CaptureFixture[str]) -> None:
        ours, theirs = [62.5, 87.5, 75.0, 100.0], [37.5, 25.0, 62.5, 50.0, 12.5]
        with harness.open(unpaired) as results:
            row = results.compare("sat", "lrat", attack="pgd")[0]
            bare = results.compare("sat", "trades", attack="pgd")
        assert (row["level"], row["test"], row["units"]) == ("methods", "Welch's t", 4)
        assert row["p"] == pytest.approx(stats.ttest_ind(ours, theirs, equal_var=False).pvalue)
        r = np.corrcoef(ours, theirs[:4])[0, 1]
        one, other = np.var(ours, ddof=1), np.var(theirs[:4], ddof=1)
        ratio = np.var(np.subtract(ours, theirs[:4]), ddof=1) / (one + other)
        interval = stats.pearsonr(ours, theirs[:4]).confidence_interval(0.95)
        expected = [4, 5, r, interval.low, interval.high, 4, ratio]
        assert [row[name] for name in OF_SEEDS] == pytest.approx(expected)
        assert {one[name] for one in bare for name in OF_SEEDS} == {None}  # one network a side: no row of the methods
        methods = printed(capsys, "compare sat lrat --attack pgd --json", unpaired)["methods"]
        assert (methods["p"], methods["n_first"], methods["n_second"]) == (row["p"], 4, 5)

    def test_power_of_sides_that_are_not_paired_is_of_all_their_networks(
        self, unpaired: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with harness.open(unpaired) as results:
            row = results.power("sat", "lrat", attack="pgd")[0]
        told = printed(capsys, "compare sat lrat --attack pgd --power --json", unpaired)["power"]
        assert (row["test"], row["first_test_set_share"]) == ("Welch's t", told["first_variance"]["test_set_share"])
        assert told["second_variance"]["interval"]["n"] == 5
