"""``harness new`` writes plugins that work through every door; ``harness check`` says what is wrong."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import methods
from harness.registry.catalogue import discover
from tests.cli.conftest import Ends

Run = Callable[..., tuple[int, str, str]]
KINDS = ("method", "attack", "dataset", "network", "wrapper")


@pytest.fixture
def harness(ends: Ends) -> Run:
    def run(*arguments: str) -> tuple[int, str, str]:
        return ends(shlex.join(arguments))

    return run


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_passes_its_checks_and_shows_its_setting(kind: str, harness: Run, tmp_path: Path) -> None:
    code, out, _ = harness("new", kind, f"my-{kind}")
    assert code == 0
    file = tmp_path / f"my_{kind}.py"
    assert str(file.name) in out
    assert (tmp_path / f"test_my_{kind}.py").exists()
    code, out, _ = harness("check", kind, f"my-{kind}", "--plugin", file.name)
    assert code == 0
    assert "FAIL" not in out
    (info,) = discover(f"{kind}s", (file,)).get(f"my-{kind}").describe()
    assert info.meaning


@pytest.mark.parametrize("kind", KINDS)
def test_the_commands_that_are_printed_work_as_they_are(kind: str, harness: Run) -> None:
    """Without a download, and without another option."""
    _, out, _ = harness("new", kind, f"my-{kind}")
    _, check, use = (shlex.split(line) for line in out.splitlines())
    assert harness(*check[1:])[0] == 0
    code, out, err = harness(*use[1:], "--dry-run")
    assert (code, err) == (0, "")
    assert "training: " in out


def test_what_a_plugin_prints_while_it_is_checked_is_no_result(harness: Run, tmp_path: Path) -> None:
    harness("new", "method", "loud")
    file = tmp_path / "loud.py"
    text = file.read_text()
    assert text.count("        natural = ") == 1
    file.write_text(text.replace("        natural = ", '        print("hear me")\n        natural = '))
    code, out, err = harness("check", "method", "loud", "--plugin", "loud.py", "--json")
    problems = [check["problem"] for check in json.loads(out)["checks"] if check["problem"]]
    assert (code, len(problems)) == (1, 1)
    assert "it prints ('hear me')" in problems[0]
    assert "hear me" in err


def test_a_named_file_without_a_plugin_is_refused(harness: Run, tmp_path: Path) -> None:
    (tmp_path / "nothing.py").write_text("from harness.plugin.method import Method\n")
    code, _, err = harness(
        *shlex.split("run sat --dataset digits --arch smallcnn --plugin nothing.py --dry-run"),
    )
    assert code == 2
    assert "the plugin file nothing.py is refused: it has no plugin" in err
    assert [file.name for file in tmp_path.iterdir()] == ["nothing.py"]
    (tmp_path / "folder").mkdir()
    (tmp_path / "nothing.py").rename(tmp_path / "folder" / "nothing.py")  # a folder may hold other files
    assert harness(*shlex.split("run sat --dataset digits --arch smallcnn --plugin folder --dry-run"))[0] == 0


@pytest.mark.slow
def test_the_test_that_is_written_passes(harness: Run, tmp_path: Path) -> None:
    harness("new", "method", "half-way")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_half_way.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "12 passed" in done.stdout


def test_it_works_when_dropped_into_methods(harness: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    harness("new", "method", "dropped-in")
    monkeypatch.setattr(methods, "__path__", [*methods.__path__, str(tmp_path)])
    (tmp_path / "test_dropped_in.py").unlink()
    assert discover("methods").found["dropped-in"].where == "harness.methods.dropped_in"


def test_it_works_from_the_folder_that_the_variable_names(
    harness: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "plugins"
    folder.mkdir()
    harness("new", "method", "half", "--dir", "plugins")
    (folder / "test_half.py").rename(tmp_path / "test_half.py")
    monkeypatch.setenv("HARNESS_PLUGINS", str(folder))
    code, out, _ = harness("list", "methods")
    assert code == 0
    assert "half" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("new", "method", "Bad Name"), "lower-case letters and digits"),
        (("new", "method", "sat"), "is there already, in harness.methods.sat"),
        (("new", "thing", "x"), "unknown kind 'thing'"),
        (("new", "method", "x", "--dir", "nowhere"), "not a directory"),
        (("check", "method", "satt"), "did you mean 'sat'"),
        (("check", "dataset", "folder:a:b"), "write harness check dataset folder --argument a:b"),
        (("check", "method", "sat", "--plugin", "gone.py"), ""),
    ],
)
def test_mistakes_get_one_line_and_write_nothing(
    arguments: tuple[str, ...], words: str, harness: Run, tmp_path: Path
) -> None:
    code, _, err = harness(*arguments)
    if words:
        assert code == 2
        assert words in err
        assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(harness: Run, tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text("mine")
    code, _, err = harness("new", "method", "mine")
    assert code == 2
    assert "test_mine.py is there already" in err
    assert [file.name for file in tmp_path.iterdir()] == ["test_mine.py"]


def test_a_broken_plugin_fails_its_check_with_words_and_exit_code_one(harness: Run, tmp_path: Path) -> None:
    harness("new", "method", "vector")
    file = tmp_path / "vector.py"
    file.write_text(file.read_text().replace("return self.natural * natural", "return step.x * natural"))
    code, out, _ = harness("check", "method", "vector", "--plugin", "vector.py")
    assert code == 1
    assert "FAIL  the loss is a scalar tensor: loss has shape (12, 3, 6, 6); return a scalar" in out
