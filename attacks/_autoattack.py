"""AutoAttack by its authors' package: what the ensemble and each of its parts share."""

from __future__ import annotations

import contextlib
import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from harness.attacks._fab import seek
from harness.attacks._fab_findings import findings
from harness.attacks._square import search
from harness.errors import HarnessError, SettingError
from harness.plugin.attack import Attack, Passes
from harness.plugin.threat import Threat
from harness.runtime.seeds import global_seed

FEWEST = 4  # classes: APGD's targeted loss needs the four highest logits
NORMS = ("Linf", "L2")  # the standard version has these parts in both
TARGETS = 9  # the standard version's number of target classes
_ITERATIONS, _QUERIES = 100, 5000  # the standard version's: for each gradient attack, and for Square
_ASCENT = Passes(_ITERATIONS + 1, _ITERATIONS + 1)  # one run of APGD
_BOUNDARY = Passes(2 * _ITERATIONS + 2, _ITERATIONS)  # one run of FAB
_ONE = Passes(1, 0)  # one prediction

PARTS = {
    "apgd-ce": _ONE + _ASCENT,
    "apgd-t": _ONE + (_ONE + _ASCENT).times(TARGETS),
    "fab-t": _ONE + (_BOUNDARY + _ONE).times(TARGETS),
    "square": Passes(_QUERIES + 3, 0),
}
"""The standard version's parts, in its order -> passes for an example that the part attacks to the end."""


@dataclass(frozen=True, kw_only=True)
class Package(Attack):
    """Base of AutoAttack and its parts: the authors' package, unchanged, in its standard version.

    The package is seeded from the evaluator's generator, and the whole block is one batch. Three things are restored:
    torch's global generators, which the package reseeds; the trace function, which it clears; and its count of
    suspicious calls. Its log lines go to the run's log; its warnings become Python warnings, which the evaluator
    stores. FAB's backward passes add no gradient to parameters. For radius 0 the image is returned without any query.

    On a pure model two steps in the L-infinity ball are replaced by own ones that give the same images: Square leaves
    out the queries whose answers it knows, and FAB projects with fewer operations. FAB draws nothing, so an image that
    it attacked with one seed is not attacked again with the next.

    Departs: with fewer than ten classes the targeted attacks have as many targets as there are other classes.
    """

    budget: ClassVar[tuple[str, ...]] = ("epsilon", "norm")

    parts: ClassVar[tuple[str, ...]]
    """The parts of the standard version to run, in its order."""

    def perturb(self, model: nn.Module, x: Tensor, y: Tensor, threat: Threat, generator: torch.Generator) -> Tensor:
        return self._run(model, x, y, threat, generator, pure=False)

    def perturb_pure(
        self, model: nn.Module, x: Tensor, y: Tensor, threat: Threat, generator: torch.Generator
    ) -> Tensor:
        return self._run(model, x, y, threat, generator, pure=True)

    def _run(
        self, model: nn.Module, x: Tensor, y: Tensor, threat: Threat, generator: torch.Generator, *, pure: bool
    ) -> Tensor:
        self.refuse_other_balls(threat)
        with torch.no_grad():
            classes = model(x[:1]).shape[1]
        if classes < self.fewest_classes:  # commands refuse this earlier
            raise HarnessError(f"{self.name} needs {self.fewest_classes} classes or more, and the model has {classes}")
        if threat.epsilon == 0:
            return x.clone()
        import pyautoattack

        seed = int(torch.randint(2**31 - 1, (), generator=generator, device=x.device))
        with global_seed(x.device, seed), _trace_kept(), _calls_counted_anew(), _log_forwarded(), _frozen(model):
            package = pyautoattack.AutoAttack(model, norm=threat.norm, eps=threat.epsilon, seed=seed, device=x.device)
            package.attacks_to_run = list(self.parts)  # as the package's run_standard_evaluation_individual does
            if classes <= TARGETS:
                package.apgd_targeted.n_target_classes = package.fab.n_target_classes = classes - 1
            if pure and threat.norm == "Linf":
                _use_own_steps(package, keep=len(self.parts) > 1)
            x_adv: Tensor = package.run_standard_evaluation(x, y, batch_size=len(x))[0]
        return x_adv

    def passes(self, threat: Threat) -> Passes:
        """Passes for an example that every part attacks to the end; an example that breaks early costs less."""
        own = Passes(9 + len(self.parts), 0)  # the package's checks, its scoring around each part, the probe
        return sum((PARTS[part] for part in self.parts), own) if threat.epsilon > 0 else _ONE

    def refuse_other_balls(self, threat: Threat) -> None:
        if threat.norm not in NORMS:
            raise SettingError(
                f"attack {self.name!r} is refused in the {threat.norm} ball: its authors' package attacks in"
                f" {' and '.join(NORMS)} alone; leave it out"
            )

    def refuse_shape(self, threat: Threat, shape: Sequence[int]) -> None:
        if "square" in self.parts and threat.norm == "L2" and threat.epsilon > 0 and not _tiles(*shape[1:]):
            others = ",".join(part for part in PARTS if part != "square")
            raise SettingError(
                f"attack {self.name!r} is refused in the L2 ball on images of {shape[1]}x{shape[2]}: its authors'"
                f" package cannot lay Square's first tiles on them; choose other attacks, such as {others}"
            )


def _tiles(height: int, width: int) -> bool:
    """Whether the package's Square can begin in L2: it lays tiles of a fifth of the height from the same margin."""
    side = height // 5
    if side < 2:  # a tile of one pixel beyond the image is left out
        return side == 1
    margin = (height - 5 * side) // 2
    return width < side or all(margin + length // side * side <= length for length in (height, width))


def _use_own_steps(package: Any, *, keep: bool) -> None:
    """Replace steps by own ones; ``keep``: other seeds leave other images to FAB, so what it finds is kept."""
    run = partial(seek, package.fab)
    package.fab.attack_single_run = partial(findings.run, run, package.fab) if keep else run
    package.square.attack_single_run = partial(search, package.square)


@contextlib.contextmanager
def _trace_kept() -> Iterator[None]:
    trace = sys.gettrace()  # of a debugger or of coverage; the package sets it to None
    try:
        yield
    finally:
        sys.settrace(trace)


@contextlib.contextmanager
def _calls_counted_anew() -> Iterator[None]:
    """Reset and restore the package's count of calls that ask for gradients.

    The package never resets it, so that one dynamic model would raise warnings about all later models.
    """
    from pyautoattack.checks import funcs

    before = dict(funcs)
    funcs.update(dict.fromkeys(funcs, 0))
    try:
        yield
    finally:
        funcs.update(before)


@contextlib.contextmanager
def _frozen(model: nn.Module) -> Iterator[None]:
    """Set ``requires_grad`` of all parameters to False in the body: FAB would add to their gradients."""
    asking = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in asking:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in asking:
            parameter.requires_grad_(True)


class _Forward(logging.Handler):
    """Forwards the package's log records: all to the attacks' log, and warnings also as Python warnings."""

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
