"""AutoAttack, by its authors' own package."""

from __future__ import annotations

import contextlib
import logging
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from harness.attack import Attack, Passes
from harness.errors import HarnessError
from harness.seeds import global_seed
from harness.threat import Threat

TARGETS = 9  # the standard version's number of target classes
_ITERATIONS, _QUERIES = 100, 5000  # of each gradient attack, and of Square: the standard version's


@dataclass(frozen=True, kw_only=True)
class AutoAttack(Attack):
    """The standard ensemble: APGD-CE, targeted APGD and FAB, Square (Croce and Hein, ICML 2020, arXiv:2003.01690).

    The authors' package, untouched, seeded from the evaluator's generator; the whole block is one batch. torch's
    global generators, which the package reseeds, and the trace function, which it clears, are put back. Its log
    lines go to the run's log; its warnings are raised as Python warnings, which the evaluator stores.

    Departs: with fewer than ten classes the targeted attacks have as many targets as there are other classes.
    """

    budget: ClassVar[tuple[str, ...]] = ("epsilon",)

    def perturb(self, model: nn.Module, x: Tensor, y: Tensor, threat: Threat, generator: torch.Generator) -> Tensor:
        import pyautoattack

        with torch.no_grad():
            classes = model(x[:1]).shape[1]
        if classes < 4:
            raise HarnessError(f"AutoAttack's targeted loss needs 4 classes or more, and this data set has {classes}")
        seed = int(torch.randint(2**31 - 1, (), generator=generator, device=x.device))
        with global_seed(x.device, seed), _trace_kept(), _log_forwarded():
            attack = pyautoattack.AutoAttack(model, norm="Linf", eps=threat.epsilon, seed=seed, device=x.device)
            if classes <= TARGETS:
                attack.apgd_targeted.n_target_classes = attack.fab.n_target_classes = classes - 1
            x_adv: Tensor = attack.run_standard_evaluation(x, y, batch_size=len(x))[0]
        return x_adv

    def passes(self, threat: Threat) -> Passes:
        """For an example that every part attacks in full; one that breaks early costs less."""
        apgd = Passes(_ITERATIONS + 1, _ITERATIONS + 1)
        fab = Passes(2 * _ITERATIONS + 3, _ITERATIONS)
        gradient = [apgd] + TARGETS * [apgd] + TARGETS * [fab]
        own = TARGETS + 19  # the package's checks and its scoring between attacks; the probe of the classes
        return Passes(sum(p.forward for p in gradient) + _QUERIES + own, sum(p.backward for p in gradient))


@contextlib.contextmanager
def _trace_kept() -> Iterator[None]:
    trace = sys.gettrace()  # a debugger's or coverage's, which the package sets to None
    try:
        yield
    finally:
        sys.settrace(trace)


class _Forward(logging.Handler):
    """Passes the package's records on: warnings as Python warnings, everything to the attacks' log."""

    def emit(self, record: logging.LogRecord) -> None:
        logging.getLogger("harness.attack").info(record.getMessage())
        if record.levelno >= logging.WARNING:
            warnings.warn(record.getMessage(), stacklevel=2)


@contextlib.contextmanager
def _log_forwarded() -> Iterator[None]:
    logger, handler = logging.getLogger("auto-attack"), _Forward()
    level, propagate = logger.level, logger.propagate
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate
