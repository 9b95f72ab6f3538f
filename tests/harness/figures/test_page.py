"""What docs/figures.md says of the paper's figures, against the CSVs beside it; and each picture is of its CSV."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[3] / "docs"
PAGE = " ".join((DOCS / "figures.md").read_text(encoding="utf-8").split())
NAMES = ("weights", "unseen-attack", "gairat-cw", "vulnerable", "vulnerability")


def rows(name: str) -> list[dict[str, str]]:
    with (DOCS / "figures" / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_names_its_data_and_the_page_shows_it(name: str) -> None:
    data, picture = ((DOCS / "figures" / f"{name}.{end}") for end in ("csv", "svg"))
    assert f"sha256:{hashlib.sha256(data.read_bytes()).hexdigest()}" in picture.read_text(encoding="utf-8")
    assert f"(figures/{name}.svg)" in PAGE
    assert max(data.stat().st_size, picture.stat().st_size) < 150_000


def test_the_shares_of_low_weights() -> None:
    below = {row["weight"]: row for row in rows("weights") if row["mark"] == "share below"}
    share, in_loss = (float(below[name]["percent"]) for name in ("weight", "normalised_weight"))
    total = round(100 * int(below["weight"]["count"]) / share)
    said = f"Of {total:,} weights (1,437 training images, 3 networks, epoch 20) {share:.1f} % of those of Eq. 6"
    assert said in PAGE
    assert f"{in_loss:.1f} % of those in the loss" in PAGE


@pytest.mark.parametrize("name", ["unseen-attack", "gairat-cw"])
def test_the_accuracies_after_the_last_epoch(name: str) -> None:
    last = [row for row in rows(name) if row["mark"] == "accuracy" and row["epoch"] == "20"]
    assert len(last) == 4
    for row in last:
        value, low, high = (float(row[column]) for column in ("value", "low", "high"))
        assert f"{value:.1f} % [{low:.1f}, {high:.1f}]" in PAGE
        assert (row["images"], row["over"], row["n"]) == ("128", "training seeds", "3")


def test_the_tables_counts_are_of_one_set_of_top_images() -> None:
    """In both and in either sum to the two sets' sizes, which are 288 of PGD and of CW, a fifth of 1,437."""
    for pair in ("257 of 295", "231 of 321", "239 of 337", "187 of 387", "214 of 360", "178 of 398"):
        assert pair in PAGE
    assert 239 + 337 == 178 + 398 == 2 * 288
    assert 257 + 295 == 231 + 321 == 288 + 264
    assert 187 + 387 == 214 + 360 == 288 + 286
