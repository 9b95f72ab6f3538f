"""The installed command in a working directory of its own, and what it leaves there."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.protocols.protocol import load_protocol
from harness.store.records import RunRecord
from harness.store.store import Store

HARNESS = Path(sys.executable).parent / "harness"


def protocol_text() -> str:
    """The digits' protocol without AutoAttack, in small blocks, its attacks so short that their seeds matter."""
    document = load_protocol("digits").document()
    attacks = document.pop("attacks")
    document["evaluation"] |= {"attacks": ["natural", "pgd", "cw"], "block_size": 25, "steps": 1}
    tables = {name: document.pop(name) for name in ("train", "evaluation")}
    tables |= {f"attacks.{name}": values for name, values in attacks.items()}
    lines = [f"{key} = {json.dumps(value)}" for key, value in document.items()]  # JSON of these is TOML too
    for name, values in tables.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    return "\n".join(lines)


@dataclass(frozen=True)
class Place:
    """A working directory of its own."""

    folder: Path

    def command(self, *more: str) -> list[str]:
        what = "run sat --dataset digits --arch smallcnn --set width=4 --limit 60 --protocol mine.toml --json"
        return [str(HARNESS), *what.split(), *more]

    @property
    def environment(self) -> dict[str, str]:
        return {k: v for k, v in os.environ.items() if not k.startswith("HARNESS_")} | {"OMP_NUM_THREADS": "1"}

    def harness(self, *command: str) -> subprocess.CompletedProcess[str]:
        ended = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr
        return ended

    def run(self, *more: str) -> Any:
        """Run the command to its end; gives what it prints."""
        return json.loads(self.harness(*self.command(*more)).stdout)

    @contextlib.contextmanager
    def started(self, *more: str) -> Iterator[subprocess.Popen[str]]:
        """The command, in a process group of its own, of which nothing is left behind."""
        process = subprocess.Popen(
            self.command(*more),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()

    def runs(self) -> list[RunRecord]:
        store = Store.read(str(self.folder / "leaderboard.db"))
        found = store.runs()
        store.close()
        return found

    def verdicts(self, run: RunRecord) -> dict[tuple[str, str, int, int], bytes]:
        """For each complete evaluation, the verdict of every example."""
        store = Store.read(str(self.folder / "leaderboard.db"))
        found = {
            (checkpoint.name, e.attack, e.seed, e.examples): store.verdicts(e.id)
            for checkpoint in run.checkpoints
            for e in checkpoint.evaluations
            if e.complete
        }
        store.close()
        return found

    def files(self) -> dict[str, tuple[str, int]]:
        """Hash and modification time of every file: the store, weights, states, logs."""
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        return {
            str(path.relative_to(self.folder)): (
                hashlib.sha256(path.read_bytes()).hexdigest(),
                path.stat().st_mtime_ns,
            )
            for path in files
        }


def make_place(folder: Path) -> Place:
    (folder / "mine.toml").write_text(protocol_text())
    return Place(folder)
