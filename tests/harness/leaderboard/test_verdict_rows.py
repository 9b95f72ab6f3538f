"""Verdicts as rows: which evaluations are read, which test image a row is about, and that counts agree with a board."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import StoreError
from harness.leaderboard.board import MEASURED
from harness.leaderboard.ranking import boards
from harness.leaderboard.verdict_rows import COLUMNS, Wanted, verdict_rows, wanted_evaluations
from harness.store.store import Store
from tests.varied import MARGINS, PREDICTED, TOY, varied_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = varied_store(tmp_path_factory.mktemp("varied") / "board.db")
    yield store
    store.close()


def rows(store: Store, **wanted: Any) -> list[dict[str, Any]]:
    return list(verdict_rows(store, Wanted(**wanted)))


def test_an_evaluation_by_hand(store: Store) -> None:
    found = rows(store, runs=(2,), attack="natural")
    assert all(tuple(row) == COLUMNS for row in found)
    (facts,) = {tuple((name, row[name]) for name in COLUMNS[:-5]) for row in found}
    known = dict(facts)
    assert len(known.pop("training_sha256")) == len(known.pop("settings_sha256")) == 64
    assert known.pop("evaluation") == 3  # the first attempt at this run has two
    assert known == {
        **{"run": 2, "method": "sat", "network": "smallcnn", "dataset": "toy", "dataset_fingerprint": "a" * 64},
        **{"train_seed": 0, "checkpoint": "last", "attack": "natural", "seed": 0, "sample": "first", "examples": 8},
    }
    assert [(row["position"], row["image"]) for row in found] == [(i, i) for i in range(8)]
    assert [int(row["correct"]) for row in found] == [1, 1, 1, 1, 1, 1, 0, 1]
    assert [row["margin"] for row in found] == [float(np.float16(margin)) for margin in MARGINS]
    assert [row["predicted"] for row in found] == list(PREDICTED)


def test_blocks_are_in_the_order_of_the_images(store: Store) -> None:
    found = rows(store, runs=(2,), attack="pgd")
    three_blocks = [row for row in found if (row["seed"], row["examples"]) == (0, 8) and row["margin"] is not None]
    assert "".join(str(int(row["correct"])) for row in three_blocks) == "11110000"
    assert [row["margin"] for row in three_blocks] == [float(np.float16(margin)) for margin in MARGINS]
    assert [row["predicted"] for row in three_blocks] == list(PREDICTED)


def test_what_was_not_kept_is_none(store: Store) -> None:
    assert {(row["margin"], row["predicted"]) for row in rows(store, runs=(4,))} == {(None, None)}


def test_a_balanced_sample_has_no_places_until_somebody_knows_them(store: Store) -> None:
    def known(dataset: Any, images: Any) -> list[int]:
        assert dataset == TOY
        return [7, 0, 6, 1][: images.count] if images.sample == "balanced" else list(range(images.count))

    unknown = [row for row in rows(store, runs=(2,)) if row["sample"] == "balanced"]
    assert [(row["position"], row["image"]) for row in unknown] == [(0, None), (1, None), (2, None), (3, None)]
    told = [row for row in verdict_rows(store, Wanted(runs=(2,)), known) if row["sample"] == "balanced"]
    assert [(row["position"], row["image"]) for row in told] == [(0, 7), (1, 0), (2, 6), (3, 1)]


def test_what_counts_on_a_board_is_read_and_no_more(store: Store) -> None:
    """Every figure of every board is the share of right rows, and of the other rows no board shows any."""
    right: dict[int, Counter[bool]] = defaultdict(Counter)
    for verdict in rows(store):
        right[verdict["evaluation"]][verdict["correct"]] += 1
    shown = set()
    for board in boards(store):
        for row in board.rows if board.source == MEASURED else ():
            for network in row.networks:
                for attack in board.attacks:
                    for e in board.column(attack).evaluations(network)[attack]:
                        assert right[e.id][True] * 100 / board.images.count == e.percent  # type: ignore[union-attr]
                        assert right[e.id].total() == e.examples
                        shown.add(e.id)
    others = {(e.attack, e.examples, n.method) for n, e in wanted_evaluations(store, Wanted()) if e.id not in shown}
    # of another protocol than the run was trained under, or not complete; natural accuracy alone is on no board
    assert others == {("pgd", 8, "sat"), ("natural", 8, "trades")}
    assert len(shown) == 22


def test_a_stopped_attempt_is_not_read_but_the_complete_one_before_it_is(store: Store) -> None:
    found = {(row["seed"], row["examples"], row["settings_sha256"]) for row in rows(store, runs=(2,), attack="pgd")}
    assert {seed for seed, *_ in found} == {0, 1, 2}
    (repeated,) = {row["evaluation"] for row in rows(store, runs=(2,), attack="pgd") if row["seed"] == 1}
    assert not any(row["correct"] for row in rows(store, runs=(2,)) if row["evaluation"] == repeated)
    states = [e.complete for _, e in wanted_evaluations(store, Wanted(runs=(2,), attack="pgd")) if e.seed == 2]
    assert states == [True]
    counts = [str(int(row["correct"])) for row in rows(store, runs=(2,), attack="pgd") if row["seed"] == 2]
    assert "".join(counts) == "01110000"


@pytest.mark.parametrize(
    ("wanted", "runs"),
    [
        ({}, {2, 4, 5, 6, 7, 8, None}),
        ({"runs": (1,)}, {1}),  # an older attempt, since it was asked for
        ({"runs": (3,)}, set()),  # it failed before it had any verdict
        ({"method": "sat"}, {2, 4, 6}),
        ({"method": "lrat"}, {5}),
        ({"method": "lrat+awp"}, {5}),
        ({"method": "theirs"}, {None}),
        ({"dataset": "toy", "method": "mart"}, {8}),
        ({"checkpoint": "early"}, {5}),
        ({"network": "resnet"}, {None}),
        ({"network": "smallcnn", "attack": "natural"}, {2, 4, 5, 6, 7}),
        ({"protocol": "long"}, {6, None}),
        ({"protocol": "44", "network": "smallcnn"}, {6}),
        ({"protocol": "weak", "attack": "pgd"}, {None}),  # run 2 was attacked so, but trained otherwise
        ({"protocol": "short", "network": "smallcnn"}, {2, 4, 5, 7, 8}),
        ({"attack": "cw"}, set()),
    ],
    ids=str,
)
def test_what_is_asked_for_is_read(wanted: dict[str, Any], runs: set[int | None], store: Store) -> None:
    assert {row["run"] for row in rows(store, **wanted)} == runs


def test_a_protocol_has_its_own_radius_alone(store: Store) -> None:
    every = {row["settings_sha256"] for row in rows(store, runs=(2,), attack="pgd")}
    short = {row["settings_sha256"] for row in rows(store, runs=(2,), attack="pgd", protocol="short")}
    assert (len(every), len(short)) == (2, 1)


def test_a_run_that_is_not_there_is_refused(store: Store) -> None:
    with pytest.raises(StoreError, match="there is no run 99"):
        rows(store, runs=(2, 99))


def test_an_empty_store_has_no_rows(tmp_path: Path) -> None:
    assert rows(Store.read(str(tmp_path / "none.db"))) == []
