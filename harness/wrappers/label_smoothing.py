"""Label smoothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from annotated_types import Interval
from typing_extensions import Doc

from harness.plugin.method import Smoothing, Step
from harness.plugin.wrapper import Wrapper


@dataclass(frozen=True, kw_only=True)
class LabelSmoothing(Wrapper):
    """Smoothed labels in the cross-entropy of any method (Szegedy et al., CVPR 2016, arXiv:1512.00567, section 7).

    Of k classes, each has the target amount/k, and the label's is 1 - amount higher: torch's ``label_smoothing``. Every
    cross-entropy with the label that the method descends is smoothed, and nothing else: not what the attack ascends,
    not a divergence between two outputs, not a margin, and not a weight that the method reads from its outputs.

    ``free`` ascends what it descends, so what moves its images is smoothed, too. A method whose settings give the
    cross-entropy no weight, as those of ``ard`` do by default, trains as without this wrapper.

    Departs: nothing. The method must take ``step.cross_entropy``; another is refused. Of those that ship, ``rslad`` is:
    it has no labels.
    """

    bibtex = """
@inproceedings{szegedy2016rethinking,
  author    = {Christian Szegedy and Vincent Vanhoucke and Sergey Ioffe and Jonathon Shlens and Zbigniew Wojna},
  title     = {Rethinking the Inception Architecture for Computer Vision},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition},
  year      = {2016},
  eprint    = {1512.00567},
  archivePrefix = {arXiv},
}
"""

    amount: Annotated[float, Interval(gt=0, lt=1), Doc("probability that is spread over all classes alike")] = 0.1

    def adapt(self, step: Step) -> Step:
        return replace(step, smoothing=Smoothing(self.amount))
