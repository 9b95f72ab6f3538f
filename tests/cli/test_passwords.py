"""No command tells a password: of --db, of HARNESS_DB, of harness.toml, or of a word in the wrong place."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Ends

SECRET = "hunter2"
ADDRESSES = [
    "postgresql://me:a@hunter2@host/board",
    "postgresql://me:hunter2@host:port/board",
    "postgresql+nonsense://host/board?sslpassword=hunter2",
    "POSTGRES:/me:hunter2@host/board",
    "mysql//me:hunter2@host/board",
    "me:hunter2@host/board",
    "sqlite+nonsense://:hunter2@/board.db",
]
COMMANDS = ["runs --json", "run sat --dataset digits --arch smallcnn --dry-run", "rm 1 --yes", "config"]


@pytest.mark.parametrize("address", ADDRESSES, ids=map(str, range(len(ADDRESSES))))  # a folder has a test's name
def test_none_is_told(address: str, elsewhere: Path, fails: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    said = {f"{command} --db": "".join(fails(f"{command} --db {address}")[1:]) for command in COMMANDS[:-1]}
    said["in the wrong place"] = "".join(fails(f"runs {address}")[1:])
    monkeypatch.setenv("HARNESS_DB", address)
    said |= {f"{command}, variable": "".join(fails(command)[1:]) for command in COMMANDS}
    monkeypatch.delenv("HARNESS_DB")
    (elsewhere / "harness.toml").write_text(f'db = "{address}"\n')
    said |= {f"{command}, file": "".join(fails(command)[1:]) for command in COMMANDS}
    assert {place for place, text in said.items() if SECRET in text} == set()
    assert [file.name for file in elsewhere.iterdir()] == ["harness.toml"]
