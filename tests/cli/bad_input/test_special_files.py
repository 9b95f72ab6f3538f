"""A pipe, a device, or a circle of links in the place of a file: refused in one line, and never waited for."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.files import atomic_write_bytes, write_together
from tests.cli.bad_input.given import RUN
from tests.cli.conftest import Ends, Refused


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def circle(path: Path) -> None:
    path.symlink_to(path.name)


def listener(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(path.name)


EVALUATE = "--dataset digits --limit 20 --seeds 1"
READ = {  # what is read -> the name of the file, and the command that reads it
    "a weights file": ("odd.pt", f"evaluate odd.pt --arch smallcnn {EVALUATE}"),
    "a part of a weights file": ("odd.pt", f"evaluate odd.pt:model --arch smallcnn {EVALUATE}"),
    "a checkpoint": ("odd.safetensors", f"evaluate odd.safetensors {EVALUATE}"),
    "a Python file": ("odd.py", f"evaluate odd.py:make {EVALUATE}"),
    "a target without an ending": ("odd", f"evaluate odd {EVALUATE}"),
    "a plugin": ("odd.py", f"{RUN} --plugin odd.py"),
    "a protocol": ("odd.toml", f"{RUN} --protocol odd.toml"),
    "an experiment": ("odd.toml", "run odd.toml"),
    "a configuration": ("harness.toml", "runs"),
    "a database": ("odd.db", "leaderboard --db odd.db"),
    "a database to write": ("odd.db", f"{RUN} --db odd.db"),
    "a database to upgrade": ("odd.db", "db upgrade --db odd.db"),
    "a database to copy": ("odd.db", "db copy new.db --db odd.db"),
    "a database to check": ("odd.db", "db check --db odd.db"),
    "a database to merge": ("odd.db", "db merge odd.db"),
    "an order of classes": ("odd.txt", f"{RUN} --dataset folder:photos --class-order odd.txt"),
    "a folder of images": ("odd", f"{RUN} --dataset folder:odd"),
}


@pytest.mark.parametrize("make", [pipe, device, circle, listener], ids=lambda make: make.__name__)
@pytest.mark.parametrize("what", READ)
def test_is_no_file_to_read(refusal: Refused, elsewhere: Path, what: str, make: Callable[[Path], None]) -> None:
    for folder in ("train/ant", "train/bee", "test/ant", "test/bee"):
        (elsewhere / "photos" / folder).mkdir(parents=True)
        (elsewhere / "photos" / folder / "0.png").write_bytes(b"no image")
    name, command = READ[what]
    make(elsewhere / name)
    line = refusal(command)
    assert name.split(".")[0] in line or "/dev/zero" in line


def test_a_pipe_among_plugins_is_left_out(ends: Ends, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (elsewhere / "mine").mkdir()
    os.mkfifo(elsewhere / "mine" / "odd.py")
    monkeypatch.setenv("HARNESS_PLUGINS", "mine")
    code, out, _ = ends("list methods")
    assert (code, "is no ordinary file" in " ".join(out.split())) == (0, True)


@pytest.mark.parametrize(
    "write", [lambda path: atomic_write_bytes(path, b"x"), lambda path: write_together({path: b"x"})]
)
def test_is_not_replaced_by_a_file(elsewhere: Path, write: Callable[[Path], None]) -> None:
    """Root could take ``/dev/null`` from the whole machine."""
    os.mkfifo(elsewhere / "odd")
    (elsewhere / "link").symlink_to("odd")
    for name in ("odd", "link"):
        with pytest.raises(FileExistsError, match="it is no ordinary file") as caught:
            write(elsewhere / name)
        assert caught.value.filename == str(elsewhere / name)
    assert ((elsewhere / "odd").is_fifo(), (elsewhere / "link").is_symlink()) == (True, True)
    assert len(list(elsewhere.iterdir())) == 2
