"""The tables of a database: by hand, from a store whose content is known."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import harness
from harness.api.results import Results
from harness.errors import HarnessError, StoreError, UnknownName
from harness.hub.facts import card_facts
from harness.protocols.run_spec import TRIAL_SEED
from harness.store.store import Store
from tests.harness.api.stored import MARGINS, PGD, PREDICTED
from tests.stores import add_checkpoint, add_evaluation, as_digits, make_spec, right, start


def values(table: harness.Table, *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in columns) for row in table]


def test_a_trial_of_a_tuning_is_in_the_tables_and_in_no_row(tmp_path: Path) -> None:
    store = Store.write(file := str(tmp_path / "tuned.db"))
    trial = start(store, make_spec(train_seed=TRIAL_SEED))
    add_evaluation(store, add_checkpoint(store, trial), "natural", {}, right(3, 4))
    store.end_run(trial.id)
    assert card_facts(store, trial.id, "last").run.train_seed == TRIAL_SEED
    store.close()
    results = harness.open(file)
    assert values(results.runs(), "run", "train_seed") == [(1, TRIAL_SEED)]
    assert values(results.evaluations(), "run", "train_seed", "accuracy_percent") == [(1, TRIAL_SEED, 75.0)]
    assert list(results.findings()) == []
    assert len(results.verdicts(run=1)) == 4
    assert [row for row in results.leaderboard() if row["source"] == "measured"] == []


class TestWhatWasComputed:
    def test_runs_has_every_attempt_and_says_which_counts(self, results: Results) -> None:
        found = values(results.runs(), "run", "method", "attempt", "current", "status", "epochs_done", "epochs")
        assert found == [
            (1, "sat", 1, False, "done", 2, 2),
            (2, "sat", 2, True, "done", 2, 2),
            (3, "lrat floor=pgd", 1, True, "done", 0, 2),
            (4, "mart", 1, True, "failed", 0, 2),
        ]
        first, *_, failed = results.runs()
        assert first["training_s"] == 4.0
        assert first["created_utc"].tzinfo is UTC
        assert failed["failure"] == "the loss is not finite"

    def test_only_the_attempts_that_count_are_in_the_other_tables(self, results: Results) -> None:
        assert {row["run"] for row in results.epochs()} == {2}
        assert {row["run"] for row in results.evaluations()} == {2, 3, None}
        assert {row["run"] for row in results.verdicts()} == {2, 3, None}
        assert {row["run"] for row in results.findings()} == {2}
        for method in (results.epochs, results.evaluations, results.verdicts, results.findings):
            assert 1 in {row["run"] for row in method(superseded=True)}
        assert 1 not in {row["run"] for row in results.runs(superseded=False)}

    def test_epochs(self, results: Results) -> None:
        found = values(results.epochs(), "epoch", "loss", "lr", "images", "duration_s", "diagnostics")
        assert found == [(1, 2.0, 0.1, 20, 1.5, {"kl": 0.5}), (2, 1.0, 0.01, 20, 2.5, {})]

    @pytest.mark.parametrize("name", ["runs", "epochs", "evaluations", "models"])
    def test_a_row_has_documents_of_its_own(self, results: Results, name: str) -> None:
        """A user who changes one changes no other row, although many rows have equal ones."""
        rows = list(getattr(results, name)(superseded=True) if name != "models" else results.models())
        held = [value for row in rows for value in row.values() if isinstance(value, dict)]
        assert held
        assert len(set(map(id, held))) == len(held)

    def test_an_incomplete_evaluation_has_no_accuracy(self, results: Results) -> None:
        columns = ("attack", "epsilon", "norm", "seed", "done", "complete", "correct", "accuracy_percent")
        assert values(results.evaluations(run=2), *columns) == [
            ("natural", None, None, 0, 8, True, 7, 87.5),
            ("pgd", 0.1, "Linf", 0, 8, True, 5, 62.5),
            ("pgd", 0.1, "Linf", 1, 5, False, 5, None),
        ]
        assert results.evaluations(run=2, attack="pgd")[0]["settings"] == PGD

    def test_verdicts_are_those_of_the_complete_evaluations(self, results: Results) -> None:
        table = results.verdicts(run=2)
        assert values(table, "attack", "seed", "position", "correct", "margin") == [
            ("natural", 0, place, bool(right), None) for place, right in enumerate(as_digits("11111110"))
        ] + [("pgd", 0, place, bool(right), None) for place, right in enumerate(as_digits("11110001"))]

    def test_margins_of_blocks_are_in_order(self, results: Results) -> None:
        table = results.verdicts(method="theirs")
        assert [(row["correct"], row["margin"]) for row in table] == [
            (bool(right), margin) for right, margin in zip(as_digits("01100111"), MARGINS, strict=True)
        ]
        np.testing.assert_array_equal(table.column("margin"), np.array(MARGINS, np.float16))

    def test_the_predicted_class_is_none_where_it_was_not_kept_and_minus_one_without_finite_logits(
        self, results: Results
    ) -> None:
        both = results.verdicts(attack="pgd")
        assert values(both, "predicted") == [(None,)] * 8 + [(number,) for number in PREDICTED]
        assert both.column("predicted").tolist() == [None] * 8 + list(PREDICTED)
        assert both.to_pandas()["predicted"].isna().tolist() == [True] * 8 + [False] * 8
        known = both[8:].column("predicted")
        assert (known.tolist(), known.dtype) == (list(PREDICTED), np.int32)
        assert both[-1]["predicted"] == PREDICTED[-1]

    def test_a_verdict_takes_seven_bytes(self, results: Results) -> None:
        held: Mapping[str, Any] = results.verdicts()._contents.values
        assert sum(held[name].itemsize for name in ("correct", "margin")) + held["predicted"].numbers.itemsize == 7

    def test_findings_are_those_of_the_newest_edition_of_the_checks(self, results: Results) -> None:
        found = values(results.findings(), "check", "status", "mark", "value", "examined", "epsilon")
        assert found == [
            ("zero-gradient", "flagged", "Z", 0.5, "model", 0.1),
            ("not-logits", "passed", "", 0.0, "model", 0.1),
        ]

    def test_models(self, results: Results) -> None:
        (model,) = results.models()
        assert (model["method"], model["network"], model["parameters"]) == ("theirs", "net", 9)

    def test_the_leaderboard_has_the_figures_of_the_attempts_that_count(self, results: Results) -> None:
        table = results.leaderboard(dataset="toy", attack="pgd")
        assert values(table, "method", "median_percent", "rank") == [("sat", 62.5, 1), ("theirs", 62.5, 1)]
        wide = results.leaderboard(dataset="toy", wide=True)
        columns = ("method", "natural_median_percent", "pgd_median_percent", "flags")
        assert values(wide, *columns)[0] == ("sat", 87.5, 62.5, "Z")

    def test_reported_says_which_statistic_a_figure_is(self, results: Results) -> None:
        kinds = {row["paper"]: row["statistic"] for row in results.reported()}
        assert set(kinds.values()) == {"median", "mean"}

    def test_a_comparison_has_the_table_by_hand(self, results: Results) -> None:
        """Right under pgd: 11110001 and 01100111. First alone 2 (places 0, 3), second alone 2 (places 5, 6)."""
        table = results.compare("sat", "theirs", attack="pgd")
        (whole,) = (row for row in table if row["level"] == "images")
        assert (whole["first_percent"], whole["second_percent"], whole["difference_points"]) == (62.5, 62.5, 0.0)
        assert whole["p"] == 1.0
        assert any("labels" in note for note in table.notes)


class TestFilters:
    def test_a_plain_name_takes_every_variant_and_a_label_one(self, results: Results) -> None:
        assert len(results.runs(method="lrat")) == len(results.runs(method="lrat floor=pgd")) == 1
        assert len(results.runs(method=["lrat", "sat"], status="done")) == 3

    def test_arch_means_the_network(self, results: Results) -> None:
        assert results.runs(arch="smallcnn") == results.runs(network="smallcnn") == results.runs()

    def test_values_that_no_row_has_together_give_an_empty_table(self, results: Results) -> None:
        table = results.runs(method="sat", status="failed")
        assert (len(table), table.columns) == (0, results.runs().columns)
        assert list(results.verdicts(attack="natural", seed=0, run=2, sample="first", method="theirs")) == []

    def test_a_value_that_no_row_has_is_refused(self, results: Results) -> None:
        with pytest.raises(HarnessError, match=r"no row has method='sta'; the rows have sat, "):
            results.runs(method="sta")
        with pytest.raises(HarnessError, match=r"no row has run=9; the rows have 1, 2, 3, 4$"):
            results.runs(run=9)
        with pytest.raises(UnknownName, match=r"unknown dataset 'toi'; did you mean 'toy'"):
            results.leaderboard(dataset="toi")

    @pytest.mark.parametrize("name", ["dataset", "arch", "protocol", "checkpoint", "sort"])
    def test_what_is_ranked_has_one_name(self, name: str, results: Results) -> None:
        with pytest.raises(harness.HarnessError, match=rf"{name}=\['a', 'b'\] is refused: it says what is ranked"):
            results.leaderboard(**{name: ["a", "b"]})  # type: ignore[arg-type]

    def test_a_list_in_a_list_is_refused(self, results: Results) -> None:
        with pytest.raises(harness.HarnessError, match=r"method=\[\['sat'\]\] is refused: give one value"):
            results.runs(method=[["sat"]])

    def test_a_filter_that_is_no_column_is_refused(self, results: Results) -> None:
        with pytest.raises(UnknownName, match=r"unknown filter 'metod'; did you mean 'method'"):
            results.runs(metod="sat")
        with pytest.raises(UnknownName, match="unknown filter 'diagnostics'"):
            results.epochs(diagnostics={})


class TestOpening:
    def test_a_file_that_is_not_there_is_refused_if_it_was_named(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match=r"there is no database .*none\.db"):
            harness.open(tmp_path / "none.db")
        assert not (tmp_path / "none.db").exists()

    def test_without_a_database_there_are_the_reported_figures(self, tmp_path: Path) -> None:
        with harness.open() as results:
            assert {row["source"] for row in results.leaderboard()} == {"reported"}
            assert len(results.runs(method="anything")) == len(results.verdicts()) == 0
        assert list(tmp_path.iterdir()) == []

    def test_an_empty_database_gives_empty_tables(self, tmp_path: Path) -> None:
        Store.write(str(tmp_path / "new.db")).close()
        with harness.open("new.db") as results:
            for table in (results.runs(), results.models(), results.epochs(), results.evaluations()):
                assert len(table) == 0
            assert len(results.verdicts().to_pandas()) == len(results.findings()) == 0

    def test_the_variable_names_the_database(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HARNESS_DB", str(file))
        with harness.open() as results:
            assert len(results.runs()) == 4

    def test_an_older_schema_and_another_file_are_refused_in_one_line(self, tmp_path: Path) -> None:
        old = Path(__file__).parents[2] / "assets" / "schema-0001.db"
        (tmp_path / "old.db").write_bytes(old.read_bytes())
        (tmp_path / "text.db").write_text("no database")
        with pytest.raises(StoreError, match="harness db upgrade"):
            harness.open("old.db")
        with pytest.raises(StoreError, match="is not a database"):
            harness.open("text.db")

    def test_reading_changes_nothing(self, file: Path) -> None:
        before = hashlib.sha256(file.read_bytes()).hexdigest()
        with harness.open(file) as results:
            results.leaderboard()
            results.verdicts()
        assert hashlib.sha256(file.read_bytes()).hexdigest() == before

    @pytest.mark.parametrize("folder", [".", "..", "/"])
    def test_a_folder_is_refused(self, folder: str) -> None:
        with pytest.raises(harness.HarnessError, match=r"cannot be opened|is not a database"):
            harness.open(folder)

    def test_after_it_was_closed_it_is_refused(self, file: Path) -> None:
        with harness.open(file) as results:
            pass
        assert "closed" in repr(results)
        with pytest.raises(StoreError, match="were closed"):
            results.runs()
