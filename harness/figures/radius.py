"""Robust accuracy against the radius of the ball, from evaluations of the same networks in several balls."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from harness.errors import HarnessError, UnknownName, listed
from harness.figures.accuracies import about, accuracy_of, measured_on, over_text, row_names
from harness.figures.axes import NATURAL, percent_ticks, write_caption
from harness.figures.marks import Marks, Value, number
from harness.figures.material import ROOM, Material
from harness.figures.plot import Canvas, Plot
from harness.figures.style import COLUMN, QUIET, SMALL, line_styles, look_of
from harness.leaderboard.board import Board, Row
from harness.leaderboard.cells import full_name
from harness.leaderboard.columns import WORST_CASE
from harness.leaderboard.radii import RadiusCurve, radius_curves
from harness.plugin.ball import LINF
from harness.store.standing import Evaluated

FEWEST = 2  # radii above 0 that make a curve
NAMES_WITHIN = 6  # names of rows that have room between the lines


def _data(material: Material) -> Marks:
    return Marks.of(_rows(material))


def _rows(material: Material) -> Iterator[Mapping[str, Value]]:
    if material.selection.sort in (WORST_CASE, NATURAL):
        raise HarnessError(
            f"--attack {material.selection.sort} is refused for radius, which follows one attack in a ball over the"
            " radii: name it, such as --attack pgd"
        )
    board = replace(material, selection=replace(material.selection, sort=None)).board(ROOM)
    for row, curves in _curves(board, material.selection.sort):
        common = set.intersection(*({*curve.points} for curve in curves))
        own = {**about(board), **row_names(board, row), "attack": curves[0].attack, "norm": curves[0].norm}
        own["epsilon"] = own["epsilon"] if _in_ball(board, curves[0]) else None
        for radius in sorted(common):
            percents = [statistics.median(e.percent for e in curve.points[radius]) for curve in curves]
            found = accuracy_of(percents, curves[0].images.count, row.networks[0].dataset.classes)
            yield {**own, "radius": radius, **found.columns()}


def _curves(board: Board, attack: str | None) -> list[tuple[Row, list[RadiusCurve]]]:
    """Each row with the curves of its networks that have one; all of one attack with settings alike.

    Raises:
        HarnessError: a row has no curve, its networks have too few radii in common, or the settings differ.
    """
    found = [
        (row, curve) for row in board.rows for n in row.networks for curve in radius_curves(n.checkpoint.evaluations)
    ]
    found = [(row, curve) for row, curve in found if curve.images == board.images]
    known = {e.attack for row in board.rows for n in row.networks for e in n.checkpoint.evaluations}
    if attack is not None and attack not in known:
        raise UnknownName("attack", attack, known)
    attack = attack or _most_followed(board, [curve.attack for _, curve in found])
    held = [(row, curve) for row, curve in found if curve.attack == attack]
    settings = {curve.alike for _, curve in held}
    if len(settings) > 1:  # those of the protocol, if there are any
        settings = {
            c.alike
            for _, c in held
            for group in c.points.values()
            for e in group
            if _of_board(board, e) and e.attack == attack
        } or settings
    if len(settings) > 1:
        raise HarnessError(f"{attack} was made at several radii with different settings: {'; '.join(sorted(settings))}")
    together = [(row, [c for other, c in held if other is row and c.alike in settings]) for row in board.rows]
    lacking = [row for row, curves in together if not curves or _too_few(curves)]
    if lacking:
        names = [full_name(board, row) for row in lacking]
        rest = "" if len(lacking) == len(together) else "; or choose the other rows with --method or --checkpoint"
        raise HarnessError(
            f"{listed(names)}: fewer than {FEWEST} radii at which all networks of the row were attacked by"
            f" {attack or 'one attack'}; `harness evaluate {_number(lacking[0])} --sweep 2,4,8,16 --attacks"
            f" {attack or 'pgd'}` attacks one{rest}"
        )
    return together


def _most_followed(board: Board, attacks: Sequence[str]) -> str | None:
    """The attack that most networks have a curve of; among equals the last of the protocol; None for no curve."""
    order = [*board.columns]
    place = {attack: order.index(attack) if attack in order else -1 for attack in attacks}
    return max(place, key=lambda attack: (attacks.count(attack), place[attack]), default=None)


def _of_board(board: Board, evaluation: Evaluated) -> bool:
    return board.attacks.get(evaluation.attack) == evaluation.settings_sha256


def _in_ball(board: Board, curve: RadiusCurve) -> bool:
    """Whether the curve's balls have the norm of the protocol's."""
    return board.scope is not None and board.scope.norm == curve.norm


def _too_few(curves: Sequence[RadiusCurve]) -> bool:
    return len(set.intersection(*({*curve.points} for curve in curves)) - {0.0}) < FEWEST


def _number(row: Row) -> str:
    """What ``harness evaluate`` calls a network of the row."""
    return f"{row.runs[0]}:{row.checkpoint}" if row.runs else "MODEL"


def _listed(name: str) -> str:
    """A name as a legend lists it: matplotlib would leave out one that begins with ``_``, such as a model's."""
    return f" {name}" if name.startswith("_") else name


def _draw(marks: Marks, canvas: Canvas) -> None:
    rows = marks.distinct("row")
    within = len(rows) <= NAMES_WITHIN
    canvas.set_size_inches(COLUMN, 2.6 if within else 2.7 + 0.14 * len(rows))
    axes = canvas.subplots()
    levels = marks.only("norm") == LINF
    scale = 255 if levels else 1
    lines = line_styles([str(marks.where(row=row)[0]["method"]) for row in rows])
    for place, row in enumerate(rows):
        held = marks.where(row=row)
        look = look_of(str(held[0]["method"]))
        style = {"color": look.colour, "marker": look.marker, "markeredgecolor": "white"}
        style |= {"linestyle": lines[place], "label": _listed(str(row))}
        x = [scale * number(mark, "radius") for mark in held]
        y = [number(mark, "value") for mark in held]
        ends = [
            [number(mark, "value") - number(mark, "low") for mark in held],
            [number(mark, "high") - number(mark, "value") for mark in held],
        ]
        axes.errorbar(x, y, yerr=ends, elinewidth=0.8, zorder=3 + (len(rows) - place) / 100, **style)
    axes.set_ylim(-2, 102)
    axes.set_xlim(left=-0.02 * max(scale * number(mark, "radius") for mark in marks.rows))
    if (epsilon := marks.only("epsilon")) is not None:
        axes.axvline(scale * float(epsilon), color=QUIET, linewidth=0.7, linestyle=(0, (3, 2)), zorder=1)
        axes.text(scale * float(epsilon), 101, " ε of the protocol", fontsize=SMALL, color=QUIET, va="top")
    percent_ticks(axes.yaxis, 6)
    axes.grid(axis="y")
    axes.set_xlabel("L∞ radius, in 1/255" if levels else f"{marks.only('norm')} radius")
    axes.set_ylabel(f"accuracy under {marks.only('attack')}, %")
    if within:
        axes.legend(loc="best")
    else:
        canvas.legend(loc="outside upper left")
    write_caption(canvas, f"{measured_on(marks)}; {over_text(marks)}")


RADIUS = Plot(
    name="radius",
    title="Robust accuracy against the radius of the ball, with 95 % intervals",
    needs="networks attacked at several radii: harness evaluate 12 --sweep 2,4,8,16 --attacks pgd",
    data=_data,
    draw=_draw,
)
