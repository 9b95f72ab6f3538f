"""What is recorded beside a result: the commit of the checkout that runs, and none for an installed copy."""

from __future__ import annotations

import subprocess
from pathlib import Path

from harness.runtime.provenance import provenance

ROOT = Path(__file__).parents[3]


def test_the_commit_is_that_of_the_checkout() -> None:
    recorded = provenance("cpu", threads=1)
    if not (ROOT / ".git").exists():  # an unpacked archive
        assert "commit" not in recorded
        return
    command = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    head = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    assert recorded["commit"] == head
    assert isinstance(recorded["dirty"], bool)
