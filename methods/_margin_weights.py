"""The weights of MAIL and MAIL-TRADES, which depend on each instance's probabilistic margin."""

from __future__ import annotations

import math
from abc import ABC
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F
from annotated_types import Interval
from torch import Tensor
from typing_extensions import Doc

from harness.errors import SettingError
from harness.methods._geometry_weights import effective_sample_share, normalised
from harness.plugin.method import Method, Step
from harness.plugin.search import Searched, SearchRange

MarginOf = Literal["adv", "nat", "dif"]


@dataclass(frozen=True, kw_only=True)
class MarginWeighted(Method, ABC):
    """Base of MAIL and MAIL-TRADES: the weight function's settings, burn-in, and diagnostics."""

    bibtex = """
@inproceedings{wang2021probabilistic,
  author    = {Qizhou Wang and Feng Liu and Bo Han and Tongliang Liu and Chen Gong and Gang Niu and Mingyuan Zhou
               and Masashi Sugiyama},
  title     = {Probabilistic Margins for Instance Reweighting in Adversarial Training},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2021},
  eprint    = {2106.07904},
  archivePrefix = {arXiv},
}
"""

    search: ClassVar[Mapping[str, Searched | None]] = {"bias": SearchRange(-1, 1)}  # where margins lie

    slope: float  # a method gives both with its own defaults
    bias: float
    margin: Annotated[
        MarginOf,
        Doc("adv: p_y - max p_i of the variant; nat: that of the image; dif: p_y of the variant - of the image"),
    ] = "adv"
    burn_in: Annotated[
        float, Interval(ge=0, le=1), Doc("fraction of the training with weights of 1 (the paper's 75 of 100 epochs)")
    ] = 0.75

    def check(self) -> None:
        for name in ("slope", "bias"):
            if not math.isfinite(getattr(self, name)):
                raise SettingError(f"{name}={getattr(self, name)} is refused: it must be a finite number")

    def weights(self, step: Step, adversarial: Tensor, clean: Callable[[], Tensor]) -> Tensor:
        """The batch's weights: ``(batch,)``, mean 1, all 1 during burn-in. Logs and counts margins and weights.

        Args:
            adversarial: ``(batch, classes)`` logits of the variants, from the update's own pass.
            clean: gives the logits of the images; called only if the margin needs them.
        """
        if step.progress < self.burn_in:
            return torch.ones_like(step.y, dtype=torch.float32)
        with torch.no_grad():
            margins = probabilistic_margins(self.margin, adversarial, clean, step.y)
            raw = F.logsigmoid(-self.slope * (margins - self.bias))
            weights = normalised(raw)
        step.log("margin_mean", margins.mean())
        step.log("weight_max", weights.amax())
        step.log("effective_sample_share", effective_sample_share(weights))
        step.count("margin", margins, low=-1.0, high=1.0, bins=50)
        step.count("normalised_weight", weights, low=0.0, high=5.0, bins=50)
        return weights


def probabilistic_margins(of: MarginOf, adversarial: Tensor, clean: Callable[[], Tensor], y: Tensor) -> Tensor:
    """How safe each instance is: ``(batch,)`` float64 in [-1, 1], without gradient; smaller is more vulnerable.

    Args:
        of: ``adv`` and ``nat`` are p_y - max_{i != y} p_i of the variant, and of the image; ``dif`` is p_y of the
            variant less p_y of the image.
        adversarial: ``(batch, classes)`` logits of the variants.
        clean: gives those of the images; called for ``nat`` and ``dif`` alone.
    Source: Wang et al., NeurIPS 2021, section 3. The released code has ``adv`` alone; ``dif`` is written from memory of
        the paper, which says that it, too, falls as an instance gets more vulnerable.
    """
    if of == "dif":
        true = [_true(logits, y)[0] for logits in (adversarial, clean())]
        return true[0] - true[1]
    true_one, largest_other = _true(adversarial if of == "adv" else clean(), y)
    return true_one - largest_other


def _true(logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """``(batch,)`` p_y, and the largest p_i of another class."""
    p = logits.detach().double().softmax(1)
    return p.gather(1, y[:, None]).squeeze(1), p.scatter(1, y[:, None], -1.0).amax(1)
