"""The store, read once, so that all pages of a site show the same moment while other processes write."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import cached_property

from sqlalchemy import Engine

from harness.leaderboard.contestants import Contestant, failed_trainings, newest
from harness.reference import ReportedFigure
from harness.store.records import Curve, ModelRecord, ProtocolRecord, RunRecord
from harness.store.run_state import RunState
from harness.store.run_states import RunWithStatus
from harness.store.store import Store
from harness.store.verdicts import Bits, VerdictsById


def bits_on(store: Store, networks: Iterable[Contestant]) -> VerdictsById:
    """The verdicts of every complete evaluation of the networks, in the form that takes the least memory."""
    return store.bits_of({e.id for network in networks for e in network.checkpoint.evaluations if e.complete})


class Snapshot(Store):
    """A store that remembers what it has read. What its methods return is never read anew."""

    @classmethod
    def of(cls, location: str | None) -> Snapshot:
        """Open the database for reading; a missing file has the reported figures alone."""
        return cls(Store.read(location)._engine)

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._bits = Bits({})
        self._margins: dict[int, list[float] | None] = {}
        self._curves: dict[int, list[Curve]] = {}
        self._states: dict[int, RunState] = {}

    def runs(self) -> list[RunRecord]:
        return self._runs

    def models(self) -> list[ModelRecord]:
        return self._models

    def standings(self) -> tuple[Sequence[RunRecord], Sequence[ModelRecord]]:
        return newest(self.runs()), self.models()

    def failed_trainings(self) -> list[RunRecord]:
        return failed_trainings(self.runs())

    def bits_of(self, evaluation_ids: Collection[int]) -> Bits:
        wanted = set(evaluation_ids)
        if unread := wanted - self._bits.keys():
            read = super().bits_of(unread)
            assert isinstance(read, Bits)
            self._bits = self._bits.with_more(read)
        return self._bits.of(sorted(wanted))

    def protocols(self) -> list[ProtocolRecord]:
        return self._protocols

    def reported(self) -> list[ReportedFigure]:
        return self._reported

    def verdicts_of(self, evaluation_ids: Collection[int]) -> dict[int, bytes]:
        return dict(self.bits_of(evaluation_ids))  # a bit an image is kept, since there are many

    def curves_of(self, run_ids: Iterable[int]) -> dict[int, list[Curve]]:
        wanted = list(run_ids)
        if unread := [number for number in wanted if number not in self._curves]:
            self._curves |= super().curves_of(unread)
        return {number: self._curves[number] for number in wanted}

    def states(self, runs: Iterable[RunWithStatus]) -> dict[int, RunState]:
        wanted = list(runs)
        if unread := [run for run in wanted if run.id not in self._states]:
            self._states |= super().states(unread)
        return {run.id: self._states[run.id] for run in wanted}

    def margins(self, evaluation_id: int) -> list[float] | None:
        if evaluation_id not in self._margins:
            self._margins[evaluation_id] = super().margins(evaluation_id)
        return self._margins[evaluation_id]

    @cached_property
    def _runs(self) -> list[RunRecord]:
        return super().runs()

    @cached_property
    def _models(self) -> list[ModelRecord]:
        return super().models()

    @cached_property
    def _protocols(self) -> list[ProtocolRecord]:
        return super().protocols()

    @cached_property
    def _reported(self) -> list[ReportedFigure]:
        return super().reported()
