"""Find the networks that a name on the command line means: a run's number, or a row's label on the leaderboard."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product

from harness.errors import HarnessError, UnknownName, of_name
from harness.leaderboard.contestants import Contestant, contestants
from harness.store.records import ModelRecord, ProtocolRecord, RunRecord
from harness.store.standing import ModelStanding, RunStanding
from harness.store.store import Store

_SAY_WHICH = "say which, by --dataset, --arch, or --protocol"


@dataclass(frozen=True)
class Entrant:
    """One side of a comparison: networks that share everything but the training seed.

    Attributes:
        name: as the user wrote it; after a run's number, the row's label.
        one_run: whether the user named one run, and not the row that it belongs to.
        under: the protocols that the user named: evaluations by their attack settings alone count; None: all count.
    """

    name: str
    networks: tuple[Contestant, ...]
    one_run: bool = False
    under: tuple[ProtocolRecord, ...] | None = None

    @property
    def place(self) -> tuple[str, str, str]:
        """Data set, network, and training protocol, each with its fingerprint where names may be equal."""
        one = self.networks[0]
        training = one.training_sha256[:8] if one.training_sha256 is not None else "elsewhere"
        return (f"{one.dataset.name} [{one.dataset.fingerprint[:8]}]", one.arch_label, training)

    @property
    def checkpoint(self) -> str:
        """The name of the checkpoint."""
        return self.networks[0].checkpoint.name


@dataclass(frozen=True, kw_only=True)
class Where:
    """Options that narrow down which networks a name means; None admits any."""

    dataset: str | None = None
    fingerprint: str | None = None  # of the data set
    network: str | None = None
    checkpoint: str | None = None
    protocol: str | None = None  # its name, or the beginning of its fingerprint

    def protocols(self, store: Store) -> tuple[ProtocolRecord, ...] | None:
        """The protocols that the option names; None without it.

        Raises:
            UnknownName: it names none; the message suggests similar ones.
        """
        if self.protocol is None:
            return None
        asked, known = self.protocol, store.protocols()
        found = tuple(p for p in known if p.name == asked or p.fingerprint.startswith(asked))
        if not found:
            raise UnknownName("protocol", asked, {p.name for p in known})
        return found

    def takes(self, protocols: tuple[ProtocolRecord, ...] | None) -> Callable[[Contestant], bool]:
        """A function that says whether a network meets these options; the protocols are those that they name."""
        return lambda network: (
            self.dataset in (None, network.dataset.name)
            and self.fingerprint in (None, network.dataset.fingerprint)
            and self.network in (None, network.network)
            and self.checkpoint in (None, network.checkpoint.name)
            and (protocols is None or any(map(network.stands_under, protocols)))
        )


def find(store: Store, name: str, where: Where) -> list[Entrant]:
    """Every entrant that a name may mean.

    Raises:
        StoreError: no run has that number.
        UnknownName: no row has that label, or no protocol that name; the message suggests similar ones.
        HarnessError: the run is not done, or ``where`` excludes everything of that name.
    """
    if name.isdecimal():
        run = store.numbered(name)
        if run.status != "done":
            raise HarnessError(
                f"run {run.id} is {run.status}; only a run that is done can be compared: see `harness runs`"
            )
        known = _measured([run])
        if not known:
            raise HarnessError(f"run {run.id} has no complete evaluation; see `harness show {run.id}`")
    else:
        everything = _measured(*store.standings())
        known = of_name(name, everything, lambda network: network.label) or _of_one_code(name, everything)
        if not known:
            raise UnknownName("row", name, {network.label for network in everything})
    groups: dict[tuple[str, str, str | None], list[Contestant]] = {}
    under = where.protocols(store)
    for network in filter(where.takes(under), known):
        groups.setdefault((network.kin, network.dataset.fingerprint, network.training_sha256), []).append(network)
    shown = f"run {name} ({known[0].label})" if name.isdecimal() else name
    entrants = [Entrant(shown, tuple(networks), name.isdecimal(), under) for networks in groups.values()]
    if not entrants:
        there = _places(Entrant(name, (network,)) for network in known)
        raise HarnessError(
            f"{name} was not measured there, but on {there}; see --dataset, --arch, --checkpoint, --protocol"
        )
    return entrants


def _measured(
    runs: Iterable[RunRecord | RunStanding], models: Iterable[ModelRecord | ModelStanding] = ()
) -> list[Contestant]:
    """The checkpoints with at least one complete evaluation."""
    return [n for n in contestants(runs, models) if any(e.complete for e in n.checkpoint.evaluations)]


def _of_one_code(name: str, networks: Iterable[Contestant]) -> list[Contestant]:
    """The networks that a label written without its code means; an error where they have different codes."""
    known = of_name(name, networks, lambda network: network.short_label)
    labels = dict.fromkeys(network.label for network in known)
    if len(labels) > 1:
        raise HarnessError(f"{name} was run with {len(labels)} different codes; write one of {', '.join(labels)}")
    return known


def find_one(store: Store, name: str, where: Where) -> Entrant:
    """The one entrant that a name means; among several checkpoints, the last.

    Raises:
        HarnessError: as ``find``, or the name means several entrants.
    """
    entrants = find(store, name, where)
    if len({entrant.place for entrant in entrants}) > 1:
        raise HarnessError(f"{name} was measured on {_places(entrants)}; {_SAY_WHICH}")
    return max(entrants, key=_epoch)


def find_two(store: Store, first: str, second: str, where: Where) -> tuple[Entrant, Entrant]:
    """The two entrants that two names mean: the pair that agrees in most of data set, network, protocol, checkpoint.

    Among pairs that differ in the checkpoint alone, the last checkpoints win.

    Raises:
        HarnessError: as ``find``; or several pairs agree equally well, or both names mean the same networks.
    """
    pairs = list(product(find(store, first, where), find(store, second, where)))
    least = min(_differences(one, other) for one, other in pairs)
    closest = [(one, other) for one, other in pairs if _differences(one, other) == least]
    if len({(one.place, other.place) for one, other in closest}) > 1:
        there = _places(one for one, _ in closest)
        raise HarnessError(f"{first} and {second} were measured on {there}; {_SAY_WHICH}")
    one, other = max(closest, key=lambda pair: (_epoch(pair[0]), _epoch(pair[1])))
    if {n.checkpoint.id for n in one.networks} & {n.checkpoint.id for n in other.networks}:
        raise HarnessError(f"{first} and {second} are the same network; give two that differ")
    return one, other


def _differences(one: Entrant, other: Entrant) -> int:
    return sum(a != b for a, b in zip((*one.place, one.checkpoint), (*other.place, other.checkpoint), strict=True))


def _epoch(entrant: Entrant) -> int:
    return entrant.networks[0].checkpoint.epoch or 0  # a model from elsewhere has one checkpoint and no epoch


def _places(entrants: Iterable[Entrant]) -> str:
    there = (f"{e.place[0]} {e.place[1]} {e.checkpoint}, training {e.place[2]}" for e in entrants)
    return "; ".join(dict.fromkeys(there))
