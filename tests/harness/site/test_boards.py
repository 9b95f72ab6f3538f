"""The board's documents: ties, failed seeds, what each network contributes, and what has no figure."""

from __future__ import annotations

from typing import Any

import pytest

from harness.leaderboard.ranking import boards
from harness.site.boards import board_tabs
from harness.site.pages import make_site
from harness.site.seeds import attempts
from harness.store.store import Store
from tests.harness.leaderboard.held import Held, evaluation, run, seeds
from tests.harness.site.large import Large
from tests.harness.site.made import MADE, Parsed

FAILED = {"status": "failed", "failure": "the loss is not finite"}


def board(store: Store) -> dict[str, Any]:
    """The first board as the page shows it."""
    found: dict[str, Any] = board_tabs(store, boards(store), attempts(store.runs(), store.states(store.runs())))[0][
        "boards"
    ][0]
    return found


def test_rows_that_tie_with_the_best_are_marked_with_it() -> None:
    """Of 200 images 100 and 99 are right, which is no significant difference; 20 differs from both."""
    figures = {"a": 100, "b": 99, "c": 20}
    made = [run(n, evaluation("autoattack", k), method=m) for n, (m, k) in enumerate(figures.items(), 1)]
    store = Large(made)
    found = board(store)
    assert [(row["rank_text"], row["tied"]) for row in found["rows"]] == [("1", False), ("2 ≈", True), ("3", False)]
    assert found["rows"][1]["about"][0].startswith(
        "Does not differ significantly from the best row in autoattack: -0.50"
    )
    page = Parsed(make_site(store, database="x", made=MADE)["index.html"])
    marked = [e.has("tied") for e in page.named("tr") if any(parent.name == "tbody" for parent in e.parents)]
    assert marked == [True, True, False]


def test_a_row_says_how_many_of_its_seeds_failed_and_which() -> None:
    store = Held([run(1, evaluation("autoattack", 100)), run(2, train_seed=1, **FAILED)])
    (row,) = board(store)["rows"]
    assert row["seeds_text"] == "1 of 2 training seeds failed"
    assert row["failed"] == [{"run": 2, "seed": 1}]
    assert row["runs"] == [1]


def test_what_always_failed_is_named_below_the_board() -> None:
    others = [run(2, method="lrat", **FAILED), run(3, method="mart", training_sha256="another", **FAILED)]
    found = board(Held([run(1, evaluation("autoattack", 100)), *others]))
    assert [(group["label"], group["text"], group["runs"]) for group in found["without_figures"]] == [
        ("lrat", "1 of 1 training seeds failed", [2])
    ]


def test_each_network_is_a_dot_the_median_over_its_attack_seeds() -> None:
    made = [
        run(1, *seeds("autoattack", 100, 104, 120), evaluation("natural", 180)),
        run(2, *seeds("autoattack", 90, 80, 70), evaluation("natural", 190), train_seed=1),
    ]
    (row,) = board(Held(made))["rows"]
    natural, pgd, autoattack, worst = row["figures"]
    assert (natural["dots"], autoattack["dots"]) == ([90.0, 95.0], [52.0, 40.0])
    assert (pgd["value"], pgd["text"], pgd["dots"]) == (None, "-", [])
    assert worst["dots"] == []  # it needs every attack
    assert autoattack["value"] == 46.0


def test_an_axis_holds_what_is_drawn_on_it() -> None:
    made = [run(n, evaluation("autoattack", k), method=m) for n, (m, k) in enumerate({"a": 100, "b": 142}.items(), 1)]
    found = board(Held(made))
    for place, (low, high) in enumerate(found["axes"]):
        for row in found["rows"]:
            figure = row["figures"][place]
            drawn = [figure["value"], *(figure["interval"] or ()), *figure["dots"]] if figure["interval"] else []
            assert all(low <= value <= high for value in drawn)
    assert found["axes"][2] == [40, 80]  # Wilson: [43.1, 56.9] of 50 %, [64.4, 76.8] of 71 %


@pytest.mark.parametrize("count", [0, 1])
def test_runs_without_a_figure_make_no_board(count: int) -> None:
    store = Held([run(n, **FAILED) for n in range(1, count + 1)])
    assert board_tabs(store, boards(store), attempts(store.runs(), store.states(store.runs()))) == []
