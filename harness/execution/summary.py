"""What a command did, and where its time went."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

TRAINING = "training"  # a part that takes time, as each attack and the checks


@dataclass
class Summary:
    """What a command did, and where its time went."""

    run_ids: list[int] = field(default_factory=list)
    trained: int = 0
    blocks: int = 0
    attacked: set[int] = field(default_factory=set)  # numbers of the evaluations that got new verdicts
    unexamined: int = 0  # checkpoints that newer checks could not examine, since their weights are gone
    failures: dict[int, str] = field(default_factory=dict)  # number of a failed run -> reason
    undone: dict[str, str] = field(default_factory=dict)  # key of an item that was given up -> reason
    busy_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))  # by part, summed over workers
    wall_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))  # by part

    def add(self, further: Summary) -> None:
        """Take in what one more part of the same command did."""
        self.run_ids = list(dict.fromkeys([*self.run_ids, *further.run_ids]))
        self.trained += further.trained
        self.blocks += further.blocks
        self.attacked |= further.attacked
        self.unexamined = further.unexamined  # each part counts all checkpoints so far
        self.failures |= further.failures
        self.undone |= further.undone
        for part, seconds in further.wall_s.items():
            self.wall_s[part] += seconds

    def spend(self, seconds: float) -> None:
        """Split wall seconds among the parts that were at work in them, in proportion to ``busy_s``, which is cleared.

        Trainings and attacks are done side by side.
        """
        busy = sum(self.busy_s.values())
        for part, of_part in self.busy_s.items():
            self.wall_s[part] += seconds * of_part / busy if busy else 0.0
        self.busy_s.clear()

    def shares(self) -> dict[str, float]:
        """Wall seconds of the training, of each attack, and of the checks."""
        return {TRAINING: self.wall_s.get(TRAINING, 0.0)} | self.wall_s

    def shortfalls(self) -> list[str]:
        """What was not done, one line each: runs that failed, and items that were given up."""
        failed = [f"run {number} failed: {reason}" for number, reason in self.failures.items()]
        return [*failed, *(f"{item} was given up: {reason}" for item, reason in self.undone.items())]
