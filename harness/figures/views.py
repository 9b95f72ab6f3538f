"""How vulnerable each image is in three views (Gao et al. 2021): by geometric distance, of PGD, and of CW.

In all three a smaller value is more vulnerable.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from harness.errors import HarnessError
from harness.methods._local_weights import vulnerability_cw, vulnerability_pgd
from harness.plugin.adversary import CrossEntropy, Margin, ascend
from harness.plugin.threat import Threat
from harness.runtime.device import arithmetic
from harness.runtime.isolation import isolated
from harness.runtime.process import process_kept
from harness.runtime.seeds import derive_seed, generator, global_seed

TOGETHER = 256  # images that are crafted together; each such block has its own random starts
KAPPA = 50.0  # confidence of CW, as in the paper


@dataclass(frozen=True)
class Views:
    """What a network makes of n images; all on the CPU.

    Attributes:
        logits: ``(n, classes)`` float64, at the natural images: the outputs of the last layer.
        steps_to_flip: ``(n,)`` int64 in [0, K]: the geometric distance along the path of PGD.
        pgd: ``(n,)`` float64 in [0, 1]: p_y at the PGD variant (Eq. 8).
        cw: ``(n,)`` float64 in [-1, 1]: p_y - max_{i != y} p_i at the CW variant (Eq. 9).
    """

    logits: Tensor
    steps_to_flip: Tensor
    pgd: Tensor
    cw: Tensor


def views_of(model: nn.Module, x: Tensor, y: Tensor, threat: Threat, *, called: str) -> Views:
    """Pass images through a network as they are, as PGD variants, and as CW variants.

    The variants are crafted as LRAT crafts them in training: the last iterate of K steps in evaluation mode. The random
    starts are the same for every network, and the same at each call. The model's own random numbers are isolated.

    Args:
        x: ``(n, channels, height, width)`` in [0, 1], on the model's device; y: ``(n,)`` labels.
        threat: the budget of both attacks.
        called: what messages call the network.
    Raises:
        HarnessError: a logit is not finite.
    """
    parts = [
        _block(model, images, labels, threat, block)
        for block, (images, labels) in enumerate(zip(torch.split(x, TOGETHER), torch.split(y, TOGETHER), strict=True))
    ]
    natural, pgd, cw, distances = (torch.cat(column) for column in zip(*parts, strict=True))
    for logits in (natural, pgd, cw):
        if not bool(logits.isfinite().all()):
            raise HarnessError(f"the network of {called} returns logits that are not finite: it cannot be drawn")
    labels = y.cpu()
    return Views(natural, distances, vulnerability_pgd(pgd, labels), vulnerability_cw(cw, labels))


def _block(model: nn.Module, x: Tensor, y: Tensor, threat: Threat, block: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Logits at the images, at their PGD variants, and at their CW variants; and the steps to flip."""
    draws = generator(x.device, 0, "views", block)
    seed = derive_seed(0, "views", block, "model")
    model.eval()
    with (
        arithmetic(x.device, "float32"),
        global_seed(x.device, derive_seed(seed, "global")),
        process_kept(),
        isolated(model, x.device, seed),
    ):
        pgd, cw = ascend(model, x, y, (CrossEntropy(), Margin(KAPPA)), threat, draws)
        with torch.no_grad():
            logits = [model(images.clone()).double().cpu() for images in (x, pgd.x, cw.x)]
    return logits[0], logits[1], logits[2], pgd.steps_to_flip.cpu()
