"""Check of what a pass leaves behind in the process: generators and modes that attacks share with the model."""

from __future__ import annotations

import itertools

from harness.rigour.check import Outcome, judged
from harness.rigour.subject import Subject


def global_state(subject: Subject) -> Outcome:
    """A pass leaves the global random generators, and torch's modes, as they were.

    Generators: torch's, on the CPU and on the device, numpy's, Python's. Modes: those of ``harness.runtime.process``.
    If two equal passes (forward, or forward and backward) leave a generator in the same new state, a pass sets the
    generator. If they leave it in different states, a pass draws from it.
    Source: this project's. No number: any pass, forward or backward. A model that seeds a generator in its forward
        pass makes an attack draw the same numbers for ever: 93 % right under Square, where 65 are.
    """
    twice = [subject.first_looks.streams]  # before, between, and after equal passes
    if subject.misshapen is None:
        twice.append(subject.looks.streams)
    left = subject.isolation.streams()
    drawn, seeded = [], []
    for name in left:
        if any(before[name] != between[name] == after[name] for before, between, after in twice):
            seeded.append(f"{name} generator")
        elif len({left[name], *(states[name] for states in itertools.chain(*twice))}) > 1:
            drawn.append(f"{name} generator")
    modes = sorted(subject.isolation.changed)
    lists = {"sets": [*seeded, *modes], "draws from": drawn}
    does = " and ".join(f"{verb} {', '.join(names)}" for verb, names in lists.items() if names)
    return judged(
        bool(does),
        f"a pass {does}, which the whole process shares"
        if does
        else "passes leave the generators and modes that the whole process shares as they were",
        "the attacks here were kept apart from it; elsewhere it decides what numbers an attack draws"
        if drawn or seeded
        else "the attacks here were kept apart from it; elsewhere it decides how an attack computes",
        set=lists["sets"],
        drawn=drawn,
    )
