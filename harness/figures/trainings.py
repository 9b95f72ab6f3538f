"""Trainings that a figure shows: networks that share all but the training seed; and how to make one that is missing."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.errors import HarnessError, visible
from harness.figures.marks import Value
from harness.figures.material import Material, known_names
from harness.leaderboard.contestants import kin_of, trained_by
from harness.store.records import RunRecord
from harness.store.standing import RunStanding


@dataclass(frozen=True)
class Siblings:
    """The runs of one method, with its settings and wrappers, on one network; ordered by training seed.

    Attributes:
        label: the method with its settings that differ from the defaults, as the leaderboard shows it.
    """

    label: str
    runs: tuple[RunRecord, ...]

    @property
    def first(self) -> RunRecord:
        """The run of the lowest training seed."""
        return self.runs[0]

    def columns(self) -> dict[str, Value]:
        """Which training it is, as columns of a figure's data; ``method`` decides colour and marker."""
        network = trained_by(self.first).arch_label
        return {"dataset": self.first.dataset.name, "network": network, "row": self.label, "method": self.first.method}


def trainings(material: Material, usual: Sequence[str], options: str = "") -> list[Siblings]:
    """The trainings that were chosen by --method; if none was, those that the paper's figure shows.

    Args:
        usual: the labels of these, without the code of plugins.
        options: of the command that a refusal names.
    Raises:
        HarnessError: one of these is not in the store, or the runs are of two networks, data sets, or protocols.
    """
    chosen = material.selection.methods
    if not chosen:
        _refuse_missing(material.store.called_runs(), usual, options)
        material = replace(material, selection=replace(material.selection, methods=tuple(usual)))
    runs = [run for run in material.runs() if chosen or trained_by(run).short_label in usual]
    if not chosen:
        _refuse_missing(runs, usual, options)
    networks = sorted({trained_by(run).arch_label for run in runs})
    if len(networks) > 1:
        by_name = len({run.network for run in runs}) > 1
        how = "choose one with --arch" if by_name else "keep each of them in a database of its own"
        raise HarnessError(f"runs of two networks cannot be compared: {', '.join(networks)}; {how}")
    order = chosen or tuple(usual)
    groups: dict[str, list[RunRecord]] = {}
    for run in sorted(runs, key=lambda run: (_place(run, order), trained_by(run).label, run.train_seed)):
        groups.setdefault(trained_by(run).label, []).append(run)
    for label, group in groups.items():
        _refuse_mixed(label, group)
    return [Siblings(label, tuple(group)) for label, group in groups.items()]


def _refuse_mixed(label: str, runs: Sequence[RunRecord]) -> None:
    """Raise HarnessError if runs of one label differ in more than the training seed, such as in a default of old."""
    first, *others = runs
    for run in others:
        if kin_of(run) != kin_of(first):
            raise HarnessError(
                f"run {first.id} and run {run.id} are both called {label}, and differ in settings or code: a figure"
                " could not tell them apart; keep each of them in a database of its own"
            )


def _place(run: RunRecord, order: Sequence[str]) -> int:
    """Where the user, or the paper, names the run."""
    return min(order.index(name) for name in known_names(run) if name in order)


def _refuse_missing(runs: Sequence[RunRecord | RunStanding], usual: Sequence[str], options: str) -> None:
    for label in usual:
        if label not in {trained_by(run).short_label for run in runs}:
            method, *settings = label.split(" ")
            changed = dict(text.split("=") for text in settings)
            command = training_command(method, changed, like=runs[0] if runs else None, options=options)
            raise HarnessError(
                f"no network trained with {label} is among the runs that match; train it with the command `{command}`,"
                " or choose others with --method"
            )


def command_of(run: RunRecord, among: Sequence[RunRecord], options: str) -> str:
    """The command that trains a run's network again, with more options; a changed protocol is not in it.

    Args:
        among: the runs of a figure; the command trains those that differ from the run in the training seed alone, too.
    """
    wrappers = [wrapper["name"] for wrapper in run.wrappers]
    seeds = 1 + max(other.train_seed for other in among if trained_by(other).label == trained_by(run).label)
    of_all = f"--train-seeds {seeds} {options}" if seeds > 1 else options
    return training_command(run.method, run.method_departures, wrappers, like=run, options=of_all)


def training_command(
    method: str,
    settings: Mapping[str, Any],
    wrappers: Sequence[str] = (),
    *,
    like: RunRecord | RunStanding | None = None,
    options: str = "",
) -> str:
    """The command that trains a network.

    Args:
        like: a run on the same data set and network; None: the digits and the small network stand for them.
    """
    dataset, network = (like.dataset.name, like.network) if like is not None else ("digits", "smallcnn")
    kind, colon, _ = dataset.partition(":")
    of_network = like.network_departures if like is not None else {}
    changed = {f"{method}.{key}": value for key, value in settings.items()}
    changed |= {f"{network}.{key}": value for key, value in of_network.items()}
    words = ["harness", "run", method, "--dataset", f"{kind}:PATH" if colon else dataset, "--arch", network]
    for key, value in changed.items():
        words += ["--set", f"{key}={','.join(map(str, value)) if isinstance(value, list) else value}"]
    for wrapper in wrappers:
        words += ["--wrap", wrapper]
    return visible(shlex.join(words) + (f" {options}" if options else ""))
