"""Optional fields, and fields that came later: stored results keep their names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, cast

import pytest
from annotated_types import Ge, Interval
from typing_extensions import Doc

from harness.errors import SettingError
from harness.identity import digest
from harness.planning.assessment import with_attacks
from harness.plugin.attack import Attack
from harness.plugin.settings import LATER, SettingInfo, Settings
from harness.protocols.protocol import load_protocol
from harness.registry.catalogue import discover

Share = Annotated[float, Interval(ge=0, le=1)]


@dataclass(frozen=True, kw_only=True)
class Grown(Settings):
    """A class that got its last five fields after results were kept under its first."""

    steps: int = 10
    ball: Annotated[Share | None, LATER, Doc("another radius")] = None
    ratio: Annotated[float | None, LATER] = 0.5
    drops: Annotated[tuple[float, ...] | None, LATER] = None
    again: Annotated[int, LATER, Ge(1)] = 1
    label: Annotated[str | None, LATER] = None


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("ball", "4/255", 4 / 255),
        ("ball", "0", 0.0),
        ("ball", "none", None),
        ("ball", " None ", None),
        ("ball", None, None),
        ("ratio", "-1/4", -0.25),
        ("ratio", "none", None),
        ("drops", "1/2, 0.75", (0.5, 0.75)),
        ("again", "3", 3),
        ("label", "none", None),
        ("label", "nothing", "nothing"),
    ],
)
def test_an_optional_field_reads_texts_as_others_do(field: str, text: object, value: object) -> None:
    found = getattr(Grown.from_mapping({field: text}), field)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("ball", 8, "less than or equal to 1"),
        ("ball", "8", "less than or equal to 1"),
        ("ball", -1, "greater than or equal to 0"),
        ("ball", "1/0", "a valid number, unable to parse string as a number"),
        ("again", 0, "greater than or equal to 1"),
        ("again", "none", "a valid integer, unable to parse string as an integer"),
        ("steps", None, "a valid integer"),
    ],
)
def test_an_optional_field_refuses_what_others_do(field: str, value: object, told: str) -> None:
    with pytest.raises(SettingError) as caught:
        Grown.from_mapping({field: value})
    assert str(caught.value) == f"{field}={value} is refused: it should be {told}"


def test_optional_and_later_fields_are_described_readably() -> None:
    assert Grown.describe() == (
        SettingInfo("steps", "int", 10, ""),
        SettingInfo("ball", "float or none", None, "another radius"),
        SettingInfo("ratio", "float or none", 0.5, ""),
        SettingInfo("drops", "float, ... or none", None, ""),
        SettingInfo("again", "int", 1, ""),
        SettingInfo("label", "str or none", None, ""),
    )


def test_a_field_that_came_later_is_resolved_only_where_it_departs() -> None:
    assert Grown().resolved() == {"steps": 10}
    assert Grown(ratio=0.5, again=1).resolved() == {"steps": 10}  # the defaults, written out
    found = Grown(ball="4/255", ratio=None, again=2)  # type: ignore[arg-type]
    assert found.resolved() == {"steps": 10, "ball": 4 / 255, "ratio": None, "again": 2}
    assert found.departures() == {"ball": 4 / 255, "ratio": None, "again": 2}
    assert Grown.from_mapping(found.resolved()) == found
    assert Grown(ball=0.0).resolved() == {"steps": 10, "ball": 0.0}  # a radius of 0 is not none


def test_stored_results_keep_their_identities() -> None:
    """Hashes that leaderboard.db, and every user's store, were filled under."""
    before = {"evaluation.attacks": ("natural", "pgd", "cw", "autoattack")}  # until minimum-margin was added
    digits, attacks = with_attacks(load_protocol("digits").with_values(before), discover("attacks"))
    assert digits.fingerprint == "88b490a183bd751e647c3866d47edcb62fef45805826388b4fb6ca6c126c7249"
    paper, _ = with_attacks(load_protocol("paper").with_values(before), discover("attacks"))
    assert paper.fingerprint == "6028c5cdd86a4903d7b26ac2f657a83d25e208f83d2437bf7991389192f6d4d2"
    threat = digits.evaluation_threat
    settings = {name: attack.settings_under(threat) | {"block_size": 500} for name, attack in attacks.items()}
    assert {name: digest(settings[name]) for name in ("pgd", "cw", "autoattack")} == {
        "pgd": "fc17158d4acc914ee83ae97a1ff42d63e385bc76fcd8970bf5188e30e16c8d26",
        "cw": "264aa7e2e6192b29ada974d7d0d9478ecaceafca2b3d8e89c17adf97dd6da37e",
        "autoattack": "22e29dcfc41f1028c6cb441e9c2c8fee49cc164f0ef01c0ba1d6f3b99252993c",
    }
    again = cast(Attack, discover("attacks").get("pgd").from_mapping({"restarts": "2"}))
    assert digest(again.settings_under(threat)) != digest(attacks["pgd"].settings_under(threat))
