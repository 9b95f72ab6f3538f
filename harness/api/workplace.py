"""Where results, weights, and logs are kept, and how many processes work: checked before the work begins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import HarnessError

if TYPE_CHECKING:
    from harness.planning.assessment import Assessment

Note = Callable[[str], None]
"""Receives a remark for the user, one line."""


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """Where a function or a command works.

    Attributes:
        db: the database, as ``database.locate`` takes it.
        runs_dir: the folder for weights, training states, and logs.
        workers: processes that work side by side; None: one per core, and one on a CUDA device.
    """

    db: str | None = None
    runs_dir: Path = Path("runs")
    workers: int | None = None

    def check(self, *, writing: bool) -> None:
        """Refuse at once what would fail late: a file that is no store, or a folder that cannot be written.

        Args:
            writing: whether work is done, and its results are stored.
        """
        from harness.files import require_writable
        from harness.store import database
        from harness.store.leases import lease_seconds
        from harness.store.store import Store

        Store.read(self.db).close()
        if self.workers is not None and self.workers < 1:
            raise HarnessError(f"--workers {self.workers} is refused: it must be 1 or more")
        if not writing:
            return
        lease_seconds()
        database.check_writable(database.locate(self.db))
        try:
            require_writable(self.runs_dir)
        except OSError as error:
            raise HarnessError(f"--runs-dir {self.runs_dir} cannot be written: {error}; give another one") from None

    def workers_for(self, job: Assessment) -> int:
        """How many processes work side by side on a job."""
        from harness.execution.conduct import default_workers

        return self.workers or default_workers(job)
