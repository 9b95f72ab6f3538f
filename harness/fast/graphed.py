"""The inner maximisation as a CUDA graph: recorded once, then replayed, so that the CPU launches no kernel of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from harness.fast.folded import Folded
from harness.plugin.adversary import KL, Objective, Variant, climb
from harness.plugin.reach import WHOLE, Reach
from harness.plugin.threat import Threat

Record = Callable[[Callable[[], None]], Callable[[], None]]
"""Runs a function in a way that can be repeated, on the same memory; gives the function that repeats it."""

WARM_UP = 3  # runs before the recording, in which libraries choose their algorithms
ALIKE = 0.99  # of the pixels of a replay and of an ordinary run; signs of gradients near zero may differ
ROUNDING = 1e-5  # of a pixel in [0, 1]: a sign that differs moves it by a whole step


class Graphed:
    """The climb for batches of one shape, with the same objectives and the same threat.

    The graph reads and writes fixed memory: the batch and the start are copied there, and the variants are copied from
    there. The weights are read where they lie, so a graph is of no use once they lie elsewhere: see ``holds``.

    Args:
        folded: the network, with the faster layers that are recorded.
        start: the first iterates of ``climb``.
        record: how to record; a test on the CPU gives its own.
    """

    def __init__(
        self,
        folded: Folded,
        x: Tensor,
        y: Tensor,
        objectives: Sequence[Objective],
        threat: Threat,
        start: Tensor,
        reach: Reach = WHOLE,
        record: Record | None = None,
    ) -> None:
        self._folded, self._pointers = folded, _pointers(folded)
        self._x, self._y, self._start = x.detach().clone(), y.clone(), start.detach().clone()
        every = torch.arange(len(x), device=x.device)
        own_reach = reach.of(every)
        self._radii = own_reach.radii
        own = [KL(self._x) if type(objective) is KL else objective for objective in objectives]
        self._variants: tuple[Variant, ...] = ()

        def run() -> None:
            with folded.put_in_as_they_are():  # a replay reads the memory of the layers, and refreshes nothing
                self._variants = climb(folded.model, self._x, self._y, own, threat, self._start, own_reach)

        folded.refresh()
        self._replay = (record or cuda_graph)(run)

    def holds(self) -> bool:
        """Whether the weights, folded or not, and the statistics still lie where the graph reads them."""
        return self._pointers == _pointers(self._folded)

    def __call__(self, x: Tensor, y: Tensor, start: Tensor, reach: Reach = WHOLE) -> tuple[Variant, ...]:
        """The variants of another batch of the same shape, of the same reach but for the radii, as new tensors."""
        for fixed, given in ((self._x, x), (self._y, y), (self._start, start), (self._radii, reach.radii)):
            if fixed is not None and given is not None:
                fixed.copy_(given)
        self._folded.refresh()
        self._replay()
        return tuple(Variant(v.x.clone(), v.steps_to_flip.clone()) for v in self._variants)

    def gives(self, expected: Sequence[Variant], x: Tensor, y: Tensor, start: Tensor, reach: Reach = WHOLE) -> bool:
        """Whether a replay gives the expected variants of a batch, but for rounding.

        The batch is put in reversed, so that what was recorded for it does not pass for what is computed.
        """
        reversed_start = start.view(len(expected), *x.shape).flip(1).flatten(0, 1)
        given = self(x.flip(0), y.flip(0), reversed_start, reach.of(torch.arange(len(x) - 1, -1, -1, device=x.device)))
        pairs = zip(given, expected, strict=True)
        same = [(a.x.flip(0) - b.x).abs() <= ROUNDING for a, b in pairs]  # in L2 the rounding shows in every pixel
        return all(float(pixels.float().mean()) >= ALIKE for pixels in same)


def cuda_graph(run: Callable[[], None]) -> Callable[[], None]:
    """Record a run as a CUDA graph; gives its replay."""
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP):
            run()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def _pointers(folded: Folded) -> tuple[int, ...]:
    own = (*folded.model.parameters(), *folded.model.buffers())
    return (*(tensor.data_ptr() for tensor in own), *folded.pointers)
