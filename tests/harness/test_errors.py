"""Names that users give stay in one line, and do nothing to a terminal."""

from __future__ import annotations

import pytest

from harness.errors import LONGEST_NAME, class_name, quoted, visible


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("cat", "cat"),
        ("Füchse 3", "Füchse 3"),
        ("猫", "猫"),
        ("red\x1b[31m", r"red\x1b[31m"),
        ("two\nlines", r"two\nlines"),
        ("back\u202ewards", r"back\u202ewards"),
        ("half\udc80", r"half\udc80"),
    ],
)
def test_what_a_terminal_would_obey_is_written_out(name: str, shown: str) -> None:
    assert visible(name) == shown
    assert quoted(name) == f"'{shown}'"


def test_a_long_name_is_cut_and_an_unknown_one_is_a_number() -> None:
    assert quoted("x" * LONGEST_NAME) == f"'{'x' * LONGEST_NAME}'"
    assert quoted("x" * 100) == f"'{'x' * (LONGEST_NAME - 1)}…'"
    assert class_name(("ant", "bee"), 1) == "'bee'"
    assert class_name((), 1) == "1"
