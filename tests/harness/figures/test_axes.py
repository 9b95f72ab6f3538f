"""Windows of axes, captions, and names beside their marks."""

from __future__ import annotations

from itertools import combinations

import pytest

from harness.figures.axes import folded, window, write_caption
from harness.figures.scatter import Spot, draw_spots
from harness.figures.style import COLUMN, styled


def ends(values: list[float]) -> list[tuple[float, float]]:
    return [(value - 1, value + 1) for value in values]


@pytest.mark.parametrize(
    ("values", "outside"),
    [
        ([60.0, 65.0, 70.0, 0.0], [0.0]),
        ([60.0, 65.0, 70.0, 20.0, 0.0, 68.0], [20.0, 0.0]),
        ([60.0, 65.0, 0.0], [0.0]),
        ([60.0, 0.0], []),  # half of the values are no exception
        ([60.0, 65.0, 70.0, 31.0], []),  # the gap is below 30
        ([60.0, 20.0, 19.0, 18.0], []),  # a value far above the others keeps them on the axis
    ],
)
def test_a_window_leaves_out_only_a_few_that_lie_far_below(values: list[float], outside: list[float]) -> None:
    shown = window(values, ends(values))
    assert [value for value in values if not shown.shows(value)] == outside
    kept = [value for value in values if value not in outside]
    assert shown.low < min(kept) - 1
    assert shown.high > max(kept) + 1
    assert all(window(values, ends(values), whole=True).shows(value) for value in values)


def test_a_window_ends_soon_after_0_and_100() -> None:
    shown = window([1.0, 99.0], [(-40.0, 42.0), (80.0, 118.0)])
    assert (shown.low, shown.high) == pytest.approx((-6.0, 106.0))
    assert shown.clipped(-40, 118) == (shown.low, shown.high)


def test_small_marks_widen_the_window_unless_they_are_below_the_gap() -> None:
    values = [60.0, 65.0, 70.0, 0.0]
    assert window(values, ends(values), others=[55.0, 0.5]).low < 55
    assert window(values, ends(values), others=[55.0, 0.5]).low > 50


def test_a_caption_breaks_between_phrases_and_long_names_anywhere() -> None:
    with styled() as canvas:
        canvas.set_size_inches(COLUMN, 1)
        write_caption(canvas, "digits, 360 test images; 95 % intervals over 5 training seeds; the end")
        (text,) = canvas.texts
        lines = text.get_text().split("\n")
    assert lines == ["digits, 360 test images;", "95 % intervals over 5 training seeds; the end"]
    assert folded("a" * 60, 26).split("\n") == ["a" * 26, "a" * 26, "a" * 8]
    assert folded("", 26) == ""


def test_names_cover_neither_each_other_nor_a_marker_and_stay_inside() -> None:
    close = [(50.0, 40.0), (50.5, 40.2), (51.0, 39.8), (50.2, 41.0), (80.0, 20.0), (30.0, 45.0), (50.1, 39.0)]
    spots = [Spot(f"method {i}", "sat", x, (x - 2, x + 2), y, (y - 2, y + 2)) for i, (x, y) in enumerate(close)]
    with styled() as canvas:
        canvas.set_size_inches(COLUMN, 2.7)
        axes = canvas.subplots()
        axes.set_xlim(20, 90)
        draw_spots(canvas, axes, spots)
        canvas.draw_without_rendering()
        texts = [text for text in axes.texts if text.get_text()]
        assert [text.get_text() for text in texts] == [spot.name for spot in spots]
        boxes = [text.get_window_extent() for text in texts]
        assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
        for x, y in close:
            across, up = axes.transData.transform((x, y))
            assert not any(box.x0 < across < box.x1 and box.y0 < up < box.y1 for box in boxes)
        frame = axes.get_window_extent()
        assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 for box in boxes)
        assert all(frame.y0 <= box.y0 and box.y1 <= frame.y1 for box in boxes)
