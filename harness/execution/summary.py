"""What a command did, and where its time went."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field


@dataclass
class Summary:
    """What a command did, and where its time went.

    Attributes:
        attacked: numbers of the evaluations that were worked on.
        unexamined: how many checkpoints newer checks could not look at, since their weights are gone.
        failures: for each failed run its number and the reason.
        training_s, evaluation_s: wall time of the two parts.
        busy_s: for each attack the seconds that workers were busy with it, summed over workers.
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
        """Wall seconds of the training and of each attack; the evaluation's are divided by what kept workers busy."""
        busy = sum(self.busy_s.values()) or 1.0
        return {"training": self.training_s} | {k: self.evaluation_s * v / busy for k, v in self.busy_s.items()}
