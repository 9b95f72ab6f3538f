"""Limits on the command line: samples of one folder, one after the other in one process, and what is said of them."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

from harness.plugin.images import Images
from harness.store.store import Store
from tests.cli.conftest import Harness

NET = """
from torch import nn

class Bright(nn.Module):
    def forward(self, x):
        level = x.mean((1, 2, 3))[:, None]
        return nn.functional.pad(level - 0.5, (1, 0)) * 9

def make():
    return Bright()
"""
COMMAND = "evaluate net_of_limits.py:make --dataset folder:images --seeds 1 --epsilon 2/255 --attacks pgd --no-checks"


def folder(right: list[bool], parts: tuple[str, ...] = ("train", "test")) -> None:
    """Dark and bright images; those that are not ``right`` lie in the other class's folder."""
    for part in parts:
        for i, fits in enumerate(right):
            bright = i % 2 == 1
            place = Path("images") / part / ("b" if bright == fits else "a")
            place.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (4, 4), (250 if bright else 5,) * 3).save(place / f"{i:02}.png")


def test_samples_of_one_folder_in_one_process_are_each_their_own(harness: Harness) -> None:
    Path("net_of_limits.py").write_text(NET)
    folder([i not in (2, 7, 11) for i in range(20)])
    found = {}
    for limit in (4, 10, 20, 4):
        harness(f"{COMMAND} --limit {limit} --db board.db --workers 1")
    store = Store.read("board.db")
    wrong = {"a": ["07", "11"], "b": ["02"]}
    names = {c: sorted(p.stem for p in (Path("images") / "test" / c).iterdir()) for c in "ab"}
    files = [*((c, name) for c in "ab" for name in names[c])]
    labels = [int(c == "b") for c, _ in files]
    for model in store.models():
        for e in model.checkpoint.evaluations:
            if e.attack == "natural":
                found[e.images] = list(store.verdicts(e.id))
    store.close()
    assert set(found) == {Images(4, "balanced"), Images(10, "balanced"), Images(20)}
    for images, verdicts in found.items():
        expected = [int(files[place][1] not in wrong[files[place][0]]) for place in images.places(labels)]
        assert verdicts == expected


def test_a_limited_board_says_so_and_stands_apart(harness: Harness) -> None:
    Path("net_of_limits.py").write_text(NET)
    folder([True] * 20)
    assert "6 test images, balanced over the classes" in harness(f"{COMMAND} --limit 6 --db board.db --workers 1")
    harness(f"{COMMAND} --db board.db --workers 1")
    document = json.loads(harness("leaderboard --dataset folder:images --db board.db --format json"))
    sets = [(row["examples"], row["sample"]) for row in document["rows"] if row["source"] == "measured"]
    assert sorted(sets) == [(6, "balanced"), (20, "first")]
