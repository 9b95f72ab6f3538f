"""A stranger's network with its preprocessing inside, made fit to be attacked."""

from __future__ import annotations

import contextlib
import logging
import math
import re
import sys
import traceback
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from harness.errors import ModelFault, one_line
from harness.targets.preprocessing import BINARY, Outputs, Preprocessing

BELOW = 1e4  # how far under a row's lowest finite logit one of -inf is held: its softmax is 0 in float32 either way
_USUAL = (1, 2, 4, 8, 16, 32, 50, 64, 100, 128, 200, 256)  # batches that networks are exported for
_LARGEST = 1024  # size of a batch that is tried
_SHARE = 2.0**-10  # or so much of that logit, beside which 10,000 may be less than one rounding


class Prepared(nn.Module):
    """A network with its preprocessing inside: images in [0, 1] to float32 logits ``(batch, classes)``.

    The network gets a copy of the images, so that a first layer in place leaves them alone. What was compiled runs
    eagerly, since a compiled backward pass goes through once only. A batch that is too large for the network is split;
    one that is smaller than its fixed size is filled up. Logits of -inf, which mask a class, are held far below the
    row's lowest finite one: the softmax is the same, and gradients are numbers. A row without a finite logit stays.

    Probabilities p become log p, whose softmax is p again, and whose margins and losses are those of the logits.
    What float32 lost before they were returned does not come back: where p_y rounds to 1 (the others together below
    6e-8) the cross-entropy and its gradient are 0, and where another p underflows to 0 (below 1e-38, a gap of 87
    between logits) its logarithm is held at -87.3 and has no gradient. Attacks are blind there, so the robust
    accuracy may be overestimated: the network's own logits are always to be preferred. One logit z of a binary network
    becomes (0, z), and one probability p becomes (log(1 - p), log p).

    ``forward`` raises ModelFault where the network raises, or returns anything but a row of scores for each image, as
    wide as in its first pass, where its images are.
    """

    mean: Tensor | None
    std: Tensor | None

    def __init__(self, network: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.network = eager(network)
        self._outputs: Outputs = preprocessing.outputs
        self._size: int | None = None  # a batch that goes through, once another one did not
        self._width: int | None = None  # scores of an image, as in the first pass
        self._failed: float = math.inf  # the smallest batch that did not, and went through in parts
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
        normalised = x if self.mean is None or self.std is None else (x - self.mean) / self.std
        with _eagerly():
            outputs: Tensor = self._in_batches(normalised)  # or anything else: it is looked at when opened
        return outputs

    def forward(self, x: Tensor) -> Tensor:
        try:
            returned = self.outputs(x)
        except (Exception, SystemExit) as error:  # a stranger's network may raise anything
            raise ModelFault(f"raised an exception in a pass of {len(x)} images ({one_line(error)})") from error
        # a copy: Square writes into what it is given, which may be a parameter
        outputs = self._rows(returned, x).float().clone()
        outputs = _as_logits(outputs, self._outputs)
        if x.device.type != "cpu" or bool(outputs.isneginf().any()):  # elsewhere to look would be to wait
            outputs = held(outputs)
        if torch.is_grad_enabled() and x.requires_grad and not outputs.requires_grad:
            # the network cut the graph, or ignores the image: attacks meet zeros, and a check raises its flag
            outputs = outputs + 0.0 * x.flatten(1).sum(1, keepdim=True)
        return outputs

    def _rows(self, returned: object, x: Tensor) -> Tensor:
        """What was returned, where that is a row of scores for each image."""
        if not isinstance(returned, Tensor):
            raise ModelFault(f"returned a {type(returned).__name__} for {len(x)} images, and must return one tensor")
        one = self._outputs in BINARY and returned.numel() == len(x)
        rows = returned.reshape(len(x), 1) if one else returned
        if self._width is None and rows.ndim == 2:
            self._width = rows.shape[1]
        if rows.shape != (len(x), self._width) or rows.device != x.device:
            raise ModelFault(
                f"returned the shape {tuple(rows.shape)} on {rows.device} for {len(x)} images on {x.device}, and must"
                f" return ({len(x)}, {self._width or 'classes'}) there"
            )
        return rows

    def _in_batches(self, x: Tensor) -> Any:
        """One pass, or several of another size where the network does not take so many images, or so few, at once.

        Each try gets a copy of the images, since a try that failed may have written into its own.
        """
        problem: Exception | None = None
        if len(x) < self._failed or len(x) == self._size:
            try:
                return self.network(x.clone())
            except Exception as error:  # a stranger's may raise anything for its size, and CUDA for want of memory
                traceback.clear_frames(error.__traceback__)  # they hold the memory that smaller passes need
                problem = error
        known = [] if self._size is None else [self._size]
        for size in [*known, *_other_sizes(len(x), problem)]:
            try:
                returned = self._by(size, x)
            except Exception as error:
                traceback.clear_frames(error.__traceback__)
                problem = problem or error
                continue
            self._failed = min(self._failed, len(x))
            if size != self._size:
                self._size = size
                _report_size(size, len(x), problem)
            return returned
        assert problem is not None  # the whole was tried, or the size that is known
        raise problem

    def _by(self, size: int, x: Tensor) -> Tensor:
        """Passes of that many images; a smaller rest is filled up where the network does not take it as it is.

        It is filled up with copies of its last image, without gradient. Where the network does not mix images, that
        changes no answer and no gradient. Where it mixes them, answers in other batches differ, and a check of rigour
        says so.
        """
        returned = []
        for part in torch.split(x, size):
            if size > len(part) and len(part) < self._failed:
                with contextlib.suppress(Exception):
                    returned.append(self._pass(part))
                    continue
            copies = part[-1:].detach().expand(size - len(part), *part.shape[1:])
            returned.append(self._pass(torch.cat([part, copies]))[: len(part)])
        return torch.cat(returned)

    def _pass(self, x: Tensor) -> Tensor:
        """One of several passes; an image must not be given another's row."""
        rows: Tensor = self.network(x.clone())
        if len(rows) != len(x):
            raise ValueError(f"{len(rows)} rows for {len(x)} images")
        return rows


def _other_sizes(images: int, problem: Exception | None) -> list[int]:
    """Other batches to try: smaller ones first; then those that a refusal names, and larger usual ones.

    Smaller are the powers of two that engines are built for, the largest first, then the halves. So a network with a
    largest batch gets the same size, whichever batch it refused first. Where memory ran out, no larger batch is tried.
    """
    powers = [1 << k for k in reversed(range(images.bit_length())) if 1 << k < images]
    halves = [images >> k for k in range(1, images.bit_length())]
    others = []
    if problem is not None and not isinstance(problem, (torch.OutOfMemoryError, MemoryError)):
        named = [int(number) for number in re.findall(r"\d{1,4}", str(problem))]
        larger = [size for size in _USUAL if size > images]
        others = [size for size in [*named, *larger] if 1 < size <= _LARGEST and size != images]
    return list(dict.fromkeys([*powers, *halves, *others]))


def _report_size(size: int, images: int, problem: Exception | None) -> None:
    why = "" if problem is None else f" ({type(problem).__name__})"
    done = "passes are split into" if size < images else "each pass is filled up to"
    text = f"the network does not take {images} images at once{why}; {done} {size}"
    logging.getLogger("harness.attack").info(text)
    print(f"harness: {text}", file=sys.stderr)


def _as_logits(outputs: Tensor, kind: Outputs) -> Tensor:
    tiny = torch.finfo(torch.float32).tiny
    if kind == "probabilities":
        return outputs.clamp_min(tiny).log()
    if kind == "binary-logit":
        return torch.cat([torch.zeros_like(outputs), outputs], 1)
    if kind == "binary-probability":
        return torch.cat([1 - outputs, outputs], 1).clamp_min(tiny).log()
    return outputs


def held(logits: Tensor) -> Tensor:
    """Logits with each -inf held far below the row's lowest finite logit; a row without a finite logit stays."""
    values = logits.detach()
    lowest = values.where(values.isfinite(), torch.inf).amin(1, keepdim=True)
    floor = (lowest - (_SHARE * lowest.abs()).clamp_min(BELOW)).clamp_min(torch.finfo(values.dtype).min)
    return torch.where(logits.isneginf() & lowest.isfinite(), floor, logits)


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
