"""Hostile labels in a figure: its SVG is well formed, and neither SVG nor CSV has a character that acts or hides."""

from __future__ import annotations

import csv
import io
import warnings
from typing import Any
from xml.etree import ElementTree

from harness.figures.marks import Marks
from harness.figures.plot import Plot
from harness.figures.writing import rendered
from tests.hostile_labels import LABELS, PLAIN, unseen


def draw(marks: Marks, canvas: Any) -> None:
    for place, row in enumerate(marks.rows):
        canvas.text(0, place / len(marks.rows), str(row["method"]))


def test_none_acts_in_svg_or_csv() -> None:
    marks = Marks.of({"method": label, "figure": -0.5} for label in (*LABELS, *PLAIN))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        files = rendered(Plot("all", "All", "nothing", lambda _: marks, draw), marks)
    svg = files["all.svg"].decode()
    elements = list(ElementTree.fromstring(svg).iter())
    drawn = [element.text for element in elements if element.tag.endswith("}text")]
    assert len(drawn) == len(marks.rows)
    assert set(PLAIN) <= set(drawn)
    assert unseen(svg.replace("\ufe0f", "")) == set()
    assert {element.tag.rpartition("}")[2] for element in elements} & {"script", "a", "image", "foreignObject"} == set()
    cells = list(csv.reader(io.StringIO(files["all.csv"].decode())))[1:]
    assert {len(line) for line in cells} == {2}
    assert [name for name, _ in cells if name.lstrip().startswith(("=", "+", "@", "-", "\uff1d"))] == []
    assert {figure for _, figure in cells} == {"-0.5"}
