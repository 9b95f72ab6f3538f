"""Protocol files that are refused in one line that names the key."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.protocols.protocol import load_protocol
from tests.cli.bad_input.given import RUN
from tests.cli.conftest import Harness, Refused


class TestProtocolFile:
    @staticmethod
    def text() -> str:
        """A protocol file that is taken."""
        train, evaluation = (dict(load_protocol("digits").document()[part]) for part in ("train", "evaluation"))
        tables = {"train": train, "evaluation": evaluation | {"attacks": ["natural", "cw"]}, "attacks.cw": {"kappa": 1}}
        lines = ['summary = "mine"', "epsilon = 0.1"]
        for name, values in tables.items():
            lines += [f"[{name}]", *(f"{key} = {value!r}" for key, value in values.items())]
        return "\n".join(lines)

    def test_a_good_one_is_taken(self, harness: Harness, elsewhere: Path) -> None:
        (elsewhere / "mine.toml").write_text(self.text())
        harness(f"{RUN} --protocol mine.toml --dry-run")

    @pytest.mark.parametrize(
        ("old", "new", "parts"),
        [
            ("epsilon = 0.1", "epsilon = 8", ["epsilon=8 is refused", "8/255"]),
            ("epsilon = 0.1", "epsilon = ", ["'mine' is not valid TOML", "line 2"]),
            ("epsilon = 0.1", "", ["'mine' does not set epsilon"]),
            ("epsilon = 0.1", "epsilonn = 0.1", ["unknown protocol key 'epsilonn'", "did you mean 'epsilon'"]),
            ("momentum = ", "momentumm = ", ["table train", "'momentumm'", "did you mean 'momentum'"]),
            ("block_size = 500", "block_size = 0", ["block_size=0 is refused"]),
            ("[train]", "[trane]", ["unknown protocol key 'trane'", "did you mean 'train'"]),
            ("kappa", "kapa", ["unknown setting 'kapa'", "did you mean 'kappa'"]),
            ("[attacks.cw]", "[attacks.cww]", ["'cww'"]),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_a_bad_one(self, refusal: Refused, elsewhere: Path, old: str, new: str, parts: list[str]) -> None:
        (elsewhere / "mine.toml").write_text(self.text().replace(old, new))
        line = refusal(f"{RUN} --protocol mine.toml")
        assert [part for part in parts if part not in line] == []

    def test_one_whose_table_is_a_number(self, refusal: Refused, elsewhere: Path) -> None:
        (elsewhere / "mine.toml").write_text('summary = "mine"\nepsilon = 0.1\ntrain = 5\nevaluation = 5\n')
        assert "must be a table, and is 5" in refusal(f"{RUN} --protocol mine.toml")

    def test_one_that_is_no_text(self, refusal: Refused, elsewhere: Path) -> None:
        (elsewhere / "mine.toml").write_bytes(b"\xff\xfe\x00")
        assert "mine" in refusal(f"{RUN} --protocol mine.toml")
