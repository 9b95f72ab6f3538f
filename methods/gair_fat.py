"""Friendly adversarial training with GAIRAT's weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge
from torch import Tensor
from typing_extensions import Doc

from harness.methods._early_stops import EarlyStopped
from harness.methods._geometry_weights import GeometryWeighted
from harness.plugin.adversary import CrossEntropy
from harness.plugin.method import Step


@dataclass(frozen=True, kw_only=True)
class GAIRFAT(GeometryWeighted, EarlyStopped):
    """FAT with a weight for each instance, by its geometric distance (Zhang et al., ICLR 2021, "GAIR-FAT").

    The distance is counted along the early-stopped path. It is that of the whole path, since the search does not stop
    before the first misclassified iterate. As in the released GAIR_FAT.py, tau is 0 at first, 3 after 40, and 6 after
    70 of 120 epochs, and lambda is 0. The weights begin when those of ``gairat`` do.

    Departs: as ``gairat``. The released code takes an example's label by its place in the batch after it has taken
    the stopped examples out, so that most labels are those of other examples (in its search, and in its weighted
    loss); here each example has its own label. GAIR_FAT.py begins its weights at epoch 60 of 120, after 59; that is
    ``burn_in=59/120``.
    """

    formula = "w(k) l(f(x'), y), w(k) as in gairat; x' ascends l until it is misclassified for the (tau + 1)-th time"
    bibtex = GeometryWeighted.bibtex + EarlyStopped.bibtex
    rises = (40 / 120, 70 / 120)

    tau: Annotated[
        int, Ge(0), Doc("misclassified iterates that the search leaves behind, at the end of the training")
    ] = 6
    shift: Annotated[float, Doc("lambda of Eq. 6; greater is more uniform, inf gives every instance weight 1")] = 0.0

    def loss(self, step: Step) -> Tensor:
        variant = self.stopped(step, CrossEntropy())
        losses = step.cross_entropy(step.model(variant.x))
        return (self.weights(step, variant.steps_to_flip) * losses).mean()
