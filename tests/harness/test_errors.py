"""Names that users give stay in one line, and do nothing to a terminal."""

from __future__ import annotations

import pytest

from harness.errors import (
    LONGEST_NAME,
    HarnessError,
    UnknownName,
    brief,
    class_name,
    did_you_mean,
    near_misses,
    one_line,
    quoted,
    visible,
)


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


def test_near_misses_come_the_nearest_first_and_a_name_unlike_all_has_none() -> None:
    known = ["smallcnn", "resnet18", "smallnet"]
    assert near_misses("smalcnn", known) == ["smallcnn", "smallnet"]  # one letter is missing; then four differ
    assert near_misses("smalcnn", known, most=1) == ["smallcnn"]
    assert near_misses("xyz", known) == []
    assert did_you_mean([]) == ""
    assert did_you_mean(["a", "b"]) == "did you mean a or b?"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("satt", "unknown method 'satt'; did you mean 'sat'? known: sat, trades"),
        ("xyz", "unknown method 'xyz'; known: sat, trades"),
    ],
)
def test_an_unknown_name_is_told_with_what_is_known(name: str, message: str) -> None:
    assert str(UnknownName("method", name, ["trades", "sat"])) == message


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("x" * 200, "x" * 200),
        ("x" * 201, f"{'x' * 40}…{'x' * 40}"),
        ("/data" * 200, "/data" * 200),  # a path, whose reader looks for the file
        ("/data" * 1000, f"{'/data' * 8}…{'/data' * 8}"),
    ],
)
def test_a_message_has_the_ends_of_a_long_value_and_its_rule(value: str, kept: str) -> None:
    rule = " is refused: it is a day; write 2026-11-30"
    assert brief(f"--since {value}{rule}") == f"--since {kept}{rule}"
    assert one_line(HarnessError(f"--since {value}{rule}")) == f"--since {kept}{rule}"


def test_a_message_has_the_ends_of_a_long_text_with_spaces_and_its_rule() -> None:
    line = brief(f"note {'x y ' * 1250}is refused: it has 80 characters at most; shorten it")
    assert len(line) == 400 + 1 + 1000
    assert line.startswith("note x y ")
    assert line.endswith("x y is refused: it has 80 characters at most; shorten it")
    assert brief("a known name, " * 140) == "a known name, " * 140  # 1,960 characters: a list of what is known
