"""The boards as the page shows them: the ranking's rows, with the texts that the terminal prints, and numbers to draw.

Nothing is ranked, tested, or rounded here that ``harness.leaderboard`` does not rank, test, or round.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from harness.comparison.text import p_text
from harness.errors import legible
from harness.leaderboard import cells
from harness.leaderboard.board import MEASURED, Board, Row
from harness.leaderboard.columns import title_of
from harness.leaderboard.failed_text import failed_notes
from harness.leaderboard.legend import legend, notes, unchecked
from harness.leaderboard.render_json import row_document
from harness.plugin.ball import radius_text
from harness.reference import THREATS
from harness.site.seeds import Attempts
from harness.site.snapshot import bits_on
from harness.store.store import Store

NORMS = {"Linf": "L∞", "L2": "L2"}
STEP = 10  # percentage points: an axis begins and ends at a multiple
WORDS = {"n": "attack seeds", "networks": "networks a row"}

Document = dict[str, Any]


def board_tabs(store: Store, boards: Sequence[Board], groups: Sequence[Attempts]) -> list[Document]:
    """The boards by data set and ball: each tab with its name, and its boards in the order of the ranking."""
    found: dict[str, list[Document]] = {}
    for number, board in enumerate(boards, 1):
        name = f"{legible(board.dataset)}, {ball_text(board)}"
        found.setdefault(name, []).append(_board(store, board, groups, number))
    return [{"id": f"tab-{i}", "name": name, "boards": held} for i, (name, held) in enumerate(found.items(), 1)]


def ball_text(board: Board) -> str:
    """Norm and radius of the attacks' ball: ``L∞ 8/255``."""
    norm, epsilon = THREATS.get(board.protocol, ("", None))
    if board.scope is not None:
        norm, epsilon = board.scope.norm, board.scope.epsilon
    return "ball not stated" if epsilon is None else f"{NORMS.get(norm) or legible(norm)} {radius_text(epsilon)}"


def method_address(name: str) -> str:
    """The address of a method's page."""
    return f"method.html#method={quote(name, safe='')}"


def _board(store: Store, board: Board, groups: Sequence[Attempts], number: int) -> Document:
    names = cells.header(board)[:-1]  # the source is in the heading
    texts = [dict(zip(names, cells.cells(board, row), strict=False)) for row in board.rows]
    common = {
        name: texts[0][name]
        for name in ("network", "checkpoint", "n", "networks")
        if len({text[name] for text in texts}) == 1
    }
    of_run = {run.id: group for group in groups for run in group.done}
    dots = _dots(store, board)
    rows = [
        _row(board, row, text, figures, of_run.get(row.runs[0]) if row.runs else None)
        for row, text, figures in zip(board.rows, texts, dots, strict=True)
    ]
    shown = [name for name in names if name not in (*common, *cells.titles(board), "rank", "method")]
    ranked = title_of(board.ranked_by)
    return {
        "id": f"board-{number}",
        "source": board.source,
        "dataset": legible(board.dataset),
        "protocol": legible(board.protocol),
        "fingerprint": board.fingerprint,
        "title": _title(board),
        "shared": "; ".join(f"{WORDS.get(name, name)}: {text}" for name, text in common.items() if text != "-"),
        "words": [name for name in shown if name in ("network", "checkpoint")],
        "counts": [name for name in shown if name not in ("network", "checkpoint")],
        "columns": [{"name": legible(name), "title": title_of(name)} for name in board.columns],
        "axes": [_axis([row["figures"][place] for row in rows]) for place in range(len(board.columns))],
        "ranked_by": legible(board.ranked_by),
        "drawn": f"{ranked}, 95 % over test images" if board.examples else ranked,
        "rows": rows,
        "without_figures": _without_figures(store, board, groups),
        "ties": any(row.tied for row in board.rows),
        "legend": legend([board]),
        "flag_lines": [*cells.failed_lines(board), *cells.flag_lines(board), *unchecked(board)],
        "notes": notes([board]),
    }


def _title(board: Board) -> str:
    """The board's heading without what the tab and the badge say already."""
    said = f"{legible(board.dataset)}, {board.source}"
    title = cells.heading(board).removeprefix(f"{said}, ").removeprefix(f"{said} by ")
    return title.replace(" (not measured here)", "")


def _row(board: Board, row: Row, text: dict[str, str], dots: list[list[float]], group: Attempts | None) -> Document:
    document = row_document(board, row)
    spoilt = row.failed is not None and bool(row.failed.of_networks)
    figures = [
        _figure(text.get(title_of(name), "-"), document["metrics"].get(name), of_networks, spoilt=spoilt)
        for name, of_networks in zip(board.columns, dots, strict=True)
    ]
    why = cells.flag_lines(replace(board, rows=(row,)))
    drawn = figures[board.columns.index(board.ranked_by)]["interval"]
    return {
        "rank": row.rank,
        "rank_text": text["rank"],
        "method": legible(row.method),
        "name": text["method"],
        "link": method_address(legible(row.method)) if row.runs else None,
        "network": legible(row.network),
        "checkpoint": legible(row.checkpoint),
        "tied": row.tied,
        "texts": text,
        "figures": figures,
        "interval_text": f"[{drawn[0]:.1f}, {drawn[1]:.1f}]" if drawn else "",
        "flags": [{"mark": flag.mark, "text": line} for flag, line in zip(row.warnings, why, strict=True)],
        "about": [*failed_notes(board, row), *_about_ties(board, row), *row.notes],
        "runs": list(row.runs),
        "failed": [{"run": run.id, "seed": run.train_seed} for run in group.failed] if group else [],
        "seeds_text": group.text if group else "",
    }


def _about_ties(board: Board, row: Row) -> Iterator[str]:
    """How the row compares with the best row, in a sentence."""
    test = row.versus_best
    if test is None:
        return
    title = title_of(board.ranked_by)
    interval = f" {cells.interval_text(test.interval, sign=True)}" if test.interval else ""
    differs = "Differs significantly from" if test.significant else "Does not differ significantly from"
    compares = f"{cells.BEATS} Is significantly better than" if row.beats_best else differs
    yield (
        f"{compares} the best row in {title}: {test.difference:+.2f} points{interval}, {test.test} over"
        f" {test.over}, p {p_text(test.p_holm, equals='= ')} after Holm's correction"
    )


def _figure(text: str, figure: Document | None, dots: list[float], *, spoilt: bool = False) -> Document:
    """A figure: its text, the number that sorts it, and what is drawn, rounded to what is printed of it.

    Args:
        dots: the figures of the networks, one for each training seed.
        spoilt: whether a network of the row failed, so that no mean describes the row.
    """
    if figure is None:
        return {"text": text, "value": None, "interval": None, "train": None, "dots": []}
    train = figure.get("train") or {}
    interval, over = figure.get("interval"), None if spoilt else train.get("interval")
    spread = [round(train["mean"], 2), _tenth(over["low"]), _tenth(over["high"]), train["n"]] if over else None
    return {
        "text": text,
        "value": round(train["mean"] if figure["median"] is None else figure["median"], 4),
        "interval": [_tenth(interval["low"]), _tenth(interval["high"])] if interval else None,
        "train": spread,
        "dots": [round(dot, 2) for dot in dots],
    }


def _tenth(value: float) -> float:
    """A number as the terminal prints the end of an interval, so that a script prints the same."""
    return float(f"{value:.1f}")


def _dots(store: Store, board: Board) -> list[list[list[float]]]:
    """For each row and column the figures of the row's networks, in the order of their training seeds."""
    if board.source != MEASURED:
        return [[[] for _ in board.columns] for _ in board.rows]
    verdicts = bits_on(store, [network for row in board.rows for network in row.networks])

    def figures(row: Row, name: str) -> Iterator[float]:
        column = board.column(name)
        for network in row.networks:
            held = column.evaluations(network)
            if all(held.values()):
                yield column.figure([e for of_attack in held.values() for e in of_attack], verdicts)

    return [[list(figures(row, name)) for name in board.columns] for row in board.rows]


def _axis(figures: Sequence[Document]) -> list[int]:
    """Where the drawing of a column begins and ends, in percent."""
    values = [v for f in figures if f["value"] is not None for v in (f["value"], *(f["interval"] or ()), *f["dots"])]
    if not values:
        return [0, 100]
    low = STEP * math.floor(max(0.0, min(values)) / STEP)
    high = STEP * math.ceil(min(100.0, max(values)) / STEP)
    return [low, high if high > low else low + STEP]


def _without_figures(store: Store, board: Board, groups: Sequence[Attempts]) -> list[Document]:
    """What was begun under the board's protocol, on its data set, and has no trained network."""
    if board.source != MEASURED:
        return []
    fingerprint = board.rows[0].networks[0].dataset.fingerprint
    protocols = [p for p in store.protocols() if p.fingerprint == board.fingerprint]
    found = []
    for group in groups:
        if group.done:
            continue
        runs = (*group.failed, *group.open)
        under = any(p.trains(runs[0].training_sha256, runs[0].wrappers) for p in protocols)
        if runs[0].dataset.fingerprint == fingerprint and under:
            named = {"label": group.label, "network": legible(runs[0].network), "text": group.text}
            found.append(named | {"runs": [run.id for run in runs]})
    return found
