"""Crafting for a training step, of which each process crafts its share."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from harness.fast.crafting import FastCrafter
from harness.plugin.adversary import KL, Crafter, CrossEntropy, Margin, Objective, Variant, ascend, climb
from harness.plugin.reach import WHOLE, Reach
from harness.plugin.threat import Threat
from harness.training.together.exchange import whole_rows
from harness.training.together.network import SharedNetwork

_OF_AN_IMAGE = (CrossEntropy, Margin, KL)  # another objective may hold something of the whole batch


class SharedCrafter:
    """A crafter that gives the variants of the whole batch; every start is drawn for the whole batch, too.

    Args:
        craft: crafts the share.
    """

    def __init__(self, network: SharedNetwork, craft: Crafter) -> None:
        self._network = network
        self._climb = craft.climb if isinstance(craft, FastCrafter) else climb

    def __call__(
        self,
        model: nn.Module,
        x: Tensor,
        y: Tensor,
        objectives: Sequence[Objective],
        threat: Threat,
        generator: torch.Generator,
        reach: Reach = WHOLE,
    ) -> tuple[Variant, ...]:
        if not all(_is_of_an_image(objective, x) for objective in objectives):
            return ascend(model, x, y, objectives, threat, generator, reach)  # each of its passes is shared
        peers = self._network.peers
        share = peers.share(len(x))
        start = reach.ball(threat, x.detach().repeat(len(objectives), 1, 1, 1)).start(threat.start, generator)
        mine = slice(share.start, share.stop)
        own_start = start.view(len(objectives), *x.shape)[:, mine].flatten(0, 1)
        own_x = x[mine]
        own = [_of_share(objective, x, own_x, mine) for objective in objectives]
        with self._network.apart():
            variants = self._climb(model, own_x, y[mine], own, threat, own_start, reach.of(mine))
        return tuple(
            Variant(whole_rows(variant.x, share, peers), whole_rows(variant.steps_to_flip, share, peers))
            for variant in variants
        )


def _is_of_an_image(objective: Objective, x: Tensor) -> bool:
    return type(objective) in _OF_AN_IMAGE and not (isinstance(objective, KL) and len(objective.x) != len(x))


def _of_share(objective: Objective, x: Tensor, own_x: Tensor, mine: slice) -> Objective:
    if not isinstance(objective, KL):
        return objective
    return KL(own_x if objective.x is x else objective.x[mine])
