"""A store of a thousand runs, as a group may have after a year; its numbers are drawn, so that they compress badly."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, get_args

from harness.events import EpochRecord, Finding, Part
from harness.store.records import CheckpointRecord, Curve, EvaluationRecord, ExaminationRecord, RunRecord
from tests.harness.leaderboard.held import Held, evaluation, run

IMAGES, EPOCHS, ATTACK_SEEDS, CHECKS = 360, 20, 5, 25
PROVENANCE = {"device": "cpu", "threads": 1, "harness": "0.1.0", "python": "3.11.7", "torch": "2.15.0"}


class Large(Held):
    """Holds what it is given; it kept no vulnerabilities, and curves of ten points."""

    def curves_of(self, run_ids: Iterable[int]) -> dict[int, list[Curve]]:
        draws = random.Random(1)
        return {number: list(_curves(draws)) for number in run_ids}

    def margins(self, evaluation_id: int) -> list[float] | None:
        return None


def large_store(networks: int = 1000, a_row: int = 5) -> Large:
    """Runs of which ``a_row`` differ in the training seed alone."""
    draws = random.Random(0)
    return Large([_run(n, n // a_row, n % a_row, draws) for n in range(networks)])


def _run(number: int, row: int, seed: int, draws: random.Random) -> RunRecord:
    settings = {"alpha": row / 8, "beta": 0.5, "assignment": "tanh", "burn_in": 0.3}
    began = datetime(2026, 1, 1) + timedelta(seconds=draws.randrange(10**7))
    return run(
        number + 1,
        _checkpoint(draws),
        identity=f"{draws.getrandbits(256):064x}",
        method=("sat", "trades", "gairat", "lrat", "mart")[row % 5],
        method_settings=settings,
        method_departures={"alpha": row / 8},
        train_seed=seed,
        training={"epsilon": 0.2, "epochs": EPOCHS, "lr": 0.1, "lr_drops": [0.6, 0.9], "momentum": 0.9},
        epochs=tuple(_epoch(n, draws) for n in range(1, EPOCHS + 1)),
        created_utc=began,
        finished_utc=began + timedelta(seconds=draws.randrange(600)),
        provenance=PROVENANCE | {"host": f"node{draws.randrange(8)}", "commit": f"{draws.randrange(50):040x}"},
        folder=f"sat-smallcnn-digits-s{seed}-{draws.getrandbits(32):08x}",
    )


def _curves(draws: random.Random) -> Iterator[Curve]:
    """Accuracies that rise, as far from a line as those of samples of 128 images are."""
    for part in get_args(Part):
        for attack in ("natural", "pgd", "cw"):
            begin, end = sorted((draws.random(), draws.random()))
            shares = {epoch: begin + (end - begin) * epoch / EPOCHS for epoch in range(2, EPOCHS + 1, 2)}
            deviations = {
                epoch: draws.gauss(0.0, (128 * share * (1 - share)) ** 0.5) for epoch, share in shares.items()
            }
            points = {epoch: round(128 * share + deviations[epoch]) for epoch, share in shares.items()}
            yield Curve(part, attack, {}, "", 128, tuple((n, min(128, max(0, count))) for n, count in points.items()))


def _epoch(number: int, draws: random.Random) -> EpochRecord:
    diagnostics = {name: draws.random() for name in ("steps_to_flip", "weight_mean", "effective_sample_share")}
    return EpochRecord(number, 3 * draws.random(), 0.1, 1437, 2 + draws.random(), diagnostics)


def _checkpoint(draws: random.Random) -> CheckpointRecord:
    made: list[EvaluationRecord] = []
    for attack in ("natural", "pgd", "autoattack"):
        for seed in range(1 if attack == "natural" else ATTACK_SEEDS):
            right = bytes(draws.getrandbits(1) for _ in range(IMAGES))
            known: dict[str, Any] = {"seed": seed, "correct": right.count(1), "examples": IMAGES, "done": IMAGES}
            known |= {"duration_s": 100 * draws.random(), "provenance": {"right": right}}
            known |= {} if attack == "natural" else {"settings": {"epsilon": 0.2, "steps": 20, "block_size": 500}}
            made.append(evaluation(attack, **known))
    findings = tuple(_finding(n, draws) for n in range(CHECKS))
    about = {"kind": "model", "epsilon": 0.2, "examples": IMAGES}
    examined = ExaminationRecord(about, datetime(2026, 1, 1), 1.0, {}, findings)
    record = CheckpointRecord(0, "last", EPOCHS, f"{draws.getrandbits(256):064x}", tuple(made))
    return replace(record, examinations=(examined,))


def _finding(number: int, draws: random.Random) -> Finding:
    share, of = 100 * draws.random(), draws.randrange(IMAGES)
    reason = f"AutoAttack breaks {share:.1f} % of the {of} images that the attack of check {number} leaves"
    return Finding(f"check-number-{number}", "passed", "", share, 0.15, reason, {})
