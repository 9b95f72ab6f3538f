"""When a training's learning rate changes, and after which epochs its checkpoints are saved."""

from __future__ import annotations

from harness.protocols.train_protocol import TrainProtocol

_RISE = 2 / 5  # of a training, in which one-cycle's learning rate rises


def learning_rate(protocol: TrainProtocol, epoch: int, share: float = 1.0) -> float:
    """The learning rate of an update in an epoch (counted from 1).

    A drop at fraction f acts after round(f * epochs) epochs. One-cycle rises linearly from 0 in the first two fifths of
    the training, then falls linearly to 0.

    Args:
        share: of the epoch's updates, up to and with this one.
    Source: one-cycle is the schedule ``superconverge`` of the official code of Rice et al. 2020, "Overfitting in
        adversarially robust deep learning". Departs: the peak is at two fifths exactly, not rounded down to an epoch.
    """
    if protocol.schedule == "one-cycle":
        passed = (epoch - 1 + share) / protocol.epochs
        return protocol.lr * min(passed / _RISE, (1 - passed) / (1 - _RISE))
    drops = sum(epoch > round(fraction * protocol.epochs) for fraction in protocol.lr_drops)
    return protocol.lr * protocol.lr_factor**drops


def checkpoint_epochs(protocol: TrainProtocol) -> dict[str, int]:
    """Checkpoint -> the epoch after which it is saved."""
    return {"early": max(1, round(protocol.early * protocol.epochs)), "last": protocol.epochs}
