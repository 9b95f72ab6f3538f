"""Options and requests: each field comes from one option; what commands share is one object; short forms of --set."""

from __future__ import annotations

import dataclasses
import inspect
import json
from pathlib import Path
from typing import Annotated, Any, get_args

import pytest
import typer

from harness.cli.compare import compare
from harness.cli.evaluate import evaluate
from harness.cli.grouped import grouped, request_of
from harness.cli.main import app
from harness.cli.options import Extent, ImageFolder, Output, Rules, Training
from harness.cli.places import Places
from harness.cli.reproduce import reproduce
from harness.cli.run import run
from harness.errors import SettingError
from harness.planning.request import EvaluateRequest, RunRequest
from tests.cli.conftest import Harness, Refused

MADE_OF = {"preprocessing": {"mean", "std", "outputs"}, "elsewhere": {"executor"}}  # a field that several options fill
NOT_OF_REQUESTS = {"workers", "devices", "per_device", "time_limit", "db", "dry_run", "as_json", "verbose", "quiet"}
NOT_OF_REQUESTS |= {"trackers", "ray_address", "allow_mixed"}


def declared(function: Any) -> dict[str, Any]:
    """What a command declares for each of its parameters, by name."""
    return {name: get_args(p.annotation)[1] for name, p in inspect.signature(function).parameters.items()}


@pytest.mark.parametrize(("function", "request_class"), [(run, RunRequest), (evaluate, EvaluateRequest)])
class TestRequests:
    def test_every_field_comes_from_one_option_and_every_option_fills_a_field(
        self, function: Any, request_class: Any
    ) -> None:
        fields = {field.name for field in dataclasses.fields(request_class)}
        filled = (fields - MADE_OF.keys()) | set().union(*(MADE_OF[name] for name in fields & MADE_OF.keys()))
        beside = (
            NOT_OF_REQUESTS | ({"fresh", "runs_dir"} - fields) | ({"detach"} if function is run else set())
        )  # `run` hands these to what conducts it
        assert set(declared(function)) == filled | beside
        (command,) = [c for c in app.registered_commands if c.callback is function]
        assert command.name is not None
        flags = [flag for p in typer.main.get_command(app).commands[command.name].params for flag in p.opts]  # type: ignore[attr-defined]
        assert len(flags) == len(set(flags))

    def test_an_option_that_is_not_given_is_the_request_s_default(self, function: Any, request_class: Any) -> None:
        defaults = {name: p.default for name, p in inspect.signature(function).parameters.items()}
        for field in dataclasses.fields(request_class):
            shown = defaults.get(field.name)
            if shown is not None and shown is not inspect.Parameter.empty:
                assert shown == field.default, field.name


@pytest.mark.parametrize("pair", [(run, reproduce), (run, evaluate), (reproduce, evaluate), (run, compare)])
def test_what_commands_share_is_the_very_same_option(pair: tuple[Any, Any]) -> None:
    one, other = map(declared, pair)
    own = {
        "dataset",
        "network",
        "epsilon",
        "norm",
        "attacks",
        "protocol",
        "data_dir",
    }  # other words: run trains, evaluate not
    own -= {"epsilon", "norm", "attacks", "protocol", "data_dir"} if pair == (run, reproduce) else set()
    own -= {"protocol", "data_dir"} if evaluate in pair else set()
    shared = {name for name in one.keys() & other.keys() if one[name] is other[name]}
    assert shared == (one.keys() & other.keys()) - own
    groups: dict[Any, tuple[Any, ...]] = {
        evaluate: (Extent, ImageFolder, Rules, Places, Output),
        compare: (ImageFolder,),
    }
    for group in groups.get(pair[1], (Extent, ImageFolder, Rules, Places, Output, Training)):
        assert {field.name for field in dataclasses.fields(group)} <= shared


class TestGrouped:
    def test_a_group_is_written_out_and_handed_on(self) -> None:
        seen = []

        @grouped
        def command(number: Annotated[int, typer.Argument()], *, output: Output, last: bool = False) -> None:
            """Do something."""
            seen.append((number, output, last))

        signature = inspect.signature(command)
        assert list(signature.parameters) == ["number", "as_json", "verbose", "quiet", "last"]
        assert signature.parameters["quiet"].default is False
        assert command.__doc__ == "Do something."
        command(number=3, as_json=True, verbose=False, quiet=False, last=True)
        assert seen == [(3, Output(as_json=True), True)]

    def test_a_request_takes_fields_by_name_and_keeps_its_defaults(self) -> None:
        extent, places = Extent(seeds=7), Places(plugins=[Path("a.py")])
        request = request_of(RunRequest, ImageFolder(image_size=8), extent, places, methods=["sat"], epsilon=None)
        assert request == RunRequest(methods=("sat",), seeds=7, image_size=8, plugins=(Path("a.py"),))
        with pytest.raises(AssertionError, match="no field nonsense"):
            request_of(RunRequest, methods=("sat",), nonsense=1)

    def test_loud_and_quiet_exclude_each_other(self) -> None:
        with pytest.raises(SettingError, match="exclude each other"):
            Output(verbose=True, quiet=True)


RUN = "run sat --dataset digits --arch smallcnn --seeds 1 --dry-run --json"


class TestShortForms:
    """On `run`, ``--epsilon`` and ``--attacks`` are ``--set``: the plans, which name every setting, are equal."""

    @pytest.mark.parametrize(
        ("short", "long"),
        [
            ("--epsilon 4/255", "--set epsilon=4/255"),
            ("--attacks natural,cw", "--set evaluation.attacks=natural,cw"),
            ("--attacks natural,cw --set cw.kappa=1", "--set evaluation.attacks=natural,cw --set cw.kappa=1"),
            ("--attacks natural,fgsm", "--set evaluation.attacks=pgd --set evaluation.attacks=natural,fgsm"),
            ("--epochs 3 --precision bfloat16", "--set train.epochs=3 --set train.precision=bfloat16"),
            ("--set epochs=3 --epochs 3", "--set epochs=3"),
            ("--epsilon 1/10 --set epsilon=0.1", "--set epsilon=0.1"),
            ("--set epochs=9 --set train.epochs=3 --epochs 3", "--set epochs=3"),
        ],
    )
    def test_they_mean_the_same(self, harness: Harness, elsewhere: Path, short: str, long: str) -> None:
        assert json.loads(harness(f"{RUN} {short}")) == json.loads(harness(f"{RUN} {long}"))
        assert list(elsewhere.iterdir()) == []

    @pytest.mark.parametrize(
        ("command", "refused", "beside"),
        [
            (f"{RUN} --epochs 3 --set train.epochs=5", "--epochs 3", "--set train.epochs=5"),
            (f"{RUN} --set epochs=5 --epochs 3", "--epochs 3", "--set epochs=5"),
            (f"{RUN} --epsilon 1e999999999 --set epsilon=0.1", "--epsilon 1e999999999", "--set epsilon=0.1"),
            (f"{RUN} --set train.norm=l2 --norm linf", "--norm linf", "--set train.norm=l2"),
            (f"{RUN} --attacks pgd --set evaluation.attacks=cw", "--attacks pgd", "--set evaluation.attacks=cw"),
            ("tune sat --epochs 3 --set epochs=5 --dry-run", "--epochs 3", "--set epochs=5"),
            (
                "evaluate 1 --epsilon 4/255 --set evaluation.epsilon=2/255 --dry-run",
                *("--epsilon 4/255", "--set evaluation.epsilon=2/255"),
            ),
        ],
    )
    def test_two_values_of_one_setting_are_refused(
        self, refusal: Refused, elsewhere: Path, command: str, refused: str, beside: str
    ) -> None:
        """Nobody can tell which of the two is meant; the short form counted, and ``--set`` had no effect."""
        assert refusal(command) == f"harness: {refused} is refused: {beside} sets it, too; leave one out\n"
        assert list(elsewhere.iterdir()) == []

    def test_a_short_form_holds_over_a_setting_of_the_configuration(self, harness: Harness, elsewhere: Path) -> None:
        (elsewhere / "harness.toml").write_text('[run]\nset = ["train.epochs=5"]\n')
        plan = json.loads(harness(f"{RUN} --epochs 3"))
        (elsewhere / "harness.toml").unlink()
        assert plan == json.loads(harness(f"{RUN} --epochs 3"))

    def test_attacks_are_those_that_are_named(self, harness: Harness) -> None:
        document = json.loads(harness(f"{RUN} --attacks natural,fgsm"))
        assert {entry["attack"] for entry in document["evaluations"]} == {"natural", "fgsm"}
