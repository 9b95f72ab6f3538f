"""Carries an exception from one process to another: it arrives with its class and its cause.

Pickle alone loses the cause. It also calls the class again with the exception's ``args``. If ``__init__`` takes other
arguments, that call fails or makes another text, and only in the process that reads it.
"""

from __future__ import annotations

import pickle
import traceback
from dataclasses import dataclass
from typing import Any

from harness import errors
from harness.errors import HarnessError, one_line

_LONGEST_CHAIN = 10  # causes of causes: more is a circle


class WorkerBug(RuntimeError):
    """The traceback of another process; raised in place of an exception that cannot be carried."""


@dataclass(frozen=True)
class Carried:
    """An exception as plain data, which can be pickled whatever the exception holds."""

    content: bytes | None  # the exception, pickled; None if that fails
    mistake: type[HarnessError] | None  # the nearest class of ``harness.errors`` that it belongs to; None for a bug
    text: str  # the exception in one line
    trace: str  # its traceback, in words
    cause: Carried | None

    @classmethod
    def of(cls, error: BaseException, chain: int = _LONGEST_CHAIN) -> Carried:
        """Pack an exception with its causes."""
        own = [kind for kind in type(error).__mro__ if kind.__module__ == errors.__name__]
        return cls(
            content=_pickled(error),
            mistake=own[0] if own else None,
            text=one_line(error),
            trace="".join(traceback.format_exception(error)),
            cause=cls.of(error.__cause__, chain - 1) if error.__cause__ is not None and chain else None,
        )

    def exception(self) -> BaseException:
        """Unpack the exception; if it cannot be read, give one of the nearest known class."""
        read = _read(self.content)
        error = self._stand_in() if read is None else read
        error.__cause__ = self.cause.exception() if self.cause is not None else None
        return error

    def _stand_in(self) -> BaseException:
        if self.mistake is None:
            return WorkerBug(self.trace)
        try:
            return self.mistake(self.text)
        except TypeError:  # it takes more than a text
            return HarnessError(self.text)


def _pickled(error: BaseException) -> bytes | None:
    """The exception as bytes that can be read again (this is tried); None if neither way works."""
    ways: list[object] = [_Parts(error), error]
    if _builtin(type(error)).__reduce__ is not BaseException.__reduce__:  # such as OSError, which holds more than args
        ways.reverse()
    for way in ways:
        try:
            content = pickle.dumps(way)
        except Exception:  # it may hold anything
            continue
        if _read(content) is not None:
            return content
    return None


def _read(content: bytes | None) -> BaseException | None:
    """The exception in these bytes; None if there is none, or its class cannot be found or made here."""
    try:
        error = pickle.loads(content) if content is not None else None
    except Exception:  # this runs a stranger's code
        return None
    return error if isinstance(error, BaseException) else None


class _Parts:
    """Pickles an exception as its class, arguments, and attributes; unpickling gives the exception."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (type(self._error), self._error.args, vars(self._error))


def _made(kind: type[BaseException], arguments: tuple[Any, ...], attributes: dict[str, Any]) -> BaseException:
    """Make the exception again, without the ``__init__`` of its own class."""
    error = kind.__new__(kind, *arguments)
    _builtin(kind).__init__(error, *arguments)
    vars(error).update(attributes)
    return error


def _builtin(kind: type[BaseException]) -> type[BaseException]:
    """The nearest of Python's own classes."""
    return next(base for base in kind.__mro__ if base.__module__ == "builtins")
