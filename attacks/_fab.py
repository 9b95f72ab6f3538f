"""Targeted FAB in the L-infinity ball, with fewer operations and the same results."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

_FAR = 1e10  # the distance of an image that has no adversarial example yet


def seek(
    attack: Any, x: Tensor, y: Tensor, use_rand_start: bool = False, is_targeted: bool = False
) -> Tensor:  # the package calls it by these names
    """What the package's ``FABAttack_PT.attack_single_run`` gives for one target class in the L-infinity ball.

    The two points of each image that are projected on the hyperplane are kept in one tensor. The clean images take one
    forward pass, not two.

    The package itself runs where logits, gradients, or iterates are not finite, and for random starts and untargeted
    runs, which the standard version does not make.

    Args:
        attack: the package's ``FABAttack_PT`` in L-infinity.
        x: ``(batch, channels, height, width)`` images in [0, 1].
        y: ``(batch,)`` labels.
    Returns: adversarial images where the attack found some, at any distance, else the image.
    """
    found = None
    if is_targeted and not use_rand_start:
        with torch.no_grad():
            found = _targeted(attack, x, y)
    if found is None:
        given: Tensor = type(attack).attack_single_run(
            attack, x, y, use_rand_start=use_rand_start, is_targeted=is_targeted
        )
        return given
    return found


def _targeted(attack: Any, x: Tensor, y: Tensor) -> Tensor | None:
    logits = attack.predict(x)
    right = (logits.max(1)[1] == y).nonzero().squeeze(1)
    if not len(right):
        return x
    target = logits.sort(dim=-1)[1][:, -attack.target_class].index_select(0, right)
    labels, shape, n = y.index_select(0, right), x.shape[1:], len(right)
    points = x.index_select(0, right).flatten(1).repeat(2, 1)  # first the iterates, then the clean images
    iterate, clean = points[:n], points[n:]
    nearest, distance = clean.clone(), torch.full((n,), _FAR, device=x.device)
    towards = torch.zeros_like(logits.index_select(0, right))  # the gradient of z_target - z_label, for z the logits
    towards.scatter_add_(1, target[:, None], towards.new_ones(n, 1))
    towards.scatter_add_(1, labels[:, None], -towards.new_ones(n, 1))
    seen = torch.zeros((), device=x.device)  # not finite once an offset was not

    for _ in range(attack.n_iter):
        images = iterate.view(n, *shape).clone().requires_grad_()
        with torch.enable_grad():
            logits = attack.predict(images)
        normal = torch.autograd.grad(logits, images, towards)[0].reshape(n, -1)
        logits = logits.detach()
        gap = -(logits.gather(1, labels[:, None]) - logits.gather(1, target[:, None])).squeeze(1)
        offset = (normal * iterate).sum(1) - gap
        seen += offset.sum()

        moves = project(points, normal.repeat(2, 1), offset.repeat(2))
        lengths = moves.abs().amax(1, keepdim=True).clamp_(min=1e-8)
        share = (lengths[:n] / (lengths[:n] + lengths[n:])).clamp_(min=0.0, max=attack.alpha_max)
        moves.mul_(attack.eta).add_(points)
        moves[:n].mul_(1 - share)
        moves[n:].mul_(share)
        torch.add(moves[:n], moves[n:], out=iterate).clamp_(0.0, 1.0)

        broken = attack.predict(iterate.view(n, *shape)).max(1)[1] != labels
        rows = broken.nonzero().squeeze(1)
        if len(rows):
            ends, starts = iterate.index_select(0, rows), clean.index_select(0, rows)
            steps = ends - starts
            reached, before = steps.abs().amax(1), distance.index_select(0, rows)
            nearer = (reached < before).nonzero().squeeze(1)
            nearest.index_copy_(0, rows.index_select(0, nearer), ends.index_select(0, nearer))
            distance.index_copy_(0, rows, torch.minimum(reached, before))
            iterate.index_copy_(0, rows, steps.mul_(attack.beta).add_(starts))
    if not bool(seen.isfinite() & iterate.isfinite().all()):  # once an iterate is not finite, it stays so
        return None
    result, rows = x.clone(), (distance < _FAR).nonzero().squeeze(1)
    nearest = nearest.view(n, *shape)
    result.index_copy_(0, right.index_select(0, rows), nearest.index_select(0, rows))
    return result


def project(points: Tensor, normal: Tensor, offset: Tensor) -> Tensor:
    """The smallest moves, in the L-infinity norm, from points in [0, 1]^d to a hyperplane within [0, 1]^d.

    With the box, each coordinate has room to move in the direction that brings the point nearer. If all coordinates
    move by lambda, or by their room if that is less, the point comes nearer by a concave, piecewise linear function of
    lambda, whose pieces end at the sorted rooms (Croce and Hein, arXiv:1907.02044, section 3.1). The sums over the
    sorted rooms and the search for the piece are in the package's order, so that the result equals its
    ``projection_linf`` in every bit.

    Args:
        points: ``(n, d)``.
        normal: ``(n, d)``, the w of the hyperplane <w, z> = b.
        offset: ``(n,)``, its b.
    Returns: ``(n, d)``; if the box does not meet the hyperplane, every coordinate moves by its room.
    """
    beyond = (normal * points).sum(1).sub_(offset)
    above = beyond >= 0
    upwards = normal.sign().mul_((1 - 2 * above.to(normal.dtype))[:, None])  # in which direction coordinates move
    missing = -beyond.abs()
    room = (upwards > 0).to(points.dtype).sub_(points).abs_()
    weight = normal.abs()
    gain = weight * room
    whole = -gain.sum(1)

    order = torch.argsort(room, dim=1).flip(1)  # its order of equal rooms is the package's, which decides last bits
    slope = weight.gather(1, order).cumsum(1)
    level = gain.gather(1, order).cumsum(1).add_(whole[:, None])
    ends = torch.mul(slope, room.gather(1, order)).neg_().add_(level)  # of the pieces
    before = missing[:, None] - ends > 0

    first = before[:, -1]  # nearer than the least room: all coordinates move by lambda
    reachable = missing - whole > 0
    piece = _last(before)
    piece.masked_fill_(first[:, None], normal.shape[1] - 1)
    rise = slope.gather(1, piece).neg_()
    length = ((missing[:, None] - level.gather(1, piece)) / rise).clamp_(min=0.0)
    length.masked_fill_(~(first | reachable)[:, None], math.inf)
    room.masked_fill_(first[:, None], math.inf)
    return torch.minimum(length, room, out=room).mul_(upwards)


def _last(before: Tensor) -> Tensor:
    """By bisection, the last place of each row where it is True, of ``(n, d)`` that is True up to a place; ``(n, 1)``.

    Where rounding spoils that order, the place is the one that this bisection comes to, as the package's does.
    """
    low = torch.zeros_like(before[:, :1], dtype=torch.long)
    high = torch.full_like(low, before.shape[1] - 1)
    for _ in range(math.ceil(math.log2(before.shape[1]))):
        middle = (low + high) >> 1
        inside = before.gather(1, middle)
        low, high = torch.where(inside, middle, low), torch.where(inside, high, middle)
    return low
