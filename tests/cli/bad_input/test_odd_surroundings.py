"""Odd variables, configurations, and outputs: one line, and never a traceback."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.store.store import Store
from tests import stores
from tests.cli.bad_input.given import RUN, tree
from tests.cli.bad_input.odd_values import DIGITS
from tests.cli.conftest import Ends, Refused

PATHS = {
    "the root": "/",
    "a long name": "a" * 5000,
    "a deep path": "x/" * 3000,
    "the home of nobody": "~no-such-user/x",
    "links in a circle": "circle",
    "below links in a circle": "circle/x",
    "a file": "notes",
    "below a file": "notes/x",
    "a byte that is no text": "circle/\udcff",
}


@pytest.fixture
def odd_paths(elsewhere: Path) -> None:
    (elsewhere / "notes").write_text("mine")
    (elsewhere / "circle").symlink_to("circle")


@pytest.mark.usefixtures("odd_paths")
class TestPlaces:
    @pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
    @pytest.mark.parametrize("command", [RUN, "leaderboard"])
    def test_a_database(self, refusal: Refused, monkeypatch: pytest.MonkeyPatch, path: str, command: str) -> None:
        if (command, path) == ("leaderboard", "notes/x"):
            pytest.skip("a missing database has no results")
        monkeypatch.setenv("HARNESS_DB", path)
        refusal(command)

    @pytest.mark.parametrize("path", [path for path in PATHS.values() if path not in ("/", "~no-such-user/x")])
    def test_a_folder_of_runs(self, refusal: Refused, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
        monkeypatch.setenv("HARNESS_RUNS_DIR", path)  # a shell replaces ~, and a folder may begin with it
        refusal(RUN)

    @pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
    def test_a_configuration(self, refusal: Refused, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
        monkeypatch.setenv("HARNESS_CONFIG", path)
        refusal("runs")

    @pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
    @pytest.mark.parametrize("variable", ["HARNESS_PLUGINS", "HARNESS_DATA_DIR", "XDG_CACHE_HOME", "COLUMNS"])
    def test_what_need_not_be_there(
        self, ends: Ends, elsewhere: Path, monkeypatch: pytest.MonkeyPatch, variable: str, path: str
    ) -> None:
        before = tree(elsewhere)
        monkeypatch.setenv(variable, path)
        code, _, err = ends(f"{RUN} --dry-run")
        assert (code == 0) or (code == 2 and err.startswith("harness: ") and err.count("\n") == 1), err
        assert tree(elsewhere) == before


@pytest.mark.parametrize(
    "text",
    [
        'db = "a\\u0000b"',
        'plugins = ["a\\u0000b"]',
        'data-dir = "a\\u0000b"',
        '[run]\ndataset = "folder:a\\u0000b"',
        f'db = "{"a" * 5000}"',
        f'plugins = ["{"a" * 5000}"]',
        f"[run]\nseeds = {DIGITS}",
        f"[run]\nseeds = {10**25}",
        f"[run]\nstate-every = {DIGITS}.0",
        "[run]\nstate-every = nan",
        "[run]\nstate-every = inf",
        "[run]\nstate-every = -1e400",
        f"a = {'[' * 3000}{']' * 3000}",
        f"a = {'{a = ' * 3000}1{'}' * 3000}",
        f"{'a.' * 3000}b = 1",
        f"[{'a.' * 3000}b]",
    ],
    ids=lambda text: text[:30],
)
def test_a_configuration_of_odd_values(refusal: Refused, elsewhere: Path, text: str) -> None:
    (elsewhere / "harness.toml").write_text(text)
    assert "\0" not in refusal("run sat --dataset digits --arch smallcnn" if "folder" not in text else "run sat")


class TestOutput:
    """An encoding without a character gets an escape; a name that no encoding has is told."""

    @pytest.fixture
    def board(self, elsewhere: Path) -> None:
        store = Store.write("leaderboard.db")
        stores.start(store, stores.make_spec())
        store.close()

    @pytest.mark.usefixtures("board")
    @pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
    @pytest.mark.parametrize(
        "command",
        ["runs", "leaderboard", "list methods", "show sat", "show 1", "figures", "config", "--help", "run -h"],
    )
    def test_in_another_encoding(self, monkeypatch: pytest.MonkeyPatch, encoding: str, command: str) -> None:
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding) for _ in range(2))
        for name, value in (("stdout", out), ("stderr", err), ("argv", ["harness", *command.split()])):
            monkeypatch.setattr(sys, name, value)
        with pytest.raises(SystemExit) as ended:
            main()
        out.flush()
        told = out.buffer.getvalue()
        assert ended.value.code == 0
        assert told.decode(encoding)

    @pytest.mark.parametrize("command", ["show \udcff", "leaderboard --db \udcff/x", "run \udcff", "\udcff"])
    def test_a_name_that_no_encoding_has(self, ends: Ends, command: str) -> None:
        code, out, err = ends(command)
        assert "\udcff" not in out + err
        assert code == 0 or "\\udcff" in err

    @pytest.mark.parametrize("columns", ["1", "0", "-1", "²", DIGITS, "1000000"])
    @pytest.mark.parametrize("command", ["leaderboard", "list methods", "run -h", f"{RUN} --dry-run"])
    def test_a_terminal_of_an_odd_width(
        self, ends: Ends, monkeypatch: pytest.MonkeyPatch, columns: str, command: str
    ) -> None:
        monkeypatch.setenv("COLUMNS", columns)
        assert ends(command)[0] == 0


@pytest.mark.parametrize(
    "options",
    [
        "--seeds 1000000",
        "--seeds 10000 --train-seeds 10000",
        "--train-seeds 1000000",
        "--workers 100000",
        "--epochs 1000000000",
        "--set train.steps=1000000000",
        "--set evaluation.steps=1000000000",
        "--set evaluation.block_size=1000000000",
        "--set batch_size=1000000000",
        "--set width=1000000000",
        "--eval-every 1000000000",
    ],
)
def test_a_huge_number_is_counted_or_refused_at_once(ends: Ends, elsewhere: Path, options: str) -> None:
    code, _, err = ends(f"{RUN} --dry-run {options}")
    assert code == 0 or (code == 2 and err.startswith("harness: ") and err.count("\n") == 1), err
    assert list(elsewhere.iterdir()) == []
