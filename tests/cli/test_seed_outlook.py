"""``harness run --dry-run``: what training seeds can tell, from the spread of the rows of the board that ships."""

from __future__ import annotations

import json
import math
import shutil
import sqlite3
import statistics
from collections import defaultdict
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

import harness as interface
from harness.statistics.power import SeedNoise, seeds_needed, smallest_difference
from tests.cli.conftest import Harness
from tests.first_board import FIRST_BOARD

ROOT = Path(interface.__file__).parents[1]
RUN = "run sat --dataset digits --arch smallcnn --dry-run"


@pytest.fixture
def shipped(elsewhere: Path) -> Path:
    return Path(shutil.copy(FIRST_BOARD, elsewhere))


def deviations(shipped: Path, attack: str) -> list[float]:
    """Of the differences of each two rows of five networks, from the table of evaluations."""
    held: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    with interface.open(shipped) as results:
        for e in results.evaluations(dataset="digits", attack=attack, checkpoint="last"):
            held[e["method"]][e["train_seed"]].append(e["accuracy_percent"])
    rows = [{seed: statistics.median(values) for seed, values in row.items()} for row in held.values()]
    assert {len(row) for row in rows} == {5}
    return [statistics.stdev(a[seed] - b[seed] for seed in a) for a, b in combinations(rows, 2)]


@pytest.mark.parametrize(("options", "attack"), [("", "autoattack"), (" --attacks natural,pgd", "pgd")])
def test_it_is_the_spread_of_the_differences(harness: Harness, shipped: Path, options: str, attack: str) -> None:
    (told,) = json.loads(harness(f"{RUN} --train-seeds 3{options} --json"))["training_seeds"]
    every = deviations(shipped, attack)
    std = math.sqrt(statistics.fmean(value**2 for value in every))
    assert (told["attack"], told["rows"], told["seeds"], told["unit"]) == (attack, 7, 3, "training seeds")
    assert [told["std"], told["least"], told["most"]] == pytest.approx([std, min(every), max(every)])
    noise = SeedNoise(std, 1.0, 4)
    assert told["smallest"] == pytest.approx(smallest_difference(noise, 3))
    assert told["needed"] == seeds_needed(noise, 1.0)


def test_a_row_with_a_collapsed_seed_is_left_out(harness: Harness, shipped: Path) -> None:
    """One network of ``sat`` has every image wrong under AutoAttack: a deviation of 30 points would be planned for."""
    wrong = "UPDATE blocks SET correct = 0, verdicts = zeroblob(length(verdicts)) WHERE evaluation_id IN"
    of_one = (
        "SELECT e.id FROM evaluations e JOIN checkpoints c ON c.id = e.checkpoint_id JOIN runs r ON r.id = c.run_id"
    )
    which = "r.method = 'sat' AND r.train_seed = 3 AND e.attack = 'autoattack' AND r.network_settings NOT LIKE '%32%'"
    with sqlite3.connect(shipped) as database:
        assert database.execute(f"{wrong} ({of_one} WHERE {which})").rowcount == 5
    (told,) = json.loads(harness(f"{RUN} --train-seeds 3 --json"))["training_seeds"]
    assert told["rows"] == 6
    assert told["most"] < 5


def test_it_is_one_line(harness: Harness, shipped: Path) -> None:
    told: list[dict[str, Any]] = json.loads(harness(f"{RUN} --train-seeds 3 --json"))["training_seeds"]
    (line,) = [line for line in harness(f"{RUN} --train-seeds 3").splitlines() if line.startswith("training seeds:")]
    assert f"3 a method tell {told[0]['smallest']:.2f} points apart in autoattack" in line
    assert f"1 point needs {told[0]['needed']}; from 7 stored rows" in line
    assert "1 a method tells no methods apart" in harness(RUN)


@pytest.mark.parametrize("options", ["--set width=3", "--set epochs=1", "--limit 50", "--epsilon 0.1"])
def test_rows_of_another_board_or_network_say_nothing(harness: Harness, shipped: Path, options: str) -> None:
    assert "training_seeds" not in json.loads(harness(f"{RUN} --train-seeds 3 --json {options}"))


def test_an_empty_store_says_nothing(harness: Harness, elsewhere: Path) -> None:
    assert "training seeds:" not in harness(f"{RUN} --train-seeds 3")
    assert list(elsewhere.iterdir()) == []
