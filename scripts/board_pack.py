"""Pack what a board has made into few files of limited size, and put it back where the work goes on.

A machine that is lent may take back little: at most 8 files of 16 MiB. The database and the logs come first, then the
weights: first of networks that are trained and not yet attacked, without which the work could not go on.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import sqlite3
import tarfile
from pathlib import Path

from harness.execution.log import LOG_FILE
from harness.store.folders import run_folder
from harness.store.records import RunRecord
from harness.store.store import Store
from harness.training.weights_place import weights_file

PART_BYTES = 16 * 2**20
WHOLE_BYTES = 64 * 2**20
DATABASE, LOGS, WEIGHTS = "board.db", "logs.tar.xz", "weights.tar"


def pack(work: Path, out: Path, *, part_bytes: int = PART_BYTES, whole_bytes: int = WHOLE_BYTES) -> None:
    """Pack the database, the logs, and as many weights as there is room for; what was packed before is replaced.

    Weights are packed as ``weights.tar-0``, ``weights.tar-1``, …, which put together are a tar archive.
    """
    if not (work / DATABASE).exists():  # stopped before anything was stored
        return
    out.mkdir(parents=True, exist_ok=True)
    copy = out / DATABASE
    copy.unlink(missing_ok=True)
    with (
        contextlib.closing(sqlite3.connect(work / DATABASE)) as source,
        contextlib.closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
    with tarfile.open(out / LOGS, "w:xz") as archive:
        for log in sorted((work / "runs").glob(f"*/{LOG_FILE}")):
            archive.add(log, log.relative_to(work).as_posix())
    room = whole_bytes - sum((out / name).stat().st_size for name in (DATABASE, LOGS))
    content = _archive(_weights(copy, work / "runs"), work, room)
    for old in out.glob(f"{WEIGHTS}-*"):
        old.unlink()
    for number, start in enumerate(range(0, len(content), part_bytes)):
        (out / f"{WEIGHTS}-{number}").write_bytes(content[start : start + part_bytes])


def _weights(database: Path, runs_dir: Path) -> list[Path]:
    """The weights of the trained networks: first what the work needs to go on, then each network's last."""
    store = Store.read(str(database))
    trained = [run for run in store.runs() if run.status == "done"]
    store.close()
    checkpoints = [(run, checkpoint.name) for run in trained for checkpoint in run.checkpoints]
    ordered = sorted(checkpoints, key=lambda each: (_attacked(each[0]), each[1] != "last"))
    files = (weights_file(run_folder(runs_dir, run), name) for run, name in ordered)
    return [file for file in files if file.exists()]


def _attacked(run: RunRecord) -> bool:
    evaluations = [evaluation for checkpoint in run.checkpoints for evaluation in checkpoint.evaluations]
    return bool(evaluations) and all(evaluation.complete for evaluation in evaluations)


def _archive(files: list[Path], work: Path, room: int) -> bytes:
    """A tar archive of the files, without those for which there is no room."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for file in files:
            if packed.tell() + file.stat().st_size + 3 * tarfile.RECORDSIZE <= room:  # its header, and the end
                archive.add(file, file.relative_to(work).as_posix())
        empty = not archive.getnames()
    return b"" if empty else packed.getvalue()


def restore(packed: Path, work: Path) -> None:
    """Put back what ``pack`` packed, except for the logs; an empty or missing folder gives nothing."""
    parts = sorted(packed.glob(f"{WEIGHTS}-*"), key=lambda part: int(part.name.rpartition("-")[2]))
    if parts:
        content = b"".join(part.read_bytes() for part in parts)
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            archive.extractall(work, filter="data")
    if (packed / DATABASE).exists():
        work.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(packed / DATABASE, work / DATABASE)
