"""Square's search in the L-infinity ball, without the queries whose answers are known."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import torch
from torch import Tensor


def search(attack: Any, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """What the package's ``SquareAttack.attack_single_run`` gives in the L-infinity ball, with fewer queries.

    The draws are the package's, from the same generator and in the same order. A query is left out if its image is the
    best one so far, or if the same change of the same image was refused before: a model that computes each answer from
    its image alone would give the same answer again. On images of 8 x 8 there are 128 changes of one pixel, and 4,000
    queries of them. For each image, a table holds which changes are known; a new best image empties its column.

    Where a margin is not finite, the package itself runs, from the same state of the generator.

    Args:
        attack: the package's ``SquareAttack``, untargeted, with the margin loss, in L-infinity.
        x: ``(batch, channels, height, width)`` images in [0, 1].
        y: ``(batch,)`` labels.
    Returns: the number of queries that the package makes for each image, ``(batch,)``, and the images.
    """
    state = torch.get_rng_state()
    with torch.no_grad():
        found = _Search(attack, x, y).run()
    if found is None:
        torch.set_rng_state(state)
        given: tuple[Tensor, Tensor] = type(attack).attack_single_run(attack, x, y)
        return given
    return found


class _Search:
    """The images that are still classified rightly, and the best changes of them so far."""

    def __init__(self, attack: Any, x: Tensor, y: Tensor) -> None:
        self.attack, self.shape = attack, x.shape[1:]
        channels, _, width = self.shape
        # the ball and [0, 1] at once; clamping twice gives the same numbers
        self.low, self.high = (x - attack.eps).clamp_(min=0.0), (x + attack.eps).clamp_(max=1.0)
        stripes = attack.random_choice([len(x), channels, 1, width])
        self.best = (x + attack.eps * stripes).clamp_(0.0, 1.0)
        self.y, self.margin = y, self._margins(self.best, y)
        self.left = torch.arange(len(x), device=x.device)  # where each of these images is in the block
        self.result, self.queries = self.best.clone(), torch.ones(len(x), device=x.device)
        self.known: Tensor | None = None  # (changes, images): whether a change is known to be no better

    def run(self) -> tuple[Tensor, Tensor] | None:
        """The result, or None if a margin is not finite."""
        if not bool(self.margin.isfinite().all()):
            return None
        self._drop_broken()
        sides = [self._side(i) for i in range(self.attack.n_queries)]
        lengths, last = Counter(sides), 0
        for side in sides:
            if not len(self.left):
                break
            if side != last:
                self._begin(side, lengths[side])
                last = side
            self.queries[self.left] += 1.0
            better = self._query(side)
            if better is None:
                return None
            if better:
                self._drop_broken()
        self.result[self.left] = self.best
        return self.queries, self.result

    def _side(self, query: int) -> int:
        """The side of the square of one query."""
        channels, height, width = self.shape
        share = self.attack.p_selection(query)
        side = max(round(math.sqrt(share * (channels * height * width) / channels)), 1)
        return int(min(side, height, width))

    def _begin(self, side: int, queries: int) -> None:
        """Begin the queries of one side. If there are fewer of them than changes, few are repeated."""
        channels, height, width = self.shape
        self.span = torch.tensor([height - side, width - side], dtype=torch.get_default_dtype())
        self.columns = width - side + 1
        changes = (height - side + 1) * self.columns * 2**channels
        self.known = self.low.new_zeros(changes, len(self.left), dtype=torch.bool) if changes <= queries else None

    def _query(self, side: int) -> bool | None:
        """Try one change of all images; returns whether an image has a better one, None if a margin is not finite."""
        draws = torch.rand(2 + self.shape[0])  # row, column, and a sign for each channel
        row, column = (self.span * draws[:2]).long().tolist()
        signs = torch.sign(2 * draws[2:] - 1)
        known = self._known(row, column, signs)
        if known is not None and bool(known.all()):
            return False
        window = (slice(None), slice(None), slice(row, row + side), slice(column, column + side))
        change = (2.0 * self.attack.eps * signs).to(self.best.device)
        moved = self.best[window] + change[:, None, None]
        torch.clamp(moved, self.low[window], self.high[window], out=moved)
        asked = (moved != self.best[window]).flatten(1).any(1)
        if known is not None:
            asked &= ~known
            known.fill_(True)
        places = asked.nonzero().squeeze(1)
        return self._ask(places, window, moved) if len(places) else False

    def _known(self, row: int, column: int, signs: Tensor) -> Tensor | None:
        """Which images this change is known of, ``(images,)``; None if there is no table, or a sign is 0."""
        if self.known is None:
            return None
        key = row * self.columns + column
        for sign in signs.tolist():
            if sign == 0:
                return None
            key = 2 * key + (sign > 0)
        return self.known[key]

    def _ask(self, places: Tensor, window: tuple[slice, ...], moved: Tensor) -> bool | None:
        """Query the changed images at these places, and keep the better ones."""
        # torch multiplies a single row by another routine, with other last bits, so it gets company
        asked = places.expand(2) if len(places) == 1 < len(self.left) else places
        images = self.best.index_select(0, asked)
        images[window] = moved.index_select(0, asked)
        margin = self._margins(images, self.y.index_select(0, asked))[: len(places)]
        if not bool(margin.isfinite().all()):
            return None
        better = (margin < self.margin.index_select(0, places)).nonzero().squeeze(1)
        if not len(better):
            return False
        at = places.index_select(0, better)
        self.best.index_copy_(0, at, images.index_select(0, better))
        self.margin.index_copy_(0, at, margin.index_select(0, better))
        if self.known is not None:
            self.known.index_fill_(1, at, False)
        return True

    def _drop_broken(self) -> None:
        """Leave out the images that are misclassified now."""
        stays = (self.margin > 0.0).nonzero().squeeze(1)
        if len(stays) == len(self.left):
            return
        self.result[self.left] = self.best
        for name in ("left", "best", "low", "high", "y", "margin"):
            setattr(self, name, getattr(self, name).index_select(0, stays))
        if self.known is not None:
            self.known = self.known.index_select(1, stays)

    def _margins(self, images: Tensor, y: Tensor) -> Tensor:
        """The logit of the label less the largest other logit, ``(batch,)``."""
        logits = self.attack.predict(images)
        own, y = logits.gather(1, y[:, None]), y[:, None]
        margins: Tensor = own.squeeze(1) - logits.scatter(1, y, -math.inf).amax(1)
        return margins
