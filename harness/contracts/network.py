"""What every network must do."""

from __future__ import annotations

import torch
from torch import nn

from harness.contracts import Check, require
from harness.contracts.probe import CPU
from harness.errors import SettingError
from harness.network import Network, Shape
from harness.seeds import generator, global_seed

SHAPES = (Shape(1, 8, 8, 4), Shape(3, 32, 32, 7))
ABSURD = Shape(3, 500, 3, 7)


def _built(network: Network) -> list[tuple[nn.Module, Shape]]:
    """The network for each shape that it takes."""
    built = []
    for shape in SHAPES:
        try:
            with global_seed(CPU, 0):
                built.append((network.build(shape), shape))
        except SettingError:
            continue
    require(bool(built), f"it takes neither of {[s[:3] for s in SHAPES]}; a network should take 8x8 or 32x32 images")
    return built


def logits(network: Network) -> None:
    for model, shape in _built(network):
        output = model.eval()(torch.rand(2, *shape[:3], generator=generator(CPU, 0)))
        require(
            tuple(output.shape) == (2, shape.classes),
            f"for 2 images of {shape.classes} classes it gives shape {tuple(output.shape)}; give (batch, classes)",
        )
        require(bool(output.isfinite().all()), "its logits are not finite")
        sums = output.sum(1)
        probabilities = bool((output >= 0).all()) and bool((sums - 1).abs().max() < 1e-4)
        require(not probabilities, "its outputs are probabilities; give logits, before softmax")


def deterministic(network: Network) -> None:
    for model, shape in _built(network):
        x = torch.rand(3, *shape[:3], generator=generator(CPU, 0))
        model.eval()
        together, alone = model(x), torch.cat([model(image[None]) for image in x])
        require(torch.equal(model(x), together), "in evaluation mode two equal passes differ: something is drawn")
        require(
            torch.allclose(together, alone, rtol=1e-3, atol=1e-4),
            "in evaluation mode an image's logits depend on the other images of the batch",
        )


def differentiable(network: Network) -> None:
    for model, shape in _built(network):
        x = torch.rand(2, *shape[:3], generator=generator(CPU, 0)).requires_grad_()
        (gradient,) = torch.autograd.grad(model.eval()(x).square().sum(), x, allow_unused=True)
        reaches = gradient is not None and bool((gradient.flatten(1).abs().sum(1) > 0).all())
        require(reaches, "no gradient reaches the images: a white-box attack would look strong against nothing")


def initialised_alike(network: Network) -> None:
    (first, _), (second, _) = _built(network)[0], _built(network)[0]
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    require(
        all(torch.equal(a, b) for a, b in pairs), "the same seed gives different weights: initialise with torch's own"
    )


def refuses(network: Network) -> None:
    try:
        with torch.device("meta"):
            output = network.build(ABSURD).eval()(torch.zeros(1, *ABSURD[:3]))
    except SettingError:
        return
    except Exception as error:
        require(
            False, f"images of 500x3 give {type(error).__name__}; raise SettingError, which says the sizes it takes"
        )
    else:
        require(tuple(output.shape) == (1, ABSURD.classes), "images of 500x3 give logits of another shape")


CHECKS: dict[str, Check] = {
    "it gives logits": logits,
    "evaluation mode is deterministic": deterministic,
    "gradients reach the images": differentiable,
    "the seed decides the initial weights": initialised_alike,
    "it refuses images that do not fit": refuses,
}
