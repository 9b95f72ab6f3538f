"""Figures that publications report, on boards of their own."""

from __future__ import annotations

import csv
from importlib import resources

import pytest

from harness.leaderboard.board import REPORTED, Row, Selection
from harness.leaderboard.ranking import boards
from harness.statistics.figures import Figure
from harness.store.store import Store
from tests.harness.leaderboard.held import all_rows

ReportedRows = dict[tuple[str, str, str, str], Row]


@pytest.fixture(scope="module")
def rows() -> ReportedRows:
    found = all_rows(Store.read("sqlite://"), Selection(protocol="Gao et al. 2021"))
    assert {board.source for board, _ in found} == {REPORTED}
    rows = {(board.dataset, row.network, row.method, row.checkpoint): row for board, row in found}
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
        carried = resources.files("harness") / "reference" / "reported.csv"
        cells = list(csv.DictReader(carried.read_text(encoding="utf-8").splitlines()))
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
