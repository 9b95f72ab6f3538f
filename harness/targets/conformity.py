"""Checks that a model can be evaluated, before any other work; and that it answers as before, after the attacks."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from harness.errors import one_line
from harness.plugin.network import Shape
from harness.rigour.forward import SAME, other_passes_differ
from harness.runtime.device import arithmetic
from harness.runtime.isolation import isolated
from harness.runtime.process import process_kept
from harness.runtime.untouched import Untouched
from harness.targets.prepared import BELOW, Prepared
from harness.targets.preprocessing import BINARY, Outputs
from harness.targets.target import TargetError

SUM_TOLERANCE = 1e-3  # how far from 1 a float16 softmax over a thousand classes may sum


def check_conformity(model: Prepared, label: str, outputs: Outputs, shape: Shape, images: Tensor) -> dict[str, str]:
    """Pass images through a model, together and the first alone, and look at what it returns.

    Args:
        model: on the CPU, in evaluation mode.
        outputs: what the user says it returns.
        images: ``(n, channels, height, width)`` float32 in [0, 1], n at least 1.
    Returns:
        What was done to the outputs, in words.
    """
    weights = _weights(model)
    returned = _checked(model, label, shape, images, outputs)
    _checked(model, label, shape, images[:1], outputs)  # a squeeze in the model would drop a batch of one
    _check_gradient(model, label, images)
    if moved := _moved(model, weights):
        raise TargetError(_adapts(label, moved))
    if outputs in BINARY:
        return {"outputs": f"{outputs}: the one output is that of the second class"}
    probabilities = bool((returned >= 0).all()) and bool(((returned.float().sum(1) - 1).abs() < SUM_TOLERANCE).all())
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
    masked = bool(returned.isneginf().any())
    return {"minus_infinity": f"held {BELOW:,.0f} below the lowest finite logit of an image"} if masked else {}


def _adapts(label: str, moved: list[str]) -> str:
    return (
        f"{label} changes its own weights in a pass ({', '.join(moved[:2])}): it adapts at test time, so that an answer"
        " depends on what was asked before; give a factory that returns the network without the adaptation, or adapted"
        " and frozen"
    )


def _checked(model: Prepared, label: str, shape: Shape, images: Tensor, outputs: Outputs) -> Tensor:
    """What the network returns for some images; refused unless it has the shape and the values of scores."""
    size = f"{shape.channels}x{shape.height}x{shape.width}"
    try:
        with process_kept(), torch.no_grad(), arithmetic(torch.device("cpu"), "float32"):
            returned = model.outputs(images)
    except (Exception, SystemExit) as error:  # a stranger's network may raise anything
        if moved := _moved_by_a_pass(model, images):
            raise TargetError(_adapts(label, moved)) from error
        batch = "" if len(images) > 1 else " one at a time"
        other = {3: ", read a folder in grey with --channels 1,", 1: ", read a folder as RGB with --channels 3,"}
        grey = other.get(shape.channels, "")
        raise TargetError(
            f"{label} does not take the data set's images, {size}{batch} ({one_line(error)}); choose the --dataset that"
            f" it was made for{grey} or wrap it in a module:factory that resizes inside the model, or fills a batch up"
            " to the one size that the model takes"
        ) from error
    if not isinstance(returned, Tensor):
        raise TargetError(
            f"{label} returns {_kind(returned)}, and must return one tensor, the logits (batch, classes);"
            " wrap it in a module:factory that returns them alone"
        )
    if returned.device != images.device:
        raise TargetError(
            f"{label} returns its answers on {returned.device} for images on {images.device}; return them where the"
            " images are: .to(x.device)"
        )
    if not returned.is_floating_point():
        raise TargetError(
            f"{label} returns {str(returned.dtype).removeprefix('torch.')}, and must return floating-point logits"
            " (batch, classes): class numbers cannot be attacked by gradients"
        )
    if outputs in BINARY:
        returned = returned.reshape(len(images), -1)
        _check_binary(returned, label, shape, outputs)
    else:
        _check_shape(returned, label, shape, len(images))
    usable = returned.float().isfinite() | returned.isneginf()  # -inf masks a class
    if bad := len(images) - int((usable.all(1) & returned.isfinite().any(1)).sum()):
        raise TargetError(
            f"{label} returns NaN or infinity on {bad} of {len(images)} images; look into its weights, and whether it"
            " takes pixels in [0, 1]"
        )
    return returned


def _moved_by_a_pass(model: Prepared, images: Tensor) -> list[str]:
    """Names of the weights that a pass changes once they may have gradients; none if the pass fails again."""
    weights = _weights(model)
    model.requires_grad_(True)
    try:
        with contextlib.suppress(Exception, SystemExit), torch.enable_grad():
            model.outputs(images.clone())
        return _moved(model, weights)
    finally:
        model.requires_grad_(False)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(weights[name])


def _weights(model: Prepared) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def _moved(model: Prepared, before: dict[str, Tensor]) -> list[str]:
    return [name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])]


def _check_gradient(model: Prepared, label: str, images: Tensor) -> None:
    """Take a gradient by the images, as attacks do. A gradient of zeros is not refused here, but flagged later."""
    x = images.clone().requires_grad_()
    try:
        with process_kept(), torch.enable_grad(), arithmetic(torch.device("cpu"), "float32"):
            torch.autograd.grad(model(x).sum(), x)
    except (Exception, SystemExit) as error:
        if "use_reentrant" in str(error):
            raise TargetError(
                f"{label} uses torch.utils.checkpoint with use_reentrant=True, through which torch gives no gradient of"
                " the images alone, and attacks ask for one; write use_reentrant=False in its checkpoint(...) calls"
            ) from error
        raise TargetError(
            f"{label} does not let a gradient through to the images ({one_line(error)}), and attacks ask for one; use"
            " torch's differentiable operations, or x.detach() first, which attacks see as no gradient"
        ) from error


def _check_binary(returned: Tensor, label: str, shape: Shape, outputs: Outputs) -> None:
    if shape.classes != 2:
        raise TargetError(f"--outputs {outputs} is refused: the data set has {shape.classes} classes, and it takes 2")
    if returned.shape[1] != 1:
        raise TargetError(f"--outputs {outputs} is refused: {label} returns {returned.shape[1]} values an image, not 1")
    if outputs == "binary-probability" and not _in_unit_interval(returned):
        raise TargetError(
            f"--outputs {outputs} is refused: {label} returns values of {float(returned.min()):.3g} to"
            f" {float(returned.max()):.3g}; say --outputs binary-logit where they are logits"
        )


def _check_shape(returned: Tensor, label: str, shape: Shape, batch: int) -> None:
    if shape.classes == 2 and returned.shape in ((batch,), (batch, 1)):
        where = "all values here are" if _in_unit_interval(returned) else "here they are not all"
        raise TargetError(
            f"{label} returns one value an image, and attacks need a logit of each class; if it is the logit of the"
            f" second class say --outputs binary-logit, if it is its probability --outputs binary-probability ({where}"
            " in [0, 1])"
        )
    if returned.ndim != 2 or len(returned) != batch:
        raise TargetError(
            f"{label} returns the shape {tuple(returned.shape)} for {batch} image(s), and must return"
            f" (batch, classes), here ({batch}, {shape.classes}); wrap it in a module:factory that does"
        )
    if returned.shape[1] != shape.classes:
        raise TargetError(wrong_classes(label, returned.shape[1], shape.classes))


def wrong_classes(label: str, theirs: int, ours: int) -> str:
    """The refusal of a model with another number of classes."""
    return (
        f"{label} tells {theirs} classes apart, and the data set has {ours}; choose the --dataset that it was trained"
        " on, or wrap it in a module:factory that returns the columns of this data set's classes"
    )


def _in_unit_interval(values: Tensor) -> bool:
    return bool(((values >= 0) & (values <= 1)).all())


def _kind(returned: object) -> str:
    if isinstance(returned, Mapping):
        return f"a mapping with the keys {', '.join(map(str, list(returned)[:3]))}"
    if isinstance(returned, (tuple, list)):
        return f"a {type(returned).__name__} of {len(returned)}"
    return f"a {type(returned).__name__}"


class Steadiness:
    """A model's first answers to some images, to compare later ones with.

    If equal passes differ and change no tensor, the model's answers are random. This is not refused here; the checks of
    rigour flag it.

    Args:
        model: on the images' device, in evaluation mode; it gives logits.
        label: the model's name in messages.
        images: ``(n, channels, height, width)`` in [0, 1].
    """

    def __init__(self, model: nn.Module, label: str, images: Tensor) -> None:
        self._model, self._label, self._images = model, label, images
        self._first = self._answers()

    def check(self) -> None:
        """Compare the answers of now with the first.

        Raises:
            TargetError: the answers have changed, and stay changed, or a pass changes the model's tensors.
        """
        now = self._answers()
        if other_passes_differ(self._first, now) <= SAME:
            return
        before = Untouched(self._model)
        if other_passes_differ(now, self._answers()) <= SAME or before.changed(self._model):
            raise TargetError(
                f"{self._label} answers otherwise than before it was attacked: it changes as it is used, so that no"
                " figure is of one model; give a factory that returns the network frozen, without what it counts,"
                " keeps, or adapts"
            )

    def _answers(self) -> Tensor:
        device = self._images.device
        with torch.no_grad(), arithmetic(device, "float32"), isolated(self._model, device, 0):
            answers: Tensor = self._model(self._images.clone())
        return answers
