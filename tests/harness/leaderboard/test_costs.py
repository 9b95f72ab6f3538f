"""Costs beside robustness: the passes of the textbook, the front by brute force, the order of the rows."""

from __future__ import annotations

import csv
import io
import itertools
import json
from pathlib import Path

import pytest

import harness
from harness.events import EpochRecord
from harness.leaderboard.cost_columns import priced
from harness.leaderboard.costs import Cost, on_front
from harness.protocols.protocol import load_protocol
from harness.statistics.figures import Figure
from harness.store.store import Store
from tests import stores
from tests.command import exit_code
from tests.harness.leaderboard.rendered import make_row

STEPS = 3
TRAINING = load_protocol("digits").with_values({"train.epochs": 4, "train.steps": STEPS}).training_document
PGD = {"block_size": 4}
STANDARD, SAT, TRADES = 2, 2 + 2 * STEPS, 3 + 2 * STEPS + 2  # passes of an image and epoch: trades passes x, too
ROWS = (("standard", 5, (30.0,)), ("sat", 12, (20.0, 40.0)), ("trades", 12, (10.0,)))


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of 40 images sat and trades leave 12 right, standard 5; the last epoch has half the images."""
    file = tmp_path_factory.mktemp("costs") / "costs.db"
    store = Store.write(str(file))
    stores.see_protocol(store, {"pgd": PGD}, TRAINING)
    for method, correct, seconds in ROWS:
        for seed, each in enumerate(seconds):
            spec = stores.make_spec(method=method, training=TRAINING, train_seed=seed)
            run = stores.start(store, spec, provenance={"host": "here", "device": "cpu", "threads": 2})
            for epoch in range(1, 5):
                images = run.dataset.train_examples // (1 if epoch < 4 else 3)
                store.add_epoch(run.id, EpochRecord(epoch, 1.0, 0.1, images, each))
            for name, epoch in (("early", 2), ("last", 4)):
                kept = stores.add_checkpoint(store, run, name, epoch)
                stores.add_evaluation(store, kept, "pgd", PGD, stores.right(correct + (name == "early"), 40))
            store.end_run(run.id)
    store.close()
    return file


def told(capsys: pytest.CaptureFixture[str], board: Path, more: str) -> str:
    assert exit_code(f"harness leaderboard --source measured --db {board} {more}") == 0
    return capsys.readouterr().out


def test_passes_seconds_points_and_front(board: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(told(capsys, board, "--cost --format json"))["rows"]
    found = {(row["method"], row["checkpoint"]): row["cost"] for row in rows}
    epochs = {"early": 2, "last": 3 + 479 / 1437}
    for (method, checkpoint), cost in found.items():
        each = {"standard": STANDARD, "sat": SAT, "trades": TRADES}[method]
        assert cost["passes"] == pytest.approx(each * epochs[checkpoint])
        correct = (5 if method == "standard" else 12) + (checkpoint == "early")
        assert cost["points_per_1000_passes"] == pytest.approx(1000 * 100 * correct / 40 / cost["passes"])
        assert cost["trained_on"] == ["cpu of here, threads: 2"]
    assert found["sat", "last"]["training_s"] == 4 * (20 + 40) / 2
    assert found["sat", "early"]["training_s"] == 2 * (20 + 40) / 2
    assert {key for key, cost in found.items() if cost["front"]} == {("standard", "early"), ("sat", "early")}
    assert "cost" not in json.loads(told(capsys, board, "--format json"))["rows"][0]


def test_the_rows_in_order_of_cost_keep_their_ranks_and_the_first_of_them_are_shown(
    board: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def order(more: str) -> list[tuple[str, str]]:
        lines = csv.DictReader(io.StringIO(told(capsys, board, f"--cost --format csv --columns pgd {more}")))
        rows = list(lines)
        by_rank = {"early": {"sat": "1", "trades": "1", "standard": "5"}, "last": {"sat": "3", "trades": "3"}}
        assert all(r["rank"] == by_rank[r["checkpoint"]].get(r["method"], "6") for r in rows)
        return [(row["method"], row["checkpoint"]) for row in rows]

    cheapest = [("standard", "early"), ("standard", "last"), ("sat", "early"), ("trades", "early"), ("sat", "last")]
    assert order("--order-by passes --top 5") == cheapest
    # points: 15 for 4 passes, 32.5 for 16, 12.5 for 6.7, 32.5 for 22, 30 for 26.7, 30 for 36.7
    best = [cheapest[0], cheapest[2], cheapest[1], *cheapest[3:], ("trades", "last")]
    assert order("--order-by points-per-pass") == best
    table = told(capsys, board, "--cost --intervals --order-by passes --format json")
    ranks = [(row["rank"], row["rank_interval"]["low"]) for row in json.loads(table)["rows"]]
    plain = json.loads(told(capsys, board, "--intervals --format json"))["rows"]
    assert sorted(ranks) == sorted((row["rank"], row["rank_interval"]["low"]) for row in plain)


def test_tables_and_python_have_the_columns(board: Path, capsys: pytest.CaptureFixture[str]) -> None:
    header = "| passes | points per 1000 passes | front | hours | trained on |"
    assert header in told(capsys, board, "--cost --format markdown")
    assert "passes of two networks cannot be compared" in " ".join(told(capsys, board, "--cost --legend").split())
    with harness.open(board) as results:
        for wide in (False, True):
            table = results.leaderboard(cost=True, wide=wide, checkpoint="last", method="sat")
            assert table[0]["training_s"] == 120.0
        by_seed = json.loads(told(capsys, board, "--cost --by-seed --method sat --checkpoint last --format json"))
        assert [row["cost"]["training_s"] for row in by_seed["rows"]] == [80.0, 160.0]
        assert [row["cost"]["front"] for row in by_seed["rows"]] == [True, True]
        of_trades = json.loads(told(capsys, board, "--cost --by-seed --method trades --format json"))
        assert [row["cost"]["front"] for row in of_trades["rows"]] == [False, False]  # sat is as good, and costs less


def test_the_front_is_that_of_brute_force() -> None:
    places = [(accuracy, cost) for accuracy in (0.0, 1.0, 2.0) for cost in (0.0, 1.0, 2.0)]
    for points in [*itertools.product(places, repeat=3), tuple(places)]:
        expected = [
            not any(b[0] >= a[0] and b[1] <= a[1] and (b[0] > a[0] or b[1] < a[1]) for b in points) for a in points
        ]
        assert on_front(points) == expected


def test_rows_of_two_networks_have_a_front_each() -> None:
    """A pass of a large network is not one of a small network: neither takes the other's row off its front."""
    places = (("small", 60.0, 10.0), ("small", 50.0, 20.0), ("large", 55.0, 30.0), ("large", 70.0, None))
    rows = [
        make_row(network=network, metrics={"pgd": Figure(value, None, 1)}, cost=Cost(passes, 1.0, ("here",)))
        for network, value, passes in places
    ]
    found = [row.cost for row in priced(rows, "pgd") if row.cost is not None]
    assert [(cost.front, cost.points) for cost in found] == [
        (True, 6000.0),
        (False, 2500.0),
        (True, pytest.approx(1000 * 55 / 30)),
        (None, None),
    ]


@pytest.mark.parametrize(
    "words",
    [
        "--order-by passes",
        "--cost --brief",
        "--cost --layout paper --format latex",
        "--cost --format bibtex",
    ],
)
def test_what_does_not_fit_is_refused(words: str, board: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(f"harness leaderboard --db {board} {words}") == 2
    assert capsys.readouterr().err.count("\n") == 1
