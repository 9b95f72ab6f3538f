"""Try plugins before anything is written: a plugin that breaks its contract is refused now, not after hours of work.

The project's tests hold what ships to its contracts, so most trials are of plugins that do not ship.
"""

from __future__ import annotations

import contextlib
import io
import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from harness.conformance import Violation
from harness.conformance.attack import repeatable
from harness.conformance.network import require_seeded, require_trainable
from harness.plugin.adversary import Crafter, ascend
from harness.plugin.attack import Attack, Passes
from harness.plugin.method import Method, Step
from harness.plugin.network import Network, Shape
from harness.plugin.state import Stateful
from harness.plugin.threat import Threat
from harness.plugin.wrapper import Wrapper
from harness.registry.faults import blaming, fault, suspect
from harness.registry.shipped import ships
from harness.runtime.process import process_kept
from harness.runtime.seeds import generator, global_seed
from harness.training.given_networks import give_stand_ins
from harness.training.guard import guarded, updates_a_batch
from harness.training.remembered import Remembered
from harness.training.wrapped import published, wrapped_backward

_PROBE = 2  # images
_TINY = Shape(channels=1, height=2, width=2, classes=4)
_CPU = torch.device("cpu")


def count_parameters(network: Network, shape: Shape, device: torch.device) -> int:
    """How many parameters the network has for images of this shape.

    A network that ships is only outlined. Any other network is built, and tried on a few random images on the device
    that will train it, as ``harness check network`` does. Then it is built again, since the same seed must give the
    same network. The checks of rigour see to two parts of the contract: random numbers in evaluation mode, and
    gradients that vanish.

    Raises:
        SettingError: the network does not take images of this shape.
        PluginFault: it cannot be trained, or the seed does not decide its weights; names the network and its file.
    """
    if ships(type(network)):
        with torch.device("meta"):
            return sum(parameter.numel() for parameter in network.build(shape).parameters())
    with process_kept(), blaming([network]):
        with global_seed(_CPU, 0):
            model = network.build(shape)
        try:
            with global_seed(device, 0):
                require_trainable(model, shape, device)
            require_seeded(network, shape, device)
        except Violation as violation:
            raise fault(network, str(violation)) from None
    return sum(parameter.numel() for parameter in model.parameters())


def refuse_unrepeatable(attacks: Iterable[Attack]) -> None:
    """Run each attack that does not ship twice on three small images: both times it must give the same result.

    An attack that cannot run on such images passes here; its evaluation will try it.

    Raises:
        PluginFault: an attack keeps something between calls, or draws from another generator than its own; names it.
    """
    for attack in attacks:
        if ships(type(attack)):
            continue
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(), process_kept():
            warnings.simplefilter("ignore")
            try:
                repeatable(attack)
            except Violation as violation:
                raise fault(attack, str(violation)) from None
            except (Exception, SystemExit):  # it may need larger images, or another network
                continue


def try_update(
    method: Method, threat: Threat, wrappers: Sequence[Wrapper], network: Network, shape: Shape, device: torch.device
) -> Passes:
    """Run one training update, and count the passes that one image takes.

    A linear layer stands in for the network if the network ships and the method can do without it. Else the network is
    tried together with the method and the wrappers.

    Raises:
        PluginFault: the method, the network, or a wrapper broke its contract.
    """
    if ships(type(network)):
        with contextlib.suppress(Exception):  # a method that needs more than a linear layer may fail on it in any way
            return training_passes(method, threat, wrappers)
    return training_passes(method, threat, wrappers, network, shape, device)


def training_passes(
    method: Method,
    threat: Threat,
    wrappers: Sequence[Wrapper] = (),
    network: Network | None = None,
    shape: Shape = _TINY,
    device: torch.device = _CPU,
    craft: Crafter = ascend,
) -> Passes:
    """Passes for one training image in an epoch, late in the training, counted on the updates of two random images.

    A method declares no cost, so it cannot declare a wrong one: the update is run and its passes are counted. This also
    finds a method that breaks its contract before anything is trained. A plugin that does not ship is tried twice:
    the same seed must give the same gradient.

    Args:
        network: the network to train, since a method may look into it; None: a linear layer.
        device: where the update is run.
        craft: crafts the variants; its passes are counted, too.
    Raises:
        PluginFault: the method, the network, or a wrapper broke its contract.
    """
    place = network, shape, device, craft
    passes, gradients = _update(method, threat, wrappers, *place)
    if all(ships(type(plugin)) for plugin in (method, *wrappers)):
        return passes
    _, again = _update(method, threat, wrappers, *place)
    rtol, atol = (0.0, 0.0) if device.type == "cpu" else (1e-3, 1e-5)  # a GPU may sum in another order
    pairs = [(gradient, again.get(name)) for name, gradient in gradients.items()]
    if not all(b is not None and torch.allclose(a, b, rtol, atol, equal_nan=True) for a, b in pairs):
        raise fault(
            suspect([method, *wrappers]),
            "two equal updates gave different gradients: draw with step.generator, or from the global generator of"
            " torch, numpy, or Python, which the engine seeds",
        )
    return passes


def _update(
    method: Method,
    threat: Threat,
    wrappers: Sequence[Wrapper],
    network: Network | None,
    shape: Shape,
    device: torch.device,
    craft: Crafter,
) -> tuple[Passes, dict[str, Tensor]]:
    """The passes of a batch's updates, per image; and the gradients that it leaves, by the parameters' names."""
    counted = {"forward": 0, "backward": 0}

    def forward(_model: nn.Module, _inputs: object, logits: Tensor) -> None:
        counted["forward"] += len(logits)
        if logits.requires_grad:
            logits.register_hook(backward)  # type: ignore[no-untyped-call]

    def backward(gradient: Tensor) -> None:
        counted["backward"] += len(gradient)

    def like() -> nn.Module:
        if network is not None:
            return network.build(shape)
        return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape[:3]), shape.classes))

    draws = generator(device, 0, "cost")
    x = torch.rand(_PROBE, *shape[:3], generator=draws, device=device)
    labels = torch.arange(_PROBE, device=device)
    parts = [type(part).from_mapping(part.resolved()) for part in (method, *wrappers)]  # plugins may remember
    copies = cast(Method, parts[0]), cast(list[Wrapper], parts[1:])
    plugins = [method, *([network] if network is not None else []), *wrappers]
    with process_kept(), contextlib.redirect_stdout(io.StringIO()), blaming(plugins):
        with global_seed(_CPU, 0):
            model = like().to(device)
        first = Step(x, labels, model.train(), threat, 0.99, draws, lambda _name, _value: None, craft=craft)
        with global_seed(device, 0):
            for part in parts:
                give_stand_ins(part, like)
                for other in cast(Stateful, part).networks.values():
                    other.to(device).register_forward_hook(forward)
                cast(Stateful, part).prepare(model)
            remembered = Remembered(parts, model)
            remembered.refuse_lost()
            model.register_forward_hook(forward)
            loss = guarded(copies[0], network, copies[1])
            for turn in range(updates_a_batch(copies[0])):
                model.zero_grad()
                wrapped_backward(copies[1], held=True)(replace(first, turn=turn), loss)
                gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
                for wrapper in copies[1]:
                    wrapper.after(model)
            published(copies[1], model)
            remembered.refuse_lost()
    return Passes(counted["forward"] / _PROBE, counted["backward"] / _PROBE), gradients
