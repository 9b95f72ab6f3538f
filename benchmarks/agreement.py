"""Compare what the fast path computes with what the plain path computes, on a network after some updates.

    one pass    on the same images: the loss, the signs of its gradient, and how small a gradient is whose sign differs
    losses      of each method's update of the same batch: the relative difference, and that of the weights' gradients
    variants    the share of pixels that both crafted alike; a gradient near zero may have another sign
    verdicts    on the same images under PGD, CW, and APGD, at a radius where PGD breaks about half: how many differ

Expected before measuring: of one pass losses to 1e-5 in float32, and other signs only where a gradient is at most a
thousandth of the image's largest. After ten steps of signs such differences have grown: 99 % of the pixels alike,
losses of updates to 1e-3. No verdict different. In bfloat16 both paths round, so losses agree to 1e-2.

    OMP_NUM_THREADS=1 python -m benchmarks.agreement                         # about 3 minutes on one core
    python -m benchmarks.agreement --device cuda --precision bfloat16 --networks resnet18
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.measuring import RESULTS, machine, merge, surroundings
from benchmarks.ours import SETTINGS, Setting, Training, verdicts
from harness.fast.crafting import crafter_for
from harness.fast.folded import Folded
from harness.plugin.adversary import CrossEntropy, evaluation_mode
from harness.plugin.method import Method, Step
from harness.plugin.threat import Threat
from harness.registry.catalogue import discover
from harness.runtime.device import arithmetic, resolve_device
from harness.runtime.precision import Precision
from harness.runtime.seeds import generator
from harness.training.given_networks import give_stand_ins

UPDATES, HALVINGS, ATTACKS = 20, 7, ("pgd", "cw", "apgd-ce")


def trained(setting: Setting, x: Tensor, y: Tensor, folder: Path, precision: Precision) -> nn.Module:
    """A network after some updates on these images: no longer noise, and with statistics of its own."""
    training = Training(setting, "standard", x.device, folder, fast=False, precision=precision)
    for _ in range(UPDATES):
        training.update(x, y)
    return training.model


def of_method(setting: Setting, name: str, model: nn.Module, x: Tensor, y: Tensor) -> dict[str, float]:
    """How far the fast path's loss, and the gradient of the weights, are from the plain path's.

    A second network of the method has initial weights.
    """
    found: list[tuple[Tensor, Tensor]] = []
    for plain in (True, False):
        own = copy.deepcopy(model).train()  # a pass changes the running statistics
        method = cast(Method, discover("methods").get(name)())  # a new one: a pass may change what it remembers
        give_stand_ins(method, lambda: setting.model(x.device))
        method.prepare(own)
        draws, craft = generator(x.device, 0, "agreement"), crafter_for(plain=plain)
        step = Step(x, y, own, setting.training_threat, 0.9, draws, lambda _name, _value: None, craft=craft)
        loss = method.loss(step)
        own.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # as an update does: a method may learn from it
        gradients = [p.grad.flatten() for p in own.parameters() if p.grad is not None]
        found.append((loss.detach(), torch.cat(gradients)))
    (loss, gradient), (fast, fast_gradient) = found
    return {
        "loss": float((fast - loss).abs() / loss.abs()),
        "gradient": float((fast_gradient - gradient).norm() / gradient.norm()),
    }


def of_one_pass(model: nn.Module, x: Tensor, y: Tensor) -> dict[str, float]:
    """The loss and its gradient at the same images, by both paths, in evaluation mode.

    The gradient of each image is divided by its largest entry.
    """
    found = []
    folded = Folded(model, x)
    assert folded.fits(x)
    for faster in (contextlib.nullcontext(), folded.put_in()):
        images = x.clone().requires_grad_()
        with evaluation_mode(model), faster:
            loss = F.cross_entropy(model(images), y)
            (gradient,) = torch.autograd.grad(loss, images)
        found.append((loss.detach(), gradient / gradient.abs().amax((1, 2, 3), keepdim=True)))
    (loss, gradient), (fast, fast_gradient) = found
    flipped = gradient.sign() != fast_gradient.sign()
    return {
        "loss": float((fast - loss).abs() / loss.abs()),
        "signs alike": 1 - float(flipped.float().mean()),
        "largest of another sign": float((gradient.abs() * flipped).max()),
    }


def of_variants(setting: Setting, model: nn.Module, x: Tensor, y: Tensor) -> float:
    """The share of pixels that are alike."""
    crafted = [
        crafter_for(plain=plain)(
            model, x, y, [CrossEntropy()], setting.training_threat, generator(x.device, 0, "agreement")
        )[0].x
        for plain in (True, False)
    ]
    return float((crafted[0] == crafted[1]).float().mean())


def telling(setting: Setting, model: nn.Module, x: Tensor, y: Tensor) -> Threat:
    """The budget under which PGD breaks nearest to half of the images, found by halving an interval of radii."""
    budget, low, high = setting.evaluation_threat, 1 / 2048, 1.0
    tried: list[tuple[float, Threat]] = []
    for _ in range(HALVINGS):
        radius = (low * high) ** 0.5
        threat = replace(budget, epsilon=radius, step_size=radius / 4)
        right = float(verdicts(model, "pgd", x, y, threat, fast=False).float().mean())
        tried.append((abs(right - 0.5), threat))
        low, high = (radius, high) if right > 0.5 else (low, radius)
    return min(tried, key=lambda pair: pair[0])[1]


def compare(name: str, images: int, device: torch.device, precision: Precision) -> dict[str, Any]:
    """All comparisons on one network."""
    setting = SETTINGS[name]
    x, y = setting.examples(images, device)
    with tempfile.TemporaryDirectory() as folder, arithmetic(device, precision):
        model = trained(setting, x, y, Path(folder), precision)
        variants, once = of_variants(setting, model, x, y), of_one_pass(model, x, y)
        losses = {each: of_method(setting, each, model, x, y) for each in sorted(discover("methods").found)}
    model.eval().requires_grad_(False)
    with torch.no_grad():
        labels = model(x).argmax(1)  # so that the attacks have something to break
    threat = telling(setting, model, x, labels)
    different = {}
    for attack in ATTACKS:
        plain, fast = (verdicts(model, attack, x, labels, threat, fast=fast) for fast in (False, True))
        different[attack] = {"different": int((plain != fast).sum()), "right": int(plain.sum()), "images": images}
    head = {"precision": precision, "images": images, "one pass": once, "pixels alike": variants}
    return {**head, "methods": losses, "epsilon": threat.epsilon, "verdicts": different}


def main() -> None:
    """Compare, print, and write ``results/agreement-DEVICE.json``."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--networks", nargs="+", default=sorted(SETTINGS), choices=sorted(SETTINGS))
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="float32", choices=["float32", "tf32", "bfloat16"])
    parser.add_argument("--out", type=Path, help="the file to write, in place of the one in results/")
    chosen = parser.parse_args()
    device = resolve_device(chosen.device)
    file = chosen.out or RESULTS / f"agreement-{device.type}.json"
    for name in chosen.networks:
        found = compare(name, chosen.images, device, chosen.precision)
        worst = max(losses["loss"] for losses in found["methods"].values())
        different = sum(counts["different"] for counts in found["verdicts"].values())
        print(
            f"{name}, {chosen.precision}: of one pass, losses to {found['one pass']['loss']:.1e}, and"
            f" {found['one pass']['signs alike']:.3%} of the signs alike; of an update, losses to {worst:.1e}, and"
            f" {found['pixels alike']:.2%} of the pixels alike; {different} verdicts different",
            flush=True,
        )
        head = {"benchmark": "agreement", **machine(device, "torch"), **surroundings()}
        merge(file, head, {f"{name} {chosen.precision}": found})
    print(file, file=sys.stderr)


if __name__ == "__main__":
    main()
