"""What a run is: one trained network, named by everything that decides its weights."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from harness.identity import digest


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """All that decides a trained network, in plain JSON types, so that it crosses processes and sits in checkpoints.

    Attributes:
        method_settings, network_settings: resolved, defaults included.
        dataset: its label, such as ``folder:flowers``; the fingerprint identifies it.
        training: the training part of the protocol, epsilon included.
        wrappers: what wraps the update, outermost last: name, settings, and those that are not the defaults.
        code: what else the weights depend on: for each plugin that does not ship, such as ``method``, the digest of its
            source; for one that ships, its version where that is not the first. Empty in every run of the beginning.
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

    @property
    def identity(self) -> str:
        """SHA-256 over every field but the data set's label, and what of the wrappers departs from their defaults."""
        document = self.document()
        del document["dataset"]
        document["wrappers"] = [{key: w[key] for key in ("name", "settings")} for w in self.wrappers]
        return digest(document)

    @property
    def label(self) -> str:
        """A short name for progress lines and folders."""
        parts = (
            "+".join((self.method, *(w["name"] for w in self.wrappers))),
            self.network,
            self.dataset.replace(":", "-"),
            f"s{self.train_seed}",
        )
        return "-".join(parts)

    @property
    def identity_without_code(self) -> str:
        """What the identity would be if all plugins had shipped: equal for a run and the same with edited code."""
        return dataclasses.replace(self, code={}).identity

    def document(self) -> dict[str, Any]:
        """All fields, for checkpoints; no code where there is none, so that stored identities and files stay."""
        document = dataclasses.asdict(self)
        return document if self.code else {key: value for key, value in document.items() if key != "code"}
