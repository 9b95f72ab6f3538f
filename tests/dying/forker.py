"""A process that has the whole program imported, and forks for each command: a start takes milliseconds, not seconds.

Each line of its input is a command; its answer is the number of the process. How that ended goes into a file. It trains
nothing itself: torch's gradients work after a fork only if the parent took none.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import select
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

import harness
from harness.cli.main import main
from tests.dying.sitecustomize import arm

LEFT_OUT = ("harness.trackers.", "harness.figures.", "harness.hub.", "harness.__main__", "harness.store.migrations.env")


def _import_all() -> None:
    for module in pkgutil.walk_packages(harness.__path__, "harness."):
        if not module.name.startswith(LEFT_OUT):
            importlib.import_module(module.name)
    from harness.registry.catalogue import KINDS, discover
    from harness.store.store import Store

    for kind in KINDS:
        discover(kind)
    for name in ("sklearn.datasets", "torch._dynamo"):  # the first optimiser imports the second
        importlib.import_module(name)
    Store.in_memory().close()  # SQLAlchemy prepares its classes at their first use


def _perform(asked: dict[str, Any]) -> int:
    """Be the command, in the process that was forked for it."""
    os.setsid()
    os.chdir(asked["folder"])
    for place, stream in (("out", 1), ("err", 2)):
        os.dup2(os.open(asked[place], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv = asked["command"]
    arm()
    try:
        main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _serve() -> int:
    """Answer until the input ends; in a forked process: the command's exit code."""
    running: dict[int, str] = {}
    print("ready", flush=True)
    while True:
        readable, _, _ = select.select([0], [], [], 0.01 if running else 1.0)
        if readable:
            line = os.read(0, 1 << 20)
            if not line:
                return 0
            for asked in map(json.loads, line.splitlines()):
                number = os.fork()
                if not number:
                    return _perform(asked)
                running[number] = asked["ended"]
                print(number, flush=True)
        while running:
            number, status = os.waitpid(-1, os.WNOHANG)
            if not number:
                break
            file = Path(running.pop(number))
            file.with_suffix(".new").write_text(str(os.waitstatus_to_exitcode(status)))
            file.with_suffix(".new").rename(file)


if __name__ == "__main__":
    for each in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(each, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background command ignores it
    _import_all()
    sys.exit(_serve())
