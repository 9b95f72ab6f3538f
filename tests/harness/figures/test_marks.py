"""The data of a figure: tidy, finite, and complete as CSV."""

from __future__ import annotations

import csv
import io

import pytest

from harness.figures.marks import Marks, Value, number

ROWS: list[dict[str, Value]] = [
    {"row": 'a, "b"', "value": 0.1 + 0.2, "n": 3, "low": None},
    {"row": "c", "value": 1e-17, "n": 3, "low": 2.0},
]


def test_csv_has_every_digit_and_an_empty_field_for_none() -> None:
    header, *rows = csv.reader(io.StringIO(Marks.of(ROWS).csv()))
    assert header == ["row", "value", "n", "low"]
    assert rows[0] == ['a, "b"', "0.30000000000000004", "3", ""]
    assert [float(row[1]) for row in rows] == [0.1 + 0.2, 1e-17]  # the same doubles again


def test_rows_are_found_by_their_values() -> None:
    marks = Marks.of(ROWS)
    assert marks.only("n") == 3
    assert marks.distinct("row") == ['a, "b"', "c"]
    assert marks.where(row="c") == [ROWS[1]]
    assert marks.where(row="d") == []
    with pytest.raises(ValueError, match="differ in row"):
        marks.only("row")


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([], "without marks"),
        ([{"a": 1}, {"b": 1}], "a row has the columns b"),
        ([{"a": float("nan")}], "a is nan"),
        ([{"a": 1.0}, {"a": float("inf")}], "a is inf"),
    ],
)
def test_what_cannot_be_drawn_is_refused(rows: list[dict[str, float]], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Marks.of(rows)


def test_a_number_is_no_text() -> None:
    assert number({"a": 3}, "a") == 3.0
    for value in ("3", None):
        with pytest.raises(TypeError, match="not a number"):
            number({"a": value}, "a")
