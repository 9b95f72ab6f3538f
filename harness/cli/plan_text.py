"""A plan told before it is carried out: what there is to do, its passes through the network, and its time."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from harness.cli.progress import duration
from harness.cli.report_text import radius

if TYPE_CHECKING:
    from harness.cli.options import Output, Places
    from harness.planning.cost import Estimate
    from harness.planning.missing import Missing, RunGap


def plan_document(missing: Missing, cost: Estimate, workers: int) -> dict[str, Any]:
    """The plan as JSON types; the time is that of all workers side by side, null where it is unknown."""
    return {
        "networks": [
            {"run": run.spec.label, "settings": _settings(run), "attempt": run.attempt}
            | {"epochs_done": run.epochs_done, "trained": run.trained}
            | ({"refused": str(run.refusal)} if run.refusal is not None else {})
            for run in missing.runs
        ],
        "evaluations": [
            {"run": run.spec.label, "settings": _settings(run), "checkpoint": model.checkpoint}
            | {"attack": gap.attack, "seed": gap.seed, "blocks": len(gap.blocks), "images": gap.images}
            for run in missing.runs
            for model in run.models
            for gap in model.attacks
        ],
        "evaluations_done": missing.complete,
        "examinations": missing.examinations,
        "training_passes": {"forward": cost.training.forward, "backward": cost.training.backward},
        "evaluation_passes_at_most": {"forward": cost.evaluation.forward, "backward": cost.evaluation.backward},
        "estimated_s": None if cost.seconds is None else cost.seconds / workers,
        "workers": workers,
    }


def plan_lines(missing: Missing, cost: Estimate, workers: int) -> Iterator[str]:
    """The plan in words, line by line."""
    runs = missing.runs
    yield f"device: {runs[0].job.device}, {workers} worker(s); nothing is written"
    yield f"networks: {len(missing.to_train)} to train, {sum(run.trained for run in runs)} trained already"
    for run in runs:
        state = "trained" if run.trained else f"{run.epochs_done}/{run.spec.training['epochs']} epochs done"
        if run.refusal is not None:
            state = f"refused: {run.refusal}"
        if run.failed and run.record is not None:
            state = f"failed before, {run.record.failure}; --fresh starts it over"
        yield f"  {_name(run)} (attempt {run.attempt}): {state}"
    yield f"evaluations: {sum(len(m.attacks) for m in missing.models)} to do, {missing.complete} done already"
    counts = Counter(
        (f"{_name(run)} {model.checkpoint}", gap.attack)
        for run in runs
        for model in run.models
        for gap in model.attacks
    )
    for (place, attack), number in counts.items():
        yield f"  {place}: {attack}, {number} seed(s)"
    yield from _examinations_and_passes(missing, cost)
    yield _time(cost, runs[0].spec.network, workers)


def target_document(missing: Missing, cost: Estimate, label: str, workers: int) -> dict[str, Any]:
    """The plan of ``harness evaluate`` as JSON types, in the words of a run's."""
    evaluations = [
        {"checkpoint": model.checkpoint, "epsilon": model.assessment.threat.epsilon, "attack": gap.attack}
        | {"seed": gap.seed, "blocks": len(gap.blocks), "images": gap.images}
        for model in missing.targets
        for gap in model.attacks
    ]
    whole = plan_document(missing, cost, workers)
    del whole["networks"], whole["training_passes"]
    return {"model": label, **whole, "evaluations": evaluations}


def target_lines(missing: Missing, cost: Estimate, label: str, workers: int) -> Iterator[str]:
    """The plan of ``harness evaluate`` in words, line by line."""
    targets = missing.targets
    yield f"device: {targets[0].assessment.device}, {workers} worker(s); nothing is written"
    yield f"{label}: {sum(len(m.attacks) for m in targets)} evaluations to do, {missing.complete} done already"
    counts = Counter(
        (model.checkpoint, model.assessment.threat.epsilon, gap.attack) for model in targets for gap in model.attacks
    )
    for (checkpoint, epsilon, attack), number in counts.items():
        yield f"  {checkpoint}: {attack}, epsilon {radius(epsilon)}, {number} seed(s)"
    yield from _examinations_and_passes(missing, cost)
    yield _time(cost, "this network", workers)


def _examinations_and_passes(missing: Missing, cost: Estimate) -> Iterator[str]:
    yield f"checks of rigour: {missing.examinations} checkpoint(s) to examine"
    most = cost.training
    if missing.runs:
        yield f"training: {most.forward:.3g} forward and {most.backward:.3g} backward passes of an image"
    most = cost.evaluation
    yield f"evaluation: at most {most.forward:.3g} forward and {most.backward:.3g} backward passes"


def _time(cost: Estimate, network: str, workers: int) -> str:
    if cost.seconds is None:
        return f"time: unknown; this machine has not timed {network} on such images yet"
    return f"time: about {duration(cost.seconds / workers)}"


def print_plans(parts: Sequence[Missing], workers: int | None, as_json: bool) -> None:
    """Several plans, each of jobs on one data set and network, which have timings of their own."""
    from harness.execution.conduct import default_workers
    from harness.planning.cost import estimate
    from harness.plugin.attack import Passes

    documents, costs = [], [estimate(missing) for missing in parts]
    for missing, cost in zip(parts, costs, strict=True):
        first = missing.runs[0]
        count = workers or default_workers(first.job)
        place = {"dataset": first.spec.dataset, "arch": first.spec.network}
        if as_json:
            documents.append({**place, **plan_document(missing, cost, count)})
        else:
            print("\n".join([f"== {', '.join(place.values())}", *plan_lines(missing, cost, count)]))
    if as_json:
        print(json.dumps({"parts": documents}, indent=2))
    elif len(parts) > 1:
        passes = sum((cost.training + cost.evaluation for cost in costs), Passes())
        networks = sum(len(missing.to_train) for missing in parts)
        print(f"== all: {networks} networks to train, at most {passes.forward:.3g}")
        print(f"forward and {passes.backward:.3g} backward passes; each part's time is above, where it is known")


def note_device(missing: Missing, workers: int, places: Places, output: Output) -> None:
    """Say that work goes on on the CPU, and for how long, where the user did not ask for it."""
    from harness.planning.cost import estimate

    first = missing.runs[0]
    if first.job.device.type == "cpu" and places.device is None and not missing.idle:
        seconds = estimate(missing).seconds
        known = (
            f"not timed yet on this machine: {first.spec.network}"
            if seconds is None
            else f"about {duration(seconds / workers)}"
        )
        output.note(f"no CUDA device: going on on the CPU ({known})")


def _name(run: RunGap) -> str:
    return run.spec.label + "".join(f" {key}={value}" for key, value in _settings(run).items())


def _settings(run: RunGap) -> dict[str, Any]:
    """The settings of its method that are not the defaults: what tells two runs of one method apart."""
    return run.job.method.departures()
