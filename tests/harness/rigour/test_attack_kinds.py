"""An attack takes part in the checks of verdicts by what it declares, also where it is a plugin."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from harness.plugin.attack import Attack, AttackKind, Passes
from harness.plugin.threat import Threat
from tests.harness.rigour.stored import SHIPPED, examined, verdicts


class Plugin(Attack):
    """An attack that does not ship; what it is, a subclass declares."""

    def perturb(self, model: nn.Module, x: Tensor, y: Tensor, threat: Threat, generator: torch.Generator) -> Tensor:
        raise NotImplementedError  # its verdicts are at hand

    def passes(self, threat: Threat) -> Passes:
        return Passes()


class Silent(Plugin):
    pass


class Ascent(Plugin):
    kind: ClassVar[AttackKind] = "white-box"


class Search(Plugin):
    kind: ClassVar[AttackKind] = "black-box"


class Suite(Plugin):
    kind: ClassVar[AttackKind] = "ensemble"


class Clean(Plugin):
    kind: ClassVar[AttackKind] = "clean"


def test_a_plugin_s_attack_takes_the_part_that_it_declares() -> None:
    """Each check by hand, of attacks with names that the engine has not heard of."""
    weak, strong = verdicts(1000, (0, 500)), verdicts(1000, (100, 400))

    def found(check: str, **attacks: tuple[type[Attack], bytes]) -> tuple[str, float | None, str]:
        stored = {name: [given] for name, (_, given) in attacks.items()}
        finding = examined(stored, types={name: cls for name, (cls, _) in attacks.items()})[check]
        return finding.status, finding.value, finding.reason.partition(": ")[0]

    assert found("square-stronger", climb=(Ascent, weak), seek=(Search, strong)) == (
        "flagged",
        0.2,
        "Search alone breaks 20.0 % of the images, which climb leave",
    )
    assert found("square-stronger", pgd=(SHIPPED["pgd"], weak), seek=(Search, strong))[0] == "flagged"
    assert found("autoattack-gap", climb=(Ascent, weak), all=(Suite, strong)) == (
        "not-applicable",
        0.4,
        "Suite breaks 40.0 % of the 500 images that climb leaves (20.0 points); by itself it is not judged",
    )
    assert found("autoattack-misses", seek=(Search, strong), all=(Suite, weak)) == (
        "flagged",
        0.2,
        "Suite leaves 20.0 % of the images, which seek break",
    )
    assert found("robust-above-clean", same=(Clean, strong), seek=(Search, weak))[:2] == ("flagged", 0.2)


def test_an_attack_that_declares_nothing_is_left_out_where_a_kind_is_asked_for() -> None:
    """No mark rests on a guess: neither on a plugin that declares nothing, nor on one that is no longer there."""
    stored = {name: [verdicts(1000, (0, end))] for name, end in {"pgd": 500, "autoattack": 480, "mine": 900}.items()}
    declared: list[dict[str, type[Attack]]] = [SHIPPED, {**SHIPPED, "mine": Silent}]
    for types in declared:
        gaps = examined(stored, types=types)["autoattack-gap"]
        assert (gaps.value, set(gaps.details)) == (0.04, {"pgd"})
        assert examined(stored, types=types)["square-stronger"].status == "not-applicable"
    broken = {**stored, "mine": [verdicts(1000, (0, 400))]}  # which takes no knowledge of what it is
    assert examined(broken)["autoattack-misses"].details == {"pgd": 0, "mine": 80}


def test_of_several_ensembles_the_strongest_is_compared_with() -> None:
    stored = {
        "pgd": [verdicts(100, (0, 60))],
        "suite": [verdicts(100, (0, 30))],
        "autoattack": [verdicts(100, (0, 40))],
    }
    found = examined(stored, types={**SHIPPED, "suite": Suite})
    assert found["autoattack-gap"].value == 0.5
    assert found["autoattack-misses"].details == {"pgd": 0, "autoattack": 0}
