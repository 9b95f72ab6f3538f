"""The figure of README: its numbers are those of leaderboard.db, and its drawing is of these numbers."""

from __future__ import annotations

import csv
import hashlib
import io
import re
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from harness.figures.methods import METHODS
from harness.figures.style import styled
from harness.figures.writing import rendered
from scripts.publish_figures import FOLDER, ROOT, published_marks

SVG, CSV = FOLDER / "methods.svg", FOLDER / "methods.csv"
ADVICE = "draw it again: python -m scripts.publish"
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")


def cells(text: str) -> list[list[Any]]:
    """Rows of CSV, numbers as numbers, whose last digit may differ between processors."""
    rows = csv.reader(io.StringIO(text))
    return [[pytest.approx(float(cell)) if NUMBER.fullmatch(cell) else cell for cell in row] for row in rows]


def test_its_numbers_are_those_of_the_database() -> None:
    kept = list(csv.reader(io.StringIO(CSV.read_text(encoding="utf-8"))))
    held = [[float(cell) if NUMBER.fullmatch(cell) else cell for cell in row] for row in kept]
    assert held == cells(published_marks().csv()), ADVICE


def test_the_drawing_names_its_numbers() -> None:
    stated = re.findall(r"sha256:([0-9a-f]{64})", SVG.read_text(encoding="utf-8"))
    assert stated == [hashlib.sha256(CSV.read_bytes()).hexdigest()], ADVICE


def test_the_drawing_is_what_the_code_draws() -> None:
    """Compared by number, not by byte, and only where matplotlib has the version that drew it."""
    matplotlib = pytest.importorskip("matplotlib")
    kept = SVG.read_text(encoding="utf-8")
    if f"Matplotlib v{matplotlib.__version__}," not in kept:
        pytest.skip("drawn with another version of matplotlib")
    drawn = rendered(METHODS, published_marks())["methods.svg"].decode()
    (old, old_numbers), (new, new_numbers) = map(apart, (kept, drawn))
    assert old == new, ADVICE
    assert old_numbers == pytest.approx(new_numbers, abs=0.1), ADVICE


def apart(svg: str) -> tuple[list[str], list[float]]:
    """What a drawing says besides its numbers, and its numbers; without names that are made of the content."""
    plain = re.sub(r'(id="|#)\w+|sha256:\w+', "", svg)
    return NUMBER.split(plain), [float(number) for number in NUMBER.findall(plain)]


def test_it_is_text_on_white() -> None:
    root = ET.fromstring(SVG.read_text(encoding="utf-8"))
    texts = {text.text for text in root.iter("{http://www.w3.org/2000/svg}text")}
    marks = published_marks()
    assert texts >= {*marks.distinct("row"), *marks.distinct("attack")}
    (first, *_) = [path.get("style") or "" for path in root.iter("{http://www.w3.org/2000/svg}path")]
    assert "fill: #ffffff" in first  # the background, behind all else


def test_readme_shows_it_before_its_table() -> None:
    before, _, _ = (ROOT / "README.md").read_text(encoding="utf-8").partition("<!-- leaderboard: begin -->")
    assert re.findall(r"!\[[^]]{40,}\]\((.*)\)", before) == ["docs/figures/methods.svg"]


def test_text_is_large_enough_to_read_in_a_column() -> None:
    with styled() as canvas:
        METHODS.draw(published_marks(), canvas)
        canvas.draw_without_rendering()
        texts = [t for axes in canvas.axes for t in (*axes.texts, *axes.get_xticklabels(), *axes.get_yticklabels())]
        assert min(text.get_fontsize() for text in texts) >= 6.5
