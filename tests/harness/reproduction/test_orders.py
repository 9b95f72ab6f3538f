"""Whether measured and reported figures are in the same order: Kendall's tau by hand."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from harness.reference import ReportedFigure
from harness.reproduction.measured import ComparedCell, compare_cells, orderings
from harness.reproduction.recipes import RECIPES, Cell, select
from harness.statistics.figures import Figure
from harness.store.store import Store
from tests.harness.reproduction.tables import BASE, close


def column(measured: dict[str, float | None], reported: dict[str, float], **changes: Any) -> list[ComparedCell]:
    """Comparisons of one column of a table."""
    made = []
    for method, median in reported.items():
        figure = ReportedFigure("p", "4", "cifar10", "resnet18", method, "early", "pgd", median, 0.1, "")
        value = measured[method]
        known = None if value is None else Figure(value, 0.1, 5)
        made.append(ComparedCell(Cell(figure, RECIPES["sat"], "digits", "smallcnn"), known, "order only"))
    return [dataclasses.replace(c, **changes) for c in made]


REPORTED = {"P": 52.66, "C": 50.57, "P+C": 53.52, "N": 53.01, "PP": 53.33}


def test_kendalls_tau_by_hand() -> None:
    # of ten pairs four agree (P C, C P+C, C N, P+C PP), five do not, and one (P+C N) is tied: -1 / sqrt(10 * 9)
    measured: dict[str, float | None] = {"P": 60.0, "C": 50.0, "P+C": 55.0, "N": 55.0, "PP": 40.0}
    (order,) = orderings(column(measured, REPORTED))
    assert order.panel == ("4", "cifar10", "resnet18", "early")
    assert (order.metric, order.n, order.missing) == ("pgd", 5, 0)
    assert order.reported == [["P+C"], ["PP"], ["N"], ["P"], ["C"]]
    assert order.measured == [["P"], ["P+C", "N"], ["C"], ["PP"]]
    assert order.tau == close(-1 / math.sqrt(90))


def test_equal_and_opposite_orders() -> None:
    same: dict[str, float | None] = {method: median - 40 for method, median in REPORTED.items()}
    opposite: dict[str, float | None] = {method: 100 - median for method, median in REPORTED.items()}
    assert orderings(column(same, REPORTED))[0].tau == close(1.0)
    assert orderings(column(opposite, REPORTED))[0].tau == close(-1.0)
    (flat,) = orderings(column(dict.fromkeys(REPORTED, 50.0), REPORTED))
    assert (flat.tau, flat.measured, flat.missing) == (None, [list(REPORTED)], 0)


def test_no_claim_where_cells_are_missing() -> None:
    (order,) = orderings(column({**REPORTED, "N": None, "C": None}, REPORTED))
    assert (order.measured, order.tau, order.n, order.missing) == (None, None, 5, 2)
    (order,) = orderings(column({**REPORTED}, REPORTED, verdict="incomplete"))
    assert (order.measured, order.tau, order.missing) == (None, None, 5)


def test_columns_of_the_tables(store: Store) -> None:
    found = orderings(compare_cells(select("all"), BASE, store))
    assert len(found) == 4 * (2 + 4 + 1 + 1)  # attacks x (networks, networks and checkpoints, one, one)
    assert {order.n for order in found if order.panel[0] != "4"} == {3}
    by_column = {(order.panel, order.metric): order.reported for order in found}
    assert by_column[("5", "svhn", "resnet18", "early"), "cw"] == [["lrat"], ["sat"], ["gairat"]]
    assert by_column[("1", "cifar10", "wrn-32-10", "early"), "pgd"] == [["gairat"], ["lrat"], ["sat"]]
