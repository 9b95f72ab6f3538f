"""A network whose convolutions are replaced, for a while, by faster ones that compute the same."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from harness.fast.attributes import attributes, exchanged, plain_digest
from harness.fast.chain import Chain
from harness.fast.convolution import FoldedConvolution
from harness.fast.pairs import SAME, chains, pairs
from harness.plugin.adversary import evaluation_mode
from harness.runtime.device import arithmetic
from harness.runtime.process import process_kept
from harness.runtime.seeds import global_seed

ALIKE = 0.05  # tolerance of the gradient, relative to its norm: a ReLU at zero may open or shut
LOOKED_AT = 4  # images of each comparison
_LAYOUTS = (torch.channels_last, torch.contiguous_format)  # of features; the first that the network takes is used


class Folded:
    """Puts faster layers in a network, in evaluation mode, and takes them out again.

    The network's own ``forward`` runs, with its own branches and attributes. Only the layers that it calls are others:
    a convolution computes what its batch-norm and its ReLU compute, too, and these give back what they get. So whatever
    a network does besides, it does here as well. Parameters, buffers, modes, and hooks stay as they are.

    Args:
        x: ``(batch, channels, height, width)`` images for a trial.
    """

    def __init__(self, model: nn.Module, x: Tensor) -> None:
        self.model = model
        self._attributes = attributes(model)
        named = dict(model.named_modules())
        self._layers: list[FoldedConvolution] = []
        self._chains: list[Chain] = []
        self._after: list[tuple[Chain, nn.Module]] = []  # a chain, and what takes the place of a layer that it computes
        self._places: list[tuple[dict[str, nn.Module | None], str, nn.Module, nn.Module]] = []
        for runs in chains(pairs(model, x[:LOOKED_AT]), together=x.device.type == "cpu"):
            layers = [
                FoldedConvolution(named[run.convolution], named.get(run.norm), rectifies=run.relu is not None)
                for run in runs
            ]
            self._layers += layers
            self._chains.append(Chain(layers, named.get(runs[-1].linear)))
            first, *others = (name for run in runs for name in run.layers)
            self._places.append(self._place(named, first, self._chains[-1]))
            for name in others:
                self._after.append((self._chains[-1], nn.Identity().eval()))
                self._places.append(self._place(named, name, self._after[-1][1]))

    @staticmethod
    def _place(
        named: dict[str, nn.Module], name: str, instead: nn.Module
    ) -> tuple[dict[str, nn.Module | None], str, nn.Module, nn.Module]:
        parent, _, child = name.rpartition(".")
        return named[parent]._modules, child, named[name], instead

    def changed(self) -> bool:
        """Whether the network has other layers, hooks, or attributes than at first, so that its pass may be another."""
        return attributes(self.model) != self._attributes

    def made_for(self) -> str | None:
        """A digest of the network's numbers and texts at first; None if anything else has been exchanged since."""
        return None if exchanged(self._attributes, attributes(self.model)) else plain_digest(self._attributes)

    @property
    def channels_last(self) -> bool:
        """Whether features have channels last; so they have, until ``fits`` finds that the network does not take it."""
        return all(layer.layout == torch.channels_last for layer in self._layers)

    @channels_last.setter
    def channels_last(self, last: bool) -> None:
        for layer in self._layers:
            layer.use(torch.channels_last if last else torch.contiguous_format)

    @property
    def pointers(self) -> tuple[int, ...]:
        """Where the tensors of the faster layers lie."""
        tensors = (tensor for layer in self._layers for tensor in (layer.weight, layer.bias))
        return tuple(tensor.data_ptr() for tensor in tensors if tensor is not None)

    def fits(self, x: Tensor) -> bool:
        """Whether the network still has the layers that were found, and gives the same with the faster ones.

        Logits are compared, and the images' gradient of a weighted sum of them. The comparison is in float32, whatever
        the arithmetic of the training, and leaves the network's mode alone. If the network takes no features with
        channels last, as one that flattens them by ``view``, they come first.

        Args:
            x: ``(batch, channels, height, width)`` images in [0, 1], of which some are looked at.
        """
        if not self._layers or any(places.get(name) is not own for places, name, own, _ in self._places):
            return False
        some = x[:LOOKED_AT].detach()
        with evaluation_mode(self.model), torch.enable_grad(), process_kept(), global_seed(x.device, 0):
            try:
                with arithmetic(x.device, "float32"):
                    present_first = sorted(_LAYOUTS, key=lambda layout: layout != self._layers[0].layout)
                    expected = self._answers(some)
                    return any(self._gives(expected, some, layout) for layout in present_first)
            except Exception:  # of the network's own code, which will raise it again where its owner is told
                return False

    def _answers(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The logits, and a gradient; zeros from a network that gives none."""
        leaf = x.clone().requires_grad_()
        logits: Tensor = self.model(leaf)
        if not logits.requires_grad:
            return logits, torch.zeros_like(x)
        weights = torch.arange(logits.shape[1], device=x.device, dtype=logits.dtype).cos()
        (gradient,) = torch.autograd.grad((logits * weights).sum(), leaf)
        return logits.detach(), gradient

    def _gives(self, expected: tuple[Tensor, Tensor], x: Tensor, layout: torch.memory_format) -> bool:
        for layer in self._layers:
            layer.use(layout)
        try:
            with self.put_in(), self._each_called_once() as called_once:
                folded, folded_gradient = self._answers(x)
        except RuntimeError:  # of torch, about the layout
            return False
        logits, gradient = expected
        if not called_once() or folded.shape != logits.shape or not bool(logits.isfinite().all()):
            return False
        spread = (logits - logits.mean(1, keepdim=True)).abs().max()  # what all classes share decides nothing
        alike = (gradient - folded_gradient).norm() <= ALIKE * gradient.norm()
        return bool((logits - folded).abs().max() <= SAME * spread) and bool(alike)

    @contextlib.contextmanager
    def _each_called_once(self) -> Iterator[Callable[[], bool]]:
        """Gives a function that says whether a pass in the body went through every faster layer once, as traced.

        The logits alone do not show it: the batch-norm of an untrained network does next to nothing. A network may hold
        its layers in a list of its own, too, where no faster layer is.
        """
        outputs: dict[nn.Module, list[Tensor]] = defaultdict(list)
        read: dict[nn.Module, list[Tensor]] = defaultdict(list)
        hooks = [chain.register_forward_hook(lambda m, _, given: outputs[m].append(given)) for chain in self._chains]
        hooks += [none.register_forward_pre_hook(lambda m, given: read[m].append(given[0])) for _, none in self._after]

        def once() -> bool:
            own = all(len(outputs[chain]) == 1 for chain in self._chains)
            return own and all(len(read[none]) == 1 and read[none][0] is outputs[of][0] for of, none in self._after)

        try:
            yield once
        finally:
            for hook in hooks:
                hook.remove()

    def refresh(self) -> None:
        """Bring the faster layers up to date, in place."""
        for chain in self._chains:
            chain.refresh()

    @contextlib.contextmanager
    def put_in(self) -> Iterator[None]:
        """Use the faster layers in the body, with the network's present weights and statistics."""
        self.refresh()
        with self.put_in_as_they_are():
            yield

    @contextlib.contextmanager
    def put_in_as_they_are(self) -> Iterator[None]:
        """Use the faster layers in the body, with the weights of the last ``refresh``."""
        for places, name, _, instead in self._places:
            places[name] = instead
        try:
            yield
        finally:
            for places, name, own, _ in self._places:
                places[name] = own
