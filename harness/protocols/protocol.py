"""The shared protocol: everything about training and evaluation that a method may not choose for itself."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Literal

from annotated_types import Ge, Interval
from typing_extensions import Doc

from harness.errors import SettingError, UnknownName
from harness.identity import digest
from harness.plugin.ball import LINF, Epsilon, Start, ball_of, refuse_radius
from harness.plugin.settings import LATER, Settings
from harness.plugin.threat import Threat
from harness.protocols.inheritance import BASE, documents_of, merged
from harness.protocols.inheritance import protocol_names as protocol_names
from harness.runtime.precision import Precision

Fraction = Annotated[float, Interval(gt=0, le=1)]
Positive = Annotated[float, Interval(gt=0, lt=math.inf)]
Schedule = Literal["steps", "one-cycle"]


@dataclass(frozen=True, kw_only=True)
class TrainProtocol(Settings):
    """How every network is trained. Every field is part of a run's identity."""

    epochs: Annotated[int, Ge(1), Doc("passes over the training images")]
    batch_size: Annotated[int, Ge(2), Doc("images a step; batch-norm needs two")]
    lr: Annotated[Positive, Doc("initial learning rate of SGD; of one-cycle the highest")]
    lr_drops: Annotated[tuple[Fraction, ...], Doc("fractions of the epochs at which the learning rate drops")]
    lr_factor: Annotated[Positive, Doc("factor of the learning rate at a drop")]
    momentum: Annotated[float, Interval(ge=0, lt=1), Doc("momentum of SGD")]
    weight_decay: Annotated[float, Interval(ge=0, lt=math.inf), Doc("weight decay, on every parameter")]
    steps: Annotated[int, Interval(ge=1, le=10_000), Doc("steps K of the training attack")]
    relative_step: Annotated[Positive, Doc("step size of the training attack, as a fraction of epsilon")]
    start: Annotated[Start, Doc("start of the training attack")]
    early: Annotated[Fraction, Doc("fraction of the epochs after which the checkpoint `early` is taken")]
    precision: Annotated[Precision, Doc("arithmetic of the training; evaluations are always in float32")]
    norm: Annotated[str, LATER, Doc("norm of the training attack's ball")] = LINF
    schedule: Annotated[
        Schedule,
        LATER,
        Doc("steps: the learning rate drops at lr_drops; one-cycle: it rises for 2/5 of the training, then falls to 0"),
    ] = "steps"

    def check(self) -> None:
        ball_of(self.norm)
        if self.schedule == "one-cycle" and self.lr_drops:  # two names for one training would be two identities
            raise SettingError(
                "schedule=one-cycle is refused together with lr_drops: its learning rate does not drop; "
                "add --set train.lr_drops= (to nothing)"
            )

    def threat(self, epsilon: float) -> Threat:
        """The training attack's budget in a ball of this radius."""
        return _threat(self, epsilon, self.norm)


@dataclass(frozen=True, kw_only=True)
class EvaluationProtocol(Settings):
    """How every network is attacked."""

    checkpoints: Annotated[
        tuple[Literal["early", "last"], ...], Doc("which checkpoints are evaluated; not part of the fingerprint")
    ]
    steps: Annotated[int, Ge(1), Doc("steps K of the evaluation attacks that take steps")]
    relative_step: Annotated[Positive, Doc("these attacks' step size, as a fraction of epsilon")]
    start: Annotated[Start, Doc("these attacks' start")]
    epsilon: Annotated[Epsilon | None, LATER, Doc("radius of the attacks' ball; none: the training's")] = None
    norm: Annotated[str | None, LATER, Doc("norm of the attacks' ball; none: the training's")] = None
    block_size: Annotated[int, Ge(1), Doc("images attacked together; each block has its own random numbers")]
    attacks: Annotated[tuple[str, ...], Doc("the attacks, weakest first; the board ranks by the last")]

    def check(self) -> None:
        for name in ("checkpoints", "attacks"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise SettingError(f"{name}={','.join(values)} is refused: name at least one, and each once")
        if self.norm is not None:
            ball_of(self.norm)


_TABLES: dict[str, type[Settings]] = {"train": TrainProtocol, "evaluation": EvaluationProtocol}
_KEYS = ("summary", "epsilon", "attacks", *_TABLES)


@dataclass(frozen=True, kw_only=True)
class Protocol(Settings):
    """The protocol of an experiment: one ball, one training, one evaluation.

    Attributes:
        attack_settings: attack -> its settings that differ from the attack's defaults.
        attack_code: attack that does not ship, or changed since it first shipped -> the digest or version of its code.
    """

    name: str
    summary: str
    epsilon: Epsilon
    train: TrainProtocol
    evaluation: EvaluationProtocol
    attack_settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    attack_code: dict[str, dict[str, str]] = field(default_factory=dict)

    def check(self) -> None:
        refuse_radius(self.train.norm, self.epsilon)
        refuse_radius(self._evaluation_norm, self._evaluation_epsilon, "evaluation.epsilon")

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
        return _threat(self.evaluation, epsilon, self._evaluation_norm)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over everything that changes a figure; the name and the choice of checkpoints are left out."""
        evaluation = self.evaluation.resolved()
        del evaluation["checkpoints"]
        if self.evaluation.epsilon == self.epsilon:  # stating the training's radius again makes no other protocol
            del evaluation["epsilon"]
        if self.evaluation.norm == self.train.norm:
            del evaluation["norm"]
        document = {"train": self.training_document, "evaluation": evaluation, "attacks": self.attack_settings}
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
        attacks = document.get("attacks", {})
        for key, table in {"attacks": attacks, **(attacks if isinstance(attacks, Mapping) else {})}.items():
            if not isinstance(table, Mapping):
                raise SettingError(f"protocol {name!r}: {key}={table!r} is refused: it must be a table of settings")
        values: dict[str, Any] = {"name": name, "attack_settings": dict(attacks)}
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
        }

    def with_values(self, values: Mapping[str, Any]) -> Protocol:
        """The protocol with some fields changed, named like ``epsilon``, ``train.lr``, ``cw.kappa``."""
        document = copy.deepcopy(self.document())
        for key, value in values.items():
            table, _, leaf = key.rpartition(".")
            if table:
                parent = document if table in _TABLES else document["attacks"]
                parent.setdefault(table, {})[leaf] = value
            else:
                document[leaf] = value
        return Protocol.from_document(self.name, document)

    @staticmethod
    def setting_names() -> tuple[str, ...]:
        """The dotted name of every field, without the attacks' own settings."""
        return ("epsilon", *(f"{table}.{f.name}" for table, cls in _TABLES.items() for f in dataclasses.fields(cls)))


def _threat(part: TrainProtocol | EvaluationProtocol, epsilon: float, norm: str) -> Threat:
    length = epsilon * part.relative_step
    return Threat(epsilon=epsilon, steps=part.steps, step_size=length, start=part.start, norm=norm)


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
    return Protocol.from_document(documents[0][0], merged(document for _, document in documents))


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
