"""``harness export verdicts``: both formats hold every row as the store has it; refusals leave nothing behind."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.data.digits import Digits
from harness.errors import visible
from harness.leaderboard import write_verdicts
from harness.leaderboard.verdict_rows import COLUMNS, Judged, Wanted, verdict_rows
from harness.plugin.images import Images
from harness.store.records import DatasetRecord
from harness.store.store import Store
from tests.cli.conftest import Ends, Harness, Refused
from tests.cli.imported import HEAVY, modules
from tests.stores import add_checkpoint, add_evaluation, make_spec, start
from tests.varied import varied_store


@pytest.fixture
def known(elsewhere: Path) -> list[dict[str, Any]]:
    """The rows of the store in the working directory."""
    store = varied_store(elsewhere / "leaderboard.db")
    rows = list(verdict_rows(store, Wanted()))
    store.close()
    return rows


def as_texts(rows: list[dict[str, Any]]) -> list[dict[str, str]]:
    return [{k: "" if v is None else str(int(v)) if k == "correct" else str(v) for k, v in r.items()} for r in rows]


class TestCsv:
    def test_every_row_is_there_as_it_is_stored(self, known: list[dict[str, Any]], harness: Harness) -> None:
        text = harness("export verdicts")
        assert text.splitlines()[0] == ",".join(COLUMNS)
        assert list(csv.DictReader(io.StringIO(text))) == as_texts(known)
        assert len(known) == 180  # 21 evaluations of 8 images, 3 of 4

    def test_margins_are_read_back_to_the_last_bit(self, known: list[dict[str, Any]], harness: Harness) -> None:
        rows = csv.DictReader(io.StringIO(harness("export verdicts 2 --attack natural")))
        assert [np.float16(row["margin"]) for row in rows] == [
            np.float16(value) for value in (0.5, -0.25, 0.1, -1.0, 1.0, 0.0, 0.3, 0.7)
        ]

    def test_a_file_has_what_is_printed_without_it(
        self, known: list[dict[str, Any]], harness: Harness, elsewhere: Path
    ) -> None:
        printed = harness("export verdicts --method sat")
        assert harness("export verdicts --method sat --out sat.csv") == ""
        assert (elsewhere / "sat.csv").read_bytes().decode() == printed
        harness("export verdicts --method sat --out other.txt --format csv")
        assert (elsewhere / "other.txt").read_bytes().decode() == printed

    def test_names_with_commas_and_quotes_are_read_back(self, elsewhere: Path, harness: Harness) -> None:
        store = varied_store(elsewhere / "leaderboard.db")
        name = 'a, "b"\nc'
        (model,) = (model for model in store.models() if model.name == "theirs")
        facts: dict[str, Any] = {"network": "n", "network_settings": {}, "network_departures": {}, "parameters": 9}
        store.see_model(name, model.dataset, sha256=model.checkpoint.sha256, provenance={}, **facts)
        store.close()
        rows = csv.DictReader(io.StringIO(harness("export verdicts"), newline=""))
        assert visible(name) in {row["method"] for row in rows}  # a line would be a row for some programs


class TestParquet:
    @pytest.mark.parametrize("rows_together", [1, 20, 10**6])
    def test_every_row_is_there_with_its_type(
        self,
        rows_together: int,
        known: list[dict[str, Any]],
        harness: Harness,
        elsewhere: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        parquet = pytest.importorskip("pyarrow.parquet")
        monkeypatch.setattr(write_verdicts, "ROWS_TOGETHER", rows_together)
        assert harness("export verdicts --out all.parquet") == ""
        read = parquet.read_table(elsewhere / "all.parquet").to_pylist()
        assert read == known  # float32 holds a half float as it is
        assert [path.name for path in elsewhere.iterdir() if path.suffix in (".tmp", ".parquet")] == ["all.parquet"]

    def test_pandas_reads_it(self, known: list[dict[str, Any]], harness: Harness, elsewhere: Path) -> None:
        pandas = pytest.importorskip("pandas")
        harness("export verdicts --method sat --out sat.parquet")
        frame = pandas.read_parquet(elsewhere / "sat.parquet")
        (share,) = frame[(frame.run == 4) & (frame.attack == "natural")].groupby("evaluation").correct.mean()
        assert share == 6 / 8

    def test_without_pyarrow_it_is_refused_at_once(
        self, known: list[dict[str, Any]], refusal: Refused, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        line = refusal("export verdicts --out all.parquet")
        assert "pip install 'robustness-harness[pandas]', or write CSV with --format csv" in line
        assert not (elsewhere / "all.parquet").exists()


class TestImages:
    def test_a_balanced_sample_of_a_data_set_that_is_here_has_its_places(
        self, elsewhere: Path, harness: Harness
    ) -> None:
        digits = Digits().load(elsewhere)
        store = Store.write(str(elsewhere / "leaderboard.db"))
        for fingerprint in (digits.fingerprint, "0" * 64):  # the second is another data set of the same name
            record = DatasetRecord("digits", fingerprint, 1437, 360, 1, 8, 8, 10)
            run = start(store, make_spec(record), record)
            store.end_run(run.id)
            add_evaluation(store, add_checkpoint(store, run), "natural", {}, [1] * 30, sample="balanced")
        store.close()
        rows = list(csv.DictReader(io.StringIO(harness("export verdicts"))))
        places = digits.places(Images(30, "balanced")).tolist()
        assert [row["image"] for row in rows] == [*map(str, places), *[""] * 30]
        assert sorted(digits.test.labels[places].tolist()) == sorted([*range(10)] * 3)

    def test_where_they_are_not_known_a_note_says_so(self, known: list[dict[str, Any]], ends: Ends) -> None:
        code, out, err = ends("export verdicts --attack pgd")
        assert code == 0
        assert "note: image is empty in balanced samples of toy: its labels are not here" in err
        assert {row["image"] for row in csv.DictReader(io.StringIO(out)) if row["sample"] == "balanced"} == {""}

    def test_what_is_not_complete_is_counted(self, known: list[dict[str, Any]], ends: Ends, elsewhere: Path) -> None:
        assert "not complete" not in ends("export verdicts 2")[2]  # a second attempt is not, and the first one counts
        store = Store.write(str(elsewhere / "leaderboard.db"))
        (checkpoint,) = store.run(2).checkpoints
        add_evaluation(store, checkpoint, "pgd", {}, [1] * 5, examples=8)
        store.close()
        assert "note: 1 evaluation(s) are not complete and were left out\n" in ends("export verdicts 2")[2]
        assert "not complete" not in ends("export verdicts 4")[2]


class TestRefused:
    @pytest.mark.parametrize(
        ("options", "told"),
        [
            ("--attack pdg", "unknown attack 'pdg'; did you mean 'pgd'? known: natural, pgd"),
            ("--method lrta", "unknown method 'lrta'; did you mean 'lrat'"),
            ("--dataset digits", "unknown dataset 'digits'; known: toy"),
            ("--arch vgg", "unknown network 'vgg'; known: resnet, smallcnn"),
            ("--protocol paper", "unknown protocol 'paper'; known: long"),
            ("--checkpoint best", "unknown checkpoint 'best'; did you mean 'last'? known: early, given, last"),
            ("--method mart --attack natural", "no verdict matches all of --method mart, --attack natural"),
            ("--method mart --arch resnet", "no verdict matches all of --method mart, --arch resnet"),
            ("77", "there is no run 77"),
            ("3", "run 3 has no complete evaluation"),
            ("x", "unable to parse string as an integer"),
            ("--format xml", "'xml' is not one of 'csv', 'parquet'"),
            ("--format parquet", "without a file: add --out FILE.parquet"),
            ("--out all.txt", "name FILE.csv or FILE.parquet, or give --format"),
            ("--out all.csv --format parquet", "with --format parquet: leave one out, or make them agree"),
            ("--out nowhere/all.csv", "cannot be written: No such file or directory; choose another place"),
            ("--out folder.csv", "is a folder; name a file in it"),
        ],
    )
    def test_in_one_line_and_nothing_is_written(
        self, options: str, told: str, known: list[dict[str, Any]], refusal: Refused, elsewhere: Path
    ) -> None:
        (elsewhere / "folder.csv").mkdir()
        before = sorted(elsewhere.rglob("*"))
        assert told in refusal(f"export verdicts {options}")
        assert sorted(elsewhere.rglob("*")) == before

    def test_an_empty_database(self, refusal: Refused, elsewhere: Path) -> None:
        assert "the database has no complete evaluation; `harness run`" in refusal("export verdicts --out all.csv")
        assert list(elsewhere.iterdir()) == []

    def test_a_full_disk_leaves_the_old_file(
        self, known: list[dict[str, Any]], refusal: Refused, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(found: Iterator[Judged], file: Any) -> int:
            file.write("run")
            next(found)
            raise OSError(28, "No space left on device")

        (elsewhere / "all.csv").write_text("old")
        monkeypatch.setattr(write_verdicts, "write_csv", full)
        assert "cannot be written: No space left on device" in refusal("export verdicts --out all.csv")
        assert (elsewhere / "all.csv").read_text() == "old"
        assert not list(elsewhere.glob(".*.tmp"))


def test_only_one_evaluation_is_in_memory_at_a_time(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = varied_store(elsewhere / "leaderboard.db")
    alive: list[int] = []

    def found() -> Iterator[Judged]:
        for row in range(5):
            alive.append(len(file.getvalue().splitlines()) - 1 - row * 8)
            yield next(iter(judged))

    from harness.leaderboard.verdict_rows import read_judged, wanted_evaluations

    ((network, evaluation), *_) = wanted_evaluations(store, Wanted(runs=(4,)))
    judged = [read_judged(store, network, evaluation)]
    file = io.StringIO()
    assert write_verdicts.write_csv(found(), file) == 40
    assert alive == [0] * 5  # each was written before the next was read
    store.close()


def test_it_imports_no_torch(elsewhere: Path) -> None:
    varied_store(elsewhere / "leaderboard.db").close()
    heavy = set(HEAVY) - {"numpy"}  # which unpacks the verdicts
    assert modules(elsewhere, "export", "verdicts", "4") & heavy == set()
