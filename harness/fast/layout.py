"""The weights of a network's convolutions with channels last, where the network computes the same with them."""

from __future__ import annotations

import copy
from collections import Counter

import torch
from torch import Tensor, nn

from harness.fast.folded import ALIKE, LOOKED_AT
from harness.fast.pairs import SAME
from harness.runtime.device import arithmetic
from harness.runtime.process import process_kept
from harness.runtime.seeds import global_seed

_LAST = torch.channels_last


def lay_out(model: nn.Module, x: Tensor) -> bool:
    """Lay the weights of the convolutions out with channels last; says whether they are.

    A pass on a CPU then has its features so, too, and takes less time on images of 32x32. The values, the names, and
    the parameters themselves stay the same; so do the files of the weights, which hold no layout. The network keeps its
    own layout on another device, and if copies of it answer otherwise, in evaluation or in training mode: it may
    flatten features by ``view``, or draw for each in the order of the memory.

    Args:
        x: ``(batch, channels, height, width)`` images in [0, 1], of which some are looked at.
    """
    if x.device.type != "cpu":
        return False
    try:
        copied = copy.deepcopy(model)
    except Exception:  # of the network's own code
        return False
    return _convert(copied) and _alike(model, copied, x[:LOOKED_AT]) and _convert(model)


def _convert(model: nn.Module) -> bool:
    """Lay out each weight whose memory is its own alone; says whether there is any."""
    own = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}.values()
    sharing = Counter(tensor.untyped_storage().data_ptr() for tensor in own)
    weights = [module.weight for module in model.modules() if type(module) is nn.Conv2d]
    alone = [weight for weight in weights if sharing[weight.untyped_storage().data_ptr()] == 1]
    for weight in alone:
        weight.data = weight.data.contiguous(memory_format=_LAST)
    return bool(alone)


def _alike(model: nn.Module, other: nn.Module, x: Tensor) -> bool:
    """Whether copies of two networks give the same but for rounding, in evaluation and in training mode.

    Logits are compared, and the parameters' gradient: a network's own backward pass may flatten by ``view``, too.
    """
    with process_kept(), arithmetic(x.device, "float32"), torch.enable_grad():
        for training in (False, True):
            answers = []
            for each in (model, other):
                with global_seed(x.device, 0):
                    try:
                        answers.append(_answers(copy.deepcopy(each).train(training), x))
                    except Exception:  # of the network's own code, which will raise it again where its owner is told
                        return False
            (own, gradient), (found, found_gradient) = answers
            if own.shape != found.shape or not bool(own.isfinite().all()):
                return False
            if not bool((gradient - found_gradient).norm() <= ALIKE * gradient.norm()):
                return False
            spread = (own - own.mean(1, keepdim=True)).abs().max()  # what all classes share decides nothing
            if not bool((own - found).abs().max() <= SAME * spread):
                return False
    return True


def _answers(model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """The logits, and the parameters' gradient of a weighted sum of them, as one vector; zero if there is none."""
    logits: Tensor = model(x.clone())
    weights = torch.arange(logits.shape[1], device=x.device, dtype=logits.dtype).cos()
    if logits.requires_grad:
        (logits * weights).sum().backward()  # type: ignore[no-untyped-call]
    gradients = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
    return logits.detach(), torch.cat(gradients) if gradients else x.new_zeros(1)
