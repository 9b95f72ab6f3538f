"""What a command did, and where its time went."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field


@dataclass
class Summary:
    """What a command did, and where its time went.

    Attributes:
        attacked: numbers of the evaluations that got new verdicts.
        unexamined: how many checkpoints newer checks could not examine, since their weights are gone.
        failures: the reason for each failed run, by its number.
        training_s, evaluation_s: wall time of the two parts.
        busy_s: for each attack, the seconds that workers spent on it, summed over workers.
    """

    run_ids: list[int] = field(default_factory=list)
    trained: int = 0
    blocks: int = 0
    attacked: set[int] = field(default_factory=set)
    unexamined: int = 0
    failures: dict[int, str] = field(default_factory=dict)
    training_s: float = 0.0
    evaluation_s: float = 0.0
    busy_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def shares(self) -> dict[str, float]:
        """Wall seconds of the training and of each attack: the evaluation's are split in proportion to ``busy_s``."""
        busy = sum(self.busy_s.values()) or 1.0
        return {"training": self.training_s} | {k: self.evaluation_s * v / busy for k, v in self.busy_s.items()}
