"""What ``harness evaluate`` finds in the store: runs and their checkpoints, by number or by file."""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass
from pathlib import Path

from harness.errors import SettingError
from harness.protocols.protocol import Protocol
from harness.store.folders import run_folder
from harness.store.records import RunRecord
from harness.store.store import Store
from harness.targets.model import RunWeights, Weights
from harness.training.weights_place import weights_file

RUN = re.compile(r"([0-9]+)(?::([a-z]+))?")


@dataclass(frozen=True)
class OwnTarget:
    """A run, or one of its checkpoints; and the weights file, if the user named the file."""

    run: RunRecord
    checkpoint: str | None
    file: Path | None = None


def own_target(target: str, store: Store) -> OwnTarget | None:
    """The run that a target names, by its number or by the file of a checkpoint; None if it names none."""
    match = RUN.fullmatch(target)
    if match is None:
        return _by_file(Path(target), store)
    run = store.numbered(match[1])
    if run.status != "done":
        raise SettingError(f"run {run.id} is {run.status}; only a network that is trained can be evaluated")
    if match[2] is not None and run.checkpoint(match[2]) is None:
        there = " or ".join(f"{run.id}:{c.name}" for c in run.checkpoints)
        raise SettingError(f"run {run.id} has no checkpoint {match[2]!r}; write {there}")
    return OwnTarget(run, match[2])


def _by_file(file: Path, store: Store) -> OwnTarget | None:
    """By its bytes, whatever its name: a copy of a run's weights is no model from elsewhere."""
    if not file.is_file():
        return None
    with file.open("rb") as opened:
        sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
    known = [one for one in store.stored_weights(sha256) if one.status == "done"]
    if not known:
        return None
    newest = max(one.id for one in known)  # a repeated training gives the same file: the newest attempt counts
    return OwnTarget(store.run(newest), next(one.name for one in known if one.id == newest), file)


def stored_protocol(run: RunRecord, store: Store) -> Protocol:
    """Of the protocols with the run's training, the one whose attacks had all begun on the run first.

    The others are later changes to the evaluation. If no protocol's attacks have all begun, it is the first one stored.
    """
    entered: dict[tuple[str, str], int] = {}
    for evaluation in sorted((e for c in run.checkpoints for e in c.evaluations), key=lambda e: e.id):
        entered.setdefault((evaluation.attack, evaluation.settings_sha256), evaluation.id)
    alike = [record for record in store.protocols() if record.trains(run.training_sha256, run.wrappers)]
    first = min(alike, key=lambda record: max(entered.get(item, math.inf) for item in record.attacks.items()))
    return Protocol.from_document(first.name, first.document)


def own_weights(own: OwnTarget, protocol: Protocol, runs_dir: Path) -> tuple[Weights, ...]:
    """The weights of the named checkpoint, or of the checkpoints that the protocol evaluates."""
    run = own.run
    names = (own.checkpoint,) if own.checkpoint is not None else protocol.evaluation.checkpoints
    spec = run.spec
    return tuple(
        RunWeights(
            label=spec.label,
            checkpoint=checkpoint.name,
            sha256=checkpoint.sha256,
            spec=spec,
            file=own.file or weights_file(run_folder(runs_dir, run), checkpoint.name),
        )
        for checkpoint in run.checkpoints
        if checkpoint.name in names
    )
