"""Whether a model only computes: the logits of an image depend on that image alone, and a pass leaves no trace."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from harness.plugin.adversary import evaluation_mode
from harness.runtime.device import arithmetic
from harness.runtime.process import process_kept
from harness.runtime.seeds import Streams

SAME = 1e-4  # tolerance of the logits, relative to their spread; another size of batch changes them by 1e-6
LOOKED_AT = 4  # images


def is_pure(model: nn.Module, x: Tensor) -> bool:
    """Whether some passes look pure; for a model whose graph was examined (``harness.fast.pairs``) before.

    Passes of the same images must give the same logits to the last bit. Passes of fewer images, in another order, must
    give the same logits but for rounding, so that no layer mixes the images of a batch. No pass may draw from a global
    generator, seed one, or change a mode of torch, nor may a backward pass.

    Args:
        x: ``(batch, channels, height, width)`` images in [0, 1], of which some are looked at.
    """
    some, streams = x[:LOOKED_AT], Streams(x.device, 0)
    before = streams.held()
    with evaluation_mode(model), torch.no_grad():
        streams.swap()
        try:
            with process_kept() as changed, arithmetic(x.device, "float32"):
                logits, again = model(some.clone()), model(some.clone())
                apart = [model(part.clone()) for part in (some.flip(0)[:1], some.flip(0)[1:]) if len(part)]
                with torch.enable_grad():  # a model may draw for attacks alone
                    leaf = some.clone().requires_grad_()
                    torch.autograd.grad(model(leaf).sum(), leaf)
        except Exception:  # of the model's own code, which will raise it again where its owner is told
            return False
        finally:
            streams.swap()
    if changed or streams.held() != before or not torch.equal(logits, again) or not bool(logits.isfinite().all()):
        return False
    difference = (torch.cat(apart).flip(0) - logits).abs().max()
    spread = (logits - logits.mean(1, keepdim=True)).abs().max()  # what all classes share decides nothing
    return bool(difference <= SAME * spread)
