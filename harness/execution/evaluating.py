"""Conducts ``harness evaluate``: enters the model in the store, attacks it, and gives what the store then knows."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

from harness.errors import normal
from harness.events import Report
from harness.execution.attacking import Attacking
from harness.execution.executors.choice import executor_for
from harness.execution.summary import Summary
from harness.planning.evaluate_request import EvaluateJob
from harness.registry.catalogue import discover
from harness.runtime.device import device_label
from harness.runtime.provenance import provenance
from harness.store.models import model_identity
from harness.store.records import CheckpointRecord, ModelRecord
from harness.store.store import Store
from harness.targets.model import Weights
from harness.targets.probe import same_function
from harness.targets.target import Opened


def conduct_evaluation(
    evaluation: EvaluateJob,
    store: Store,
    runs_dir: Path,
    listen: Report,
    workers: int,
    entered: Callable[[], None] = lambda: None,
) -> tuple[Summary, ModelRecord | None]:
    """Attack a target's models, by every attack that is asked for and not there yet.

    Args:
        entered: called when the model is in the store, before it is attacked.
    Returns:
        What was done; and the model, where it came from elsewhere.
    Raises:
        HarnessError: the name is taken; a plugin or weights cannot be used. What was done before is kept.
    """
    assessment = evaluation.assessment
    model = _enter(evaluation, store)
    summary = Summary()
    attacking = Attacking(store, listen, summary)
    for weights in evaluation.weights:
        checkpoint = checkpoint_of(evaluation, model, weights)
        folder = runs_dir / (evaluation.run.folder if evaluation.run else f"model-{weights.sha256[:8]}")
        for each in evaluation.sweep or (assessment,):
            attacking.add(each, weights, checkpoint.id, folder, fresh=evaluation.fresh)
    attacking.check_weights()
    entered()
    store.see_protocol(assessment.protocol_record(), assessment.protocol.training_document)
    with executor_for(attacking.items(), workers, assessment.device) as executor:
        attacking.attack(executor)
    return summary, model


def checkpoint_of(evaluation: EvaluateJob, model: ModelRecord | None, weights: Weights) -> CheckpointRecord:
    """What the store has of some weights."""
    if model is not None:
        return model.checkpoint
    checkpoint = evaluation.run.checkpoint(weights.checkpoint) if evaluation.run is not None else None
    assert checkpoint is not None  # resolved from this very run
    return checkpoint


def _enter(evaluation: EvaluateJob, store: Store) -> ModelRecord | None:
    opened = evaluation.opened
    if opened is None:
        return None
    found = discover("networks", evaluation.assessment.plugins).found.get(opened.network)
    departures = found.cls.from_mapping(opened.network_settings).departures() if found is not None else {}
    dataset = evaluation.assessment.dataset_record()
    return store.see_model(
        normal(evaluation.name or opened.target.label),
        dataset,
        sha256=opened.sha256,
        network=opened.network,
        network_settings=opened.network_settings,
        network_departures=departures,
        parameters=opened.parameters,
        provenance=opened.provenance
        | {"opened_with": provenance(device_label(evaluation.assessment.device), threads=1)},
        rename=evaluation.name is not None,  # asked for again without a name, it keeps the one it has
        function=_known_model(opened, dataset.fingerprint, store)[0],
        code=opened.target.code(),
        probe=opened.probe,
    )


def known_checkpoints(evaluation: EvaluateJob, store: Store) -> dict[str, CheckpointRecord]:
    """What the store has of a target's weights, by checkpoint; nothing is entered."""
    if evaluation.opened is None:
        return {each.checkpoint: checkpoint_of(evaluation, None, each) for each in evaluation.weights}
    _, model = _known_model(evaluation.opened, evaluation.assessment.dataset.fingerprint, store)
    return {} if model is None else {each.checkpoint: model.checkpoint for each in evaluation.weights}


def _known_model(opened: Opened, dataset_fingerprint: str, store: Store) -> tuple[int, ModelRecord | None]:
    """Which of the functions of these weights a model is: one that the store knows by its probe, or a new one.

    An older row has no probe. It is the same model where the tensors say all, and another one where the user's code
    decides: what that read then, nobody knows.
    """
    models = {model.identity: model for model in store.models()}
    for number in itertools.count(1):
        identity = model_identity(opened.sha256, dataset_fingerprint, number)
        if identity not in models:
            return number, None
        known = models[identity].probe
        if same_function(known, opened.probe) if known and opened.probe else not opened.target.code():
            return number, models[identity]
    raise AssertionError("counting has no end")
