"""Which item a worker takes: one like its last, then one that nobody is at, then one of the most numerous."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest

from harness.execution.waiting import Waiting


def waiting(*keys: str) -> Waiting[Any]:
    """Items named ``a1``, ``a2``, ``b1``: like each other by their first letter."""
    made = Waiting[Any]()
    made.add(SimpleNamespace(key=key, near=key[0]) for key in keys)
    return made


@pytest.mark.parametrize(
    ("near", "at_work", "expected"),
    [
        (None, "", "a1"),
        ("b", "", "b1"),
        ("b", "b", "b1"),  # though another worker is at its like
        ("d", "", "a1"),
        ("d", "a", "b1"),
        (None, "ab", "c1"),
        ("d", "abc", "b1"),  # the most numerous
    ],
)
def test_the_item_that_a_worker_takes(near: str | None, at_work: str, expected: str) -> None:
    assert waiting("a1", "b1", "c1", "b2", "a2", "b3").pop(near, at_work).key == expected


def test_each_item_is_taken_once_and_those_alike_in_their_order() -> None:
    draw = random.Random(3)
    keys = [f"{draw.choice('abcde')}{number}" for number in range(200)]
    made, taken = waiting(*keys), list[str]()
    while made:
        taken.append(made.pop(draw.choice("abcdef"), draw.sample("abcde", 2)).key)
    assert sorted(taken) == sorted(keys)
    for letter in "abcde":
        assert [key for key in taken if key[0] == letter] == [key for key in keys if key[0] == letter]


def test_one_worker_takes_them_group_by_group() -> None:
    made, near, taken = waiting("a1", "b1", "a2", "b2", "a3"), None, list[str]()
    while made:
        item = made.pop(near, ())
        near = item.near
        taken.append(item.key)
    assert taken == ["a1", "a2", "a3", "b1", "b2"]


def test_what_comes_back_is_taken_first() -> None:
    made = waiting("a1", "b1", "a2")
    made.put_back(waiting("z1", "b0"))
    assert [made.pop("a", ()).key for _ in range(3)] == ["z1", "b0", "a1"]
    assert made.has("b")
    assert not made.has("z")


def test_what_is_not_wanted_any_more_is_left_out() -> None:
    made = waiting("a1", "b1", "a2")
    made.put_back(waiting("a0", "b0"))
    assert [item.key for item in made.keep(lambda item: item.near == "b")] == ["a0", "a1", "a2"]
    assert [item.key for item in made] == ["b0", "b1"]
    assert made.pop(None, ()).key == "b0"
    assert made.pop(None, ()).key == "b1"
    assert not made
