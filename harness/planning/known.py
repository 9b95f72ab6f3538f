"""What the store knows about the models that ``harness evaluate`` attacks."""

from __future__ import annotations

import itertools

from harness.planning.evaluate_job import EvaluateJob
from harness.store.models import model_identity
from harness.store.records import CheckpointRecord, ModelRecord
from harness.store.store import Store
from harness.targets.probe import same_function
from harness.targets.target import Opened


def known_checkpoints(job: EvaluateJob, model: ModelRecord | None, store: Store) -> dict[str, CheckpointRecord]:
    """What the store has now for a target's weights, by checkpoint.

    Args:
        model: the store's record of a target from elsewhere; None if it has none.
    """
    if job.run is not None:
        return {checkpoint.name: checkpoint for checkpoint in store.run(job.run.id).checkpoints}
    return {} if model is None else {model.checkpoint.name: store.checkpoint(model.checkpoint.id)}


def known_model(opened: Opened, dataset_fingerprint: str, store: Store) -> tuple[int, ModelRecord | None]:
    """Find a model among the stored models with the same weights: the one with the same probe, or none.

    Equal weights may be several functions, since a user's code may read other things; the store numbers them. A row of
    an older version has no probe: it is the same model only if no code of the user decides what the model computes.

    Returns:
        The function's number, counted from 1; and the model, if the store has it.
    """
    models = {model.identity: model for model in store.models()}
    for number in itertools.count(1):
        model = models.get(model_identity(opened.sha256, dataset_fingerprint, number))
        if model is None:
            return number, None
        known = model.probe
        if same_function(known, opened.probe) if known and opened.probe else not opened.target.code():
            return number, model
    raise AssertionError("counting has no end")
