"""Exceptions of a model's backward pass, told apart from those of the attack that asked for it.

What a model from elsewhere raises in a forward pass is a ModelFault from the start (``harness.targets.prepared``); what
it raises in a backward pass comes out of torch, in the midst of an attack.
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
_BACKWARD = Path(torch.autograd.graph.__file__)  # where torch's engine is started
_OURS = Path(__file__).parents[1]


@contextlib.contextmanager
def blaming_model() -> Iterator[None]:
    """Make an exception from a model's backward pass a ModelFault; the traceback of any ModelFault goes to the log.

    Any other exception is the attack's, or a bug of this program, and is passed on as it is.
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
    """Whether torch's backward pass was running, and in it code that is not ours, nor that of who asked for the pass.

    Where no code in Python ran, torch's engine refused the graph: that is the model's, in which an attack that ships
    puts nothing new; of one that does not ship it may be the attack's.
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
