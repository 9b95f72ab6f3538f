"""The same rows on two boards: which rows and seeds count, tau, and what is refused."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from rich.console import Console
from scipy import stats

from harness.comparison.document import order_document
from harness.comparison.order_text import order_parts
from harness.comparison.orders import OrderComparison, compare_orders
from harness.errors import HarnessError
from harness.leaderboard.board import Selection
from harness.statistics.resampled import tau_interval
from tests.harness.comparison.kept import SETTINGS, Kept, Put
from tests.stores import add_evaluation, as_digits, see_protocol

LONGER: dict[str, Any] = {"epochs": 5}
OURS = {"sat": "11111100", "lrat": "11111000", "trades": "11100001", "mart": "10000000"}
THEIRS = {"sat": "11110000", "lrat": "11111110", "trades": "11100000", "mart": "00000000"}


@pytest.fixture
def boards(store: Kept, put: Put) -> Kept:
    """The protocols tiny and longer, whose trainings differ, and four methods on each; sat alone has two networks."""
    see_protocol(store, SETTINGS, LONGER, fingerprint="2" * 64, name="longer")
    for training, verdicts in (({"epochs": 3}, OURS), (LONGER, THEIRS)):
        for method, digits in verdicts.items():
            put(method, {"pgd": [digits]}, training=training)
    return store


def compared(store: Kept, protocols: str = "tiny,longer", **selected: Any) -> OrderComparison:
    return compare_orders(store, protocols.split(","), Selection(**({"sort": "pgd"} | selected)))


def test_every_number(boards: Kept, put: Put) -> None:
    put("alone", {"pgd": ["11100000"]})
    found = compared(boards)
    assert found.rows == {
        "sat": (75.0, 50.0),
        "lrat": (62.5, 87.5),
        "trades": (50.0, 37.5),
        "mart": (12.5, 0.0),
    }
    assert found.tau == pytest.approx(stats.kendalltau([75, 62.5, 50, 12.5], [50, 87.5, 37.5, 0]).statistic)
    rows = [[[[bytes(map(int, text))]] for text in verdicts.values()] for verdicts in (OURS, THEIRS)]
    purpose = ("1" * 64, "2" * 64, "pgd", "pgd")
    assert found.interval == tau_interval(rows[0], rows[1], *purpose, same_images=True, same_seeds=False)
    assert (found.same_images, found.same_networks, found.networks) == (True, False, (1, 1))
    assert (found.left_out, found.notes) == (("alone",), ())
    document = order_document(found)
    assert document["rows"][1] == {"row": "lrat", "first_percent": 62.5, "second_percent": 87.5}
    assert [board["protocol"] for board in document["boards"]] == ["tiny", "longer"]
    assert (document["tau"], document["interval"]["unit"]) == (found.tau, "test images")
    text = StringIO()
    for part in order_parts(found):
        Console(file=text, width=200).print(part)
    assert f"tau-b between the orders: {found.tau:.2f} [" in text.getvalue()
    assert "both boards have the same images, which are drawn alike" in text.getvalue()
    assert "on one board alone, or a name of several rows: alone" in text.getvalue()


def test_networks_that_stand_on_both_boards_are_drawn_alike(store: Kept, put: Put) -> None:
    stronger = {**SETTINGS, "pgd": {"steps": 50, "block_size": 4}}
    see_protocol(store, stronger, {"epochs": 3}, fingerprint="3" * 64, name="stronger")
    for seed in (0, 1):
        for method, digits in OURS.items():
            run = put(method, {"pgd": [digits[seed:] + digits[:seed]]}, seed)
            (kept,) = store.run(run).checkpoints
            add_evaluation(store, kept, "pgd", stronger["pgd"], as_digits(digits[seed:] + digits[:seed]), block=4)
    found = compared(store, "tiny,stronger")
    assert (found.same_images, found.same_networks, found.networks) == (True, True, (2, 2))
    assert found.interval is not None
    assert (found.tau, found.interval.low, found.interval.high) == (1.0, 1.0, 1.0)
    assert found.unit == "test images and training seeds"


def test_other_networks_are_told(store: Kept, put: Put) -> None:
    see_protocol(store, SETTINGS, LONGER, fingerprint="2" * 64, name="longer")
    for method in OURS:
        put(method, {"pgd": [OURS[method]]})
        put(method, {"pgd": [THEIRS[method]]}, training=LONGER, network="resnet18")
    found = compared(store)
    assert list(found.rows) == list(OURS)
    assert found.notes == ("their networks differ, smallcnn and resnet18: an order is not the protocols' alone",)


def test_rows_are_matched_by_network_where_a_board_has_several_and_names_of_several_rows_are_told(
    boards: Kept, put: Put
) -> None:
    put("sat", {"pgd": ["10000000"]}, network="resnet18")
    put("mart", {"pgd": ["11100000"]}, hyper_parameters={"beta": 2})  # the label is that of the other mart
    found = compared(boards)
    assert found.rows == {
        "sat smallcnn": (75.0, 50.0),
        "lrat smallcnn": (62.5, 87.5),
        "trades smallcnn": (50.0, 37.5),
    }
    assert found.left_out == ("mart smallcnn", "sat resnet18")


@pytest.mark.parametrize(
    ("protocols", "told"),
    [
        ("tiny", "name two different protocols"),
        ("tiny,tiny", "name two different protocols"),
        ("tiny,", "name two different protocols"),
        ("tiny,1111", "both name the board of digits"),
        ("tiny,nothing", "no measured board has the protocol nothing"),
    ],
)
def test_what_names_no_two_boards_is_refused(boards: Kept, protocols: str, told: str) -> None:
    with pytest.raises(HarnessError, match=told):
        compared(boards, protocols)


def test_too_few_rows_are_refused(store: Kept, put: Put) -> None:
    see_protocol(store, SETTINGS, LONGER, fingerprint="2" * 64, name="longer")
    for training, methods in (({"epochs": 3}, ("sat", "lrat", "mart")), (LONGER, ("sat", "lrat", "trades"))):
        for method in methods:
            put(method, {"pgd": [OURS[method]]}, training=training)
    with pytest.raises(
        HarnessError, match="share 2 rows, and an order needs 3; only one board has, or has twice, mart, trades"
    ):
        compared(store)


def test_rows_that_are_all_equal_have_no_order(store: Kept, put: Put) -> None:
    see_protocol(store, SETTINGS, LONGER, fingerprint="2" * 64, name="longer")
    for method in OURS:
        put(method, {"pgd": ["11110000"]})
        put(method, {"pgd": [THEIRS[method]]}, training=LONGER)
    found = compared(store)
    assert (found.tau, found.interval, order_document(found)["interval"]) == (None, None, None)


def test_tau_and_its_interval_are_of_the_same_networks(boards: Kept, put: Put) -> None:
    """One row has two further networks, which turn its place on the board: a tau of theirs would leave its interval."""
    for seed in (1, 2):
        put("mart", {"pgd": ["11111111"]}, seed)
    found = compared(boards)
    ours, theirs = [75, 62.5, 50, 12.5], [50, 87.5, 37.5, 0]
    assert sorted(found.rows.values()) == sorted(zip(ours, theirs, strict=True))
    assert found.tau == pytest.approx(stats.kendalltau(ours, theirs).statistic)
    assert found.tau is not None
    assert found.interval is not None
    assert found.interval.low <= found.tau <= found.interval.high
    assert found.notes == (
        "A: the training and attack seeds that these rows have in common count; with all of their own the board has"
        " mart 100.00",
    )


def test_attack_seeds_that_one_row_has_alone_do_not_count(store: Kept, put: Put) -> None:
    see_protocol(store, SETTINGS, LONGER, fingerprint="2" * 64, name="longer")
    for method in OURS:
        put(method, {"pgd": [OURS[method], *(["00000000"] * 2 if method == "sat" else [])]})
        put(method, {"pgd": [THEIRS[method]]}, training=LONGER)
    found = compared(store)
    assert found.rows["sat"] == (75.0, 50.0)
    assert found.notes[0].endswith("the board has sat 0.00")
