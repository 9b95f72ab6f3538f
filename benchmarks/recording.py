"""Measure what it costs to record accuracies over the epochs (--eval-every): a point, beside a training update.

    point    what a training does after an epoch that is recorded: build the network anew, load the weights, and run
             natural, PGD, and CW of the protocol on 128 test and 128 training images
    update   one update of SAT, as the trainer makes it, for one batch

The cost is a share of the training's own time: the seconds of a point, over those of the updates of as many epochs as
lie between two points. Histograms are counted in every update of GAIRAT and LRAT, so they are in both sides;
``counted`` is one update's counting alone.

Expected before measuring, by passes: a point takes 256 x (43 forward + 40 backward). An epoch of SAT on 50,000 images
takes 50,000 x (11 + 11), so a point after every epoch costs 1.9 % of a training of ResNet-18 on CIFAR-10. On the
digits, with 1,437 images and a point after every second epoch, it is 34 %, and less by the clock, since the points have
larger batches. Counting costs less than 0.1 % of an update of ResNet-18.

On a CPU, ResNet-18 is measured with a point of 16 + 16 images, which counts eightfold (``scale``), and a batch of 16.

    OMP_NUM_THREADS=1 python -m benchmarks.recording            # about 10 minutes on one core
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch

from benchmarks.measuring import RESULTS, compared, in_turn, machine, merge, middle, surroundings
from benchmarks.ours import SETTINGS, Setting, Training, made
from harness.execution import recording
from harness.execution.recording import CurveRecorder
from harness.planning.curve_plan import IMAGES, CurveAttack, CurvePlan
from harness.plugin.attack import Attack, Passes
from harness.plugin.method import Bins
from harness.registry.shipped import code_of
from harness.runtime.device import resolve_device
from harness.training.histograms import Histograms
from harness.training.loop import initial_model

ATTACKS = ("natural", "pgd", "cw")


@dataclass(frozen=True)
class Case:
    """How often a point is recorded, how many of its images are measured on a CPU, and the goal, if there is one."""

    every: int
    images_on_cpu: int
    at_most: float | None = None


CASES = {"smallcnn": Case(every=2, images_on_cpu=IMAGES), "resnet18": Case(every=1, images_on_cpu=16, at_most=0.03)}


def plan_of(setting: Setting) -> CurvePlan:
    """The plan of a training of this setting: its protocol's cheap attacks."""
    threat = setting.evaluation_threat
    attacks = [cast(Attack, made("attacks", name)) for name in ATTACKS]
    return CurvePlan(
        every=1,
        epochs=1,
        attacks=tuple(
            CurveAttack(name=a.name, settings=a.resolved(), code=code_of(type(a)), identity={}) for a in attacks
        ),
        threat=threat,
        block_size=setting.protocol.evaluation.block_size,
        passes=sum((a.passes(threat) + Passes(1, 0) for a in attacks), Passes()),
    )


def measured(name: str, device: torch.device, rounds: int, seconds: float) -> dict[str, Any]:
    """The three sides in turn, and the share of a point in the training."""
    setting, case = SETTINGS[name], CASES[name]
    images = case.images_on_cpu if device.type == "cpu" else IMAGES
    batch = setting.batch if device.type == "cpu" else 128
    data = setting.dataset(device, IMAGES)
    recorder = CurveRecorder(plan_of(setting), data, (), plain=False)
    recording.IMAGES = images  # type: ignore[attr-defined]  # a point of fewer images, which counts for more
    with tempfile.TemporaryDirectory() as folder:
        training = Training(setting, "sat", device, Path(folder), fast=True)
        x, y = setting.examples(batch, device)
        weights, histograms, values = training.model.state_dict(), Histograms(), torch.rand(batch, device=device)

        def point() -> None:
            model = initial_model(setting.network, setting.shape, 0).to(device)
            model.load_state_dict(weights)
            assert len(recorder.points(model, 1)) == 2 * len(ATTACKS)

        def counted() -> None:
            for quantity in ("weight", "normalised_weight", "steps_to_flip"):
                histograms.add(quantity, values, Bins(0.0, 1.0, 50))

        sides = {"update": lambda: training.update(x, y), "point": point, "counted": counted}
        clock, found = in_turn(sides, device, rounds, seconds)
    scale, updates = IMAGES / images, case.every * setting.images / batch
    shares = [scale * p / (updates * u) for p, u in zip(found["point"], found["update"], strict=True)]
    return {
        "network": name,
        "batch": batch,
        "images": images,
        "scale": scale,
        "every": case.every,
        "at_most": case.at_most,
        "epoch_images": setting.images,
        "clock": clock,
        "share": middle(shares),
        **compared(found, "update"),
    }


def main() -> None:
    """Measure the networks that are named, or all; write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", default=list(CASES), metavar="NETWORK", help="smallcnn, resnet18")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=240.0)
    asked = parser.parse_args()
    device = resolve_device(asked.device)
    for name in asked.networks:
        entry = measured(name, device, asked.rounds, asked.seconds)
        head = machine(device, "torch")
        file = RESULTS / f"recording-{device.type}.json"
        merge(file, {}, {name: {**head, **surroundings(), **entry}})
        low, high = entry["share"]["quartiles"]
        print(f"{name}: a point costs {100 * entry['share']['median']:.2f} % [{100 * low:.2f}, {100 * high:.2f}]")


if __name__ == "__main__":
    main()
