"""Configurations that are refused: one line that names the file, the key, and what is near; nothing is written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.conftest import Ends, Refused
from tests.cli.sources import METHOD


def write(folder: Path, content: str | bytes, name: str = "harness.toml") -> Path:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder / name


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[rnu]\nseeds = 1", ["unknown table 'rnu'", "did you mean 'run'"]),
        ("[run]\nseedss = 1", ["[run]: unknown key 'seedss'", "did you mean 'seeds'"]),
        ("[run]\ntrain_seeds = 1", ["unknown key 'train_seeds'", "did you mean 'train-seeds'"]),
        ("[run]\nnetwork = 'x'", ["unknown key 'network'", "known: allow-mixed, arch, "]),
        ("[run]\nmethods = ['sat']", ["unknown key 'methods'"]),
        ("dbb = 'x.db'", ["unknown key 'dbb'", "did you mean 'db'"]),
        ("runs_dir = 'x'", ["unknown key 'runs_dir'", "did you mean 'runs-dir'"]),
        ("seeds = 1", ["unknown key 'seeds'", "known: data-dir, db, plugins, runs-dir"]),
        ("db = 5", ["db = 5 is refused: it must be a text, a path"]),
        ("db = ''", ["db = '' is refused"]),
        ("[db]\nx = 1", ["db = {'x': 1} is refused"]),
        ("data-dir = ['a']", ["data-dir = ['a'] is refused"]),
        ("plugins = 'mine'", ["plugins = 'mine' is refused: it must be a list of texts"]),
        ("plugins = [5]", ["plugins = [5] is refused"]),
        ("plugins = ['mine']", ["plugins names ", "mine, which does not exist"]),
        ("[run]\nseeds = '1'", ["[run]: seeds = '1' is refused: it must be a whole number"]),
        ("[run]\nseeds = 2.0", ["seeds = 2.0 is refused: it must be a whole number"]),
        ("[run]\nseeds = true", ["seeds = True is refused: it must be a whole number"]),
        ("[run]\nchecks = 1", ["checks = 1 is refused: it must be true or false"]),
        ("[run]\ndataset = ['digits']", ["dataset = ['digits'] is refused: it must be a text"]),
        ("[run]\ndataset = true", ["dataset = True is refused"]),
        ("[run]\ndataset = 2020-01-01", ["is refused: it must be a text"]),
        ("[run]\nattacks = [true]", ["attacks = [True] is refused: it must be a text, or a list of texts"]),
        ("[run]\nset = 'train.lr=1'", ["set = 'train.lr=1' is refused: it must be a list of texts"]),
        ("[run.set]\nlr = 1", ["set = {'lr': 1} is refused"]),
        ("[compare]\nshare = 'x'", ["[compare]: share = 'x' is refused: it must be a number"]),
        ("[leaderboard]\nlayout = 'papper'", ["[leaderboard]: unknown layout 'papper'", "did you mean 'paper'"]),
        ("[leaderboard]\nlayout = 5", ["unknown layout '5'"]),
        ("[run]\nfresh = true", ["[run]: fresh is refused", "give --fresh when you want it"]),
        ("[run]\ndry-run = true", ["[run]: dry-run is refused"]),
        ("[run]\ndb = 'x.db'", ["[run]: db is refused: it is a place", "write db at the top of the file"]),
        ("[run]\nplugin = ['x.py']", ["write plugins at the top of the file"]),
        ("[rm]\nyes = true", ["[rm] is refused: `harness rm` takes no defaults"]),
        ("[export]\nformat = 'csv'", ["unknown table 'export.format'"]),
        ("[export]\nverdicts = 'csv'", ["[export.verdicts] = 'csv' is refused: it must be a table"]),
        ("[export.verdict]\nformat = 'csv'", ["unknown table 'export.verdict'", "did you mean 'verdicts'"]),
        ("[list]\nkind = 'methods'", ["[list]: unknown key 'kind'"]),
        ("= 5", ["is not valid TOML", "line 1"]),
        ("a = " + "[" * 5000, ["is not valid TOML"]),
        ("[run]\nseeds = 1\nseeds = 2", ["is not valid TOML"]),
        (b"\xff\xfe\x00", ["is not a text in UTF-8"]),
    ],
    ids=lambda value: "" if isinstance(value, list) else None,
)
@pytest.mark.parametrize("command", ["runs", "config"])
def test_a_mistake_is_one_line_for_any_command(
    refusal: Refused, elsewhere: Path, command: str, text: str | bytes, parts: list[str]
) -> None:
    write(elsewhere, text)
    line = refusal(command)
    assert "harness.toml" in line
    assert [part for part in parts if part not in line] == []


@pytest.mark.parametrize(
    ("table", "part"),
    [
        ("seeds = 0", "--seeds 0 is refused"),
        ("train-seeds = 1000000000", "--train-seeds 1000000000 is refused: it must be 10,000 at most"),
        ("seeds = 1000000000", "--seeds 1000000000 is refused"),
        ("attacks = []", "--attacks '' is refused: name at least one"),
        ("epsilon = 8", "epsilon=8 is refused"),
        ("set = ['lr']", "--set lr is refused: write --set key=value"),
        ("protocol = 'mine.toml'", "there is no protocol file"),
    ],
)
def test_what_an_option_refuses_is_refused_in_a_file_which_is_named(
    refusal: Refused, elsewhere: Path, table: str, part: str
) -> None:
    write(elsewhere, f"[run]\ndataset = 'digits'\narch = 'smallcnn'\n{table}")
    line = refusal("run sat --dry-run")
    assert part in line
    assert line.endswith(f" (harness.toml gives dataset, arch, {table.split()[0]})\n")


class TestAFileThatCannotBeRead:
    def test_a_folder_of_that_name(self, refusal: Refused, elsewhere: Path) -> None:
        (elsewhere / "harness.toml").mkdir()
        assert "is a directory" in refusal("runs")

    def test_a_link_to_nothing(self, refusal: Refused, elsewhere: Path) -> None:
        (elsewhere / "harness.toml").symlink_to("gone.toml")
        assert "does not exist" in refusal("runs")

    def test_a_pipe(self, refusal: Refused, elsewhere: Path) -> None:
        os.mkfifo(elsewhere / "harness.toml")
        assert "is no ordinary file" in refusal("runs")

    def test_one_that_this_user_may_not_read(
        self, ends: Ends, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write(elsewhere, "[run]\nseeds = 1")
        read = Path.read_bytes

        def denied(path: Path) -> bytes:
            if path.name == "harness.toml":
                raise PermissionError(13, "Permission denied")
            return read(path)

        monkeypatch.setattr(Path, "read_bytes", denied)  # the tests may run as root, who may read everything
        code, _, err = ends("runs")
        assert (code, err.count("\n"), "cannot be read: Permission denied" in err) == (2, 1, True)

    @pytest.mark.parametrize("named", ["gone.toml", "pyproject.toml", "."])
    def test_one_that_the_variable_names(
        self, refusal: Refused, elsewhere: Path, monkeypatch: pytest.MonkeyPatch, named: str
    ) -> None:
        write(elsewhere, "[tool.other]\nx = 1", "pyproject.toml")
        monkeypatch.setenv("HARNESS_CONFIG", named)
        parts = {"gone.toml": "does not exist", "pyproject.toml": "has no table [tool.harness]", ".": "is a directory"}
        assert parts[named] in refusal("runs")

    def test_a_pyproject_that_is_no_toml_counts_if_it_speaks_of_harness(self, ends: Ends, elsewhere: Path) -> None:
        write(elsewhere, "= 5", "pyproject.toml")
        assert ends("runs")[0] == 0
        write(elsewhere, "[tool.harness]\n= 5", "pyproject.toml")
        assert "pyproject.toml is not valid TOML" in ends("runs")[2]

    def test_a_pyproject_whose_table_is_none(self, refusal: Refused, elsewhere: Path) -> None:
        write(elsewhere, "[tool]\nharness = 5", "pyproject.toml")
        assert "pyproject.toml has no table [tool.harness]" in refusal("runs")

    def test_a_pyproject_that_only_has_the_word(self, ends: Ends, elsewhere: Path) -> None:
        write(elsewhere, "tool = 5\nname = 'harness'", "pyproject.toml")
        assert ends("runs")[0] == 0


class TestTheHomeOfAUserWhoDoesNotExist:
    @pytest.mark.parametrize(
        "text", ["db = '~no-such-user/x'", "plugins = ['~no-such-user/x']", "[leaderboard]\nout = '~no-such-user/x'"]
    )
    def test_in_a_file(self, refusal: Refused, elsewhere: Path, text: str) -> None:
        write(elsewhere, text)
        assert "~no-such-user/x is refused: there is no user no-such-user; write" in refusal("leaderboard")

    @pytest.mark.parametrize("variable", ["HARNESS_CONFIG", "HARNESS_DB"])
    def test_in_a_variable(self, refusal: Refused, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
        monkeypatch.setenv(variable, "~no-such-user/x")
        assert "there is no user no-such-user" in refusal("leaderboard")


class TestPluginsOfAStranger:
    """A file that nobody named, of another user, must not make this user import code."""

    def test_are_refused_unless_the_file_is_named(
        self, ends: Ends, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = write(elsewhere, "plugins = ['mine.py']")
        write(elsewhere, f"from pathlib import Path\nPath('{elsewhere}/imported').touch()\n{METHOD}", "mine.py")
        monkeypatch.setattr(os, "getuid", lambda: file.stat().st_uid + 1)
        if file.stat().st_uid == 0:  # files of root are trusted, so the test's file gets another owner
            os.chown(file, 12345, -1)
        code, _, err = ends("list methods")
        assert (code, "belongs to another user, and names plugins" in err) == (2, True)
        assert not (elsewhere / "imported").exists()
        monkeypatch.setenv("HARNESS_CONFIG", str(file))
        assert ends("list methods")[0] == 0
        assert (elsewhere / "imported").exists()

    def test_are_refused_by_a_strangers_link_to_an_own_file(
        self, ends: Ends, elsewhere: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # paths are relative to the folder of the link, where the stranger leaves another mine.py
        file = write(tmp_path_factory.mktemp("own"), "plugins = ['mine.py']")
        write(elsewhere, METHOD, "mine.py")
        link = elsewhere / "harness.toml"
        link.symlink_to(file)
        owner = file.stat().st_uid
        if owner == 0:
            os.lchown(link, 12345, -1)
        else:  # this user may not give a link away
            held = Path.lstat
            changed = os.stat_result((*link.lstat()[:4], owner + 1, *link.lstat()[5:]))
            monkeypatch.setattr(Path, "lstat", lambda path: changed if path == link else held(path))
        code, _, err = ends("list methods")
        assert (code, "belongs to another user, and names plugins" in err) == (2, True)

    def test_anything_else_that_it_says_counts(
        self, ends: Ends, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = write(elsewhere, "[leaderboard]\nbrief = true")
        monkeypatch.setattr(os, "getuid", lambda: file.stat().st_uid + 1)
        assert ends("leaderboard --dataset svhn")[0] == 0
