"""The normalisation of a weights file's network, as the file or the user gives it.

A normalisation that is missed gives a wrong figure in silence. So a normalisation that the file describes is used. If
it is unclear, the file is refused until the user gives the normalisation, or says that there is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from harness.errors import SettingError
from harness.plugin.network import Shape
from harness.targets.content import Leaf, Place, StateDict, common
from harness.targets.preprocessing import Asked, Preprocessing, merge
from harness.targets.statistics import Statistic, counts, numbers, speaks_of_another, statistics, whose
from harness.targets.target import TargetError

SAY = "say --mean and --std, or --no-normalisation"


@dataclass(frozen=True)
class NormalisationEvidence:
    """What a file says about the normalisation of one network."""

    found: tuple[Statistic, ...]  # of the input, the nearest to the network first
    unsure: tuple[Statistic, ...]  # that may belong to the input

    def names(self, state: StateDict) -> set[str]:
        """The names of a state dict's tensors that describe a normalisation."""
        there = [statistic for statistic in (*self.found, *self.unsure) if statistic.path == state.path]
        return {name for statistic in there for name in statistic.names}


def evidence_of(
    known: Sequence[Statistic], place: Place, others: Sequence[Place], shape: Shape
) -> NormalisationEvidence:
    """What a file says about the normalisation of the network at a place.

    A statistic that is nearer to another network of the file belongs to that network. If this network has none of its
    own, such a statistic counts as unsure. A network's own tensors are no statistics: it normalises by itself.
    ``others`` are the places of all networks in the file, with their copies.
    """
    found: list[Statistic] = []
    unsure: list[Statistic] = []
    elsewhere: list[Statistic] = []
    places = [place, *others]
    for statistic in known:
        if any(statistic.path == each.state.path and statistic.names & each.own for each in places):
            continue
        where = (*statistic.path, *statistic.holder)
        nearer = [p for p in places if common(where, p.address) > common(where, place.address)]
        for each in nearer or [place]:
            owner = whose(statistic, each.state.path, each.address[len(each.state.path) :])
            if counts(statistic, owner, shape):
                (elsewhere if nearer else found if owner == "the input's" else unsure).append(statistic)
    found.sort(key=lambda statistic: -common((*statistic.path, *statistic.holder), place.address))
    return NormalisationEvidence(tuple(found), tuple(unsure if found else unsure + elsewhere))


def gap_of(place: Place) -> str | None:
    """The network's number in a Sequential, if a layer without tensors stands in front of it; else None."""
    parts = place.prefix.removesuffix(".").split(".")
    for index, part in enumerate(parts):
        around = "".join(f"{outer}." for outer in parts[:index])
        before = [f"{around}{lower}." for lower in range(int(part))] if part.isdecimal() else []
        if not all(any(name.startswith(lower) for name in place.state.tensors) for lower in before):
            return part
    return None


def decide(
    evidence: NormalisationEvidence, gap: str | None, asked: Asked, shape: Shape, file: str
) -> tuple[Preprocessing, str]:
    """The normalisation to put inside the model, and its source in words; refused if the file is unclear."""
    if asked.no_normalisation:
        return asked.preprocessing, "none, as asked"
    usable = {s: read for s in evidence.found if isinstance(read := _read(s, shape), Preprocessing)}
    distinct = list(dict.fromkeys(usable.values()))
    inside = merge(asked.preprocessing, distinct[0] if len(distinct) == 1 else None)
    if asked.preprocessing.mean:
        return inside, f"{formula(inside)}, as given" + (f" and in {file}" if len(distinct) == 1 else "")
    if len(distinct) > 1:
        raise TargetError(f"{file} holds normalisations that differ, {'; '.join(s.place for s in usable)}; {SAY}")
    for statistic in (*evidence.found, *evidence.unsure):
        if distinct and "how" in statistic.parts:
            continue
        read = _read(statistic, shape)
        if isinstance(read, str):
            raise TargetError(f"{file} holds {statistic.place}, {read}")
        if read not in distinct and statistic in evidence.unsure:
            raise TargetError(
                f"{file} holds {statistic.place}, and it is unclear whether they normalise the images; {SAY}"
            )
    if distinct:
        return inside, f"{formula(inside)}, from {next(iter(usable)).place} in {file}"
    if gap is not None:
        raise TargetError(
            f"{file}: the network is number {gap} of a Sequential, and a layer without weights is in front of"
            f" it, most likely a normalisation; {SAY} if it is none"
        )
    return inside, f"none in {file}"


def readable(evidence: NormalisationEvidence, shape: Shape) -> set[Preprocessing | str]:
    """The normalisations that a file describes."""
    return {_read(statistic, shape) for statistic in evidence.found}


def _read(statistic: Statistic, shape: Shape) -> Preprocessing | str:
    """The normalisation that a statistic describes; else what is wrong with it."""
    if "how" in statistic.parts:
        return f"which says that images are normalised, and not how; {SAY}"
    if not statistic.paired:
        mean = "mean" in statistic.parts
        return f"and no {'std that says what to divide by' if mean else 'mean that says what is subtracted'}; {SAY}"
    means, stds = (numbers(statistic.parts[role].value) for role in ("mean", "std"))
    size = max(len(means), len(stds))
    if not {len(means), len(stds)} <= {1, shape.channels}:
        return f"with {size} values, and the images have {shape.channels} channel(s); {SAY}"
    try:
        return Preprocessing(mean=tuple(means * (size // len(means))), std=tuple(stds * (size // len(stds))))
    except SettingError:
        texts = [",".join(f"{value:.4g}" for value in values) for values in (means, stds)]
        return (
            f"({texts[0]}) and ({texts[1]}), which is not on the scale of images in [0, 1]; say --mean and --std on"
            " that scale, such as 125.3/255, or --no-normalisation"
        )


def normalises_by_itself(tensors: Mapping[str, Tensor], shape: Shape) -> bool:
    """Whether a built network has a mean and a deviation of images among its own tensors."""
    own = statistics(Leaf((), name, tensor) for name, tensor in tensors.items())
    return any(s.paired and s.sizes <= {1, shape.channels} and not speaks_of_another(s) for s in own)


def formula(inside: Preprocessing) -> str:
    """A normalisation as a formula."""
    mean, std = (", ".join(f"{value:g}" for value in values) for values in (inside.mean, inside.std))
    return f"(x - {mean}) / {std}" if len(inside.mean) == 1 else f"(x - ({mean})) / ({std})"
