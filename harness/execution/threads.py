"""How many threads of the processor each attack on a block, and each examination, computes with."""

from __future__ import annotations

import os
from collections.abc import Sequence

from harness.planning.gaps import ModelGap


def threads_of_models(models: Sequence[ModelGap], cores: int, each: int | None = None) -> list[tuple[int, ...]]:
    """For each model the threads of its items: of its examination, if there is one, then of its blocks.

    They are fixed before the work, as the last bit may depend on them.

    Args:
        models: all that are to be attacked, in their order, also those that are not trained yet.
        cores: how many cores the items share; the last items get several each, so that none is idle.
        each: of every item; None: ``cores`` says.
    """
    items = sum(model.items for model in models)
    of_all = iter(threads_of(items, cores) if each is None else [each] * items)
    examinations = [tuple(next(of_all) for _ in range(model.examine)) for model in models]  # all before the blocks
    blocks = [tuple(next(of_all) for _ in range(model.blocks)) for model in models]
    return [(*own, *further) for own, further in zip(examinations, blocks, strict=True)]


def threads_of(items: int, cores: int) -> list[int]:
    """The threads of each item: one, while there are items for all cores; the last few share the cores.

    ``OMP_NUM_THREADS`` is the most.
    """
    last, given = items % cores, os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    most = int(given) if given.isdecimal() else cores
    return [1] * (items - last) + [max(1, min(most, cores // last))] * last if last else [1] * items
