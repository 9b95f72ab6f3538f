"""What every training method must do."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from harness.conformance import ContractCheck, require
from harness.conformance.probe import global_generator_untouched, prepared, probe_step, resumed
from harness.plugin.method import Method
from harness.training.memory import unsavable
from harness.training.remembered import Remembered


def _stages(method: Method) -> Iterator[tuple[float, Method, nn.Module]]:
    """Progress during a burn-in, and after it; each with a prepared method and its network."""
    for progress in (0.0, 0.99):
        yield progress, *prepared(method)


def scalar(method: Method) -> None:
    for progress, made, model in _stages(method):
        loss: Any = made.loss(probe_step(model, progress))
        require(isinstance(loss, Tensor), f"loss returned a {type(loss).__name__}; return a tensor")
        shape = tuple(loss.shape)
        require(shape == (), f"loss has shape {shape}; return a scalar, such as the mean over the batch")


def finite(method: Method) -> None:
    for n in (12, 1):
        for progress, made, model in _stages(method):
            if n == 1:
                model(probe_step(model).x)  # sets batch statistics; one image is enough where features are spatial
            loss = made.loss(probe_step(model, progress, n))
            require(bool(loss.isfinite()), f"loss is {float(loss.detach())} on a batch of {n} at progress {progress}")


def reaches_every_parameter(method: Method) -> None:
    for progress, made, model in _stages(method):
        loss = made.loss(probe_step(model, progress))
        follows = loss.requires_grad
        require(follows, "loss carries no gradient: compute it from step.model(...), not from detached tensors")
        names, parameters = zip(*model.named_parameters(), strict=True)
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        missing = [name for name, g in zip(names, gradients, strict=True) if g is None]
        require(not missing, f"the loss does not depend on {', '.join(missing)}: no gradient reaches it")
        bad = [name for name, g in zip(names, gradients, strict=True) if g is not None and not g.isfinite().all()]
        require(not bad, f"the gradient of {', '.join(bad)} is not finite")


def weights_without_gradient(method: Method) -> None:
    for progress, made, model in _stages(method):
        logged: dict[str, Any] = {}
        made.loss(probe_step(model, progress, log=logged.__setitem__))
        for name, value in logged.items():
            require(isinstance(value, Tensor), f"it logs {name} as {type(value).__name__}; log a scalar tensor")
            require(value.shape == (), f"it logs {name} of shape {tuple(value.shape)}; log scalars")
            constant = not value.requires_grad
            require(constant, f"it logs {name} with a gradient: weights are constants of the update, so detach them")


def modes(method: Method) -> None:
    for progress, made, model in _stages(method):
        made.loss(probe_step(model, progress))
        kept = all(module.training for module in model.modules())
        require(kept, "it left the network in evaluation mode; step.perturb switches and restores the mode by itself")


def silent(method: Method) -> None:
    made, model = prepared(method)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        made.prepare(model)
        made.loss(probe_step(model))
    line = printed.getvalue().strip().split("\n")[0]
    require(not line, f"it prints ({line[:40]!r}): standard output is for results; use step.log, or Python's logging")


def no_gradient_left(method: Method) -> None:
    made, model = prepared(method)
    made.loss(probe_step(model))
    left = [name for name, parameter in model.named_parameters() if parameter.grad is not None]
    require(not left, f"it left a gradient in {', '.join(left)}: call no backward(); craft with step.perturb")


def global_generator(method: Method) -> None:
    for progress, made, model in _stages(method):
        with global_generator_untouched():
            made.loss(probe_step(model, progress))


def repeatable(method: Method) -> None:
    for stages in zip(_stages(method), _stages(method), strict=True):
        one, other = (made.loss(probe_step(model, progress)) for progress, made, model in stages)
        require(torch.equal(one, other), "two equal steps gave different losses: it draws or keeps something")


def statistics(method: Method) -> None:
    """Crafting leaves batch-norm's statistics alone; the update passes each set of inputs by itself, never joined."""
    for progress, made, model in _stages(method):
        seen: list[Tensor] = []
        model.register_forward_pre_hook(lambda m, inputs, seen=seen: seen.append(inputs[0]) if m.training else None)
        made.loss(probe_step(model, progress))
        sizes = {len(inputs) for inputs in seen}
        require(
            sizes == {12},
            f"in training mode it passes batches of {sorted(sizes)} images for a batch of 12: give each set of inputs"
            " a forward pass of its own, since concatenated ones share batch statistics",
        )
        n = len(seen)
        require(n <= 8, f"{n} passes in training mode for one update: craft with step.perturb, in evaluation mode")


def memory(method: Method) -> None:
    made, model = prepared(method)
    remembered = Remembered([made], model)
    for updates in (0, 1):
        if updates:
            made.loss(probe_step(model)).backward()  # type: ignore[no-untyped-call]
        problem = unsavable(made) or next((lost for _, lost in remembered.lost()), None)
        require(problem is None, str(problem))
    one, other = (m.loss(probe_step(network)) for m, network in ((made, model), resumed(made, model)))
    same = torch.equal(one, other)
    require(same, "after a save and a load it computes another loss: keep what it remembers in self.memory")


CHECKS: dict[str, ContractCheck] = {
    "the loss is a scalar tensor": scalar,
    "the loss is finite": finite,
    "a gradient reaches every parameter": reaches_every_parameter,
    "logged weights are scalars without gradient": weights_without_gradient,
    "the network is left in training mode": modes,
    "it prints nothing": silent,
    "no gradient is left in the parameters": no_gradient_left,
    "torch's global generator is not used": global_generator,
    "equal steps give equal losses": repeatable,
    "crafting leaves batch-norm alone": statistics,
    "its memory survives a save and a load": memory,
}
