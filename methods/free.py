"""Free adversarial training: each pass improves the weights and the perturbation at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor
from typing_extensions import Doc

from harness.plugin.method import Method, Step


@dataclass(frozen=True, kw_only=True)
class Free(Method):
    """m updates on each batch; each backward pass also moves the perturbation (Shafahi et al., NeurIPS 2019, Alg. 1).

    The update descends l(f(x + delta), y). Its own backward pass gives the gradient by delta, too. delta moves along it
    by ``alpha`` radii, and is cut to the ball. It goes on from update to update, and from batch to batch; it begins at
    zero. Of the training budget the method reads the norm and the radius alone.

    Departs: the protocol's epochs stay, so there are m times as many updates; the paper trains for 1/m of the epochs,
    so that its cost is that of natural training. As in the released code x + delta is clipped to [0, 1] in the pass,
    and delta is not; the paper's algorithm does not clip. A last, smaller batch moves the first rows of delta alone, as
    in that code. Where the last batch has one image more than the others, delta gets a row of zeros for it.
    """

    formula = "l(f(x + delta), y), m updates a batch; delta <- delta + epsilon sign(grad l), cut to the ball, kept"
    bibtex = """
@inproceedings{shafahi2019adversarial,
  author    = {Ali Shafahi and Mahyar Najibi and Amin Ghiasi and Zheng Xu and John Dickerson and Christoph Studer
               and Larry S. Davis and Gavin Taylor and Tom Goldstein},
  title     = {Adversarial training for free!},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2019},
  eprint    = {1904.12843},
  archivePrefix = {arXiv},
}
"""

    replays: Annotated[int, Ge(1), Doc("m, the updates on each batch")] = 8
    alpha: Annotated[float, Ge(0), Doc("by how much an update moves delta, as a multiple of the training radius")] = 1.0

    @property
    def updates_a_batch(self) -> int:
        return self.replays

    def loss(self, step: Step) -> Tensor:
        ball, kept = step.threat.ball(step.x), self._kept(step.x)
        delta = kept[: len(step.x)]

        def move(gradient: Tensor) -> None:
            moved = ball.shorten(delta + self.alpha * step.threat.epsilon * ball.direction(gradient))
            self.memory["delta"] = torch.cat([moved, kept[len(moved) :]])

        images = (step.x + step.with_gradient(delta, move)).clamp(0, 1)
        return step.cross_entropy(step.model(images)).mean()

    def _kept(self, x: Tensor) -> Tensor:
        """The perturbation that earlier batches left, with a row of zeros for each image that it lacks."""
        kept = self.memory.get("delta")
        if kept is None:
            return torch.zeros_like(x)
        return torch.cat([kept, torch.zeros_like(x[len(kept) :])]) if len(kept) < len(x) else kept
