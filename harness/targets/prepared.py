"""A stranger's network with its preprocessing inside, made fit to be attacked."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from harness.targets.preprocessing import Outputs, Preprocessing

BELOW = 1e4  # how far under a row's lowest finite logit one of -inf is held: its softmax is 0 in float32 either way


class Prepared(nn.Module):
    """A network with its preprocessing inside: images in [0, 1] to float32 logits ``(batch, classes)``.

    The network gets a copy of the images, so that a first layer in place leaves them alone. What was compiled runs
    eagerly, since a compiled backward pass goes through once only. A batch that is too large for the network is split;
    one that is smaller than its fixed size is filled up. Logits of -inf, which mask a class, are held 10,000 below the
    row's lowest finite one: the softmax is the same, and gradients are numbers. A row without a finite logit stays.

    Probabilities p become log p, whose softmax is p again, and whose margins and losses are those of the logits.
    What float32 lost before they were returned does not come back: where p_y rounds to 1 (the others together below
    6e-8) the cross-entropy and its gradient are 0, and where another p underflows to 0 (below 1e-38, a gap of 87
    between logits) its logarithm is held at -87.3 and has no gradient. Attacks are blind there, so the robust
    accuracy may be overestimated: the network's own logits are always to be preferred. One logit z of a binary network
    becomes (0, z), and one probability p becomes (log(1 - p), log p).
    """

    mean: Tensor | None
    std: Tensor | None

    def __init__(self, network: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.network = eager(network)
        self._outputs: Outputs = preprocessing.outputs
        self._size: int | None = None  # a batch that goes through, once a larger one did not
        for name in ("mean", "std"):
            values = getattr(preprocessing, name)
            self.register_buffer(name, torch.tensor(values).view(1, -1, 1, 1) if values else None)

    def train(self, mode: bool = True) -> Prepared:
        """As any module; the parts of an exported program have no modes, and refuse to be asked."""
        self.training = mode
        try:
            self.network.train(mode)
        except NotImplementedError:
            for module in self.network.modules():
                module.training = mode
        return self

    def outputs(self, x: Tensor) -> Tensor:
        """What the network itself returns."""
        normalised = x.clone() if self.mean is None or self.std is None else (x - self.mean) / self.std
        with _eagerly():
            outputs: Tensor = self._in_batches(normalised)  # or anything else: it is looked at when opened
        return outputs

    def forward(self, x: Tensor) -> Tensor:
        outputs = self.outputs(x).float().clone()  # Square writes into what it is given, which may be a parameter
        outputs = _as_logits(outputs, self._outputs)
        if x.device.type != "cpu" or bool(outputs.isneginf().any()):  # elsewhere to look would be to wait
            outputs = held(outputs)
        if torch.is_grad_enabled() and x.requires_grad and not outputs.requires_grad:
            # the network cut the graph, or ignores the image: attacks meet zeros, and a check raises its flag
            outputs = outputs + 0.0 * x.flatten(1).sum(1, keepdim=True)
        return outputs

    def _in_batches(self, x: Tensor) -> Any:
        """One pass, or as many as it takes where the network does not take so many images, or so few, at once."""
        if self._size is not None and len(x) != self._size:
            return self._by(self._size, x)
        try:
            return self.network(x)
        except Exception as error:  # a stranger's may raise anything for its size, and CUDA for want of memory
            problem = error
        for size in _smaller(len(x)):
            with contextlib.suppress(Exception):
                returned = self._by(size, x)
                self._size = size
                _tell_size(size, problem)
                return returned
        raise problem

    def _by(self, size: int, x: Tensor) -> Tensor:
        """Passes of that many images; the last is filled up where it does not go through as it is."""
        returned = []
        for part in torch.split(x, size):
            if len(part) == size:
                returned.append(self.network(part.clone()))
                continue
            try:
                returned.append(self.network(part.clone()))
            except Exception:
                filled = torch.cat([part, part[-1:].expand(size - len(part), *part.shape[1:])])
                returned.append(self.network(filled)[: len(part)])
        return torch.cat(returned)


def _smaller(images: int) -> list[int]:
    """Smaller batches to try, the largest first: the halves, and the powers of two that engines are built for."""
    halves = {images >> k for k in range(1, images.bit_length())}
    powers = {1 << k for k in range(images.bit_length()) if 1 << k < images}
    return sorted(halves | powers, reverse=True)


def _tell_size(size: int, problem: Exception) -> None:
    text = f"the network does not take more images at once ({type(problem).__name__}); passes are split into {size}"
    logging.getLogger("harness.attack").info(text)
    print(f"harness: {text}", file=sys.stderr)


def _as_logits(outputs: Tensor, kind: Outputs) -> Tensor:
    tiny = torch.finfo(torch.float32).tiny
    if kind == "probabilities":
        return outputs.clamp_min(tiny).log()
    if kind == "binary-logit":
        z = outputs.reshape(len(outputs))
        return torch.stack([torch.zeros_like(z), z], 1)
    if kind == "binary-probability":
        p = outputs.reshape(len(outputs))
        return torch.stack([(1 - p).clamp_min(tiny).log(), p.clamp_min(tiny).log()], 1)
    return outputs


def held(logits: Tensor) -> Tensor:
    """Logits whose -inf are held BELOW the row's lowest finite one; a row without a finite one stays."""
    values = logits.detach()
    lowest = values.where(values.isfinite(), torch.inf).amin(1, keepdim=True) - BELOW
    return torch.where(logits.isneginf() & lowest.isfinite(), lowest, logits)


def eager(network: nn.Module) -> nn.Module:
    """The network without what ``torch.compile`` put around it and around its parts."""
    network = getattr(network, "_orig_mod", network)
    for module in list(network.modules()):
        module._compiled_call_impl = None
        for name, child in list(module.named_children()):
            if hasattr(child, "_orig_mod"):
                setattr(module, name, eager(child))
    return network


@contextlib.contextmanager
def _eagerly() -> Iterator[None]:
    """Functions that were compiled run as they are written; nothing is done where nothing was compiled."""
    if "torch._dynamo" not in sys.modules:
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield
