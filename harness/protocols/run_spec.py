"""The identity of a run, which is one trained network: everything that decides its weights."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from harness.identity import digest

TRIAL_SEED = 10_000
"""The training seed of the trials of ``harness tune``. No command trains another run with it, and no row counts it."""


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """Everything that decides a trained network, in JSON types, which can go to other processes and into checkpoints.

    Attributes:
        method_settings, network_settings: every setting, defaults included.
        dataset: its label, such as ``folder:flowers``; the fingerprint identifies it.
        training: the training part of the protocol, epsilon included.
        wrappers: the wrappers of the update, outermost last: name, settings, and the settings that differ from the
            defaults.
        code: part of the run (such as ``method``) -> its code: for a plugin that does not ship, the digest of its
            source; for a plugin that ships, its version, unless that is the first. Empty where all ship unchanged.
    """

    method: str
    method_settings: dict[str, Any]
    network: str
    network_settings: dict[str, Any]
    dataset: str
    dataset_fingerprint: str
    training: dict[str, Any]
    train_seed: int
    wrappers: tuple[dict[str, Any], ...] = ()
    code: dict[str, str] = field(default_factory=dict)

    @cached_property  # a plan of thousands of runs asks for each several times
    def identity(self) -> str:
        """SHA-256 over every field, except the data set's label and the wrappers' lists of changed settings."""
        document = {name: value for name, value in self._fields().items() if name != "dataset"}
        document["wrappers"] = [{key: w[key] for key in ("name", "settings")} for w in self.wrappers]
        return digest(document)

    @property
    def label(self) -> str:
        """A short name for progress lines and folders."""
        return run_label(self.method, self.wrappers, self.network, self.dataset, self.train_seed)

    @property
    def identity_without_code(self) -> str:
        """The identity without ``code``: equal for two runs that differ only in the code of their plugins."""
        return dataclasses.replace(self, code={}).identity if self.code else self.identity

    def document(self) -> dict[str, Any]:
        """All fields, for checkpoints: a copy, which may be changed.

        An empty ``code`` is left out, so that older identities and files stay valid.
        """
        return copy.deepcopy(self._fields())

    def _fields(self) -> dict[str, Any]:
        """The fields that count, by name; the values are the spec's own."""
        names = (one.name for one in dataclasses.fields(self))
        return {name: getattr(self, name) for name in names if name != "code" or self.code}


def run_label(method: str, wrappers: Iterable[Mapping[str, Any]], network: str, dataset: str, train_seed: int) -> str:
    """A short name of a run; see ``RunSpec.label``."""
    called = "+".join((method, *(str(wrapper.get("name", "?")) for wrapper in wrappers)))
    return "-".join((called, network, dataset.replace(":", "-"), f"s{train_seed}"))
