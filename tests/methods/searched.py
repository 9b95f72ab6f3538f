"""The methods that search in a way of their own, or weigh by margins: slow formulas, identities, and passes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from harness.methods.cfa import CFA
from harness.methods.cfa_trades import CFATRADES
from harness.methods.fat import FAT
from harness.methods.fat_trades import FATTRADES
from harness.methods.gair_fat import GAIRFAT
from harness.methods.mail import MAIL
from harness.methods.mail_trades import MAILTRADES
from harness.methods.sat import SAT
from harness.methods.trades import TRADES
from harness.plugin.adversary import KL, CrossEntropy
from harness.plugin.method import Method, Step
from tests.methods.slow import geometry_weights, kl, margin_weights, mean, nll

Formula = Callable[[Any, Step], Tensor]


def fat(method: FAT | GAIRFAT, step: Step) -> Tensor:
    variant = step.perturb(CrossEntropy(), stop_after=method.tau)  # late in the training; the search: test_reach.py
    z = step.model(variant.x)
    omega = geometry_weights(method, step, variant.steps_to_flip) if isinstance(method, GAIRFAT) else [1.0] * len(z)
    return mean([omega[i] * nll(z[i], int(step.y[i])) for i in range(len(z))])


def fat_trades(method: FATTRADES, step: Step) -> Tensor:
    variant = step.perturb(KL(step.x), stop_after=method.tau)
    p, q = step.model(step.x), step.model(variant.x)
    return mean([nll(p[i], int(step.y[i])) + method.inverse_lambda * kl(p[i], q[i]) for i in range(len(p))])


def mail(method: MAIL, step: Step) -> Tensor:
    q = step.model(step.perturb(CrossEntropy()).x)
    p = q if method.margin == "adv" else step.model(step.x)
    omega = margin_weights(p, q, step.y, method.margin, method.slope, method.bias)
    return mean([omega[i] * nll(q[i], int(step.y[i])) for i in range(len(q))])


def mail_trades(method: MAILTRADES, step: Step) -> Tensor:
    variant = step.perturb(KL(step.x))
    p, q = step.model(step.x), step.model(variant.x)
    omega = margin_weights(p, q, step.y, method.margin, method.slope, method.bias)
    return mean([nll(p[i], int(step.y[i])) + method.inverse_lambda * omega[i] * kl(p[i], q[i]) for i in range(len(p))])


def cfa(method: CFA, step: Step) -> Tensor:
    """In the first epoch, in which no accuracy is known; for later ones see test_class_accuracies.py."""
    z = step.model(step.perturb(CrossEntropy()).x)
    return mean([nll(z[i], int(step.y[i])) for i in range(len(z))])


def cfa_trades(method: CFATRADES, step: Step) -> Tensor:
    """As ``cfa``."""
    variant, b = step.perturb(KL(step.x)), method.inverse_lambda
    p, q = step.model(step.x), step.model(variant.x)
    return mean([(nll(p[i], int(step.y[i])) + b * kl(p[i], q[i])) / (1 + b) for i in range(len(p))])


CASES: list[tuple[Method, Formula]] = [
    (FAT(), fat),
    (FAT(tau=0), fat),
    (GAIRFAT(), fat),
    (GAIRFAT(tau=1, shift=-1.0, assignment="discrete"), fat),
    (FATTRADES(), fat_trades),
    (FATTRADES(tau=0, inverse_lambda=2.0), fat_trades),
    (MAIL(), mail),
    (MAIL(margin="nat", slope=3.0, bias=0.2), mail),
    (MAIL(margin="dif", bias=0.0), mail),
    (MAILTRADES(), mail_trades),
    (MAILTRADES(margin="nat", inverse_lambda=1.0), mail_trades),
    (MAILTRADES(margin="dif", slope=20.0), mail_trades),
    (CFA(), cfa),
    (CFATRADES(inverse_lambda=2.0), cfa_trades),
]

IDENTITIES: dict[str, tuple[Method, Method]] = {
    "FAT that never stops is SAT": (FAT(tau=5), SAT()),
    "FAT-TRADES that never stops is TRADES": (FATTRADES(tau=9, grows=False), TRADES()),
    "GAIR-FAT with lambda -> inf is FAT": (GAIRFAT(shift=float("inf"), burn_in=0.0, tau=2), FAT()),
    "MAIL with slope 0 is SAT": (MAIL(slope=0.0, burn_in=0.0), SAT()),
    "MAIL in its burn-in is SAT": (MAIL(burn_in=1.0, margin="dif"), SAT()),
    "MAIL-TRADES with slope 0 is TRADES": (MAILTRADES(slope=0.0, inverse_lambda=6.0), TRADES()),
}

FORWARD = {
    "fat": 5 + 1,
    "gair-fat": 5 + 1,
    "mail": 5 + 1,
    "cfa": 5 + 1,
    "fat-trades": 6 + 2,
    "mail-trades": 6 + 2,
    "cfa-trades": 6 + 2,
}
