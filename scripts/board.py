"""Make a board of the leaderboard from a preset: ordinary ``harness run`` commands, which go on where they stopped.

    python -m scripts.board scripts/boards/two-cores.toml --photographs cifar10-jpeg.tar.xz

The results are in a database of their own below ``--work``, and ``python -m scripts.merge_board`` takes them into
``leaderboard.db``. With ``--seconds`` the work stops in time, and the same command goes on from there. With ``--out``
everything that another machine needs to go on, or to publish, is put into a folder (see ``board_pack.py``); give that
folder as ``--resume`` where the work goes on.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from annotated_types import Ge
from typing_extensions import Doc

from harness.errors import HarnessError
from harness.plugin.settings import Settings
from harness.runtime.provenance import HOST_VARIABLE
from scripts.board_pack import pack, restore
from scripts.photographs import unpack

ROOT = Path(__file__).resolve().parent.parent
PUBLISHED = "published"  # as host: what is published names no machine
STOPPED = 130  # the exit code of ``harness`` after an interrupt
PACKING_S = 20  # kept free at the end for the last packing
STOPPING_S = 15  # that an interrupted command may take to end


@dataclass(frozen=True, kw_only=True)
class Preset(Settings):
    """What a board's file says."""

    folder: Annotated[str, Doc("name of the folder of photographs, and so of the data set")]
    train_per_class: Annotated[int | None, Ge(1), Doc("training photographs of each class; none: all")] = None
    test_per_class: Annotated[int | None, Ge(1), Doc("test photographs of each class; none: all")] = None
    protocol: Annotated[str, Doc("the protocol's file, beside the preset")]
    network: Annotated[str, Doc("as after --arch")]
    set: Annotated[tuple[str, ...], Doc("texts as after --set")] = ()
    methods: Annotated[tuple[tuple[str, ...], ...], Doc("the methods of each command, in the order of the commands")]
    seeds: Annotated[int, Ge(1), Doc("attack seeds")]
    train_seeds: Annotated[int, Ge(1), Doc("training seeds")]
    limit: Annotated[int | None, Ge(1), Doc("test images to attack, balanced over the classes; none: all")] = None

    @property
    def per_class(self) -> dict[str, int]:
        """Part of the photographs -> how many of each class; a part that is taken whole is left out."""
        asked = {"train": self.train_per_class, "test": self.test_per_class}
        return {part: count for part, count in asked.items() if count is not None}


def read_preset(file: Path) -> Preset:
    """Read and check a board's file; a mistake in it ends the program with one line."""
    try:
        return Preset.from_mapping(tomllib.loads(file.read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError, HarnessError) as error:
        sys.exit(f"{file}: {error}")


def commands(preset: Preset, beside: Path, work: Path, more: Sequence[str] = ()) -> Iterator[list[str]]:
    """The arguments of each ``harness`` command.

    Args:
        beside: the preset's folder, which holds its protocol.
        work: see ``make``.
        more: further options, as a user types them.
    """
    for methods in preset.methods:
        yield [
            *("run", *methods, "--dataset", f"folder:{work / preset.folder}"),
            *("--arch", preset.network, "--protocol", str(beside / preset.protocol)),
            *(word for text in preset.set for word in ("--set", text)),
            *("--seeds", str(preset.seeds), "--train-seeds", str(preset.train_seeds)),
            *(() if preset.limit is None else ("--limit", str(preset.limit))),
            *("--db", str(database(work)), "--runs-dir", str(work / "runs"), "--data-dir", str(work / "data"), *more),
        ]


def database(work: Path) -> Path:
    """The board's own database."""
    return work / "board.db"


def make(
    file: Path,
    photographs: Path,
    work: Path,
    *,
    seconds: float | None = None,
    out: Path | None = None,
    resume: Path | None = None,
    more: Sequence[str] = (),
) -> int:
    """Run a board's commands.

    Args:
        file: the preset.
        work: a folder for everything that the board needs and makes.
        seconds: after this time the work stops.
        out: where everything that must come home is packed: after each command, and at the end.
        resume: a folder that an earlier start packed; it counts only where ``work`` has no database.
    Returns:
        The exit code: 0 if the board is complete, STOPPED if time ran out, else that of the first command that failed.
    """
    ends = None if seconds is None else time.monotonic() + seconds - (PACKING_S if out else 0)
    preset = read_preset(file)
    work.mkdir(parents=True, exist_ok=True)
    if resume is not None and not database(work).exists():
        restore(resume, work)
    unpack(photographs, work / preset.folder, preset.per_class)
    codes = []
    for command in commands(preset, file.resolve().parent, work, more):
        print("harness", *command, file=sys.stderr, flush=True)
        codes.append(_harness(command, ends))
        if out is not None:
            pack(work, out)
        if codes[-1] == STOPPED:
            return STOPPED
    return next((code for code in codes if code), 0)


def _harness(command: Sequence[str], ends: float | None) -> int:
    """Run one command of harness, and interrupt it when its time is over: what was done is kept."""
    environment = {HOST_VARIABLE: PUBLISHED, "OMP_NUM_THREADS": "1"} | os.environ
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    left = None if ends is None else ends - time.monotonic()
    if left is not None and left <= 0:
        return STOPPED
    with subprocess.Popen([sys.executable, "-m", "harness", *command], env=environment) as process:
        try:
            return process.wait(left)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(STOPPING_S)
        except subprocess.TimeoutExpired:
            process.kill()
        return STOPPED


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.board",
        description=(__doc__ or "").partition("\n")[0],
        epilog="After -- come further options of harness run, such as --dry-run or --device cpu.",
    )
    parser.add_argument("preset", type=Path, help="the board's file, such as scripts/boards/two-cores.toml")
    parser.add_argument("--photographs", type=Path, required=True, help="a folder or an archive of class folders")
    parser.add_argument("--work", type=Path, help="where everything is made; by default runs/boards/PRESET")
    parser.add_argument("--seconds", type=float, help="stop after this time; the same command goes on from there")
    parser.add_argument("--out", type=Path, help="pack what must come home into this folder")
    parser.add_argument("--resume", type=Path, help="go on from what an earlier start packed")
    words = list(sys.argv[1:] if arguments is None else arguments)
    split = words.index("--") if "--" in words else len(words)
    given = parser.parse_args(words[:split])
    work = (given.work or Path("runs") / "boards" / given.preset.stem).resolve()
    options = {"seconds": given.seconds, "out": given.out, "resume": given.resume, "more": words[split + 1 :]}
    return make(given.preset, given.photographs, work, **options)


if __name__ == "__main__":
    sys.exit(main())
