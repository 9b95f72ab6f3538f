"""Trainings that were stopped, and cannot go on, since the code of a plugin was edited: refused, or said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.errors import PluginError
from harness.protocols.run_spec import RunSpec
from harness.store.records import RunRecord
from harness.store.store import Store


def changed_code(specs: Sequence[RunSpec], store: Store) -> tuple[str, ...]:
    """What to say before new runs begin in place of unfinished ones, whose code differs: one line each.

    Nothing is lost of a run that has no epoch yet; so a new one begins, and the line says so.

    Raises:
        PluginError: an epoch of such a run is trained. A new run would begin at its start.
    """
    known = {one.identity for one in store.attempts({spec.identity for spec in specs})}
    wanted = {spec.identity_without_code: spec for spec in specs if spec.identity not in known}
    return tuple(_lines(wanted, store)) if wanted else ()


def _lines(wanted: dict[str, RunSpec], store: Store) -> Iterator[str]:
    trainings = {id(spec.training): spec.training for spec in wanted.values()}  # which the specs of a job share
    for run in store.unfinished_runs(list(trainings.values())):
        spec = wanted.get(run.spec.identity_without_code)
        if spec is None:
            continue
        parts = " and ".join(_differing(spec, run))
        if run.epochs:
            raise PluginError(
                f"run {run.id} ({spec.label}) was stopped after epoch {len(run.epochs)} of {spec.training['epochs']},"
                f" and the code of its {parts} has changed since: put the old code back to go on, or start over with"
                " --fresh"
            )
        yield (
            f"{spec.label} begins anew: run {run.id} has not finished its first epoch, and the code of its {parts} has"
            " changed since; put the old code back to go on with that run"
        )


def _differing(spec: RunSpec, run: RunRecord) -> list[str]:
    return sorted(key for key in {*spec.code, *run.code} if spec.code.get(key) != run.code.get(key))
