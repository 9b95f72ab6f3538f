"""A stranger's network with its preprocessing inside, made fit to be attacked."""

from __future__ import annotations

import contextlib
import logging
import math
import re
import sys
import traceback
from typing import Any

import torch
from torch import Tensor, nn

from harness.errors import ModelFault, one_line
from harness.targets.preprocessing import BINARY, Outputs, Preprocessing

BELOW = 1e4  # how far below a row's lowest finite logit a -inf is put: its float32 softmax is 0 either way
_USUAL = (1, 2, 4, 8, 16, 32, 50, 64, 100, 128, 200, 256)  # batches that networks are exported for
_LARGEST = 1024  # the largest batch to try
_SHARE = 2.0**-10  # or this share of that logit: beside a huge logit 10,000 may be lost in rounding


class Prepared(nn.Module):
    """A network with its preprocessing inside: images in [0, 1] to float32 logits ``(batch, classes)``.

    The network gets a copy of the images, so an in-place first layer does not change them. Compiled code runs eagerly,
    since a compiled backward pass works only once. A batch that is too large for the network is split; a batch smaller
    than the network's fixed size is filled up. Logits of -inf, which mask a class, are put far below the row's lowest
    finite logit: the softmax is the same, and gradients are finite. A row without a finite logit stays as it is.

    Probabilities p become log p, whose softmax is p again, and whose margins and losses are those of the logits.
    What float32 has lost by then does not come back. Where p_y rounds to 1 (the others sum to less than 6e-8), the
    cross-entropy and its gradient are 0. Where another p underflows to 0 (below 1e-38, a gap of 87 between logits), its
    logarithm is -87.3 and has no gradient. Attacks are blind there, so the robust accuracy may be overestimated: prefer
    the network's own logits. One logit z of a binary network becomes (0, z), and one probability p becomes
    (log(1 - p), log p).

    ``forward`` raises ModelFault if the network raises, or does not return a row of scores for each image, as wide as
    in the first pass, on the device of the images.
    """

    mean: Tensor | None
    std: Tensor | None

    def __init__(self, network: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.network = eager(network)
        self._outputs: Outputs = preprocessing.outputs
        self._size: int | None = None  # a batch size that works, once another size has failed
        self._width: int | None = None  # scores per image in the first pass
        self._failed: float = math.inf  # the smallest batch that failed whole, and worked in parts
        for name in ("mean", "std"):
            values = getattr(preprocessing, name)
            self.register_buffer(name, torch.tensor(values).view(1, -1, 1, 1) if values else None)

    def train(self, mode: bool = True) -> Prepared:
        """As for any module; parts of an exported program refuse ``train``, so only their flag is set."""
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
            outputs: Tensor = self._in_batches(normalised)  # or another type: opening the model checks it
        return outputs

    def forward(self, x: Tensor) -> Tensor:
        try:
            returned = self.outputs(x)
        except (Exception, SystemExit) as error:  # a stranger's network may raise anything
            raise ModelFault(f"raised an exception in a pass of {len(x)} images ({one_line(error)})") from error
        # a copy: Square writes into the logits it gets, which may be a parameter
        outputs = self._rows(returned, x).float().clone()
        outputs = _as_logits(outputs, self._outputs)
        if x.device.type != "cpu" or bool(outputs.isneginf().any()):  # on a GPU, looking would wait for the device
            outputs = held(outputs)
        if torch.is_grad_enabled() and x.requires_grad and not outputs.requires_grad:
            # the network cut the graph, or ignores the image: attacks meet zeros, and a check raises its flag
            outputs = outputs + 0.0 * x.flatten(1).sum(1, keepdim=True)
        return outputs

    def _rows(self, returned: object, x: Tensor) -> Tensor:
        """The returned rows of scores, one for each image; anything else is a ModelFault."""
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
        """One pass; or several of another size, if the network does not take so many images, or so few, at once.

        Each try gets its own copy of the images, since a failed try may have written into them.
        """
        problem: Exception | None = None
        if len(x) < self._failed or len(x) == self._size:
            try:
                return self.network(x.clone())
            except Exception as error:  # a wrong size may raise anything; CUDA may lack memory
                traceback.clear_frames(error.__traceback__)  # frames hold memory that smaller passes need
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
        assert problem is not None  # at least one size was tried
        raise problem

    def _by(self, size: int, x: Tensor) -> Tensor:
        """Passes of ``size`` images. If the network does not take a smaller rest, the rest is filled up.

        It is filled up with copies of its last image, without gradient. If the network does not mix images, this
        changes no answer and no gradient. If it mixes them, its answers depend on the batch, and a check of rigour
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
        """One of several passes; the network must return a row for each image, so that none gets another's row."""
        rows: Tensor = self.network(x.clone())
        if len(rows) != len(x):
            raise ValueError(f"{len(rows)} rows for {len(x)} images")
        return rows


def _other_sizes(images: int, problem: Exception | None) -> list[int]:
    """Other batch sizes to try: smaller ones, then sizes that the error names, then usual larger ones.

    The smaller ones are powers of two, for which engines are built, the largest first; then halves. So a network with
    a largest batch gets the same size, whichever batch it refused first. If memory ran out, no larger size is tried.
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
    """Put each -inf far below the row's lowest finite logit; a row without a finite logit stays as it is."""
    values = logits.detach()
    lowest = values.where(values.isfinite(), torch.inf).amin(1, keepdim=True)
    floor = (lowest - (_SHARE * lowest.abs()).clamp_min(BELOW)).clamp_min(torch.finfo(values.dtype).min)
    return torch.where(logits.isneginf() & lowest.isfinite(), floor, logits)


def eager(network: nn.Module) -> nn.Module:
    """The network without the wrappers of ``torch.compile`` around it and its parts."""
    network = getattr(network, "_orig_mod", network)
    for module in list(network.modules()):
        module._compiled_call_impl = None
        for name, child in list(module.named_children()):
            if hasattr(child, "_orig_mod"):
                setattr(module, name, eager(child))
    return network


def _eagerly() -> contextlib.AbstractContextManager[Any]:
    """Inside, compiled functions run eagerly; without torch.compile this does nothing."""
    return torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else contextlib.nullcontext()
