"""FastAT Benchmark's figures: means over training seeds, on boards of their own, and never called medians."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from importlib import resources

import numpy as np
import pytest

from harness.cli.console import PIPE_WIDTH
from harness.leaderboard.board import REPORTED, Board, Row, Selection
from harness.leaderboard.cells import heading, seeds_text
from harness.leaderboard.ranking import boards
from harness.leaderboard.render_csv import render_csv
from harness.leaderboard.render_json import render_json
from harness.leaderboard.render_markdown import render_markdown
from harness.reference import ReportedFigure, fastat, lrat_paper, reported_figures
from harness.reproduction.recipes import select
from harness.statistics.figures import Figure, Spread
from harness.store.store import Store
from tests.harness.leaderboard.held import Held, close
from tests.harness.leaderboard.rendered import printed, tables_alone

PAPER = "Pan and Yao 2026"
NAMES = {  # the file's column -> the board's; the last one ranks
    "clean": "natural",
    "pgd10": "pgd10",
    "pgd20": "pgd",
    "pgd50": "pgd50",
    "cr_attack": "cr_attack",
    "autoattack": "autoattack",
}
MEAN = "mean ± standard deviation over 3 training seeds"


def networks() -> list[dict[str, str]]:
    text = (resources.files("harness.reference") / "fastat.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


@pytest.fixture(scope="module")
def chosen() -> list[Board]:
    return boards(Store.read("sqlite://"), Selection(protocol=PAPER))


def row_of(chosen: Sequence[Board], dataset: str, method: str) -> Row:
    (row,) = [row for board in chosen for row in board.rows if (board.dataset, row.method) == (dataset, method)]
    return row


class TestFigures:
    def test_the_file_has_each_network_once(self) -> None:
        found = [(n["dataset"], n["method"], n["seed"]) for n in networks()]
        methods = {method for _, method, _ in found}
        assert len(methods) == 21
        assert sorted(found) == [(d, m, s) for d in ("cifar10", "cifar100") for m in sorted(methods) for s in "012"]

    def test_mean_and_deviation_by_hand(self) -> None:
        # fgsm_pgi on CIFAR-10: 49.94, 49.80, 49.94; mean 149.68 / 3; squares of the rest 2 (0.14/3)^2 + (0.28/3)^2
        found = {(f.dataset, f.method, f.metric): f.mean for f in fastat.figures()}
        mean = found["cifar10", "fgsm-pgi", "autoattack"]
        assert mean is not None
        assert (mean.mean, mean.std, mean.n) == (close(149.68 / 3), close((0.1176 / 9 / 2) ** 0.5), 3)

    def test_every_one_by_numpy(self) -> None:
        found = {(f.dataset, f.method, f.metric): f for f in fastat.figures()}
        assert len(found) == len(list(fastat.figures())) == 2 * 21 * 6
        for (dataset, method, metric), figure in found.items():
            (column,) = [column for column, name in NAMES.items() if name == metric]
            kin = [n for n in networks() if (n["dataset"], n["method"].replace("_", "-")) == (dataset, method)]
            accuracies = np.array([float(n[column]) for n in kin])
            assert figure.mean == Spread(close(accuracies.mean()), close(accuracies.std(ddof=1)), 3)
            assert figure.figure is None
            assert (figure.paper, figure.statistic, figure.network) == (PAPER, "mean", "resnet18")

    def test_a_network_that_autoattack_breaks_is_in_mean_and_deviation(self, chosen: list[Board]) -> None:
        mean = row_of(chosen, "cifar10", "elle").means["autoattack"]  # 47.97, 46.12, 3.30
        assert mean.mean == close((47.97 + 46.12 + 3.3) / 3)
        assert mean.std == pytest.approx(25.27, abs=0.005)

    def test_a_figure_of_another_kind_is_neither_median_nor_mean(self) -> None:
        figure = ReportedFigure("p", "1", "cifar10", "resnet18", "m", "last", "pgd", 50.0, 0.5, "", "maximum", 5)
        assert (figure.figure, figure.mean) == (None, None)
        of_nobody_knows = ReportedFigure("p", "1", "cifar10", "resnet18", "m", "last", "pgd", 50.0, 0.5, "", "mean")
        assert (of_nobody_knows.figure, of_nobody_knows.mean) == (None, None)

    def test_the_other_publication_has_medians_over_five_attack_seeds(self) -> None:
        figures = [f.figure for f in lrat_paper.figures()]
        assert len(figures) == 104
        assert {(f.n, f.std is None) for f in figures if f is not None} == {(5, False), (1, True)}
        assert list(reported_figures()) == [*lrat_paper.figures(), *fastat.figures()]

    def test_nothing_of_it_is_a_cell_to_reproduce(self) -> None:
        assert {cell.figure.paper for cell in select("all")} == {"Gao et al. 2021"}


class TestBoards:
    def test_each_publication_has_its_own(self) -> None:
        found = boards(Store.read("sqlite://"))
        places = [(board.dataset, board.protocol, len(board.rows)) for board in found]
        assert sorted(places) == [
            ("cifar10", "Gao et al. 2021", 23),
            ("cifar10", PAPER, 21),
            ("cifar100", PAPER, 21),
            ("svhn", "Gao et al. 2021", 3),
        ]
        assert {board.source for board in found} == {REPORTED}

    def test_they_rank_by_the_mean_under_autoattack(self, chosen: list[Board]) -> None:
        for board in chosen:
            assert (board.columns, board.ranked_by) == (tuple(NAMES.values()), "autoattack")
            means = [row.means["autoattack"].mean for row in board.rows]
            assert means == sorted(means, reverse=True)
            assert [row.rank for row in board.rows] == list(range(1, 22))  # no two are equal
            assert board.rows[0].method == "pgd-at-wa"
            assert not any(board.tied(row) for row in board.rows)

    def test_a_row_has_three_networks_and_no_median(self, chosen: list[Board]) -> None:
        for row in (row for board in chosen for row in board.rows):
            assert set(row.metrics.values()) == {None}
            assert (row.train_seeds, seeds_text(row), row.checkpoint) == (3, "-", "unknown")

    def test_what_sets_a_method_apart_is_on_its_row(self, chosen: list[Board]) -> None:
        noted = {row.method: row.notes for board in chosen for row in board.rows if row.notes}
        assert set(noted) == {"pgd-at", "pgd-at-wa", "liet"}
        assert noted["liet"] == ("the only one with other label smoothing",)
        assert [note.split(",")[0] for note in noted["pgd-at"]] == ["trained without weight averaging"]

    def test_means_and_medians_of_one_publication_are_two_boards(self) -> None:
        place = ("p", "1", "digits", "smallcnn")
        reported = [
            ReportedFigure(*place, "a", "last", "pgd", 50.0, 0.5, ""),
            ReportedFigure(*place, "b", "last", "pgd", 60.0, 0.5, "", "mean", 3),
        ]
        medians, means = boards(Held([], protocols=(), reported=reported))
        (a,), (b,) = medians.rows, means.rows
        assert [(row.rank, row.method, row.value("pgd")) for row in (a, b)] == [(1, "a", 50.0), (1, "b", 60.0)]
        assert (seeds_text(a), a.train_seeds, b.train_seeds) == ("-", None, 3)  # the one does not say how many
        assert "mean" not in heading(medians)
        assert heading(means).endswith(": mean ± standard deviation over 3 training seeds")


def expected_cells(chosen: Sequence[Board]) -> list[str]:
    return sorted(f"{m.mean:.2f} ± {m.std:.2f}" for b in chosen for row in b.rows for m in row.means.values())


class TestRendered:
    @pytest.mark.parametrize("width", [60, 80, 100, PIPE_WIDTH])
    def test_a_table_shows_every_mean_whole(self, chosen: list[Board], width: int) -> None:
        text = printed(chosen, width)
        assert all(len(line) <= width for line in text.splitlines())
        assert "…" not in text
        assert sorted(re.findall(r"\d+\.\d\d ± \d+\.\d\d", tables_alone(text))) == expected_cells(chosen)

    def test_tables_of_one_board_have_the_same_rows(self, chosen: list[Board]) -> None:
        lines = [line.split() for line in printed(chosen[:1], 70).splitlines()]
        places = [i for i, words in enumerate(lines) if words[:2] == ["rank", "method"]]
        assert [lines[i][2:] for i in places] == [["natural", "pgd10", "pgd", "pgd50"], ["cr_attack", "autoattack"]]
        assert sum(words[:3] == ["failed", "1", "of"] for words in lines) == 1  # below a name: the column is folded
        lines = [words for words in lines if words[:1] != ["failed"]]
        tables = [[words[:2] for words in lines[i + 2 : i + 23]] for i in (places[0], places[1] - 1)]
        assert tables[0] == tables[1] == [[str(row.rank), row.method] for row in chosen[0].rows]

    def test_table_and_markdown_say_what_the_cells_are(self, chosen: list[Board]) -> None:
        for text in (printed(chosen, 300, explained=True), render_markdown(chosen)):
            for dataset in ("cifar10", "cifar100"):
                assert f"{dataset}, reported by {PAPER} (not measured here): {MEAN}" in text
            assert text.count("median") == text.count("median 46.12") == 1  # of the row with a collapsed seed
            assert "over 3 networks, trained from different seeds; not over attack seeds" in text
            assert text.count("arXiv:2604.22853") == 1
            assert text.count("liet resnet18: the only one with other label smoothing") == 1

    def test_each_kind_of_figure_is_explained_where_both_are_shown(self) -> None:
        text = render_markdown(boards(Store.read("sqlite://")))
        assert text.count("median ± standard deviation over n attack seeds") == 1
        assert text.count(f"reported by {PAPER}: %") == 1
        assert "reported by Gao et al. 2021 (not measured here)**" in text

    def test_markdown_has_seeds_and_networks_in_their_columns(self, chosen: list[Board]) -> None:
        lines = [line for line in render_markdown(chosen).splitlines() if line.startswith("| ")]
        names = [name.strip() for name in lines[0].strip("|").split("|")]
        assert names == [
            "rank",
            "method",
            "network",
            "checkpoint",
            *NAMES.values(),
            "n",
            "networks",
            "failed",
            "source",
        ]
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "reported |" in line]
        assert {(*row[10:12], row[-1]) for row in rows} == {("-", "3", "reported")}
        assert [row[1] for row in rows if row[12] == "1 of 3"] == ["elle"]  # on cifar100 there is no such column
        assert sorted(cell for row in rows for cell in row[4:10]) == expected_cells(chosen)

    def test_json(self, chosen: list[Board]) -> None:
        rows = json.loads(render_json(chosen))["rows"]
        assert len(rows) == 42
        for document, row in zip(rows, (row for board in chosen for row in board.rows), strict=True):
            assert (document["protocol"], document["train_seeds"], document["source"]) == (PAPER, 3, "reported")
            assert list(document["metrics"]) == list(NAMES.values())
            for name, cell in document["metrics"].items():
                mean = row.means[name]
                assert (cell["median"], cell["std"], cell["n"]) == (None, None, None)
                assert cell["train"] == {"mean": mean.mean, "std": mean.std, "n": 3, "interval": None}
                assert "interval" not in cell  # it is not told of how many images

    def test_csv(self, chosen: list[Board]) -> None:
        lines = list(csv.DictReader(io.StringIO(render_csv(chosen))))
        assert len(lines) == 42 * 6
        for line in lines:
            mean = row_of(chosen, line["dataset"], line["method"]).means[line["attack"]]
            told = (float(line["train_mean_percent"]), float(line["train_std_percent"]), line["networks"])
            assert told == (mean.mean, mean.std, "3")
            absent = ("median_percent", "std_percent", "n", "wilson_low_percent", "train_t_low_percent", "tied")
            assert [line[name] for name in absent] == [""] * 6


def test_seeds_that_a_publication_does_not_tell_are_not_made_up() -> None:
    metrics: dict[str, Figure | None] = {"pgd": Figure(50.0, 0.5, None)}
    row = Row("last", None, metrics, method="m", network="resnet18")
    assert seeds_text(row) == "-"
