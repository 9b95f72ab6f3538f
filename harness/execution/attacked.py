"""Models to attack: which weights, what the store lacks of them, and the items of work that fill that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.execution.summary import Summary
from harness.execution.work import BlockWork, ExamineWork
from harness.planning.gaps import AttackGap, ModelGap
from harness.registry.shipped import code_of
from harness.store.opening import WantedEvaluation
from harness.store.store import Store
from harness.targets.model import Weights


@dataclass(frozen=True)
class Attacked:
    """A model to attack: its gap, its weights, the store's number for them, the folder of its log, and its owner.

    Attributes:
        threads: of each item that the gap has, as ``threads_of_models`` gives them.
    """

    gap: ModelGap
    weights: Weights
    checkpoint_id: int
    folder: Path
    owner: str = ""  # as ``OwnerOpened`` names it
    threads: tuple[int, ...] = ()


def usable(models: Iterable[Attacked], summary: Summary) -> list[Attacked]:
    """Check the weights of all models that have work to do, before anything is written; give the models.

    If the weights of a model are gone, and only newer checks of rigour are missing, the model is left as it is.

    Raises:
        HarnessError: weights to attack cannot be used.
    """
    found = []
    for model in models:
        try:
            if model.gap.items:
                model.weights.check(model.gap.assessment.plugins)
        except HarnessError:
            if model.gap.attacks:
                raise
            model = replace(model, gap=replace(model.gap, examine=False))
            summary.unexamined += 1
        found.append(model)
    return found


def opened(models: Sequence[Attacked], store: Store) -> Iterator[tuple[Attacked, BlockWork]]:
    """Open the evaluations in the store, and give their missing blocks, each with its model.

    The plan may be hours old: blocks that another command has stored since are left out.
    """
    gaps = [(model, gap) for model in models for gap in model.gap.attacks]
    numbers = store.open_evaluations([_wanted(*one) for one in gaps])
    stored = store.blocks_of(numbers)
    threads = {id(model): iter(model.threads[model.gap.examine :]) for model in models}
    known: dict[tuple[int, str], tuple[dict[str, Any], str]] = {}  # thousands of blocks share an attack
    for (model, gap), number in zip(gaps, numbers, strict=True):
        assessment = model.gap.assessment
        if (id(assessment), gap.attack) not in known:
            attack = assessment.attacks[gap.attack]
            known[id(assessment), gap.attack] = attack.resolved(), code_of(type(attack))
        settings, code = known[id(assessment), gap.attack]
        free = gap.without(stored[number]).blocks
        for start, length in gap.blocks:
            of_block = next(threads[id(model)])
            if (start, length) not in free:
                continue
            work = BlockWork(
                **_common(model, of_block),
                evaluation_id=number,
                attack=gap.attack,
                attack_settings=settings,
                attack_code=code,
                seed=gap.seed,
                start=start,
                length=length,
            )
            yield model, work


def examination(model: Attacked) -> ExamineWork:
    """The examination of the model itself."""
    assessment = model.gap.assessment
    return ExamineWork(
        **_common(model, model.threads[0]),
        checkpoint_id=model.checkpoint_id,
        block_size=assessment.protocol.evaluation.block_size,
        settings=assessment.examination("model"),
    )


def _common(model: Attacked, threads: int) -> dict[str, Any]:
    """The fields of every item of work on a model."""
    assessment = model.gap.assessment
    return {
        "place": assessment.place,
        "dataset_fingerprint": assessment.dataset.fingerprint,
        "folder": model.folder,
        "device": assessment.device,
        "threads": threads,
        "plugins": assessment.plugins,
        "plain": assessment.plain,
        "weights": model.weights,
        "threat": assessment.threat,
        "images": assessment.images,
    }


def _wanted(model: Attacked, gap: AttackGap) -> WantedEvaluation:
    """The evaluation that a gap is of."""
    assessment = model.gap.assessment
    return WantedEvaluation(
        checkpoint_id=model.checkpoint_id,
        attack=gap.attack,
        settings=assessment.attack_settings(gap.attack),
        seed=gap.seed,
        examples=assessment.examples,
        sample=assessment.images.sample,
        attempt=gap.attempt,
    )
