"""Where the weights of a checkpoint are, in its run's folder."""

from __future__ import annotations

import re
from pathlib import Path

from harness.errors import HarnessError, quoted

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


def checked_checkpoint_name(name: str) -> str:
    """A checkpoint's name, which is part of a file's name, and stands in the code that loads the file.

    Raises:
        HarnessError: it is something else, as it may be in a row that another program wrote.
    """
    if not _NAME.fullmatch(name):
        raise HarnessError(f"a checkpoint is called {quoted(name)}: it is refused, since it is no file's name")
    return name


def weights_file(directory: Path, checkpoint: str) -> Path:
    """The file with the weights of a checkpoint, in the run's directory.

    Raises:
        HarnessError: the checkpoint's name is no such name.
    """
    return directory / f"{checked_checkpoint_name(checkpoint)}.safetensors"
