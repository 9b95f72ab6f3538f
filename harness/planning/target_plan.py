"""What ``harness evaluate`` would do: the attacks that are missing on the models of a target, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.identity import digest
from harness.planning.assessment import Assessment, AttackGap
from harness.planning.evaluate_request import EvaluateJob
from harness.planning.plan import add_seconds, timings_here
from harness.plugin.attack import Passes
from harness.rigour import budgets as rigour
from harness.store.records import CheckpointRecord
from harness.store.store import Store


@dataclass(frozen=True, kw_only=True)
class TargetPlan:
    """What there is to do on the models of a target.

    Attributes:
        attacks: what lacks verdicts, each with the checkpoint and the radius of the ball.
        done: how many evaluations that were asked for are complete in the store.
        examinations: how many models are to be examined for warning signs.
        passes: through the network, summed over images: an upper bound.
        seconds: estimated work of one worker; None where this machine has not timed the network.
    """

    attacks: tuple[tuple[str, float, AttackGap], ...]
    done: int
    examinations: int
    passes: Passes
    seconds: float | None


def plan_target(job: EvaluateJob, known: Mapping[str, CheckpointRecord], store: Store) -> TargetPlan:
    """Compare what is asked of a target with the store; nothing is written.

    Args:
        known: what the store has of the target's weights, by checkpoint.
    Raises:
        HarnessError: weights that are to be attacked cannot be used.
    """
    of = job.run or job.opened
    assert of is not None  # a target is one or the other
    timed = timings_here(job.assessment, of.network, of.network_settings, store)
    attacks: list[tuple[str, float, AttackGap]] = []
    done = examinations = 0
    passes = Passes()
    seconds: float | None = 0.0
    for weights in job.weights:
        name = weights.checkpoint
        record = None if job.fresh else known.get(name)
        for each in job.sweep or (job.assessment,):
            if each.unexamined(record):
                examinations += 1
                whole = rigour.passes(each.threat, each.dataset.shape[:3]).times(min(each.examples, rigour.EXAMPLES))
                passes, seconds = passes + whole, add_seconds(seconds, timed.training(whole))
            for gap in each.gaps(record.evaluations if record is not None else ()):
                if not gap.blocks:
                    done += 1
                    continue
                attacks.append((name, each.threat.epsilon, gap))
                whole = _passes(each, gap)
                took = timed.attack(digest(each.attack_settings(gap.attack)), gap.images, whole)
                passes, seconds = passes + whole, add_seconds(seconds, took)
        if any(checkpoint == name for checkpoint, _, _ in attacks):
            weights.check(job.assessment.plugins)
    return TargetPlan(attacks=tuple(attacks), done=done, examinations=examinations, passes=passes, seconds=seconds)


def _passes(assessment: Assessment, gap: AttackGap) -> Passes:
    return (assessment.attacks[gap.attack].passes(assessment.threat) + Passes(1, 0)).times(gap.images)
