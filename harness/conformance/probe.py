"""The tiny network, batch, and step that plugins are checked on."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from torch import Tensor, nn

from harness.conformance import require
from harness.plugin.method import Method, Step
from harness.plugin.threat import Threat
from harness.plugin.wrapper import Wrapper
from harness.runtime.seeds import generator, global_seed
from harness.training.given_networks import give_stand_ins

Part = TypeVar("Part", Method, Wrapper)
CPU = torch.device("cpu")
CLASSES = 5
THREAT = Threat(epsilon=0.1, steps=5, step_size=0.03, start="uniform")


def probe_model(classes: int = CLASSES) -> nn.Module:
    """A convolution, a batch-norm whose statistics are not the initial ones, a linear layer; for 3x6x6 images."""
    with global_seed(CPU, 0):
        norm = nn.BatchNorm2d(8)
        layers = (nn.Conv2d(3, 8, 3, padding=1, stride=2), norm, nn.ReLU(), nn.Flatten(), nn.Linear(72, classes))
        model = nn.Sequential(*layers)
        norm.running_mean, norm.running_var = 0.1 * torch.randn(8), 0.5 + torch.rand(8)
    return model


def like_probe() -> nn.Module:
    """A network of the layers of ``probe_model``, with weights of the generator's state: a teacher, or a companion."""
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(72, CLASSES))


def probe_batch(n: int = 12, classes: int = CLASSES) -> tuple[Tensor, Tensor]:
    """Random images in [0, 1] and labels."""
    draws = generator(CPU, 0, "probe")
    return torch.rand(n, 3, 6, 6, generator=draws), torch.randint(classes, (n,), generator=draws)


def probe_step(
    model: nn.Module,
    progress: float = 0.99,
    n: int = 12,
    log: Callable[[str, Tensor], None] = lambda _name, _value: None,
) -> Step:
    """A step on the probe batch, with the model in training mode."""
    x, y = probe_batch(n)
    return Step(x, y, model.train(), THREAT, progress, generator(CPU, 0, "step"), log)


def prepared(part: Part) -> tuple[Part, nn.Module]:
    """A new plugin with the same settings and an empty memory, prepared for a new network, and that network."""
    model, made = probe_model(), type(part).from_mapping(part.resolved())
    give_stand_ins(made, like_probe)
    made.prepare(model)
    return made, model


def resumed(part: Part, model: nn.Module) -> tuple[Part, nn.Module]:
    """The plugin and its network after a save and a load, as a resumed training makes them."""
    buffer = io.BytesIO()
    torch.save(part.state_dict(), buffer)
    buffer.seek(0)
    other, other_model = prepared(part)
    other.load_state_dict(torch.load(buffer, weights_only=True))
    other_model.load_state_dict(model.state_dict())
    return other, other_model


@contextlib.contextmanager
def global_generator_untouched() -> Iterator[None]:
    """Raise Violation if the body draws from torch's global generator."""
    before = torch.get_rng_state()
    yield
    require(
        torch.equal(torch.get_rng_state(), before),
        "it draws from torch's global generator, so it is not repeatable; draw with generator=step.generator, or the"
        " generator that perturb is given",
    )
