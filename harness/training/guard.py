"""The method's side of an update, held to its contract: what a loss must be, and what it must leave as it was."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from harness.errors import listed
from harness.plugin.method import Log, Method, Step
from harness.plugin.network import Network
from harness.plugin.settings import Plugin
from harness.plugin.wrapper import Loss, Wrapper
from harness.registry.faults import blaming, fault, modes_held, suspect
from harness.training.effects import ADVICE, seen, touched
from harness.training.memory import require_savable

_VALUES_EVERY = 5  # calls of a loss: in the others, what torch itself counts is compared, which costs next to nothing


def guarded(method: Method, network: Network | None, wrappers: Sequence[Wrapper] = ()) -> Loss:
    """The method's loss; a broken contract is a PluginFault that names the method and its file.

    The loss is a scalar with a gradient, what it logs are scalar tensors, and the modes of modules, what asks for
    gradients, torch's modes, weights, their gradients, and the batch are afterwards as they were: all these are the
    engine's.
    """
    plugins: list[Plugin] = [method, *([network] if network is not None else []), *wrappers]
    calls = itertools.count()
    doer = suspect([method, network] if network is not None else [method])
    doing = "its loss" if doer is method else "a pass of it"

    def loss(step: Step) -> Tensor:
        held = seen(step, values=next(calls) % _VALUES_EVERY == 0)
        before = _state(step.model)
        with modes_held(doer, doing), blaming(plugins):
            value: Any = method.loss(replace(step, log=_checked_log(method, step.log)))
        _check_loss(method, value, step)
        changed = [name for name, state in _state(step.model).items() if before.get(name) != state]
        if changed:
            raise fault(
                method,
                f"its loss left {listed(changed)} in another mode or without gradient; modes are the engine's:"
                " step.perturb crafts in evaluation mode and puts it back",
            )
        changes = touched(held, step)
        if changes:
            kind = next(iter(changes.values()))
            names = [name for name, its in changes.items() if its == kind]
            raise fault(doer, f"{doing} changed {listed(names)}; {ADVICE[kind]}")
        return value  # type: ignore[no-any-return]  # checked above

    return loss


def _check_loss(method: Method, value: Any, step: Step) -> None:
    if not isinstance(value, Tensor):
        raise fault(method, f"its loss is a {type(value).__name__}; return a scalar tensor, without .item()")
    if value.shape != ():
        raise fault(
            method, f"its loss has shape {tuple(value.shape)}; return a scalar, such as the mean over the batch"
        )
    if not value.is_floating_point():
        raise fault(method, f"its loss is of type {value.dtype}; return a floating-point scalar")
    if value.device != step.x.device:
        raise fault(method, f"its loss is on {value.device}, and the batch on {step.x.device}; compute it there")
    if not value.requires_grad:
        raise fault(method, "its loss carries no gradient; compute it from step.model(...), not from detached tensors")


def _checked_log(method: Method, log: Log) -> Log:
    def checked(name: str, value: Tensor) -> None:
        given: Any = value
        if not isinstance(name, str):
            raise fault(method, f"it logs under the name {name!r}; a name is a text")
        if not isinstance(given, Tensor) or given.shape != ():
            kind = f"shape {tuple(given.shape)}" if isinstance(given, Tensor) else type(given).__name__
            raise fault(method, f"it logs {name} as {kind}; log a scalar tensor, such as values.mean()")
        if given.is_complex():
            raise fault(method, f"it logs {name} as {given.dtype}; log a real number, such as value.abs()")
        log(name, value)

    return checked


def _state(model: nn.Module) -> dict[str, bool]:
    """The mode of every module, and whether each parameter asks for a gradient."""
    modes = {f"module {name or '(the network)'}": module.training for name, module in model.named_modules()}
    return modes | {f"parameter {name}": p.requires_grad for name, p in model.named_parameters()}


def moving_once(method: Method, loss: Loss, wrappers: Sequence[Wrapper]) -> Callable[[], Loss]:
    """Gives for each update a loss that a wrapper may take several times: the method's memory moves once.

    Each call but the first begins with the memory that the update began with, so that what stays is what the last call
    made of it. Without a wrapper that takes the gradient in its own way nothing is copied.
    """
    if all(type(wrapper).backward is Wrapper.backward for wrapper in wrappers):
        return lambda: loss

    def for_one_update() -> Loss:
        kept: dict[str, Any] | None = None

        def call(step: Step) -> Tensor:
            nonlocal kept
            if kept is None:
                require_savable([method])  # what cannot be saved may not be copied either
                kept = copy.deepcopy(method.state_dict())
            else:
                if not method.saves_itself:
                    for name in set(method.memory) - set(kept):
                        del method.memory[name]
                method.load_state_dict(copy.deepcopy(kept))
            return loss(step)

        return call

    return for_one_update
