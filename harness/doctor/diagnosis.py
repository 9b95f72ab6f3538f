"""One thing that `harness doctor` looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "note", "wrong"]


@dataclass(frozen=True)
class Diagnosis:
    """What was looked at, how it is, and what to do about it.

    Attributes:
        state: ``note``: it may be meant so; ``wrong``: work will fail, or results may be lost.
        remedy: empty where nothing is to be done.
    """

    topic: str
    state: State
    text: str
    remedy: str = ""
