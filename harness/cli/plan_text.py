"""A plan, printed before the work begins: what there is to do, its passes through the network, and its time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from harness.api.progress_text import duration
from harness.cli.console import print_json, print_line, print_lines
from harness.plugin.ball import radius_text

if TYPE_CHECKING:
    from harness.api.workplace import Workplace
    from harness.planning.cost import Estimate
    from harness.planning.missing import Missing, RunGap
    from harness.planning.seed_outlook import SeedOutlook


def print_plan(
    missing: Missing,
    workers: int,
    as_json: bool,
    label: str | None = None,
    outlook: Sequence[SeedOutlook] = (),
    at_the_limit: Missing | None = None,
) -> None:
    """Print one plan: of runs, or of a model that is only attacked, which ``label`` names.

    Args:
        outlook: what the training seeds can tell, one line a board.
        at_the_limit: where seeds are added by looking: the plan if nothing is separated before the limit.
    """
    from harness.planning.cost import estimate
    from harness.planning.plan_document import plan_document

    cost = estimate(missing)
    if as_json:
        print_json(plan_document(missing, cost, workers, label, outlook, at_the_limit))
        return
    lines = [*_lines(missing, cost, workers, label)]
    if at_the_limit is not None:
        lines = ["== before the next look", *lines, "== at the limit, if no more pairs are separated before"]
        lines += _lines(at_the_limit, estimate(at_the_limit), workers)
    print_lines([*lines, *(one.line for one in outlook)])


def print_plans(parts: Sequence[Missing], place: Workplace, as_json: bool) -> None:
    """Print several plans; each is of one data set and one network, and has its own timings."""
    from harness.planning.cost import estimate
    from harness.planning.plan_document import plan_document
    from harness.plugin.attack import Passes

    documents, costs = [], [estimate(missing) for missing in parts]
    for missing, cost in zip(parts, costs, strict=True):
        first = missing.runs[0]
        count = place.placement(first.job).workers
        part = {"dataset": first.spec.dataset, "arch": first.spec.network}
        if as_json:
            documents.append({**part, **plan_document(missing, cost, count)})
        else:
            print_lines([f"== {', '.join(part.values())}", *_lines(missing, cost, count)])
    if as_json:
        print_json({"parts": documents})
    elif len(parts) > 1:
        passes = sum((cost.training + cost.evaluation for cost in costs), Passes())
        networks = sum(len(missing.to_train) for missing in parts)
        print_line(f"== all: {networks} networks to train, at most {passes.forward:.3g}")
        print_line(f"forward and {passes.backward:.3g} backward passes; each part's time is above, where it is known")


def _lines(missing: Missing, cost: Estimate, workers: int, label: str | None = None) -> Iterator[str]:
    """The plan in words, line by line."""
    from harness.planning.plan_document import attacked_models

    job = missing.runs[0].job if missing.runs else missing.targets[0].assessment
    yield f"device: {job.device}, {workers} worker(s); nothing is written"
    if missing.runs:
        trained = sum(run.trained for run in missing.runs)
        yield f"networks: {len(missing.to_train)} to train, {trained} trained already"
    for run in missing.runs:
        state = "trained" if run.trained else f"{run.epochs_done}/{run.spec.training['epochs']} epochs done"
        if run.refusal is not None:
            state = f"refused: {run.refusal}"
        if run.failed and run.record is not None:
            state = f"failed before, {run.record.failure}; --fresh starts it over"
        yield f"  {_name(run)} (attempt {run.attempt}): {state}"
    number = sum(len(model.attacks) for model in missing.models)
    head = f"evaluations: {number}" if label is None else f"{label}: {number} evaluations"
    yield f"{head} to do, {missing.complete} done already"
    counts: Counter[str] = Counter()
    for behind, model in attacked_models(missing):
        place = model.checkpoint if behind is None else f"{_name(behind)} {model.checkpoint}"
        threat = model.assessment.threat
        ball = f", epsilon {radius_text(threat.epsilon, threat.norm)}" if behind is None else ""
        counts.update(f"  {place}: {gap.attack}{ball}" for gap in model.attacks)
    yield from (f"{evaluation}, {seeds} seed(s)" for evaluation, seeds in counts.items())
    yield f"checks of rigour: {missing.examinations} checkpoint(s) to examine"
    if missing.runs:
        most = cost.training
        yield f"training: {most.forward:.3g} forward and {most.backward:.3g} backward passes of an image"
    most = cost.evaluation
    yield f"evaluation: at most {most.forward:.3g} forward and {most.backward:.3g} backward passes"
    yield from _time_lines(missing, cost, workers)


def _time_lines(missing: Missing, cost: Estimate, workers: int) -> Iterator[str]:
    """The time, and where it comes from; or how to find out."""
    from harness.registry.catalogue import discover

    seconds = cost.wall_s(workers)
    if seconds is None:
        name = missing.runs[0].spec.network if missing.runs else missing.targets[0].network[0]
        network = name if missing.runs else "this network"
        yield f"time: unknown; this machine has not timed {network} on such images yet"
        assessment = missing.runs[0].job if missing.runs else missing.targets[0].assessment
        if name in discover("networks", assessment.plugins).found:
            yield f"  `harness bench --arch {name}` measures it in a minute; give it the same --dataset, --device,"
            yield "  --precision, --plain, and --set of the network"
        return
    yield f"time: about {duration(seconds)}"
    by_origin: dict[str, list[str]] = {}
    for part, origins in cost.origins.items():
        by_origin.setdefault(" and ".join(origins), []).append(part)
    when = f" (of {', '.join(cost.benched)})" if cost.benched else ""
    for origin, parts in by_origin.items():
        yield f"  {', '.join(parts)}: from {origin}{when if 'bench' in origin else ''}"


def _name(run: RunGap) -> str:
    """The run's label, and the settings that are not defaults: they tell two runs of one label apart."""
    changed = {**run.job.method.departures(), **run.job.network.departures()}
    return run.spec.label + "".join(f" {key}={value}" for key, value in changed.items())
