"""What changes in the course of a training: learning rate, momentum, radius; and when its checkpoints are saved."""

from __future__ import annotations

import math
from dataclasses import replace

from harness.plugin.threat import Threat
from harness.protocols.train_protocol import TrainProtocol

_FIRST, _LAST = 1 / 25, 1 / 250_000  # of the highest learning rate, in cosine-cycle; torch's defaults


def learning_rate(protocol: TrainProtocol, epoch: int, share: float = 1.0) -> float:
    """The learning rate of an update in an epoch (counted from 1).

    A drop at fraction f acts after round(f * epochs) epochs. One-cycle rises linearly from 0 to its highest, then falls
    linearly to 0. Cosine is lr (1 + cos(pi t)) / 2 after a fraction t of the training. Cosine-cycle changes after each
    epoch. With ``lr_warmup`` the rate of any schedule is multiplied by t / lr_warmup until that is 1.

    Args:
        share: of the epoch's updates, up to and with this one.
    Source: one-cycle and cosine are ``superconverge`` and ``cosine`` of the official code of Rice et al. 2020,
        "Overfitting in adversarially robust deep learning"; one-cycle with ``lr_rise`` 1/2 is the cyclic schedule of
        Wong et al. 2020, "Fast is better than free". Cosine-cycle is torch's OneCycleLR (after Smith and Topin 2018),
        which FastAT Benchmark and the official code of Wang et al. 2023 step after each epoch.
        Departs: the peak of one-cycle is at ``lr_rise`` exactly, not rounded down to an epoch; and an update's rate is
        that of its end, where Wong et al. take that of its beginning.
    """
    passed = (epoch - 1 + share) / protocol.epochs
    if protocol.schedule == "one-cycle":
        course = min(passed / protocol.lr_rise, (1 - passed) / (1 - protocol.lr_rise))
    elif protocol.schedule == "cosine":
        course = (1 + math.cos(math.pi * passed)) / 2
    elif protocol.schedule == "cosine-cycle":
        course = _along_the_cycle(protocol, epoch, _FIRST, 1.0, _LAST)
    else:
        drops = sum(epoch > round(fraction * protocol.epochs) for fraction in protocol.lr_drops)
        course = protocol.lr_factor**drops
    warmed = min(1.0, passed / protocol.lr_warmup) if protocol.lr_warmup else 1.0
    return protocol.lr * course * warmed


def momentum(protocol: TrainProtocol, epoch: int) -> float:
    """The momentum in an epoch (from 1); with ``momentum_low`` it falls while cosine-cycle rises, then rises again."""
    if protocol.momentum_low is None:
        return protocol.momentum
    return _along_the_cycle(protocol, epoch, protocol.momentum, protocol.momentum_low, protocol.momentum)


def _along_the_cycle(protocol: TrainProtocol, epoch: int, first: float, middle: float, last: float) -> float:
    """A value of cosine-cycle: along half a cosine from the first to the middle one, then along another to the last.

    The middle is at epoch lr_rise * epochs. If that is none of the training's, as in a very short one, the value falls
    from the first epoch on, as in torch.
    """
    at, middle_at, last_at = epoch - 1, protocol.lr_rise * protocol.epochs - 1, protocol.epochs - 1
    if at <= middle_at:
        start, end, share = first, middle, at / middle_at if middle_at else 1.0
    else:
        start, end, share = middle, last, (at - middle_at) / (last_at - middle_at)
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))


def threat_in(protocol: TrainProtocol, threat: Threat, epoch: int) -> Threat:
    """The training attack's budget in an epoch (from 1): radius and step in the same proportion of the whole ones.

    With ``epsilon_warmup`` w the proportion is min(1, epoch / (w * epochs)). It changes after an epoch and not after an
    update, since a graph of the crafting is recorded for one radius.

    Source: a linear rise over the first epochs, as Qin et al. 2019 (arXiv:1907.02610) train, and Pang et al. 2021 in
        their official code. Departs: there the radius rises with each update, and the step keeps its length.
    """
    if not protocol.epsilon_warmup:
        return threat
    share = min(1.0, epoch / (protocol.epsilon_warmup * protocol.epochs))
    return replace(threat, epsilon=threat.epsilon * share, step_size=threat.step_size * share)


def checkpoint_epochs(protocol: TrainProtocol) -> dict[str, int]:
    """Checkpoint -> the epoch after which it is saved."""
    return {"early": max(1, round(protocol.early * protocol.epochs)), "last": protocol.epochs}
