"""What a command did, and where its time went."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field


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
    training_s: float = 0.0  # wall time of this part
    evaluation_s: float = 0.0  # wall time of this part
    busy_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))  # by attack, summed over workers

    def add(self, further: Summary) -> None:
        """Take in what one more part of the same command did."""
        self.run_ids = list(dict.fromkeys([*self.run_ids, *further.run_ids]))
        self.trained += further.trained
        self.blocks += further.blocks
        self.attacked |= further.attacked
        self.unexamined = further.unexamined  # each part counts all checkpoints so far
        self.failures |= further.failures
        self.undone |= further.undone
        self.training_s += further.training_s
        self.evaluation_s += further.evaluation_s
        for attack, seconds in further.busy_s.items():
            self.busy_s[attack] += seconds

    def shares(self) -> dict[str, float]:
        """Wall seconds of the training and of each attack: the evaluation's are split in proportion to ``busy_s``."""
        busy = sum(self.busy_s.values()) or 1.0
        return {"training": self.training_s} | {k: self.evaluation_s * v / busy for k, v in self.busy_s.items()}

    def shortfalls(self) -> list[str]:
        """What was not done, one line each: runs that failed, and items that were given up."""
        failed = [f"run {number} failed: {reason}" for number, reason in self.failures.items()]
        return [*failed, *(f"{item} was given up: {reason}" for item, reason in self.undone.items())]
