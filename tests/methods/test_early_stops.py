"""The rise of tau, epoch by epoch, as the released code has it."""

from __future__ import annotations

import pytest
import torch

from harness.methods._early_stops import EarlyStopped
from harness.methods.fat import FAT
from harness.methods.fat_trades import FATTRADES
from harness.methods.gair_fat import GAIRFAT
from harness.plugin.search import SearchRange, search_space
from tests.tiny import make_batch, make_step, make_tiny_model


@pytest.mark.parametrize(
    ("method", "epochs", "last"),
    [
        (FAT(), 120, {50: 0, 90: 1, 120: 2}),
        (FAT(tau=1), 120, {90: 0, 120: 1}),
        (FATTRADES(), 85, {30: 0, 50: 1, 70: 2, 85: 3}),
        (GAIRFAT(), 120, {40: 0, 70: 3, 120: 6}),
        (FAT(tau=4, grows=False), 10, {10: 4}),
    ],
    ids=str,
)
def test_tau_of_each_epoch(method: EarlyStopped, epochs: int, last: dict[int, int]) -> None:
    """``last``: the last epoch with each tau, from 1. The fraction of the training is that of its first update."""
    for epoch in range(1, epochs + 1):
        assert method.tau_at((epoch - 1) / epochs) == next(tau for end, tau in last.items() if epoch <= end)


def test_tau_is_searched_from_no_step_left_behind_to_all_of_ten_and_lambda_beside_it() -> None:
    for method in (FAT, FATTRADES, GAIRFAT):
        assert search_space(method)["tau"] == SearchRange(0, 10, whole=True)
    assert search_space(GAIRFAT)["shift"] == SearchRange(-5, 5)


def test_the_tau_of_the_epoch_is_used_and_logged() -> None:
    """Later variants are harder: with tau 0, 1, and 2 the loss on one batch rises."""
    model, (x, y) = make_tiny_model(), make_batch(n=30)
    losses = []
    for progress, tau in ((0.0, 0), (0.5, 1), (0.9, 2)):
        logged: dict[str, torch.Tensor] = {}
        losses.append(float(FAT().loss(make_step(model, x, y, progress=progress, log=logged.__setitem__)).detach()))
        assert float(logged["tau"]) == tau
    assert losses[0] < losses[1] < losses[2]
