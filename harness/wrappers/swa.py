"""Stochastic weight averaging."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Interval
from typing_extensions import Doc

from harness.wrappers._average import Average, Statistics


@dataclass(frozen=True, kw_only=True)
class SWA(Average):
    """Publish the mean of the weights after every update since ``start`` (Izmailov et al., UAI 2018, arXiv:1803.05407).

    This is their Algorithm 1 with a cycle of one update. Before ``start``, the weights themselves are published. The
    training itself is unchanged: the learning rate stays the protocol's.

    Departs: the algorithm, and the official code of Chen et al. 2021 ("Robust Overfitting may be mitigated by properly
    learned smoothening"), which averages after each epoch, compute batch-norm's statistics of the mean weights in one
    more pass over the training images. Which images that should be depends on the method, which may train on natural
    images, on variants, or on both. Here the statistics are the mean of the model's own since ``start``
    (``averaged``), or the model's own at the end (``own``).
    """

    bibtex = """
@inproceedings{izmailov2018averaging,
  author    = {Pavel Izmailov and Dmitrii Podoprikhin and Timur Garipov and Dmitry Vetrov and Andrew Gordon Wilson},
  title     = {Averaging Weights Leads to Wider Optima and Better Generalization},
  booktitle = {Conference on Uncertainty in Artificial Intelligence},
  year      = {2018},
  eprint    = {1803.05407},
  archivePrefix = {arXiv},
}
"""

    start: Annotated[float, Interval(ge=0, lt=1), Doc("fraction of the training before the average begins")] = 0.75
    statistics: Annotated[Statistics, Doc("batch-norm's statistics: the model's own, or averaged like the weights")] = (
        "averaged"
    )

    def _kept(self, t: int) -> float:
        return 1 - 1 / t
