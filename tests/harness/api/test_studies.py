"""What a study asks for: the same again, at random where it repeats itself, and no trial that is worse than most."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.api.studies import Study
from harness.api.trying import MOST_REPEATED
from harness.plugin.search import Searched, SearchList, SearchRange


def test_a_study_asks_the_same_again_and_prunes_what_is_worse_than_most() -> None:
    space: dict[str, Searched] = {
        "a": SearchRange(0.01, 10, log=True),
        "b": SearchRange(1, 9, whole=True),
        "c": SearchList(("x", "y")),
    }

    def asked(accuracies: list[float]) -> Iterator[dict[str, Any]]:
        study = Study(space, {"a": 1.0, "b": 2, "c": "y"}, 7, 9)
        for accuracy in accuracies:
            yield study.ask()
            assert not any(study.report(epoch, accuracy) for epoch in (1, 2))
            study.report(3, accuracy)
            study.tell(None) if accuracy < 20 else study.tell(accuracy)
        study.ask()
        assert [study.report(epoch, 25.0) for epoch in (1, 2, 3)] == [False, False, True]

    accuracies = [40.0, 30.0, 10.0, 50.0, 45.0, 60.0, 35.0]
    first, second = list(asked(accuracies)), list(asked(accuracies))
    assert first == second
    assert first[0] == {"a": 1.0, "b": 2, "c": "y"}
    assert all(0.01 <= one["a"] <= 10 and one["b"] in range(1, 10) and one["c"] in ("x", "y") for one in first)
    assert len({one["a"] for one in first}) == len(first)


def test_all_of_a_small_space_is_tried_though_the_sampler_prefers_what_was_good() -> None:
    study = Study({"n": SearchRange(0, 19, whole=True)}, {"n": 0}, 0, 9)
    tried: list[int] = []
    for _ in range(20):
        found, draws = study.ask()["n"], 0
        while found in tried:
            study.tell(None)
            found, draws = study.ask(at_random=True)["n"], draws + 1
            assert draws < MOST_REPEATED
        tried.append(found)
        study.tell(90.0 if found == 7 else 10.0)
    assert sorted(tried) == list(range(20))
