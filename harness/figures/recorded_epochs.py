"""The accuracies that trainings recorded, as the lower panel of the figure of overfitting."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.figures.accuracies import COLLAPSED, TRAINING_SEEDS, collapsed
from harness.figures.axes import accuracy_label, percent_ticks
from harness.figures.labels import Named, write_names
from harness.figures.marks import Value, number
from harness.figures.style import INK, QUIET, SMALL, look_of
from harness.leaderboard.cells import range_text
from harness.leaderboard.contestants import Contestant
from harness.store.records import Curve
from harness.store.store import Store

RECORDED = "recorded"
PARTS = ("test", "train")
USUAL = "pgd"


def recorded_attack(
    store: Store, attacks: Mapping[str, str], wanted: str, networks: Sequence[Contestant]
) -> str | None:
    """The attack whose curves are drawn: the wanted one, else PGD, else the last of the protocol; None: no curves.

    Args:
        attacks: of the protocol, each with the SHA-256 of its settings.
    """
    there = {curve.attack for network in networks for curve in _curves(store, network, attacks)}
    order = [wanted, USUAL, *reversed([attack for attack in attacks if attack != "natural"])]
    return next((attack for attack in order if attack in there), None)


def recorded_accuracies(
    store: Store, attacks: Mapping[str, str], attack: str, networks: Sequence[Contestant]
) -> Iterator[dict[str, Value]]:
    """For each part and each epoch that all of the networks recorded: their mean accuracy, and on how many images.

    It is the median while a network is at chance and another one stands: then no mean describes them, and ``over``
    says so. Networks without a curve do not count; ``n`` says how many do.
    """
    for part in PARTS:
        held = [c for n in networks for c in _curves(store, n, attacks) if (c.part, c.attack) == (part, attack)]
        held = [curve for curve in held if curve.images == held[0].images]
        points = [{epoch: 100 * correct / curve.images for epoch, correct in curve.points} for curve in held]
        for epoch in sorted(set.intersection(*map(set, points))) if points else []:
            percents, images = [of_network[epoch] for of_network in points], held[0].images
            fallen = collapsed(percents, images, networks[0].dataset.classes)
            value = statistics.median(percents) if fallen else statistics.fmean(percents)
            over = COLLAPSED if fallen else TRAINING_SEEDS
            yield {"part": part, "epoch": epoch, "images": images, "value": value, "over": over, "n": len(held)}


def _curves(store: Store, network: Contestant, attacks: Mapping[str, str]) -> list[Curve]:
    """The curves of a network by attacks of the protocol."""
    curves = [] if network.number is None else store.curves(network.number)
    return [curve for curve in curves if attacks.get(curve.attack) == curve.settings_sha256]


def draw_recorded(axes: Any, marks: Sequence[Mapping[str, Value]], early: Sequence[int]) -> None:
    """A line over the epochs for each row: full on test images, dashed on training images.

    Args:
        early: the epochs of the checkpoint early.
    """
    for row in dict.fromkeys(mark["row"] for mark in marks):
        for part in PARTS:
            held = [mark for mark in marks if (mark["row"], mark["part"]) == (row, part)]
            if held:
                look = look_of(str(held[0]["method"]))
                x, y = [number(mark, "epoch") for mark in held], [number(mark, "value") for mark in held]
                if part == "test":
                    axes.plot(x, y, color=look.colour, marker=look.marker, markersize=3.5, markeredgecolor="white")
                else:
                    axes.plot(x, y, color=look.colour, linestyle=(0, (3, 2)), linewidth=0.9, zorder=1.5)
    looks = Counter(look_of(str(method)) for _, method in {(mark["row"], mark["method"]) for mark in marks})
    for epoch in early:
        axes.axvline(epoch, color=QUIET, linewidth=0.6, zorder=1)
        axes.text(epoch, 0.02, " early", transform=axes.get_xaxis_transform(), fontsize=SMALL, color=QUIET)
    axes.set_title("; ".join(_parts(marks)), fontsize=SMALL, color=INK)
    axes.grid(axis="y")
    percent_ticks(axes.yaxis, 5)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("epoch")
    axes.set_ylabel(accuracy_label(marks[0]["attack"], "\n"))
    if max(looks.values()) > 1:  # such as rows of one method
        write_names(axes.figure, axes, list(_ends(marks)))


def _ends(marks: Sequence[Mapping[str, Value]]) -> Iterator[Named]:
    """The last mark of each row on test images, with the row's name."""
    last = {mark["row"]: mark for mark in marks if mark["part"] == PARTS[0]}
    for row, mark in last.items():
        x, y = number(mark, "epoch"), number(mark, "value")
        yield Named(str(row), x, y, (x, x), (y, y))


def _parts(marks: Sequence[Mapping[str, Value]]) -> Iterator[str]:
    for part, line, name in (("test", "full", "test"), ("train", "dashed", "training")):
        counts = {int(number(mark, "images")) for mark in marks if mark["part"] == part}
        if counts:
            yield f"{line}: {range_text(counts)} {name} images"
