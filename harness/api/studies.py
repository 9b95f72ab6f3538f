"""A study: which settings of a method are tried next, by what the trials before came to. Optuna samples and prunes.

The study itself is kept nowhere. Its sampler is seeded, and each trial is a training in the store with its accuracies
after every epoch. So the same command asks again, is told again what the store has, and goes on where it stood.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from harness.errors import HarnessError
from harness.plugin.search import Searched, SearchList

STARTUP = 5  # trials that are drawn at random, and never pruned
WARMUP = 1 / 3  # of the epochs, before which no trial is pruned


class Study:
    """Asks for the settings of each trial in turn. The first trial has the defaults, which lie in the space.

    Args:
        space: the settings that are searched; without any, each trial has the defaults.
        defaults: of these settings.
        seed: of the sampler.
        epochs: of a whole trial.
    Raises:
        HarnessError: Optuna is not installed.
    """

    def __init__(self, space: Mapping[str, Searched], defaults: Mapping[str, Any], seed: int, epochs: int) -> None:
        optuna = _optuna()
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP)
        pruner = optuna.pruners.MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=math.ceil(WARMUP * epochs))
        self._study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
        self._sampler, self._random = sampler, optuna.samplers.RandomSampler(seed=seed)
        self._states, self._space = optuna.trial.TrialState, space
        self._first: Mapping[str, Any] | None = defaults
        self._trial: Any = None

    def ask(self, *, at_random: bool = False) -> dict[str, Any]:
        """The settings of the next trial; at random, where what the sampler chooses was tried before."""
        self._study.sampler = self._random if at_random else self._sampler
        if self._first is not None:
            first, self._first = dict(self._first), None
            self._study.enqueue_trial({name: _as_told(self._space[name], value) for name, value in first.items()})
            self._trial = self._study.ask()
            for name, searched in self._space.items():
                self._suggest(name, searched)
            return first
        self._trial = self._study.ask()
        return {name: self._suggest(name, searched) for name, searched in self._space.items()}

    def report(self, epoch: int, accuracy: float) -> bool:
        """Tell an accuracy after an epoch; whether to stop the trial, since most were better at that epoch."""
        self._trial.report(accuracy, epoch)
        return bool(self._trial.should_prune())

    def tell(self, accuracy: float | None, *, pruned: bool = False) -> None:
        """Tell how the trial ended; without an accuracy it failed, or was pruned."""
        if accuracy is not None:
            self._study.tell(self._trial, accuracy)
        else:
            self._study.tell(self._trial, state=self._states.PRUNED if pruned else self._states.FAIL)

    def _suggest(self, name: str, searched: Searched) -> Any:
        if isinstance(searched, SearchList):
            return searched.values[self._trial.suggest_categorical(name, list(range(len(searched.values))))]
        if searched.whole:
            return searched.kept(self._trial.suggest_int(name, int(searched.low), int(searched.high), log=searched.log))
        return searched.kept(self._trial.suggest_float(name, searched.low, searched.high, log=searched.log))


def _as_told(searched: Searched, value: Any) -> Any:
    return searched.values.index(value) if isinstance(searched, SearchList) else value


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise HarnessError(
            f"tuning needs Optuna, which is not installed ({error}): pip install 'robustness-harness[tune]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
