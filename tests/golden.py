"""What every plugin that ships computes on fixed inputs, as a few numbers: a change of behaviour changes them.

Coarse on purpose: another machine's last bits must not, so numbers are means, and are compared with a tolerance.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.conformance.probe import CPU, THREAT, like_probe, probe_batch, probe_model, probe_step
from harness.errors import SettingError
from harness.evaluator import evaluate
from harness.networks.smallcnn import SmallCNN
from harness.plugin.attack import Attack
from harness.plugin.dataset import Augmentation, Dataset, Split
from harness.plugin.method import Method
from harness.plugin.network import Network, Shape
from harness.plugin.wrapper import Wrapper
from harness.protocols.protocol import load_protocol
from harness.registry.catalogue import discover
from harness.runtime.seeds import generator
from harness.training.given_networks import give_stand_ins
from harness.training.loop import Trainer, initial_model
from harness.training.wrapped import wrapped_backward
from tests.slim import slim
from tests.stores import make_spec

CLASSES = 10
WHOLE = "wrn-32-10"  # its values were kept before tests made large networks narrow
SHAPES = (Shape(1, 8, 8, 4), Shape(3, 32, 32, 7))


def values_of(kind: str, name: str) -> list[float]:
    """The numbers of one plugin, or of a part of the engine."""
    if kind == "engine":
        return ENGINE[name]()
    made = discover(kind).get(name)
    compute: dict[str, Callable[[Any], list[float]]] = {
        "methods": _method,
        "attacks": _attack,
        "networks": _network,
        "wrappers": _wrapper,
    }
    return compute[kind](made())


def _method(method: Method) -> list[float]:
    """The loss and the gradient's norm of a first update and of one in the next epoch, early and late in a training."""
    found = []
    for progress in (0.0, 0.99):
        model, made = probe_model(), type(method).from_mapping(method.resolved())
        give_stand_ins(made, like_probe)
        made.prepare(model)
        for epoch in (1, 2):
            loss = made.loss(replace(probe_step(model, progress), epoch=epoch))
            model.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # as an update does: a method may learn from it
            gradients = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
            found += [float(loss.detach()), float(torch.cat(gradients).norm())]
    return found


def _attack(attack: Attack) -> list[float]:
    """By how much the mean loss rises and the mean distance, in thousandths, and the share broken, of twelve images."""
    x, _ = probe_batch(12, CLASSES)
    model = probe_model(CLASSES).eval().requires_grad_(False)
    y = model(x).argmax(1)
    threat = replace(THREAT, epsilon=0.02, step_size=0.005)
    x_adv = attack.perturb(model, x, y, threat, generator(CPU, 0, "golden"))
    with torch.no_grad():
        clean, logits = model(x), model(x_adv)
    rise = F.cross_entropy(logits.double(), y) - F.cross_entropy(clean.double(), y)
    return [1000 * float(rise), 1000 * float((x_adv - x).abs().mean()), _share(logits.argmax(1) != y)]


def _network(network: Network) -> list[float]:
    """The logits of the initial weights, for each of two shapes that it takes; of a large network made narrow."""
    found: list[float] = []
    for shape in SHAPES:
        try:
            model = initial_model(network if network.name == WHOLE else slim(network), shape, 0)
        except SettingError:
            continue
        with torch.no_grad():
            found += model.eval()(torch.rand(1, *shape[:3], generator=generator(CPU, 0, "golden"))).flatten().tolist()
    return found


def _wrapper(wrapper: Wrapper) -> list[float]:
    """Sums over the weights that it publishes after three updates by plain SGD."""
    model, made = probe_model(), type(wrapper).from_mapping(wrapper.resolved())
    give_stand_ins(made, like_probe)
    made.prepare(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    sat = cast(Method, discover("methods").get("sat")())
    for _ in range(3):
        optimizer.zero_grad()
        wrapped_backward([made])(probe_step(model), sat.loss)
        optimizer.step()
        made.after(model)
    return [float(tensor.double().square().sum()) for tensor in made.published(model.state_dict()).values()]


def _training() -> list[float]:
    """Sums over the weights after two epochs on random images, the last batch smaller than the others."""
    draws = generator(CPU, 0, "golden")
    images = torch.randint(256, (44, 3, 8, 8), generator=draws, dtype=torch.uint8)
    part = Split(images, torch.arange(44) % 4)
    data = Dataset("golden", part, part, tuple("abcd"), augmentation=Augmentation(crop_padding=1, flip=True))
    protocol = load_protocol("digits").with_values({"train.epochs": 2, "train.batch_size": 16})
    spec = make_spec(data, network_settings={"width": 4}, training=protocol.training_document)
    sat = cast(Method, discover("methods").get("sat")())
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(spec, 1, sat, SmallCNN(width=4), data, Path(folder))
        trainer.fit(lambda _event: None)
    return [float(p.detach().double().square().sum()) for p in trainer.model.parameters()]


def _evaluation() -> list[float]:
    """The share that is right and the mean margin, of an attack that leaves the ball and is projected onto it."""
    x, y = probe_batch(12, CLASSES)
    model = probe_model(CLASSES).eval()

    class Far(Attack):
        def perturb(self, model: Any, x: Tensor, y: Tensor, threat: Any, generator: Any) -> Tensor:
            return 1 - x

        def passes(self, threat: Any) -> Any:
            return None

    verdicts = evaluate(model, Far(), x, y, THREAT, generator(CPU, 0, "golden"))
    return [_share(verdicts.correct), float(verdicts.margins.mean())]


def _share(flags: Tensor) -> float:
    return float(flags.double().mean())


ENGINE: dict[str, Callable[[], list[float]]] = {"training": _training, "evaluation": _evaluation}
