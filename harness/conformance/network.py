"""What every network must do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from harness.conformance import ContractCheck, require
from harness.conformance.probe import CPU
from harness.errors import SettingError
from harness.identity import same
from harness.plugin.network import Network, Shape
from harness.runtime.seeds import generator, global_seed

SHAPES = (Shape(1, 8, 8, 4), Shape(3, 32, 32, 7))
ABSURD = Shape(3, 500, 3, 7)
PASSES = (("training", 2), ("evaluation", 3), ("evaluation", 1))  # the mode, and how many images


def _images(count: int, shape: Shape) -> Tensor:
    return torch.rand(count, *shape[:3], generator=generator(CPU, 0))


def require_trainable(model: Any, shape: Shape, device: torch.device = CPU) -> None:
    """Check, before every training, that a newly built network can be trained; moves it to the device.

    Raises:
        Violation: the network has nothing to train, gives no logits, lets no gradient reach the images, or changes
            the images that it is given.
    """
    parameters(model, shape)
    model.to(device)
    outputs(model, shape, device)
    connected(model, shape, device)


def parameters(model: Any, shape: Shape) -> None:
    require(isinstance(model, nn.Module), f"build gives a {type(model).__name__}; give a torch.nn.Module")
    named = [*model.named_parameters(), *model.named_buffers()]
    lazy = ", ".join([name for name, tensor in named if is_lazy(tensor)][:3])
    require(not lazy, f"{lazy} has no shape before the first pass: use no lazy layers; build is given the shape")
    require(any(True for _ in model.parameters()), "it has no parameters: there is nothing to train")
    trainable = any(parameter.requires_grad for parameter in model.parameters())
    require(trainable, "all its parameters are frozen (requires_grad is False): there is nothing to train")


def outputs(model: nn.Module, shape: Shape, device: torch.device = CPU) -> None:
    """In both modes the model gives float32 logits that depend on its parameters, and does not write to the images."""
    for mode, count in PASSES:
        model.train(mode == "training")
        x = _images(count, shape).to(device)
        before, version = x.clone(), x._version
        given = model(x)
        require(
            torch.equal(x, before) and x._version == version,
            "it writes into the images that it is given: write x = x - a, not x -= a, and use no in-place first layer",
        )
        require_logits(given, count, shape, mode)
        require(given.requires_grad, f"in {mode} mode its logits carry no gradient: leave out no_grad and detach")


def require_seeded(network: Network, shape: Shape, device: torch.device = CPU) -> None:
    """The seed decides the initial weights, and the network's random draws in training mode.

    Raises:
        Violation: two networks built from the same seed differ in their weights or in their logits.
    """
    (weights, given), (others, again) = (_begun(network, shape, device) for _ in range(2))
    equal = weights.keys() == others.keys() and all(same(weights[name], others[name]) for name in weights)
    require(equal, "the same seed gives different weights: draw initial weights from torch's global generator")
    alike = torch.equal(given, again) if device.type == "cpu" else torch.allclose(given, again, rtol=1e-3, atol=1e-4)
    require(
        alike,
        "in training mode the same seed gives different logits: draw from the global generator of torch, numpy, or"
        " Python, which the engine seeds, or seed a generator of its own in build, by torch.initial_seed()",
    )


def _begun(network: Network, shape: Shape, device: torch.device) -> tuple[dict[str, Tensor], Tensor]:
    """The initial weights for seed 0, and the logits of a first pass in training mode."""
    with global_seed(CPU, 0):
        model = network.build(shape).train()
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items() if isinstance(tensor, Tensor)}
    x = _images(2, shape).to(device)
    with global_seed(device, 0), torch.no_grad():
        logits: Tensor = model.to(device)(x)
    return weights, logits


def connected(model: nn.Module, shape: Shape, device: torch.device = CPU) -> None:
    """In evaluation mode, where variants are crafted, the logits have a gradient with respect to the images."""
    x = _images(2, shape).to(device).requires_grad_()
    (gradient,) = torch.autograd.grad(model.eval()(x).sum(), x, allow_unused=True)
    require(gradient is not None, "no gradient reaches the images, so no variant can be crafted")


def require_logits(given: Any, count: int, shape: Shape, mode: str) -> None:
    """Check that ``given`` is finite float32 logits with one row for each image."""
    kind = type(given).__name__
    require(isinstance(given, Tensor), f"in {mode} mode it gives a {kind}; give one tensor, (batch, classes)")
    require(
        tuple(given.shape) == (count, shape.classes),
        f"in {mode} mode, for images ({count}, {', '.join(map(str, shape[:3]))}) of {shape.classes} classes, it gives"
        f" shape {tuple(given.shape)}; give (batch, classes)",
    )
    require(given.dtype == torch.float32, f"in {mode} mode its logits are {given.dtype}; give torch.float32")
    require(bool(given.isfinite().all()), f"in {mode} mode its logits are not finite")


def _built(network: Network) -> list[tuple[nn.Module, Shape]]:
    """The network built for each of ``SHAPES`` that it accepts."""
    built = []
    for shape in SHAPES:
        try:
            with global_seed(CPU, 0):
                built.append((network.build(shape), shape))
        except SettingError:
            continue
    require(bool(built), f"it takes neither of {[s[:3] for s in SHAPES]}; a network should take 8x8 or 32x32 images")
    return built


def _each(check: Callable[[nn.Module, Shape], None]) -> ContractCheck:
    """A check that runs ``check`` on the network built for each shape."""

    def over(network: Network) -> None:
        for model, shape in _built(network):
            check(model, shape)

    return over


def logits(model: nn.Module, shape: Shape) -> None:
    outputs(model, shape)
    output = model.eval()(_images(2, shape))
    sums = output.sum(1)
    probabilities = bool((output >= 0).all()) and bool((sums - 1).abs().max() < 1e-4)
    require(not probabilities, "its outputs are probabilities; give logits, before softmax")


def deterministic(model: nn.Module, shape: Shape) -> None:
    x = _images(3, shape)
    model.eval()
    together, alone = model(x), torch.cat([model(image[None]) for image in x])
    require(torch.equal(model(x), together), "in evaluation mode two equal passes differ: it draws random numbers")
    alike = torch.allclose(together, alone, rtol=1e-3, atol=1e-4)
    require(alike, "in evaluation mode an image's logits depend on the other images of the batch")


def differentiable(model: nn.Module, shape: Shape) -> None:
    x = _images(2, shape).requires_grad_()
    (gradient,) = torch.autograd.grad(model.eval()(x).square().sum(), x, allow_unused=True)
    reaches = gradient is not None and bool((gradient.flatten(1).abs().sum(1) > 0).all())
    require(reaches, "no gradient reaches the images: a white-box attack would fail, and the network would look robust")


def seeded(network: Network) -> None:
    require_seeded(network, _built(network)[0][1])


def refuses(network: Network) -> None:
    try:
        with torch.device("meta"):
            output = network.build(ABSURD).eval()(torch.zeros(1, *ABSURD[:3]))
    except SettingError:
        return
    except Exception as error:
        kind = type(error).__name__
        require(False, f"images of 500x3 give {kind}; raise SettingError, which says the sizes it takes")
    else:
        require(tuple(output.shape) == (1, ABSURD.classes), "images of 500x3 give logits of another shape")


CHECKS: dict[str, ContractCheck] = {
    "it has parameters to train": _each(parameters),
    "it gives logits": _each(logits),
    "evaluation mode is deterministic": _each(deterministic),
    "gradients reach the images": _each(differentiable),
    "the seed decides the initial weights and what is drawn": seeded,
    "it refuses images that do not fit": refuses,
}
