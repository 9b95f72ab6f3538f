"""A plan told before it is carried out: what there is to do, its passes through the network, and its time."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from harness.cli.progress import duration
from harness.cli.report_text import radius

if TYPE_CHECKING:
    import torch

    from harness.cli.options import Output, Places
    from harness.planning.plan import Plan
    from harness.planning.run_request import RunJob
    from harness.planning.target_plan import TargetPlan
    from harness.protocols.run_spec import RunSpec


def plan_document(plan: Plan, jobs: Sequence[RunJob], workers: int) -> dict[str, Any]:
    """The plan as JSON types; the time is that of all workers side by side, null where it is unknown."""
    departures = _departures(jobs)
    return {
        "networks": [
            {"run": gap.spec.label, "settings": departures[gap.spec.identity], "attempt": gap.attempt}
            | {"epochs_done": gap.epochs_done, "trained": gap.trained}
            | ({"refused": str(gap.refusal)} if gap.refusal is not None else {})
            for gap in plan.runs
        ],
        "evaluations": [
            {"run": gap.spec.label, "settings": departures[gap.spec.identity], "checkpoint": gap.checkpoint}
            | {"attack": gap.attack, "seed": gap.seed, "blocks": len(gap.blocks), "images": gap.images}
            for gap in plan.evaluations
        ],
        "evaluations_done": plan.evaluations_done,
        "examinations": plan.examinations,
        "training_passes": {"forward": plan.training.forward, "backward": plan.training.backward},
        "evaluation_passes_at_most": {"forward": plan.evaluation.forward, "backward": plan.evaluation.backward},
        "estimated_s": None if plan.seconds is None else plan.seconds / workers,
        "workers": workers,
    }


def plan_lines(plan: Plan, jobs: Sequence[RunJob], workers: int) -> Iterator[str]:
    """The plan in words, line by line."""
    departures = _departures(jobs)

    def name(spec: RunSpec) -> str:
        return spec.label + "".join(f" {key}={value}" for key, value in departures[spec.identity].items())

    yield f"device: {jobs[0].device}, {workers} worker(s); nothing is written"
    yield f"networks: {len(plan.to_train)} to train, {sum(gap.trained for gap in plan.runs)} trained already"
    for gap in plan.runs:
        state = "trained" if gap.trained else f"{gap.epochs_done}/{gap.spec.training['epochs']} epochs done"
        if gap.refusal is not None:
            state = f"refused: {gap.refusal}"
        if gap.failed and gap.record is not None:
            state = f"failed before, {gap.record.failure}; --fresh starts it over"
        yield f"  {name(gap.spec)} (attempt {gap.attempt}): {state}"
    yield f"evaluations: {len(plan.evaluations)} to do, {plan.evaluations_done} done already"
    counts = Counter((f"{name(gap.spec)} {gap.checkpoint}", gap.attack) for gap in plan.evaluations)
    for (place, attack), number in counts.items():
        yield f"  {place}: {attack}, {number} seed(s)"
    yield f"checks of rigour: {plan.examinations} checkpoint(s) to examine"
    yield f"training: {plan.training.forward:.3g} forward and {plan.training.backward:.3g} backward passes of an image"
    most = plan.evaluation
    yield f"evaluation: at most {most.forward:.3g} forward and {most.backward:.3g} backward passes"
    if plan.seconds is None:
        yield f"time: unknown; this machine has not timed {jobs[0].specs[0].network} on such images yet"
    else:
        yield f"time: about {duration(plan.seconds / workers)}"


def target_document(plan: TargetPlan, label: str, workers: int) -> dict[str, Any]:
    """The plan of ``harness evaluate`` as JSON types, in the words of a run's."""
    return {
        "model": label,
        "evaluations": [
            {"checkpoint": checkpoint, "epsilon": epsilon, "attack": gap.attack, "seed": gap.seed}
            | {"blocks": len(gap.blocks), "images": gap.images}
            for checkpoint, epsilon, gap in plan.attacks
        ],
        "evaluations_done": plan.done,
        "examinations": plan.examinations,
        "evaluation_passes_at_most": {"forward": plan.passes.forward, "backward": plan.passes.backward},
        "estimated_s": None if plan.seconds is None else plan.seconds / workers,
        "workers": workers,
    }


def target_lines(plan: TargetPlan, label: str, device: torch.device, workers: int) -> Iterator[str]:
    """The plan of ``harness evaluate`` in words, line by line."""
    yield f"device: {device}, {workers} worker(s); nothing is written"
    yield f"{label}: {len(plan.attacks)} evaluations to do, {plan.done} done already"
    counts = Counter((checkpoint, epsilon, gap.attack) for checkpoint, epsilon, gap in plan.attacks)
    for (checkpoint, epsilon, attack), number in counts.items():
        yield f"  {checkpoint}: {attack}, epsilon {radius(epsilon)}, {number} seed(s)"
    yield f"checks of rigour: {plan.examinations} checkpoint(s) to examine"
    yield f"evaluation: at most {plan.passes.forward:.3g} forward and {plan.passes.backward:.3g} backward passes"
    if plan.seconds is None:
        yield "time: unknown; this machine has not timed this network on such images yet"
    else:
        yield f"time: about {duration(plan.seconds / workers)}"


def print_plans(parts: Sequence[Sequence[RunJob]], plans: Sequence[Plan], workers: int | None, as_json: bool) -> None:
    """Several plans, each of jobs on one data set and network, which have timings of their own."""
    from harness.execution.conduct import default_workers
    from harness.plugin.attack import Passes

    documents = []
    for jobs, plan in zip(parts, plans, strict=True):
        count, spec = workers or default_workers(jobs[0]), jobs[0].specs[0]
        documents.append({"dataset": spec.dataset, "arch": spec.network, **plan_document(plan, jobs, count)})
        if not as_json:
            print("\n".join([f"== {spec.dataset}, {spec.network}", *plan_lines(plan, jobs, count)]))
    if as_json:
        print(json.dumps({"parts": documents}, indent=2))
    elif len(plans) > 1:
        passes = sum((plan.training + plan.evaluation for plan in plans), Passes())
        print(f"== all: {sum(len(plan.to_train) for plan in plans)} networks to train, at most {passes.forward:.3g}")
        print(f"forward and {passes.backward:.3g} backward passes; each part's time is above, where it is known")


def note_device(job: RunJob, plan: Plan, workers: int, places: Places, output: Output) -> None:
    """Say that work goes on on the CPU, and for how long, where the user did not ask for it."""
    if job.device.type == "cpu" and places.device is None and not plan.idle:
        estimate = (
            f"not timed yet on this machine: {job.specs[0].network}"
            if plan.seconds is None
            else f"about {duration(plan.seconds / workers)}"
        )
        output.note(f"no CUDA device: going on on the CPU ({estimate})")


def _departures(jobs: Sequence[RunJob]) -> dict[str, dict[str, Any]]:
    """For each run the settings of its method that are not the defaults: what tells two runs of one method apart."""
    return {spec.identity: job.method.departures() for job in jobs for spec in job.specs}
