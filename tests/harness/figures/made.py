"""A store with verdicts that the tests of figures know, and what they need to look into a drawing."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from harness.figures.marks import Marks
from harness.figures.material import Material
from harness.figures.plot import Plot
from harness.figures.style import styled
from harness.leaderboard.board import Selection
from harness.store.store import Store
from tests import stores

IMAGES = 40
SETTINGS: dict[str, dict[str, Any]] = {
    "natural": {},
    "pgd": {"epsilon": 0.2, "steps": 20, "step_size": 0.05, "block_size": 40},
    "cw": {"epsilon": 0.2, "kappa": 50.0, "steps": 20, "step_size": 0.05, "block_size": 40},
}
SHARES = {"sat": 0.7, "trades": 0.6, "standard": 0.02}
TRAINING = {"epsilon": 0.2, "epochs": 3}
SEEDS = (0, 1, 2)
ATTACK_SEEDS = {"natural": (0,), "pgd": (0, 1, 2), "cw": (0, 1)}

Known = dict[tuple[str, int, str, int], list[int]]
"""Method, training seed, attack, attack seed -> verdicts."""


def verdicts(*what: object, share: float, images: int = IMAGES) -> list[int]:
    """Verdicts that the arguments decide, of which about this share are right."""
    draws = random.Random(repr(what))
    return [int(draws.random() < share) for _ in range(images)]


def fill(
    store: Store,
    *,
    methods: Iterable[str] = SHARES,
    seeds: Iterable[int] = SEEDS,
    checkpoint: str = "last",
    training: Mapping[str, Any] = TRAINING,
    fingerprint: str = "1" * 64,
    name: str = "tiny",
    images: int = IMAGES,
) -> Known:
    """Add a board of methods, each with networks of these training seeds; gives the verdicts."""
    stores.see_protocol(store, SETTINGS, dict(training), fingerprint=fingerprint, name=name)
    known: Known = {}
    for method in methods:
        for seed in seeds:
            run = stores.start(store, stores.make_spec(method=method, training=dict(training), train_seed=seed))
            kept = stores.add_checkpoint(store, run, checkpoint, epoch=2 if checkpoint == "early" else 3)
            store.end_run(run.id)
            for attack, settings in SETTINGS.items():
                share = 0.95 if attack == "natural" else SHARES[method]
                for attack_seed in ATTACK_SEEDS[attack]:
                    what = (method, seed, attack, attack_seed)
                    known[what] = verdicts(*what, checkpoint, share=share, images=images)
                    stores.add_evaluation(store, kept, attack, settings, known[what], seed=attack_seed)
    return known


def material(store: Store, **choices: Any) -> Material:
    """The store as material for figures, with options as of ``Selection``."""
    return Material(store=store, selection=Selection(**choices))


@contextmanager
def drawn(plot: Plot, marks: Marks) -> Iterator[Any]:
    """The canvas on which a figure was drawn."""
    with styled() as canvas:
        plot.draw(marks, canvas)
        canvas.draw_without_rendering()
        yield canvas


Pair = tuple[float, float]


def rounded(pairs: Iterable[Iterable[Any]]) -> list[Pair]:
    """Pairs of numbers in their order, rounded so that equal ones compare equal."""
    return [(round(float(x), 6), round(float(y), 6)) for x, y in pairs]


def points(axes: Any) -> list[Pair]:
    """Where single markers stand on the axes, in data coordinates, in the order of drawing."""
    lines = [line for line in axes.get_lines() if len(line.get_xdata()) == 1 and line.get_transform() == axes.transData]
    return rounded((line.get_xdata()[0], line.get_ydata()[0]) for line in lines)


def across(axes: Any) -> list[Pair]:
    """The two ends of each horizontal line, along x, in the order of drawing."""
    return rounded(x for x, (low, high) in _bars(axes) if low == high)


def upright(axes: Any) -> list[Pair]:
    """The two ends of each vertical line, along y, in the order of drawing."""
    return rounded(y for (low, high), y in _bars(axes) if low == high)


def _bars(axes: Any) -> list[tuple[Any, Any]]:
    lines = [line for line in axes.get_lines() if len(line.get_xdata()) == 2 and line.get_transform() == axes.transData]
    return [(list(line.get_xdata()), list(line.get_ydata())) for line in lines]
