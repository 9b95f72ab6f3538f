"""Errors of the operating system that are no bug: a full disk, a place that may not be written, an ended reader."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import sys

from harness.errors import brief, visible, without_middle

PLACE = "give a place that can be written, by --out, --runs-dir, --data-dir, or --db"
AGAIN = "then run the same command again: what was done is kept"
REMEDIES = {
    errno.ENOSPC: f"free some space, {AGAIN}",
    errno.EDQUOT: f"free some of your quota, {AGAIN}",
    errno.EFBIG: f"a file may not grow so large here: raise the limit (`ulimit -f`), {AGAIN}",
    errno.EROFS: f"its file system can only be read: {PLACE}",
    errno.EACCES: f"change its permissions, or {PLACE}",
    errno.EIO: f"its disk, or the way to it, failed: see to that, {AGAIN}",
    errno.ESTALE: f"the server of its file system lost it: see to that, {AGAIN}",
    errno.EMFILE: f"raise the limit of open files (`ulimit -n`), {AGAIN}",
    errno.ENAMETOOLONG: "give a shorter name",
    errno.ELOOP: "its links lead in a circle: give another path",
    errno.ENFILE: f"end some programs that hold files open, {AGAIN}",
}
_OF_A_FILE = {errno.EACCES, errno.ENAMETOOLONG, errno.ELOOP}  # for something else than a file a bug's question
_WITHOUT_A_FILE = REMEDIES.keys() - _OF_A_FILE


def system_error_line(error: OSError) -> str | None:
    """What happened, to which file, and what to do; None for an error that only a bug can cause, such as ENOENT."""
    if error.errno not in REMEDIES or (error.filename is None and error.errno not in _WITHOUT_A_FILE):
        return None
    named = isinstance(error.filename, (str, bytes, os.PathLike))
    # harness names each file that it writes, so what has no name is most likely the output
    what = (
        without_middle(visible(os.fsdecode(error.filename))) if named else "standard output, or a file without a name,"
    )
    return f"{what} cannot be read or written: {error.strerror}; {REMEDIES[error.errno]}"


def keep_every_text() -> None:
    r"""Print what an output's encoding lacks as an escape such as ``\xb1``, where Python would end with a traceback.

    Not as a question mark: two names that differ must not become one in a table that is read on.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def forget_odd_sizes() -> None:
    """Drop a size of the terminal that is no number, as if it were not set: rich would end with a traceback."""
    for name in ("COLUMNS", "LINES"):
        if not re.fullmatch("[0-9]{1,6}", os.environ.get(name, "1")):
            del os.environ[name]


def end_output() -> None:
    """Write out what is left of standard output, or give it up.

    Raises:
        OSError: it cannot be written. Python itself would say so after the end of the program, in two lines.
        SystemExit: its reader has ended, as that of ``| head`` does: nobody needs to be told.
    """
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        _give_up_output()
        if error.errno == errno.EPIPE:
            raise SystemExit(1) from None
        raise


def print_error(message: str) -> None:
    """Print why a command ends, in one line on standard error, if that can be written; long values are cut."""
    with contextlib.suppress(OSError):
        print(brief(visible(f"harness: {message}")), file=sys.stderr, flush=True)


def _give_up_output() -> None:
    """Let Python, which flushes standard output at the end, write the rest to nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
