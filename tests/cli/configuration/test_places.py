"""Where things are: an option, then a variable, then ``harness.toml``, then the default; paths beside their file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.planning.configuration import read_configuration
from harness.planning.places import PLACES, read_places
from harness.registry.catalogue import PLUGIN_FOLDER_VARIABLE
from harness.store import database
from harness.store.store import Store
from tests.cli.configuration.conftest import Asked
from tests.cli.conftest import Ends, Harness, Refused


@pytest.fixture
def below(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, two folders below the one that has the file."""
    folder = elsewhere / "one/two"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def write(folder: Path, text: str) -> None:
    (folder / "harness.toml").write_text(text)


class TestTheDatabase:
    """Each place has a file that is no database: the refusal names the one that was opened."""

    @pytest.fixture(autouse=True)
    def places(self, elsewhere: Path, below: Path) -> None:
        for name in ("line.db", "variable.db", "leaderboard.db"):
            (below / name).write_text("no database at all")
        (elsewhere / "file.db").write_text("no database at all")

    def test_each_place_in_turn(self, refusal: Refused, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert "leaderboard.db" in refusal("runs")
        write(elsewhere, 'db = "file.db"')
        assert str(elsewhere / "file.db") in refusal("runs")
        monkeypatch.setenv("HARNESS_DB", "variable.db")
        assert "variable.db" in refusal("runs")
        assert "line.db" in refusal("runs --db line.db")
        monkeypatch.setenv("HARNESS_DB", "")  # as if it were not set
        assert str(elsewhere / "file.db") in refusal("runs")

    def test_a_url_of_a_relative_file_is_beside_the_configuration(self, refusal: Refused, elsewhere: Path) -> None:
        write(elsewhere, 'db = "sqlite:///file.db"')
        assert str(elsewhere / "file.db") in refusal("runs")

    @pytest.mark.parametrize("url", ["sqlite:////tmp/x.db", "sqlite:///:memory:", "postgresql://host/board"])
    def test_any_other_url_stays(self, url: str, elsewhere: Path) -> None:
        write(elsewhere, f'db = "{url}"')
        assert read_places(read_configuration()).paths == {"db": url}


def test_runs_and_data(asked: Asked, elsewhere: Path, below: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked("run sat").data_dir == Path("data")
    write(elsewhere, 'data-dir = "images"\nruns-dir = "~/weights"')
    monkeypatch.setenv("HOME", str(elsewhere / "home"))
    assert asked("run sat").data_dir == elsewhere / "images"
    assert read_places(read_configuration()).paths["runs-dir"] == str(elsewhere / "home/weights")
    monkeypatch.setenv("HARNESS_DATA_DIR", "other")
    assert asked("run sat").data_dir == Path("other")
    assert asked("run sat --data-dir third").data_dir == Path("third")


def test_runs_of_the_variable_and_of_the_file(
    refusal: Refused, elsewhere: Path, below: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (elsewhere / "file").write_text("")
    (below / "variable").write_text("")
    write(elsewhere, 'runs-dir = "file"')
    assert f"--runs-dir {elsewhere / 'file'} cannot be written" in refusal("run sat")
    monkeypatch.setenv("HARNESS_RUNS_DIR", "variable")
    assert "--runs-dir variable cannot be written" in refusal("run sat")


def test_paths_in_a_table_are_beside_the_file_too(asked: Asked, elsewhere: Path, below: Path) -> None:
    (elsewhere / "order.txt").write_text("a\nb\n")
    write(elsewhere, '[run]\nprotocol = "mine.toml"\ndataset = "folder:my images"\nclass-order = "order.txt"')
    request = asked("run sat")
    assert request.protocol == str(elsewhere / "mine.toml")
    assert request.dataset == f"folder:{elsewhere / 'my images'}"
    assert request.class_order == str(elsewhere / "order.txt")
    write(elsewhere, '[run]\nprotocol = "paper"\ndataset = "digits"\nclass-order = "auto"')
    (elsewhere / "auto").write_text("")
    request = asked("run sat")
    assert (request.protocol, request.dataset, request.class_order) == ("paper", "digits", "auto")


def test_places_of_trackers_are_beside_the_file(
    asked: Asked, elsewhere: Path, below: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []

    def trackers_of(given: list[str], _: object) -> tuple[()]:
        seen.append(list(given))
        return ()

    monkeypatch.setattr("harness.trackers.named.trackers_of", trackers_of)
    names = ["tensorboard", "tensorboard:logs", "wandb:me/x", "mlflow:a.db", "mlflow:http://host/a", "mlflow:file:a"]
    write(elsewhere, f"[run]\ntrack = {names}")
    asked("run sat")
    logs, database = f"tensorboard:{elsewhere / 'logs'}", f"mlflow:{elsewhere / 'a.db'}"
    assert seen == [[names[0], logs, names[2], database, *names[4:]]]


class TestTwoSourcesThatDisagree:
    def test_the_variable_holds_and_that_is_said_once(
        self, ends: Ends, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write(elsewhere, 'db = "file.db"\nruns-dir = "weights"')
        monkeypatch.setenv("HARNESS_DB", "variable.db")
        code, _, err = ends("leaderboard --dataset svhn")
        said = f"HARNESS_DB=variable.db holds, and not db = {elsewhere / 'file.db'} of harness.toml\n"
        assert (code, err) == (0, said)
        Store.write("line.db").close()
        assert ends("leaderboard --dataset svhn --db line.db")[2] == ""  # neither counts

    @pytest.mark.parametrize("same", ["file.db", "./file.db", "one/../file.db"])
    def test_two_names_of_one_file_agree(
        self, ends: Ends, elsewhere: Path, monkeypatch: pytest.MonkeyPatch, same: str
    ) -> None:
        (elsewhere / "one").mkdir()
        write(elsewhere, 'db = "file.db"')
        monkeypatch.setenv("HARNESS_DB", same)
        assert ends("leaderboard --dataset svhn")[2] == ""

    def test_a_quiet_command_says_nothing(self, ends: Ends, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write(elsewhere, 'data-dir = "images"')
        monkeypatch.setenv("HARNESS_DATA_DIR", "other")
        command = "run sat --dataset digits --arch smallcnn --limit 10 --dry-run"
        assert "HARNESS_DATA_DIR=other holds" in ends(command)[2]
        assert ends(f"{command} --quiet")[2] == ""


class TestNoPasswordIsTold:
    """A terminal's text goes into logs and reports of faults."""

    @pytest.fixture(autouse=True)
    def secrets(self, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        address = "postgresql://me:p4ss@w/ord@file-host/board?password=word9"
        track = '["mlflow:http://t0ken@tracking-host", "mlflow:https://me:p4ss@tracking-host/x?key=word9"]'
        write(elsewhere, f'db = "{address}"\n[run]\ntrack = {track}')
        monkeypatch.setenv("HARNESS_DB", "variable.db")
        self.address = address

    @pytest.mark.parametrize("command", ["config", "config --json", "leaderboard --dataset svhn", "run sat --dry-run"])
    def test_of_the_file(self, command: str, ends: Ends) -> None:
        said = "".join(ends(command)[1:])
        assert "file-host" in said
        assert not {secret for secret in ("p4ss", "ord@", "t0ken", "word9") if secret in said}

    @pytest.mark.parametrize("command", ["config", "config --json"])
    def test_of_the_variable(self, command: str, ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HARNESS_DB", self.address.replace("file-host", "variable-host"))
        said = "".join(ends(command)[1:])
        assert "variable-host" in said
        assert not {secret for secret in ("p4ss", "ord@", "t0ken", "word9") if secret in said}


class TestConfig:
    """``harness config`` shows each setting, its value, and its origin."""

    def test_without_anything(self, harness: Harness, elsewhere: Path) -> None:
        document = json.loads(harness("config --json"))
        assert document["file"] is None
        assert {s["key"]: (s["value"], s["origin"], s["command"]) for s in document["settings"]} == {
            **{"db": ("leaderboard.db", "default", None), "runs-dir": ("runs", "default", None)},
            **{"data-dir": ("data", "default", None), "plugins": ([], "default", None)},
        }
        assert "none; there is no harness.toml here or in a folder above" in harness("config")

    def test_with_everything(self, harness: Harness, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (elsewhere / "mine").mkdir()
        write(elsewhere, 'db = "a.db"\nplugins = ["mine"]\n[run]\nseeds = 3\n[export.verdicts]\nformat = "csv"')
        monkeypatch.setenv("HARNESS_DB", "b.db")
        monkeypatch.setenv(PLUGIN_FOLDER_VARIABLE, "theirs")
        file = str(elsewhere / "harness.toml")
        document = json.loads(harness("config --json"))
        assert document["file"] == file
        told = [tuple(setting.values()) for setting in document["settings"]]
        assert told == [
            (None, "db", "b.db", "HARNESS_DB", str(elsewhere / "a.db")),
            (None, "runs-dir", "runs", "default", None),
            (None, "data-dir", "data", "default", None),
            (None, "plugins", ["theirs"], "HARNESS_PLUGINS", None),
            (None, "plugins", [str(elsewhere / "mine")], file, None),
            ("run", "seeds", 3, file, None),
            ("export verdicts", "format", "csv", file, None),
        ]
        table = harness("config")
        assert f"HARNESS_DB (the file says {elsewhere / 'a.db'})" in table
        assert "export verdicts" in table


def test_the_defaults_in_words_are_those_of_the_options(asked: Asked) -> None:
    defaults = {place.key: place.default for place in PLACES}
    assert defaults["db"] == database.DEFAULT
    assert {place.variable for place in PLACES} >= {database.VARIABLE}
    assert str(asked("run sat").data_dir) == defaults["data-dir"]
