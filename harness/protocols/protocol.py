"""The shared protocol: everything about training and evaluation that a method may not choose for itself."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from harness.errors import SettingError, UnknownName
from harness.identity import digest
from harness.plugin.ball import Epsilon, refuse_radius
from harness.plugin.settings import Settings
from harness.plugin.threat import Threat
from harness.protocols.evaluation_protocol import EvaluationProtocol
from harness.protocols.inheritance import BASE, documents_of, merged
from harness.protocols.inheritance import protocol_names as protocol_names
from harness.protocols.norms import norm_alone, radii_of, refuse_norm_alone
from harness.protocols.train_protocol import TrainProtocol

_TABLES: dict[str, type[Settings]] = {"train": TrainProtocol, "evaluation": EvaluationProtocol}
_KEYS = ("summary", "epsilon", "attacks", "wrappers", *_TABLES)
_OF_PLUGINS = ("attacks", "wrappers")  # tables of tables of settings


@dataclass(frozen=True, kw_only=True)
class Protocol(Settings):
    """The protocol of an experiment: one ball, one training, one evaluation.

    Attributes:
        wrapper_settings: wrapper of every training -> its settings that differ from the wrapper's defaults; the last
            wrapper is outermost. They are no part of ``training_document``: a run has them among its own wrappers, so
            that one training has one identity, whether its wrappers were typed or are the protocol's.
        attack_settings: attack -> its settings that differ from the attack's defaults.
        attack_code: attack that does not ship, or changed since it first shipped -> the digest or version of its code.
    """

    name: str
    summary: str
    epsilon: Epsilon
    train: TrainProtocol
    evaluation: EvaluationProtocol
    wrapper_settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    attack_settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    attack_code: dict[str, dict[str, str]] = field(default_factory=dict)

    def check(self) -> None:
        if "best" in self.evaluation.checkpoints and not self.train.validation:
            raise SettingError(
                "evaluation.checkpoints=best is refused: no image is held out to choose it; add"
                " --set train.validation=1000"
            )
        refuse_radius(self.train.norm, self.epsilon)
        refuse_radius(self._evaluation_norm, self._evaluation_epsilon, "evaluation.epsilon")
        if self.evaluation.epsilon is None and self._evaluation_norm != self.train.norm:
            radius = ("evaluation.epsilon", self.epsilon)
            raise norm_alone("evaluation.norm", self._evaluation_norm, *radius, self.train.norm)

    @property
    def _evaluation_norm(self) -> str:
        return self.train.norm if self.evaluation.norm is None else self.evaluation.norm

    @property
    def _evaluation_epsilon(self) -> float:
        return self.epsilon if self.evaluation.epsilon is None else self.evaluation.epsilon

    @property
    def training_document(self) -> dict[str, Any]:
        """The part of the protocol that a run's identity contains."""
        return {"epsilon": self.epsilon, **self.train.resolved()}

    @property
    def evaluation_threat(self) -> Threat:
        """The evaluation attacks' budget; its radius is the evaluation's own if it has one, else the training's."""
        return self.evaluation_threat_at(self._evaluation_epsilon)

    def evaluation_threat_at(self, epsilon: float) -> Threat:
        """The budget of the evaluation in a ball of another radius."""
        return self.evaluation.threat(epsilon, self._evaluation_norm)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over everything that changes a figure; the name and the choice of checkpoints are left out."""
        evaluation = self.evaluation.resolved()
        del evaluation["checkpoints"]
        if self.evaluation.epsilon == self.epsilon:  # stating the training's radius again makes no other protocol
            del evaluation["epsilon"]
        if self.evaluation.norm == self.train.norm:
            del evaluation["norm"]
        document: dict[str, Any] = {
            "train": self.training_document,
            "evaluation": evaluation,
            "attacks": self.attack_settings,
        }
        if self.wrapper_settings:
            document["wrappers"] = [list(item) for item in self.wrapper_settings.items()]  # their order counts
        return digest(document | ({"code": self.attack_code} if self.attack_code else {}))

    @classmethod
    def from_document(cls, name: str, document: Mapping[str, Any]) -> Protocol:
        """Build and check a protocol from the content of a TOML file.

        Raises:
            SettingError: a field is missing, unknown, or refused; names the field and its table.
        """
        for key in document:
            if key not in _KEYS:
                raise UnknownName("protocol key", key, _KEYS)
        values: dict[str, Any] = {"name": name}
        for kind in _OF_PLUGINS:
            tables = document.get(kind, {})
            for key, table in {kind: tables, **(tables if isinstance(tables, Mapping) else {})}.items():
                if not isinstance(table, Mapping):
                    raise SettingError(f"protocol {name!r}: {key}={table!r} is refused: it must be a table of settings")
            values[f"{kind.removesuffix('s')}_settings"] = dict(tables)
        for key in ("summary", "epsilon", *_TABLES):
            if key not in document:
                raise SettingError(f"protocol {name!r} does not set {key}; see `harness list protocols`")
            values[key] = _table(name, key, document[key]) if key in _TABLES else document[key]
        return cls(**values)

    def document(self) -> dict[str, Any]:
        """The whole protocol as a TOML file would hold it; the store keeps it beside the fingerprint."""
        return {
            "summary": self.summary,
            "epsilon": self.epsilon,
            "train": self.train.resolved(),
            "evaluation": self.evaluation.resolved(),
            "attacks": self.attack_settings,
        } | ({"wrappers": self.wrapper_settings} if self.wrapper_settings else {})

    def with_values(self, values: Mapping[str, Any]) -> Protocol:
        """The protocol with some fields changed, named like ``epsilon``, ``train.lr``, ``cw.kappa``, ``ema.decay``.

        A wrapper's are changed if the protocol has the wrapper; any other name is an attack's.

        Raises:
            SettingError: a field is refused, or a norm without its radius.
        """
        document = copy.deepcopy(self.document())
        for key, value in values.items():
            table, _, leaf = key.rpartition(".")
            if table:
                of_plugins = "wrappers" if table in self.wrapper_settings else "attacks"
                parent = document if table in _TABLES else document[of_plugins]
                parent.setdefault(table, {})[leaf] = value
            else:
                document[leaf] = value
        changed = Protocol.from_document(self.name, document)
        refuse_norm_alone(self.document(), values, changed.document())
        if "train.lr_drops" in values:
            changed.train.refuse_drops_out_of_order()
        return changed

    @staticmethod
    def setting_names() -> tuple[str, ...]:
        """The dotted name of every field, without the attacks' own settings."""
        return ("epsilon", *(f"{table}.{f.name}" for table, cls in _TABLES.items() for f in dataclasses.fields(cls)))


def _table(name: str, key: str, values: Any) -> Settings:
    if not isinstance(values, Mapping):
        raise SettingError(f"protocol {name!r}: {key} must be a table, and is {values!r}")
    try:
        return _TABLES[key].from_mapping(values)
    except (UnknownName, SettingError) as error:
        raise SettingError(f"protocol {name!r}, table {key}: {error}") from None


def load_protocol(name: str) -> Protocol:
    """Load a protocol by its name, or by the path of a TOML file, which may begin from a ``base``.

    Raises:
        UnknownName: the name is neither a protocol of harness nor a file.
        SettingError: the file or a base of it is not TOML, or a field is refused.
    """
    documents = documents_of(name)
    for own, document in documents:
        _refuse_unknown(own, document)
    parts = [document for _, document in documents]
    for i, (own, document) in enumerate(documents[:-1]):
        try:
            refuse_norm_alone(merged(parts[i + 1 :]), radii_of(document), merged(parts[i:]))
        except SettingError as error:
            raise SettingError(f"protocol {own!r}: {error}") from None
    protocol = Protocol.from_document(documents[0][0], merged(parts))
    protocol.train.refuse_drops_out_of_order()
    return protocol


def _refuse_unknown(name: str, document: Mapping[str, Any]) -> None:
    """Refuse an unknown key in a file, so that the error names this file and not one that begins from it."""
    for key in document:
        if key not in _KEYS:
            raise SettingError(f"protocol {name!r}: {UnknownName('protocol key', key, (*_KEYS, BASE))}")
    for table, cls in _TABLES.items():
        known = [field.name for field in dataclasses.fields(cls)]
        values = document.get(table, {})
        for key in values if isinstance(values, Mapping) else ():
            if key not in known:
                raise SettingError(f"protocol {name!r}, table {table}: {UnknownName('setting', key, known)}")
