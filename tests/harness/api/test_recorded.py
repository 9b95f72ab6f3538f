"""Curves, histograms, and adversarial images of a database: by hand, from a store whose content is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import harness
from harness.api.results import Results
from harness.errors import HarnessError, StoreError, UnknownName
from harness.store.store import Store
from tests.harness.api.stored import PGD, PREDICTED


def values(table: harness.Table, *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in columns) for row in table]


class TestCurves:
    def test_a_row_is_a_point(self, results: Results) -> None:
        found = values(
            results.curves(), "run", "part", "attack", "epsilon", "epoch", "images", "correct", "accuracy_percent"
        )
        assert found == [
            (2, "test", "natural", None, 1, 8, 6, 75.0),
            (2, "test", "pgd", 0.1, 1, 8, 6, 75.0),
            (2, "test", "pgd", 0.1, 2, 8, 3, 37.5),
            (2, "train", "pgd", 0.1, 2, 16, 12, 75.0),
        ]

    def test_superseded_attempts_are_there_if_they_are_asked_for(self, results: Results) -> None:
        every = results.curves(superseded=True, attack="pgd", part="test", epoch=1)
        assert values(every, "run", "attempt", "current", "correct") == [(1, 1, False, 5), (2, 2, True, 6)]

    def test_the_settings_are_those_of_the_evaluation_by_the_same_attack(self, results: Results) -> None:
        (point,) = results.curves(part="train")
        evaluation = results.evaluations(run=2, attack="pgd")[0]
        assert point["settings"] == evaluation["settings"] == PGD
        assert point["settings_sha256"] == evaluation["settings_sha256"]
        assert point["norm"] == evaluation["norm"] == "Linf"

    def test_a_filter_with_a_value_of_no_row_is_refused(self, results: Results) -> None:
        with pytest.raises(HarnessError, match="no row has part='tset'; the rows have test, train"):
            results.curves(part="tset")


class TestHistograms:
    def test_a_row_is_a_bin(self, results: Results) -> None:
        table = results.histograms()
        assert values(table, "run", "epoch", "quantity", "bin", "low", "high", "count") == [
            (2, 1, "steps_to_flip", 0, -0.5, 0.5, 2),
            (2, 1, "steps_to_flip", 1, 0.5, 1.5, 0),
            (2, 1, "steps_to_flip", 2, 1.5, 2.5, 7),
            (2, 1, "weight", 0, 0.0, 0.5, 3),
            (2, 1, "weight", 1, 0.5, 1.0, 5),
        ]
        assert table.column("count").dtype == np.int64
        assert table.to_pandas().groupby("quantity", observed=True)["count"].sum().to_dict() == {
            "steps_to_flip": 9,
            "weight": 8,
        }

    def test_filters_choose_histograms_and_not_bins(self, results: Results) -> None:
        every = results.histograms(quantity="steps_to_flip", superseded=True)
        assert values(every, "run", "count") == [(1, 1), (1, 0), (1, 7), (2, 2), (2, 0), (2, 7)]
        with pytest.raises(UnknownName, match="unknown filter 'bin'"):
            results.histograms(bin=0)


class TestAdversarialImages:
    def test_they_come_with_what_the_network_says_of_them(self, results: Results) -> None:
        (evaluation,) = results.evaluations(method="theirs")
        found = results.adversarial_images(evaluation["evaluation"])
        assert found.positions.tolist() == [0, 1, 2, 3]
        assert found.pixels.shape == (4, 1, 8, 8)
        np.testing.assert_array_equal(found.pixels[:, 0, 7, 7], np.array([0.1, 1.1, 2.1, 3.1], np.float32))
        assert found.correct.tolist() == [False, True, True, False]
        assert found.predicted.tolist() == list(PREDICTED[:4])
        found.pixels[0] = 0.0  # a copy of one's own

    def test_none_were_kept(self, results: Results) -> None:
        found = results.adversarial_images(results.evaluations(run=2, attack="pgd", seed=1)[0]["evaluation"])
        assert found.pixels.shape == (0, 1, 8, 8)
        assert len(found.positions) == len(found.correct) == len(found.predicted) == 0

    def test_an_evaluation_that_is_not_there_is_refused(self, results: Results) -> None:
        for number in (0, -1, 99, 2**70):
            with pytest.raises(StoreError, match=f"there is no evaluation {number}"):
                results.adversarial_images(number)
        for other in ("2", True, None, [2]):
            with pytest.raises(HarnessError, match="is refused: give one number"):
                results.adversarial_images(other)  # type: ignore[arg-type]
        every = results.evaluations(superseded=True).column("evaluation")
        assert len(results.adversarial_images(every[0]).positions) == 0  # numpy's integers, too


def test_an_empty_database_has_empty_tables(tmp_path: Path) -> None:
    Store.write(str(tmp_path / "new.db")).close()
    with harness.open(tmp_path / "new.db") as results:
        for table in (results.curves(attack="pgd"), results.histograms(quantity="weight")):
            assert len(table) == 0
            assert list(table.to_pandas().columns) == list(table.columns)
