"""Check that saved weights hold the whole trained network: a network rebuilt from them gives the same logits.

Whatever a network counts or averages outside its state dict (in a plain attribute, a list, a buffer that is not
persistent) is lost when its weights are saved. Evaluation rebuilds the network and would then attack another function
than the trained one.
"""

from __future__ import annotations

import contextlib
import copy
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from harness.errors import PluginFault
from harness.plugin.settings import Plugin
from harness.registry.faults import blaming, fault, suspect
from harness.runtime.device import arithmetic
from harness.runtime.process import process_kept
from harness.runtime.seeds import global_seed

PASSES = 8  # each with the same global seed: they differ only if a network draws from another generator
SAME = 1e-4  # tolerance, relative to (largest - median logit): a library may sum in another order in other memory
NOISE = 6.0  # standard deviations of the difference of two means over the passes
_GENERATORS = (torch.Generator, np.random.Generator, np.random.RandomState, random.Random)


class Rebuilding:
    """Rebuilds a network, and compares the trained network with it.

    It is made before the training and records the logits of a new network then. Numbers that training leaves in a class
    or in a Python module would be in every network of this process, but in none of another process; they show as a
    change of a new network's logits.

    Args:
        plugins: the plugins of the training, the network first. A fault names the first that does not ship.
        build: builds a network on the device of the images, as evaluation does.
        images: ``(n, channels, height, width)`` in [0, 1].
    """

    def __init__(self, plugins: Sequence[Plugin], build: Callable[[], nn.Module], images: Tensor) -> None:
        self._plugins, self._build, self._images = plugins, build, images
        self._named = suspect(plugins)
        with blaming(plugins):
            fresh = build()
            self._weights = {name: tensor.cpu().clone() for name, tensor in fresh.state_dict().items()}
            self._answers = _answers(fresh, images)

    def refuse_lost_state(self, trained: nn.Module, *, resumed: bool) -> None:
        """Compare the trained network, which is not changed, with a network rebuilt from its weights.

        Args:
            resumed: whether the training resumed from a saved state. If so, the two are compared in training mode, too,
                since the state holds nothing of the network but its weights.
        Raises:
            PluginFault: their logits differ, or a new network's logits differ from those before the training.
        """
        with blaming(self._plugins):
            apart = _apart(_answers(self.rebuilt(self._weights), self._images), self._answers)
        self._refuse(apart, "a new network answers otherwise than a network with the same weights before the training")
        rebuilt = self.rebuilt(trained.state_dict())
        for training in (False, True) if resumed else (False,):
            with blaming(self._plugins):
                apart = difference(trained, rebuilt, self._images, training=training)
            mode = "in training mode, from which it was resumed, " if training else ""
            self._refuse(apart, f"{mode}the trained network answers otherwise than one rebuilt from its weights")

    def rebuilt(self, weights: Mapping[str, Tensor]) -> nn.Module:
        """A new network with these weights.

        Raises:
            PluginFault: it does not take them.
        """
        with blaming(self._plugins):
            network = self._build()
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            text = " ".join(str(error).split())
            raise self._fault(f"a rebuilt network does not take the weights ({text})") from None
        return network

    def _refuse(self, apart: float, problem: str) -> None:
        if apart:
            raise self._fault(f"{problem} (by up to {apart:.2g} in a logit)")

    def _fault(self, problem: str) -> PluginFault:
        rule = "only parameters and persistent buffers are saved, then attacked: keep in them what it computes with"
        return fault(self._named, f"{problem}; {rule}")


def difference(trained: nn.Module, rebuilt: nn.Module, images: Tensor, *, training: bool = False) -> float:
    """The largest difference between two networks' logits; 0 if rounding and random draws explain it.

    NaN equals NaN. Restores both networks, their generators, and the global generators.
    """
    return _apart(_answers(trained, images, training), _answers(rebuilt, images, training))


def _apart(ours: Tensor, theirs: Tensor) -> float:
    if ours.shape != theirs.shape:
        return math.inf
    (a, noise), (b, other) = ((passes.mean(0), passes.std(0).nan_to_num().max()) for passes in (ours, theirs))
    spread = a.amax(1, keepdim=True) - a.median(1, keepdim=True).values  # not the minimum: a class may be masked
    limit = SAME * spread + NOISE * torch.sqrt((noise**2 + other**2) / PASSES)
    apart = torch.where((a == b) | (a.isnan() & b.isnan()), 0.0, (a - b).abs())
    return float(torch.where(apart <= limit + 1e-6, 0.0, apart.nan_to_num(math.inf)).max())


def _answers(network: nn.Module, images: Tensor, training: bool = False) -> Tensor:
    """Logits, ``(PASSES, n, outputs)`` float64; each pass starts from the same network and the same global seed."""
    device, passes = images.device, []
    with own_generators_kept(network):
        for _ in range(PASSES):
            with left_as_it_was(network), process_kept(), global_seed(device, 0), arithmetic(device, "float32"):
                logits: Tensor = network.train(training)(images.clone())
                passes.append(logits.detach().double().reshape(len(images), -1))
    return torch.stack(passes)


@contextlib.contextmanager
def own_generators_kept(network: nn.Module) -> Iterator[None]:
    """Let modules draw from copies of their own generators, not reset between passes; then restore the originals."""
    spaces = [vars(module) for module in network.modules()]
    own = [(space, name, value) for space in spaces for name, value in space.items() if isinstance(value, _GENERATORS)]
    for space, name, value in own:
        space[name] = copy.deepcopy(value)
    try:
        yield
    finally:
        for space, name, value in own:
            space[name] = value


@contextlib.contextmanager
def left_as_it_was(network: nn.Module) -> Iterator[None]:
    """Run without gradients, then restore modes, weights, buffers, attributes, and the content of lists and dicts."""
    modules = [vars(module) for module in network.modules()]
    held = [*modules, *(value for space in modules for value in space.values() if isinstance(value, (dict, list)))]
    contents = [(space, dict(space) if isinstance(space, dict) else list(space)) for space in held]
    items = [item for _, space in contents for item in (space.values() if isinstance(space, dict) else space)]
    tensors = {id(item): item for item in items if isinstance(item, Tensor)}
    values = {key: tensor.detach().clone() for key, tensor in tensors.items()}
    try:
        with torch.no_grad():
            yield
    finally:
        for space, content in contents:
            space.clear()
            space.update(content) if isinstance(space, dict) else space.extend(content)
        for key, tensor in tensors.items():
            if tensor.shape != values[key].shape:
                tensor.data = values[key]
            elif not torch.equal(tensor, values[key]):
                tensor.data.copy_(values[key])
