"""Check a method's contract at every update: what its loss must return, and what it must not change."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from harness.errors import SettingError, listed
from harness.events import VALIDATION_NATURAL, VALIDATION_ROBUST
from harness.plugin.adversary import Crafter, Objective, Variant
from harness.plugin.method import Bins, Log, Method, Step, Tally
from harness.plugin.network import Network
from harness.plugin.settings import Plugin
from harness.plugin.threat import Threat
from harness.plugin.wrapper import Loss, Wrapper
from harness.registry.faults import blaming, fault, modes_held, suspect
from harness.training.effects import ADVICE, seen, touched
from harness.training.histograms import OtherBins
from harness.training.memory import require_savable

MOST_BINS = 1000  # of a histogram
_VALUES_EVERY = 5  # values are compared at every fifth call of a loss; otherwise only torch's write counts, almost free


def updates_a_batch(method: Method) -> int:
    """How many updates each batch gets.

    Raises:
        PluginFault: the method says no whole number of 1 or more.
    """
    number: Any = method.updates_a_batch
    if type(number) is not int or number < 1:
        raise fault(method, f"its updates_a_batch is {number!r}; give a whole number of 1 or more")
    return number


def guarded(method: Method, network: Network | None, wrappers: Sequence[Wrapper] = ()) -> Loss:
    """The method's loss, checked: a broken contract raises a PluginFault that names the method and its file.

    The loss must be a scalar with a gradient. It logs scalars, and counts vectors. It must leave unchanged what belongs
    to the engine: the modes of modules, ``requires_grad``, torch's modes, weights, their gradients, and the batch.

    Raises:
        SettingError: the loss crafts from the image itself, where what it ascends has no gradient.
    """
    plugins: list[Plugin] = [method, *([network] if network is not None else []), *wrappers]
    calls = itertools.count()
    doer = suspect([method, network] if network is not None else [method])
    doing = "its loss" if doer is method else "a pass of it"

    def loss(step: Step) -> Tensor:
        held = seen(step, values=next(calls) % _VALUES_EVERY == 0)
        before = _state(step.model)
        with modes_held(doer, doing), blaming(plugins):
            log, tally = _checked_log(method, step.log), _checked_tally(method, step.tally)
            taken = step.smoothing.taken if step.smoothing is not None else 0
            value: Any = method.loss(replace(step, log=log, tally=tally, craft=_checked_craft(method, step.craft)))
        _check_loss(method, value, step)
        if step.smoothing is not None and step.smoothing.taken == taken:
            raise fault(
                method,
                "its loss never takes step.cross_entropy, so its labels would not be smoothed; train it without"
                " label smoothing, or write step.cross_entropy(logits) in place of torch's",
            )
        changed = [name for name, state in _state(step.model).items() if before.get(name) != state]
        if changed:
            raise fault(
                method,
                f"its loss left {listed(changed)} in another mode or without gradient; the engine sets modes, and"
                " step.perturb crafts in evaluation mode and restores the mode",
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


def _checked_craft(method: Method, craft: Crafter) -> Crafter:
    def checked(
        model: nn.Module,
        x: Tensor,
        y: Tensor,
        objectives: Sequence[Objective],
        threat: Threat,
        *more: Any,
        **named: Any,
    ) -> tuple[Variant, ...]:
        if threat.start == "none" and any(objective.flat_at(x) for objective in objectives):
            raise SettingError(
                f"train.start=none is refused for {method.name}: what it ascends has no gradient at the image itself,"
                " so rounding alone would lead the attack; choose train.start=uniform or gaussian"
            )
        return craft(model, x, y, objectives, threat, *more, **named)

    return checked


def _checked_log(method: Method, log: Log) -> Log:
    def checked(name: str, value: Tensor) -> None:
        given: Any = value
        if name in (VALIDATION_NATURAL, VALIDATION_ROBUST):
            raise fault(method, f"it logs {name}, which is what the images held out give; take another name")
        if not isinstance(name, str):
            raise fault(method, f"it logs under the name {name!r}; a name must be a string")
        if not isinstance(given, Tensor) or given.shape != ():
            kind = f"shape {tuple(given.shape)}" if isinstance(given, Tensor) else type(given).__name__
            raise fault(method, f"it logs {name} as {kind}; log a scalar tensor, such as values.mean()")
        if given.is_complex():
            raise fault(method, f"it logs {name} as {given.dtype}; log a real number, such as value.abs()")
        log(name, value)

    return checked


def _checked_tally(method: Method, tally: Tally) -> Tally:
    def checked(name: str, values: Tensor, bins: Bins) -> None:
        given: Any = values
        if not isinstance(name, str):
            raise fault(method, f"it counts under the name {name!r}; a name must be a string")
        if not isinstance(given, Tensor) or given.dim() != 1 or given.is_complex():
            kind = f"{given.dtype} of shape {tuple(given.shape)}" if isinstance(given, Tensor) else type(given).__name__
            raise fault(method, f"it counts {name} as {kind}; count real numbers of shape (batch,)")
        whole = isinstance(bins.number, int) and 1 <= bins.number <= MOST_BINS
        if not (whole and math.isfinite(bins.low) and math.isfinite(bins.high) and bins.low < bins.high):
            rule = f"give low < high, and 1 to {MOST_BINS} bins"
            raise fault(method, f"it counts {name} from {bins.low} to {bins.high} in {bins.number} bins; {rule}")
        try:
            tally(name, values, bins)
        except OtherBins:
            raise fault(
                method, f"it counts {name} in other bins than before; use one range and number of bins"
            ) from None

    return checked


def _state(model: nn.Module) -> dict[str, bool]:
    """The mode of every module, and ``requires_grad`` of every parameter."""
    modes = {f"module {name or '(the network)'}": module.training for name, module in model.named_modules()}
    return modes | {f"parameter {name}": p.requires_grad for name, p in model.named_parameters()}


def moving_once(method: Method, loss: Loss, wrappers: Sequence[Wrapper]) -> Callable[[], Loss]:
    """Make, for each update, a loss that a wrapper may call several times while the method's memory changes once.

    Every call starts from the memory as it was at the start of the update, so only the last call's change remains. If
    no wrapper overrides ``backward``, the loss is called once and nothing is copied.
    """
    if all(type(wrapper).backward is Wrapper.backward for wrapper in wrappers):
        return lambda: loss

    def for_one_update() -> Loss:
        kept: dict[str, Any] | None = None

        def call(step: Step) -> Tensor:
            nonlocal kept
            if kept is None:
                require_savable([method])  # a memory that cannot be saved may not be copyable, either
                kept = copy.deepcopy(method.state_dict())
            else:
                if not method.saves_itself:
                    for name in set(method.memory) - set(kept):
                        del method.memory[name]
                method.load_state_dict(copy.deepcopy(kept))
            return loss(step)

        return call

    return for_one_update
