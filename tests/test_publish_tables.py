"""The tables of README and ``docs/results.md`` where a row has one network, or boards differ in their seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.statistics.figures import wilson
from harness.store.store import Store
from scripts import publish_tables
from tests import stores

SETTINGS: dict[str, dict[str, Any]] = {"natural": {"kind": "natural"}, "pgd": {"steps": 20}}
PLACE = {"device": "cpu", "machine": "x86_64", "torch": "2", "pyautoattack": "0", "python": "3", "host": "published"}
RIGHT = {
    "sat": {"natural": "1111111111", "pgd": "1111110000"},
    "lrat": {"natural": "1111111110", "pgd": "1110001111"},  # right where sat is wrong 4 times, and 3 times the reverse
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A published database with a board of one network a row."""
    monkeypatch.setattr(publish_tables, "ROOT", tmp_path)
    store = Store.write(str(tmp_path / "leaderboard.db"))
    stores.see_protocol(store, SETTINGS, {"epochs": 1})
    fill(store, seeds=1)
    store.close()
    return tmp_path


def fill(store: Store, seeds: int, train_seeds: int = 1, **changes: object) -> None:
    training = {"epochs": 1, **changes}
    for method, right in RIGHT.items():
        for train_seed in range(train_seeds):
            spec = stores.make_spec(method=method, training=training, train_seed=train_seed)
            run = stores.start(store, spec, provenance=PLACE)
            checkpoint = stores.add_checkpoint(store, run)
            store.end_run(run.id)
            for attack, verdicts in right.items():
                for seed in range(seeds if attack == "pgd" else 1):
                    digits = stores.as_digits(verdicts)
                    stores.add_evaluation(store, checkpoint, attack, SETTINGS[attack], digits, seed=seed)


def lines(text: str, beginning: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(beginning)]


def test_one_network_a_row_has_intervals_over_images(root: Path) -> None:
    text = publish_tables.results_tables()
    low, high = (f"{end:.1f}" for end in (wilson(70, 10).low, wilson(70, 10).high))
    figures, difference = lines(text, "| lrat |")
    assert figures == f"| lrat | 90.0 [59.6, 98.2] | 70.0 [{low}, {high}] | 60.0 [31.3, 83.2] |"
    assert (low, high) == ("39.7", "89.2")
    natural, pgd, worst = (cell.split()[0] for cell in difference.split("|")[2:5])
    assert (natural, pgd, worst) == ("-10.0", "+10.0", "+0.0")
    assert publish_tables.PAIRED_BY_IMAGE in text
    assert publish_tables.PAIRED_BY_SEED not in text
    assert "t-interval" not in text
    assert text == publish_tables.results_tables()  # the bootstrap draws the same numbers again


def test_boards_that_differ_in_their_seeds_say_how_many_they_have(root: Path) -> None:
    assert "n = 1 attack seed on one network. Worst" in publish_tables.readme_table()
    store = Store.write(str(root / "leaderboard.db"))
    stores.see_protocol(store, SETTINGS, {"epochs": 2}, fingerprint="2" * 64, name="other")
    fill(store, seeds=3, train_seeds=2, epochs=2)
    store.close()
    text = publish_tables.readme_table()
    counted = [heading.rpartition(": ")[2] for heading in lines(text, "**")]
    several = f"n = 3 attack seeds on each of 2 networks{publish_tables.SEVERAL_NETWORKS}"
    assert counted == ["n = 1 attack seed on one network", several]
    assert publish_tables.SEVERAL in text
    assert publish_tables.PAIRED_BY_SEED in publish_tables.results_tables()


def test_a_long_table_of_readme_has_its_first_rows_and_says_so(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, results = publish_tables.readme_table(), publish_tables.results_tables()
    assert "rows" not in next(line for line in whole.splitlines() if line.startswith("**"))
    monkeypatch.setattr(publish_tables, "TOP", 1)
    (heading,) = lines(text := publish_tables.readme_table(), "**")
    assert ", the first 1 of 2 rows" in heading
    assert (len(lines(text, "| lrat")), len(lines(text, "| sat"))) == (1, 0)  # the best row
    assert publish_tables.results_tables() == results
