"""Tables: rows, columns, data frames, and how they look."""

from __future__ import annotations

import html.parser
import sys
import tracemalloc
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.api.contents import Contents, TableColumn
from harness.api.packed import Positions, Repeated
from harness.api.results import Results
from harness.api.table import Table
from harness.errors import HarnessError, UnknownName

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
COLUMNS = (
    TableColumn("number", "int", "", "a <number>"),
    TableColumn("share", "float", "%", "a share"),
    TableColumn("known", "bool", "", "whether it is known"),
    TableColumn("kind", "category", "", "a kind"),
    TableColumn("text", "text", "", "a text"),
    TableColumn("when", "time", "UTC", "a time"),
    TableColumn("more", "json", "", "more"),
)


def make_table(count: int = 3, **changes: Any) -> Table:
    row = {"number": 1, "share": 50.0, "known": True, "kind": "a", "text": "t", "when": NOON, "more": {"x": [1]}}
    missing = dict.fromkeys(row, None)
    return Table.of_rows("things", COLUMNS, [row | changes, missing, *[row] * (count - 2)][:count])


class TestRows:
    def test_a_row_is_a_mapping_with_the_columns_in_order(self) -> None:
        table = make_table()
        assert len(table) == 3
        assert tuple(table[0]) == table.columns == tuple(column.name for column in COLUMNS)
        assert table[-1] == table[2]
        assert [row["number"] for row in table] == [1, None, 1]
        with pytest.raises(IndexError):
            table[3]

    def test_a_slice_is_a_table(self) -> None:
        part = make_table()[1:]
        assert isinstance(part, Table)
        assert [row["number"] for row in part] == [None, 1]

    def test_a_column_is_described(self) -> None:
        assert make_table().about("share").unit == "%"
        with pytest.raises(UnknownName, match="did you mean 'share'"):
            make_table().about("shar")
        with pytest.raises(UnknownName):
            make_table().column("shar")


@pytest.mark.parametrize("counts", [[2, 0, 3], [0], [], [1, 1]])
def test_packed_columns_are_the_plain_ones(counts: list[int]) -> None:
    """Against the columns written out."""
    names = [f"name {i}" for i in range(len(counts))]
    repeated, positions = Repeated(names, counts), Positions(counts)
    plain = [name for name, count in zip(names, counts, strict=True) for _ in range(count)]
    numbers = [i for count in counts for i in range(count)]
    assert list(repeated) == plain
    assert list(positions) == numbers == positions.array().tolist()
    assert repeated[1:] == plain[1:]
    assert repeated.counts() == counts
    if plain:
        assert (repeated[-1], positions[-1]) == (plain[-1], numbers[-1])
    with pytest.raises(IndexError):
        repeated[len(plain)]


class TestColumns:
    def test_arrays_have_the_type_of_their_kind(self) -> None:
        whole = make_table()[2:]
        assert [whole.column(name).dtype.kind for name in whole.columns] == ["i", "f", "b", "O", "O", "O", "O"]

    def test_a_missing_number_is_nan_or_an_object(self) -> None:
        table = make_table()
        assert np.isnan(table.column("share")[1])
        assert table.column("number").tolist() == [1, None, 1]
        assert table.column("known").tolist() == [True, None, True]


class TestDataFrame:
    def test_types(self) -> None:
        frame = make_table().to_pandas()
        assert [str(kind) for kind in frame.dtypes] == [
            *("Int64", "float64", "boolean", "category", "string", "datetime64[us, UTC]", "object"),
        ]
        assert frame.isna().to_numpy().tolist() == [[False] * 7, [True] * 7, [False] * 7]
        assert frame["when"][0] == pd.Timestamp(NOON)
        assert frame.attrs["units"] == {"share": "%", "when": "UTC"}

    def test_an_empty_table_has_the_same_types(self) -> None:
        assert make_table()[:0].to_pandas().dtypes.tolist()[:3] == make_table().to_pandas().dtypes.tolist()[:3]
        assert str(make_table()[:0].to_pandas()["when"].dtype) == "datetime64[us, UTC]"

    def test_packed_columns_are_as_in_the_rows(self, results: Results) -> None:
        table = results.verdicts()
        frame = table.to_pandas()
        for place, row in enumerate(table):
            there = {name: None if pd.isna(value) else value for name, value in frame.iloc[place].items()}
            assert there == row

    def test_without_pandas_one_line_names_the_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pandas", None)
        with pytest.raises(HarnessError, match=r"pip install 'robustness-harness\[pandas\]'"):
            make_table().to_pandas()


class TestLooks:
    def test_text_is_cut_and_says_what_is_left_out(self) -> None:
        text = repr(make_table(30))
        assert text.startswith("things: 30 rows")
        assert "… and 20 more rows" in text
        assert max(map(len, text.splitlines())) <= 120
        assert repr(make_table(1)).startswith("things: 1 row\n")

    def test_what_all_rows_share_stands_above(self) -> None:
        text = repr(make_table()[2:3])
        assert "in all rows" not in text
        alike = repr(Table.of_rows("same", COLUMNS[:4], [make_table()[0], {**make_table()[2], "number": 2}]))
        assert "in all rows: share 50.00, known yes, kind a" in alike.splitlines()

    def test_html_is_escaped_and_cut(self) -> None:
        class Seen(html.parser.HTMLParser):
            tags: list[str]
            text: str

            def handle_starttag(self, tag: str, attrs: Any) -> None:
                self.tags.append(tag)

            def handle_data(self, data: str) -> None:
                self.text += data

        hostile = "<script>alert(1)</script>\x1b[31m"
        seen = Seen()
        seen.tags, seen.text = [], ""
        seen.feed(make_table(40, text=hostile, kind=hostile)._repr_html_())
        assert "script" not in seen.tags
        assert "<script>alert(1)</script>\\x1b[31m" in seen.text
        assert seen.tags.count("tr") == 1 + 25
        assert "… and 15 more rows" in seen.text
        assert "things: 40 rows" in seen.text

    def test_notes_are_shown(self) -> None:
        noted = Table.of_rows("things", COLUMNS[:1], [{"number": 1}], notes=["read <me>"])
        assert "note: read <me>" in repr(noted)
        assert "read &lt;me&gt;" in noted._repr_html_()


def test_a_hundred_million_rows_take_the_memory_of_their_groups() -> None:
    counts = [10_000] * 10_000
    columns = {"kind": COLUMNS[3], "number": COLUMNS[0]}
    packed = {"kind": Repeated(["a"] * 10_000, counts), "number": Positions(counts)}
    tracemalloc.start()
    table = Table(Contents("verdicts", columns, packed))
    assert len(table) == 100_000_000
    assert table[99_999_999] == {"kind": "a", "number": 9_999}
    assert "100,000,000 rows" in repr(table)
    assert "100,000,000 rows" in table._repr_html_()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1_000_000  # bytes
