"""Distinguish exceptions of a model's backward pass from exceptions of the attack that asked for the pass.

An exception in the forward pass of a model from elsewhere becomes a ModelFault at once (``harness.targets.prepared``).
An exception in its backward pass comes out of torch, while the attack runs.
"""

from __future__ import annotations

import contextlib
import logging
import traceback
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.autograd.graph

from harness.errors import ModelFault, one_line

_TORCH = Path(torch.__file__).parent
_BACKWARD = Path(torch.autograd.graph.__file__)  # the file that starts torch's backward pass
_OURS = Path(__file__).parents[1]


@contextlib.contextmanager
def blaming_model() -> Iterator[None]:
    """Turn an exception of a model's backward pass into a ModelFault, and log the traceback of every ModelFault.

    Any other exception belongs to the attack, or is a bug of this program, and passes through.
    """
    log = logging.getLogger("harness.targets")
    try:
        yield
    except ModelFault:
        log.exception("raised by the model")
        raise
    except (Exception, SystemExit) as error:
        if not _in_backward(error):
            raise
        log.exception("raised by the model")
        raise ModelFault(f"raised an exception in a backward pass ({one_line(error)})") from error


def _in_backward(error: BaseException) -> bool:
    """Whether an exception comes from the model's backward pass.

    It does if torch's backward pass was running code in it that belongs neither to harness nor to the caller of the
    pass. If no Python code was running in it, torch refused the graph. The model is at fault then if the attack ships,
    since such an attack adds nothing unusual to the graph; any other attack may be at fault itself.
    """
    files = [Path(frame.filename) for frame in traceback.extract_tb(error.__traceback__)]
    if _BACKWARD not in files:
        return False
    start = files.index(_BACKWARD)
    above, below = ([file for file in part if _TORCH not in file.parents] for part in (files[:start], files[start:]))
    if any(_ours(file) for file in below):
        return False
    return below[-1] not in above if below else all(map(_ours, above))


def _ours(file: Path) -> bool:
    return "pyautoattack" in file.parts or _OURS in file.parents
