"""One item after the other, in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.errors import HarnessError
from harness.events import Report
from harness.execution.executors.executor import Executor, Performed, W


class InProcess(Executor):
    """For one worker, and for a CUDA device."""

    def run(self, works: Sequence[W], listen: Report) -> Iterator[Performed[W]]:
        for work in works:
            try:
                work.perform(listen)
            except HarnessError as error:
                yield Performed(work, error)
            else:
                yield Performed(work, None)
