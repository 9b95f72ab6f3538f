"""Whether a model takes the data set's images and returns logits: recognised or refused before anything else."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from harness.device import arithmetic
from harness.network import Shape
from harness.targets.errors import TargetError, told
from harness.targets.preprocessing import Outputs, Prepared

SUM_TOLERANCE = 1e-3  # of a row of probabilities: what a softmax in float16 leaves over a thousand classes


def check_conformity(model: Prepared, label: str, outputs: Outputs, shape: Shape, images: Tensor) -> None:
    """Pass images through a model, together and the first alone, and look at what it returns.

    Args:
        model: on the CPU, in evaluation mode.
        outputs: what the user says it returns.
        images: ``(n, channels, height, width)`` float32 in [0, 1], n at least 1.
    Raises:
        TargetError: the images do not go through, or what comes back is not finite logits ``(n, classes)``.
    """
    returned = _checked(model, label, shape, images)
    _checked(model, label, shape, images[:1])  # a squeeze somewhere drops the batch of one
    _check_gradient(model, label, images)
    probabilities = _are_probabilities(returned)
    if probabilities and outputs == "logits":
        raise TargetError(
            f"{label} returns probabilities (not negative, each row sums to 1), not logits: attacks would see hardly"
            " any gradient; return the network's logits, or say --outputs probabilities, which takes their logarithm"
        )
    if outputs == "probabilities" and not probabilities:
        raise TargetError(
            f"--outputs probabilities is refused: {label} returns values of {float(returned.min()):.3g} to"
            f" {float(returned.max()):.3g} whose rows do not sum to 1; leave it out where they are logits"
        )


def _checked(model: Prepared, label: str, shape: Shape, images: Tensor) -> Tensor:
    """What the network returns for some images, where that has the shape and the values of scores."""
    size = f"{shape.channels}x{shape.height}x{shape.width}"
    given = images.clone()
    try:
        with torch.no_grad(), arithmetic(torch.device("cpu"), "float32"):
            returned = model.outputs(given)
    except (Exception, SystemExit) as error:  # a stranger's network may raise anything
        batch = "" if len(images) > 1 else " one at a time"
        raise TargetError(
            f"{label} does not take the data set's images, {size}{batch} ({told(error)}); choose the --dataset that it"
            " was made for, or wrap it in a module:factory that resizes inside the model"
        ) from error
    if not isinstance(returned, Tensor):
        raise TargetError(
            f"{label} returns {_kind(returned)}, and must return one tensor, the logits (batch, classes);"
            " wrap it in a module:factory that returns them alone"
        )
    if not returned.is_floating_point():
        raise TargetError(
            f"{label} returns {str(returned.dtype).removeprefix('torch.')}, and must return floating-point logits"
            " (batch, classes): class numbers cannot be attacked by gradients"
        )
    _check_shape(returned, label, shape, len(images))
    finite = returned.float().isfinite().all(1)
    if not bool(finite.all()):
        bad = int((~finite).sum())
        raise TargetError(
            f"{label} returns NaN or infinity on {bad} of {len(images)} images; look into its weights, and whether it"
            " takes pixels in [0, 1]"
        )
    if not torch.equal(given, images):
        raise TargetError(
            f"{label} changes its input in place, so attacks would lose track of the images and of epsilon;"
            " write x = x - mean rather than x -= mean in its forward"
        )
    return returned


def _check_gradient(model: Prepared, label: str, images: Tensor) -> None:
    """One pass as attacks make it, back to the images; a gradient of zeros is not refused here, but flagged later."""
    x = images.clone().requires_grad_()
    try:
        with torch.enable_grad(), arithmetic(torch.device("cpu"), "float32"):
            torch.autograd.grad(model(x).sum(), x)
    except (Exception, SystemExit) as error:
        raise TargetError(
            f"{label} does not let a gradient through to the images ({told(error)}), and attacks ask for one; use"
            " torch's differentiable operations, or x.detach() first, which attacks see as no gradient"
        ) from error


def _check_shape(returned: Tensor, label: str, shape: Shape, batch: int) -> None:
    if returned.ndim != 2 or len(returned) != batch:
        raise TargetError(
            f"{label} returns the shape {tuple(returned.shape)} for {batch} image(s), and must return"
            f" (batch, classes), here ({batch}, {shape.classes}); wrap it in a module:factory that does"
        )
    if returned.shape[1] != shape.classes:
        raise TargetError(wrong_classes(label, returned.shape[1], shape.classes))


def wrong_classes(label: str, theirs: int, ours: int) -> str:
    """The refusal of a model for another number of classes."""
    return (
        f"{label} tells {theirs} classes apart, and the data set has {ours}; choose the --dataset that it was trained"
        " on, or wrap it in a module:factory that returns the columns of this data set's classes"
    )


def _are_probabilities(returned: Tensor) -> bool:
    sums = returned.float().sum(1)
    return bool((returned >= 0).all()) and bool(((sums - 1).abs() < SUM_TOLERANCE).all())


def _kind(returned: object) -> str:
    if isinstance(returned, Mapping):
        return f"a mapping with the keys {', '.join(map(str, list(returned)[:3]))}"
    if isinstance(returned, (tuple, list)):
        return f"a {type(returned).__name__} of {len(returned)}"
    return f"a {type(returned).__name__}"
