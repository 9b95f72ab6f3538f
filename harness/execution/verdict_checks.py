"""The checks of rigour on the stored verdicts of a checkpoint, after its attacks."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator

import torch

from harness.events import Examined
from harness.planning.assessment import Assessment
from harness.plugin.ball import LINF
from harness.rigour.checks import examine_verdicts
from harness.runtime.provenance import provenance
from harness.store.records import EvaluationRecord
from harness.store.store import Store


def verdicts_examined(store: Store, checkpoint_id: int, assessment: Assessment, label: str) -> Examined | None:
    """Check the stored verdicts; None if nothing new was found, or the checks are not wanted.

    Args:
        label: the model's.
    """
    if not assessment.checks:
        return None
    checkpoint = store.checkpoint(checkpoint_id)
    evaluations = list(_comparable(checkpoint.evaluations, assessment))
    verdicts = store.verdicts_of([e.id for e in evaluations])
    by_attack: dict[str, list[EvaluationRecord]] = defaultdict(list)
    for evaluation in evaluations:
        by_attack[evaluation.attack].append(evaluation)
    started = time.perf_counter()
    findings = examine_verdicts(
        {attack: [verdicts[e.id] for e in several] for attack, several in by_attack.items()},
        assessment.attack_types,
        assessment.dataset.test.labels[assessment.dataset.places(assessment.images)].cpu(),
        {attack: [text for e in several for text in e.warnings] for attack, several in by_attack.items()},
        assessment.protocol.evaluation.block_size,
        assessment.dataset.classes,
    )
    settings = assessment.examination("verdicts")
    known = [examination.findings for examination in checkpoint.examinations if examination.settings == settings]
    if known == [tuple(findings)]:
        return None
    duration, here = time.perf_counter() - started, provenance("cpu", torch.get_num_threads())
    return Examined(checkpoint.id, label, settings, tuple(findings), duration, here)


def _comparable(evaluations: Iterable[EvaluationRecord], assessment: Assessment) -> Iterator[EvaluationRecord]:
    """Complete evaluations on the same images in the same ball, with the protocol's settings if it has the attack."""
    threat = assessment.threat
    for e in evaluations:
        known = e.attack in assessment.attacks
        same = not known or e.settings_sha256 == assessment.attack_digest(e.attack)
        ball = (e.settings.get("epsilon"), e.settings.get("norm", LINF))
        still = "epsilon" not in e.settings  # the attack uses no ball
        if e.complete and e.images == assessment.images and same and (still or ball == (threat.epsilon, threat.norm)):
            yield e
