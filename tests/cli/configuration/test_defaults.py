"""Defaults of options from ``harness.toml``: the command line, then a variable, then the file, then the default."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer

from harness.cli.config_file import options_of
from harness.cli.main import app
from harness.planning.places import PLACES, NamedPlace
from harness.planning.request import RunRequest
from tests.cli.configuration.conftest import Asked
from tests.cli.conftest import Ends, Harness, Refused
from tests.cli.sources import METHOD

NONE = RunRequest(methods=("sat",))  # `harness run sat`


def write(folder: Path, text: str, name: str = "harness.toml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


LONG = (
    "--arch smallcnn --dataset digits --wrap ema --wrap awp --image-size 9 --class-order a,b --channels 1"
    " --protocol paper --set train.lr=0.1 --set width=4 --epsilon 4/255 --norm L2 --attacks natural,pgd --epochs 3"
    " --precision tf32 --seeds 2 --train-seeds 4 --limit 30 --no-checks --device cpu --plain --state-every 3"
    " --deterministic --devices-per-run 2"
)
SHORT = """
[run]
arch = "smallcnn"
dataset = "digits"
wrap = ["ema", "awp"]
image-size = 9
class-order = "a,b"
channels = 1
protocol = "paper"
set = ["train.lr=0.1", "width=4"]
epsilon = "4/255"
norm = "L2"
attacks = ["natural", "pgd"]
epochs = 3
precision = "tf32"
seeds = 2
train-seeds = 4
limit = 30
checks = false
device = "cpu"
plain = true
state-every = 3
deterministic = true
devices-per-run = 2
"""


class TestTheSameRequest:
    def test_of_a_long_command_and_a_short_one(self, asked: Asked, elsewhere: Path) -> None:
        long = asked(f"run sat {LONG}")
        assert asked("run sat") == NONE
        write(elsewhere, SHORT)
        assert asked("run sat") == long
        assert long != NONE

    def test_from_a_folder_below(self, asked: Asked, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write(elsewhere, "[run]\nepochs = 3")
        (elsewhere / "a/b").mkdir(parents=True)
        monkeypatch.chdir(elsewhere / "a/b")
        assert asked("run sat").epochs == 3

    def test_of_the_table_in_pyproject(self, asked: Asked, elsewhere: Path) -> None:
        long = asked(f"run sat {LONG}")
        write(elsewhere, SHORT.replace("[run]", "[tool.harness.run]"), "pyproject.toml")
        assert asked("run sat") == long

    def test_the_nearest_file_counts_alone(
        self, asked: Asked, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write(elsewhere, "[run]\nepochs = 3\nseeds = 9")
        write(elsewhere / "inner", "[run]\nepochs = 4")
        write(elsewhere / "inner/most", "[tool.other]\nname = 'no harness here'", "pyproject.toml")
        monkeypatch.chdir(elsewhere / "inner/most")
        assert asked("run sat") == RunRequest(methods=("sat",), epochs=4)

    @pytest.mark.parametrize("none", ["", "none", "None"])
    def test_a_variable_names_another_file_or_none(
        self, asked: Asked, elsewhere: Path, monkeypatch: pytest.MonkeyPatch, none: str
    ) -> None:
        write(elsewhere, "[run]\nepochs = 3")
        monkeypatch.setenv("HARNESS_CONFIG", none)
        assert asked("run sat") == NONE
        monkeypatch.setenv("HARNESS_CONFIG", str(write(elsewhere / "x", "[run]\nepochs = 5", "other.toml")))
        assert asked("run sat").epochs == 5
        monkeypatch.setenv("HARNESS_CONFIG", "x/pyproject.toml")
        write(elsewhere / "x", "[tool.harness.run]\nepochs = 6", "pyproject.toml")
        assert asked("run sat").epochs == 6


class TestTheCommandLineHolds:
    @pytest.mark.parametrize(
        ("typed", "field", "value"),
        [
            ("--epochs 5", "epochs", 5),
            ("--dataset cifar10", "dataset", "cifar10"),
            ("--wrap ema", "wrap", ("ema",)),
            ("--attacks natural", "attacks", ("natural",)),
            ("--checks", "checks", True),
            ("--seeds 5", "seeds", 5),  # which is the option's default
        ],
    )
    def test_over_the_file(self, asked: Asked, elsewhere: Path, typed: str, field: str, value: object) -> None:
        write(elsewhere, SHORT)
        changed = asked(f"run sat {typed}")
        assert getattr(changed, field) == value
        before = asked("run sat")
        assert {f for f in vars(before) if getattr(before, f) != getattr(changed, f)} == {field}

    def test_settings_add_up_and_those_of_the_line_come_last(self, asked: Asked, elsewhere: Path) -> None:
        write(elsewhere, '[run]\nset = ["train.lr=0.1", "width=4"]')
        assert asked("run sat --set width=8 --set momentum=0").values == (
            *("train.lr=0.1", "width=4", "width=8", "momentum=0"),
        )

    @pytest.mark.parametrize(
        ("typed", "field"),
        [
            ("train.epochs=9", "epochs"),
            ("epochs=9", "epochs"),
            ("epsilon=0.5", "epsilon"),
            ("evaluation.attacks=cw", "attacks"),
            ("train.precision=float32", "precision"),
        ],
    )
    def test_a_short_form_of_the_file_gives_way_to_a_setting_of_the_line(
        self, asked: Asked, elsewhere: Path, typed: str, field: str
    ) -> None:
        """Otherwise the short form, which comes after all settings, would hold over what was typed."""
        write(elsewhere, SHORT)
        request = asked(f"run sat --set {typed}")
        assert getattr(request, field) is None
        assert request.values[-1] == typed
        assert asked("run sat --set train.momentum=0").epochs == 3

    def test_a_radius_of_the_attacks_alone_does_not_take_the_training_s_away(
        self, asked: Asked, elsewhere: Path
    ) -> None:
        write(elsewhere, SHORT)
        assert asked("run sat --set evaluation.epsilon=0.5").epsilon == "4/255"


class TestWhatIsTold:
    def test_a_note_says_what_came_from_the_file_once(self, ends: Ends, elsewhere: Path) -> None:
        write(elsewhere, '[leaderboard]\nsource = "reported"\nbrief = true')
        code, _, err = ends("leaderboard --dataset svhn")
        assert (code, err) == (0, "harness.toml: source = reported, brief = true\n")
        assert ends("leaderboard --dataset svhn --source reported")[2] == "harness.toml: brief = true\n"

    def test_a_refusal_says_which_options_the_file_gives(self, refusal: Refused, elsewhere: Path) -> None:
        write(elsewhere, '[run]\ndataset = "digts"\narch = "smallcnn"\nseeds = 2')
        line = refusal("run sat --seeds 1 --dry-run")
        assert "did you mean 'digits'" in line
        assert line.endswith(" (harness.toml gives dataset, arch)\n")

    def test_quiet_is_quiet_and_a_file_may_say_so(self, ends: Ends, elsewhere: Path) -> None:
        write(elsewhere, '[run]\ndataset = "digits"\narch = "smallcnn"\nlimit = 10')
        told = "harness.toml: dataset = digits, arch = smallcnn, limit = 10\n"
        assert ends("run sat --dry-run")[2] == told
        assert ends("run sat --dry-run --quiet")[2] == ""

    def test_two_files_in_one_folder(self, ends: Ends, elsewhere: Path) -> None:
        write(elsewhere, "[tool.harness.leaderboard]\nbrief = true", "pyproject.toml")
        write(elsewhere, "[leaderboard]\nlegend = true")
        err = ends("leaderboard --dataset svhn --source reported")[2]
        assert err == (
            "harness.toml: legend = true\n"
            "harness.toml holds; [tool.harness] of the pyproject.toml beside it is not read\n"
        )

    def test_characters_that_change_a_terminal_are_shown_as_escapes(self, ends: Ends, elsewhere: Path) -> None:
        write(elsewhere, '[leaderboard]\nsort = "a\\u001b[2Jb"')
        code, _, err = ends("leaderboard --dataset svhn --sort autoattack")
        assert (code, err) == (0, "")
        write(elsewhere, '[runs]\ntag = "a\\u001b[2Jb"')
        assert ends("runs")[2].startswith("harness.toml: tag = a\\x1b[2Jb")

    def test_without_a_file_nothing_is_told(self, ends: Ends) -> None:
        assert ends("leaderboard --dataset svhn")[2] == ""


def test_every_option_may_stand_in_a_file_but_places_and_what_is_typed_each_time() -> None:
    group: Any = typer.main.get_command(app)
    keys = {option.key for option in options_of(group.commands["run"])}
    every = {parameter.opts[0].removeprefix("--") for parameter in group.commands["run"].params} - {"methods"}
    assert every - keys == {
        "db",
        "runs-dir",
        "data-dir",
        "plugin",
        "fresh",
        "dry-run",
        "detach",
        "grid",
        "until-separated",
    }


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.key)
def test_a_place_is_the_same_for_all_commands(place: NamedPlace) -> None:
    """But for ``compare --data-dir``, which would then download data sets."""
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    own = [(name, p) for name, command in commands.items() for p in command.params if f"--{place.key}" in p.opts]
    assert [name for name, p in own if p.envvar != place.variable] == ["compare"] * (place.key == "data-dir")
    assert len(own) > 1


def test_help_reads_no_file(harness: Harness, elsewhere: Path) -> None:
    before = harness("run --help")
    write(elsewhere, "[run]\nepochs = 77")
    assert harness("run --help") == before
    write(elsewhere, "[rnu]\n= 5")
    assert harness("run --help") == before
    assert harness("--help") != ""
    assert "usage" in harness("").lower()


def test_a_table_of_an_export(ends: Ends, elsewhere: Path) -> None:
    write(elsewhere, '[export.verdicts]\nformat = "csv"\nmethod = "nobody"')
    assert "(harness.toml gives format, method)" in ends("export verdicts")[2]


def test_plugins_of_the_file_are_found_and_add_up(
    harness: Harness, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(elsewhere / "mine", METHOD, "first.py")
    write(elsewhere / "mine", "import nothing_of_this_name", "broken.py")
    write(elsewhere, METHOD, "second.py")
    write(elsewhere, METHOD, "third.py")
    write(elsewhere, METHOD, "_shared.py")
    write(elsewhere / "four", METHOD, "fourth.py")
    write(elsewhere, 'plugins = ["mine", "second.py"]')
    (elsewhere / "below").mkdir()
    monkeypatch.chdir(elsewhere / "below")
    monkeypatch.setenv("HARNESS_PLUGINS", str(elsewhere / "four"))
    listed = json.loads(harness("list methods --json --plugin ../third.py"))
    names = [entry["name"] for entry in listed["methods"]]
    assert {"first", "second", "third", "fourth"} <= {*names}
    assert [entry["name"] for entry in listed["broken"]] == ["broken"]
