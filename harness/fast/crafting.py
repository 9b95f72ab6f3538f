"""Crafting for a training step, with the network's faster layers."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from harness.fast.attributes import attributes, plain_digest
from harness.fast.folded import Folded
from harness.fast.graphed import Graphed, Record
from harness.plugin.adversary import KL, Crafter, CrossEntropy, Margin, Objective, Variant, ascend, climb
from harness.plugin.reach import WHOLE, Reach
from harness.plugin.threat import Threat

GRAPHS = 4  # kept at most: each holds the memory of a whole crafting
EVERY = 10  # calls: so often the faster layers are compared with the network's own, after as many comparisons at first
TRACES = 4  # of a network that changes its layers or attributes; for more, one in EVERY calls at most
_KNOWN = (CrossEntropy, Margin, KL)  # another objective may look into the network, so it gets the network as it is

log = logging.getLogger("harness.training")


def crafter_for(plain: bool, *, repeatable: bool = False) -> Crafter:
    """The crafter of one training: the network's own layers alone, or faster ones.

    Args:
        repeatable: record no graph: a replay need not round as the run that was recorded, which a training that resumes
            makes once more.
    """
    return ascend if plain else FastCrafter(graphs=not repeatable)


class FastCrafter:
    """``ascend`` on a network with faster layers, or on the network itself where they do not fit.

    It gives the variants of ``ascend`` but for rounding, which changes the sign of a gradient that is almost zero. In
    L2 the gradient is divided by its length: where all of it is almost zero, as that of KL is while p(x_adv) is almost
    p(x), rounding changes every pixel. On a CUDA device the steps are recorded as a graph. The graph's first variants
    are compared with those of ``ascend``.

    Args:
        record: how a graph is recorded; None: not at all on the CPU, and as a CUDA graph on a CUDA device.
        graphs: whether any is recorded.
    """

    def __init__(self, record: Record | None = None, *, graphs: bool = True) -> None:
        self._folded: Folded | None = None
        self._calls = self._traces = self._looks = 0
        self._fits = False
        self._carried: dict[str, Any] | None = None  # of an earlier start, until the network is traced here
        self._record, self._records = record, graphs
        self._graphs: dict[Hashable, Graphed | None] = {}

    def begin(self, epoch: int) -> None:
        """Begin an epoch of a training, so that a resumed one goes on as an uninterrupted one does, to the bit.

        How often the network was traced or compared before, and whether it once did not fit, decides nothing any more.

        Args:
            epoch: from 1; in the first the network is untrained, so it is compared often.
        """
        self._calls = self._traces = 0
        self._carried = None
        self._looks, self._fits = (0 if epoch == 1 else EVERY), True

    def state_dict(self) -> dict[str, Any]:
        """What another crafter needs to go on within an epoch, to the bit, after the same calls.

        Of the network that was traced it has the numbers and texts: they may change, and change back. If a layer, a
        hook, or a tensor was exchanged since, no network of another process is the one that was traced.
        """
        if not self._calls:
            return {}
        found = self._carried
        if self._folded is not None:
            found = {"traced": self._folded.made_for(), "channels last": self._folded.channels_last}
        counted = {"calls": self._calls, "traces": self._traces, "looks": self._looks, "fits": self._fits}
        return {**(found or {}), **counted}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on within an epoch, which has begun, from what ``state_dict`` gave."""
        if state:
            self._calls, self._traces, self._looks = state["calls"], state["traces"], state["looks"]
            self._fits, self._carried = state["fits"], state

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
        ball = reach.ball(threat, x.detach().repeat(len(objectives), 1, 1, 1))
        return self.climb(model, x, y, objectives, threat, ball.start(threat.start, generator), reach)

    def climb(
        self,
        model: nn.Module,
        x: Tensor,
        y: Tensor,
        objectives: Sequence[Objective],
        threat: Threat,
        start: Tensor,
        reach: Reach = WHOLE,
    ) -> tuple[Variant, ...]:
        """The same from a start that is given, as ``harness.plugin.adversary.climb``."""
        if not all(type(objective) in _KNOWN for objective in objectives) or not self._ready(model, x):
            return climb(model, x, y, objectives, threat, start, reach)
        assert self._folded is not None
        of_others = any(objective.x is not x for objective in objectives if isinstance(objective, KL))
        records = self._records and (self._record is not None or x.device.type == "cuda")
        if of_others or not records:  # a graph takes KL's images to be the batch
            with self._folded.put_in():
                return climb(model, x, y, objectives, threat, start, reach)
        return self._graphed(self._folded, x, y, objectives, threat, start, reach)

    def _ready(self, model: nn.Module, x: Tensor) -> bool:
        self._take_up(model, x)
        self._calls += 1
        first = self._calls == 1  # of an epoch: a resumed training cannot know what has changed since the last one
        changed = self._folded is None or self._folded.model is not model or self._folded.changed()
        if changed and self._traces >= TRACES + self._calls // EVERY:
            return False
        if changed or first:
            self._traces += 1
        if changed:
            self._looks = self._looks if first else 0
            self._folded, self._graphs, self._fits = Folded(model, x), {}, True
        assert self._folded is not None
        # at first often, since the batch-norm of an untrained network does next to nothing, whatever is done to it
        if self._fits and (self._looks < EVERY or self._looks % EVERY == 0):
            self._fits = self._folded.fits(x)
            if not self._fits:
                log.info("crafting is plain: this network cannot be computed with faster layers")
        self._looks += 1
        return self._fits

    def _take_up(self, model: nn.Module, x: Tensor) -> None:
        """Have what an earlier start had found of the network, unless the network is another now."""
        carried = self._carried
        if self._folded is not None:  # traced here
            self._carried = None
        elif carried is not None and plain_digest(attributes(model)) == carried["traced"]:
            self._folded = Folded(model, x)
            self._folded.channels_last = carried["channels last"]

    def _graphed(
        self,
        folded: Folded,
        x: Tensor,
        y: Tensor,
        objectives: Sequence[Objective],
        threat: Threat,
        start: Tensor,
        reach: Reach,
    ) -> tuple[Variant, ...]:
        kinds = tuple((type(objective), getattr(objective, "kappa", None)) for objective in objectives)
        own = reach.stop_after, reach.radii is not None
        key = (x.shape, x.dtype, kinds, threat, own, torch.is_autocast_enabled(x.device.type))
        graph = self._graphs.get(key)
        if graph is not None and graph.holds():
            return graph(x, y, start, reach)
        with folded.put_in():
            expected = climb(folded.model, x, y, objectives, threat, start, reach)
        if graph is None and key in self._graphs:  # it was tried in vain
            return expected
        if len(self._graphs) >= GRAPHS:
            self._graphs.clear()
        try:
            made = Graphed(folded, x, y, objectives, threat, start, reach, self._record)
            self._graphs[key] = made if made.gives(expected, x, y, start, reach) else None
        except RuntimeError as error:  # of torch: a pass that waits for the device cannot be recorded
            log.info("crafting cannot be recorded: %s", error)
            self._graphs[key] = None
        return expected
