"""Where prints go: those of a plugin elsewhere, those of a tracker where it printed before, and nothing crashes."""

from __future__ import annotations

import io
import subprocess
import sys
import textwrap
import threading

import pytest

from harness.runtime.printing import OwnOutput, kept_stdout, prints_to, release


def in_a_child(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120, check=False
    )


def test_the_innermost_stream_is_printed_to_and_the_outer_ones_come_back(capsys: pytest.CaptureFixture[str]) -> None:
    outer, inner = io.StringIO(), io.StringIO()
    print("a")
    with prints_to(outer):
        print("b")
        with prints_to(inner):
            print("c")
        print("d")
    print("e")
    assert (outer.getvalue(), inner.getvalue(), capsys.readouterr().out) == ("b\nd\n", "c\n", "a\ne\n")


def test_what_an_error_leaves_is_as_it_was() -> None:
    before = sys.stdout
    with pytest.raises(KeyError), prints_to(io.StringIO()):
        raise KeyError
    assert sys.stdout is before


def test_a_thread_with_its_own_output_has_it_whatever_is_printed_to() -> None:
    own, heard, other = io.StringIO(), io.StringIO(), threading.Thread(target=lambda: print("thread"))
    with prints_to(heard):
        for thread in (OwnOutput(lambda: print("tracker"), "tracker", own), other):
            thread.start()
            thread.join()
    assert (own.getvalue(), heard.getvalue()) == ("tracker\n", "thread\n")


def test_the_stream_in_its_place_is_like_the_one_it_writes_to() -> None:
    with prints_to(sys.__stderr__ or sys.stderr):
        assert sys.stdout.fileno() == 2
        assert sys.stdout.encoding.lower() == "utf-8"
        assert sys.stdout.buffer is (sys.__stderr__ or sys.stderr).buffer
        sys.stdout.close()  # a plugin may try: the stream stays, for the others
        assert not sys.stdout.closed
    with prints_to(io.StringIO()):  # which has no encoding; libraries ask for one
        assert sys.stdout.encoding == "utf-8"
        assert not sys.stdout.isatty()


def test_what_was_kept_of_standard_output_leads_there_while_its_descriptor_leads_elsewhere() -> None:
    done = in_a_child(
        """
        from harness.runtime.printing import OwnOutput, kept_stdout, prints_to, release
        from harness.targets.target import quiet
        import sys
        kept = kept_stdout()
        print("before")
        with quiet():
            thread = OwnOutput(lambda: print("tracker"), "tracker", kept)
            thread.start()
            thread.join()
            print("model")
        print("after")
        release(kept)
        """
    )
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, ["before", "tracker", "after"], "model\n")


def test_a_stream_that_somebody_has_put_there_is_used_and_not_closed(capsys: pytest.CaptureFixture[str]) -> None:
    kept = kept_stdout()
    assert kept is sys.stdout
    release(kept)
    print("still open")
    assert capsys.readouterr().out == "still open\n"


def test_a_copy_gives_its_descriptor_back() -> None:
    done = in_a_child(
        """
        import os
        from harness.runtime.printing import kept_stdout, release
        held = lambda: len(os.listdir("/proc/self/fd"))
        before = held()
        kept = kept_stdout()
        assert held() == before + 1
        release(kept)
        assert held() == before
        """
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_thread_that_prints_survives_every_change_of_the_stream() -> None:
    """With a new stream in the place of ``sys.stdout`` at each change, Python ends by SIGSEGV within a second."""
    done = in_a_child(
        """
        import io, sys, time
        from harness.runtime.printing import OwnOutput, prints_to
        def printing():
            while not over:
                print("tracker", "prints", "much")
        over = False
        thread = OwnOutput(printing, "tracker", io.StringIO())
        thread.start()
        sys.setswitchinterval(1e-6)
        for _ in range(200_000):
            with prints_to(io.StringIO()):
                pass
        over = True
        thread.join()
        """
    )
    assert (done.returncode, done.stderr) == (0, "")
