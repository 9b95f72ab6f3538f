"""A plan in JSON types: what there is to do, its passes through the network, and its time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from harness.planning.cost import Estimate, estimate
from harness.planning.gaps import ModelGap
from harness.planning.missing import Missing, RunGap
from harness.planning.seed_outlook import SeedOutlook


def plan_document(
    missing: Missing,
    cost: Estimate,
    workers: int,
    label: str | None = None,
    outlook: Sequence[SeedOutlook] = (),
    at_the_limit: Missing | None = None,
) -> dict[str, Any]:
    """The plan as JSON types. The time is for all workers side by side, and null where unknown.

    Args:
        outlook: what the training seeds can tell, one entry a board.
        at_the_limit: where seeds are added by looking: the plan if nothing is separated before the limit.
    """
    networks = [
        {"run": run.spec.label, "settings": run.job.method.departures(), "attempt": run.attempt}
        | {"network_settings": run.job.network.departures()}
        | {"identity": run.spec.identity, "protocol_fingerprint": run.job.protocol.fingerprint}
        | {"epochs_done": run.epochs_done, "trained": run.trained}
        | ({"refused": str(run.refusal)} if run.refusal is not None else {})
        for run in missing.runs
    ]
    evaluations = [
        ({"run": run.spec.label, "settings": run.job.method.departures()} if run is not None else {})
        | {"checkpoint": model.checkpoint}
        | ({} if run is not None else {name: getattr(model.assessment.threat, name) for name in ("epsilon", "norm")})
        | {"attack": gap.attack, "seed": gap.seed, "blocks": len(gap.blocks), "images": gap.images}
        for run, model in attacked_models(missing)
        for gap in model.attacks
    ]
    return {
        **({"networks": networks} if label is None else {"model": label}),
        "evaluations": evaluations,
        "evaluations_done": missing.complete,
        "examinations": missing.examinations,
        **({"training_passes": asdict(cost.training)} if label is None else {}),
        "evaluation_passes_at_most": asdict(cost.evaluation),
        "estimated_s": cost.wall_s(workers),
        "estimated_from": {part: list(origins) for part, origins in cost.origins.items()},
        "workers": workers,
        **({"training_seeds": [one.document() for one in outlook]} if outlook else {}),
        **({"at_the_limit": plan_document(at_the_limit, estimate(at_the_limit), workers)} if at_the_limit else {}),
    }


def attacked_models(missing: Missing) -> Iterator[tuple[RunGap | None, ModelGap]]:
    """Every model to attack, and the run that it comes from, if any."""
    yield from ((run, model) for run in missing.runs for model in run.models)
    yield from ((None, model) for model in missing.targets)
