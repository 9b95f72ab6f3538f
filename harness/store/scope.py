"""What an examination examined, so that its findings are shown beside the figures they concern and no others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Literal, Protocol, TypeVar

from harness.plugin.ball import LINF

ExaminationKind = Literal["model", "verdicts"]
EXAMINATION_KINDS: tuple[ExaminationKind, ...] = ("model", "verdicts")


@dataclass(frozen=True, kw_only=True)
class Scope:
    """The settings of an evaluation that the checks of rigour depend on; in JSON types."""

    threat: Mapping[str, Any]  # the budget of the attacks that take steps
    attacks: Mapping[str, str]  # the protocol's, each with the SHA-256 of its settings
    block_size: int  # images that go through a model together
    examples: int  # how many test images
    sample: str = "first"  # of the data set; or ``balanced`` over its classes

    @classmethod
    def of_document(
        cls, document: Mapping[str, Any], attacks: Mapping[str, str], examples: int, sample: str = "first"
    ) -> Scope:
        """Make the scope from a protocol's stored document, so that showing a leaderboard needs no ``Protocol``.

        Args:
            document: the whole protocol, as ``Protocol.document`` gives it.
        """
        evaluation, own = document["evaluation"], document["evaluation"].get("epsilon")
        epsilon = document["epsilon"] if own is None else own
        threat = {
            "epsilon": epsilon,
            "steps": evaluation["steps"],
            "step_size": epsilon * evaluation["relative_step"],
            "start": evaluation["start"],
        }
        norm = evaluation.get("norm") or document.get("train", {}).get("norm", LINF)
        if norm != LINF:  # L-infinity is left out, as in ``Threat.resolved``
            threat["norm"] = norm
        return cls(
            threat=threat, attacks=attacks, block_size=evaluation["block_size"], examples=examples, sample=sample
        )

    @property
    def epsilon(self) -> float:
        """The radius of the attacks' ball."""
        return float(self.threat["epsilon"])

    @property
    def norm(self) -> str:
        """The norm of the attacks' ball."""
        return str(self.threat.get("norm", LINF))

    @cached_property
    def _of_kinds(self) -> dict[ExaminationKind, dict[str, Any]]:
        """The settings of each kind; ten thousand runs ask again and again."""
        return {kind: self.settings(kind) for kind in EXAMINATION_KINDS}

    def covers(self, kind: ExaminationKind, settings: Mapping[str, Any]) -> bool:
        """Whether an examination with these settings is of that kind, and examined what the scope names."""
        return all(settings.get(key) == value for key, value in self._of_kinds[kind].items())

    def settings(self, kind: ExaminationKind) -> dict[str, Any]:
        """What identifies an examination: for a model's, the attack budget; for verdicts', the attacks made."""
        common: dict[str, Any] = {"kind": kind, "epsilon": self.epsilon, "examples": self.examples}
        if self.sample != "first":  # left out otherwise, so that older examinations keep their identity
            common["sample"] = self.sample
        if self.norm != LINF:  # left out otherwise, for the same reason
            common["norm"] = self.norm
        if kind == "model":
            return common | {"threat": dict(self.threat), "block_size": self.block_size}
        return common | {"attacks": dict(self.attacks)}


class Dated(Protocol):
    """An examination, as far as it is chosen by what it examined and when."""

    @property
    def settings(self) -> dict[str, Any]: ...

    @property
    def created_utc(self) -> datetime: ...


Examination = TypeVar("Examination", bound=Dated)


def newest_examinations(examinations: Iterable[Examination], scope: Scope) -> list[Examination]:
    """Under that scope, of each kind of examination the newest, made by any version of the checks."""
    found = []
    for kind in EXAMINATION_KINDS:
        alike = [e for e in examinations if scope.covers(kind, e.settings)]
        found += sorted(alike, key=lambda e: e.created_utc)[-1:]
    return found
