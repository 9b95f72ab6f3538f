"""What a command imports, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

# not pydantic: newer typer reads options with it
HEAVY = (
    "torch",
    "torchvision",
    "numpy",
    "sklearn",
    "scipy",
    "safetensors",
    "alembic",
    "pyautoattack",
    "huggingface_hub",
)
PROGRAM = """
import contextlib, io, json, sys
from harness.cli.main import main
sys.argv = ["harness", *sys.argv[1:]]
code = None
with contextlib.redirect_stdout(io.StringIO()) as out:
    try:
        main()
    except SystemExit as ended:
        code = ended.code
print(json.dumps({"code": code, "out": len(out.getvalue()), "modules": sorted(sys.modules)}))
"""


def modules(folder: Path, *arguments: str) -> set[str]:
    """Names of everything that a command imports."""
    command = [sys.executable, "-c", PROGRAM, *arguments]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert ended.stderr == ""
    told = json.loads(ended.stdout)
    assert told["code"] == 0
    assert told["out"] > 10
    return set(told["modules"])
