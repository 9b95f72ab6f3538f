"""Names and values that are refused: exit code 2, one line on standard error, nothing written."""

from __future__ import annotations

import shlex

import pytest

from tests.cli.bad_input.given import RUN
from tests.cli.conftest import Harness, Refused

NAMES = {  # command -> what must be in the line
    "run satt --dataset digits --arch smallcnn": ["unknown method 'satt'", "did you mean 'sat'", "lrat"],
    "run sat lratt --dataset digits --arch smallcnn": ["unknown method 'lratt'", "did you mean 'lrat'"],
    "run SAT --dataset digits --arch smallcnn": ["unknown method 'SAT'", "known: "],
    "run '' --dataset digits --arch smallcnn": ["unknown method ''"],
    "run sat --dataset digits --arch smalcnn": ["unknown network 'smalcnn'", "did you mean 'smallcnn'", "resnet18"],
    "run sat --dataset digit --arch smallcnn": ["unknown dataset 'digit'", "did you mean 'digits'", "cifar10"],
    "run sat --dataset cifar-10": ["unknown dataset 'cifar-10'", "did you mean 'cifar10'"],
    f"{RUN} --protocol digit": ["unknown protocol 'digit'", "did you mean 'digits'", "paper"],
    f"{RUN} --protocol nowhere.toml": ["there is no protocol file nowhere.toml; check the path"],
    f"{RUN} --set epslion=0.1": ["unknown setting 'epslion'", "did you mean 'epsilon'"],
    f"{RUN} --set widht=4": ["unknown setting 'widht'", "did you mean 'width'"],
    f"{RUN} --set train.epoch=1": ["unknown setting 'train.epoch'", "did you mean 'train.epochs'"],
    f"{RUN} --set evaluation.attacks=natural,pgdd": ["unknown attack 'pgdd'", "did you mean 'pgd'"],
    f"{RUN} --epochz 3": ["--epochz"],
    "list method": ["unknown kind 'method'", "did you mean 'methods'"],
    "leaderbord": ["leaderbord"],
    "leaderboard --sort autoatack": ["unknown column 'autoatack'", "did you mean 'autoattack'"],
    "leaderboard --format xml": ["--format", "xml", "markdown"],
    "show 99": ["there is no run 99", "harness runs"],
    "show ninety": ["unknown run or model, row, plugin, or protocol 'ninety'"],
    "compare sat trade --dataset digits": ["unknown row 'sat'"],
    "evaluate 99": ["there is no run 99"],
    "list": ["KIND"],
    "run": ["METHOD"],
    "runs --state dead": ["--state", "'dead' is not one of 'queued', 'running', 'done'"],
}

VALUES = {
    "--wrap ema --wrap awp --wrap ema": ["--wrap ema is given twice, and a wrapper counts once; leave one out"],
    "--set train.lr_drops=0.9,0.5": ["lr_drops=0.9,0.5 is refused", "write 0.5,0.9"],
    "--set epsilon=8": ["epsilon=8 is refused", "write 8/255 rather than 8"],
    "--set epsilon=-0.1": ["epsilon=-0.1 is refused"],
    "--set epsilon=nan": ["epsilon=nan is refused"],
    "--set epsilon=large": ["epsilon=large is refused", "number"],
    "--set epsilon=8/0": ["epsilon=8/0 is refused"],
    "--set epsilon=./255": ["epsilon=./255 is refused"],
    "--set epsilon=1.2.3/255": ["epsilon=1.2.3/255 is refused"],
    "--set lr=0": ["lr=0 is refused"],
    "--set lr=nan": ["lr=nan is refused"],
    "--set lr=inf": ["lr=inf is refused"],
    "--set weight_decay=inf": ["weight_decay=inf is refused"],
    "--set train.relative_step=inf": ["relative_step=inf is refused"],
    "--set momentum=1": ["momentum=1 is refused"],
    "--set batch_size=1": ["batch_size=1 is refused"],
    "--set train.steps=0": ["steps=0 is refused"],
    "--set train.steps=2.5": ["steps=2.5 is refused"],
    "--set train.start=middle": ["start=middle is refused", "'uniform'"],
    "--set evaluation.checkpoints=best": ["best", "train.validation"],
    "--set lr_drops=0.5,later": ["lr_drops=0.5,later is refused"],
    "--set cw.kappa=high": ["cw: kappa=high is refused"],
    "--set pgd.keep=best": ["pgd: keep=best is refused", "'worst'"],
    "--set width=0": ["smallcnn: width=0 is refused"],
    "--set width=4.5": ["smallcnn: width=4.5 is refused"],
    "--set width": ["--set width is refused", "key=value"],
    "--set steps=5": ["steps could be train.steps or evaluation.steps or minimum-margin.steps"],
    "--set evaluation.attacks=": ["attacks= is refused"],
    "--set evaluation.checkpoints=": ["checkpoints= is refused"],
    "--epsilon 8": ["epsilon=8 is refused", "write 8/255 rather than 8"],
    "--attacks ''": ["--attacks '' is refused", "name at least one"],
    "--attacks natural,pgdd": ["unknown attack 'pgdd'", "did you mean 'pgd'"],
    "--attacks pgd,pgd": ["attacks=pgd,pgd is refused"],
    "--verbose --quiet": ["--verbose and --quiet exclude each other", "leave one out"],
    "--epochs 0": ["--epochs 0 is refused", "1 or more"],
    "--seeds 0": ["--seeds 0 is refused", "1 or more"],
    "--seeds -1": ["--seeds -1 is refused"],
    "--seeds many": ["--seeds", "integer"],
    "--train-seeds 0": ["--train-seeds 0 is refused", "1 or more"],
    "--limit 0": ["--limit 0 is refused", "1 or more"],
    "--limit 361": ["--limit 361 is refused", "360 test images"],
    "--workers 0": ["--workers 0 is refused", "1 or more"],
    "--image-size 8": ["--image-size is for folders of images"],
    "--precision half": ["precision=half is refused", "'bfloat16'"],
    "--precision tf32 --device cpu": ["tf32 needs a CUDA device"],
    "--device gpu": ["--device gpu is not a device", "cpu, cuda"],
    "--device mps": ["--device mps is not supported"],
}

FIELDS = {
    "run sat --dataset digits": ["resnet18 takes images of 16x16 to 96x96, not 8x8", "--arch", "smallcnn"],
    "run sat --dataset digits --arch wrn-32-10": ["wrn-32-10", "not 8x8", "smallcnn"],
    "run sat --arch smallcnn --dataset digits:here": ["digits takes nothing after the colon"],
    "run sat --arch smallcnn --dataset folder": ["folder needs its path", "folder:PATH"],
    "run sat --arch smallcnn --dataset folder:": ["folder needs its path", "folder:PATH"],
    "run sat --arch smallcnn --dataset folder:nowhere": ["there is no folder", "nowhere", "train/CLASS/*"],
}


@pytest.mark.parametrize(("command", "parts"), NAMES.items(), ids=NAMES)
def test_an_unknown_name(refusal: Refused, command: str, parts: list[str]) -> None:
    line = refusal(command)
    assert [part for part in parts if part not in line] == []


LONG = [  # commands that echo X
    *("runs --state X", "runs --sort X", "runs --since X", "runs --limit X", "X", "runs --X", "list X", "show X"),
    *("leaderboard --dataset X", "leaderboard --db X", "leaderboard --columns X", "evaluate X.pt --dataset digits"),
    *("run X --dataset digits", "run sat --dataset X", "run sat --dataset digits --arch X", f"{RUN} --set X=1"),
    *(f"{RUN} --set width=X", f"{RUN} --track X", f"{RUN} --plugin X.py", f"{RUN} --protocol X", f"{RUN} --attacks X"),
    *(f"{RUN} --device X", "show 1 --as X", "compare X Y", "tag 1 --add X", "export hub 1 --licence X"),
]


@pytest.mark.parametrize("value", ["x" * 5000, "x y " * 1250, "x/" * 2500], ids=["word", "words", "path"])
@pytest.mark.parametrize("command", LONG)
def test_a_long_value_is_not_echoed_whole(refusal: Refused, command: str, value: str) -> None:
    line = refusal(command.replace("X", shlex.quote(value)))
    assert len(line) < 1500
    assert "xxxx" * 30 not in line


def test_no_word_of_a_library_begins_a_rule(refusal: Refused) -> None:
    for command in ("runs --state dead", "leaderboard --format xml", "show 1 --as x", "runs --limit x"):
        assert "Value error" not in refusal(command)


@pytest.mark.parametrize(("options", "parts"), VALUES.items(), ids=VALUES)
def test_a_value_out_of_range(refusal: Refused, options: str, parts: list[str]) -> None:
    line = refusal(f"{RUN} {options}")
    assert [part for part in parts if part not in line] == []


@pytest.mark.parametrize(("command", "parts"), FIELDS.items(), ids=FIELDS)
def test_what_does_not_fit_together(refusal: Refused, command: str, parts: list[str]) -> None:
    line = refusal(command)
    assert [part for part in parts if part not in line] == []


def test_the_commands_here_are_refused_for_what_is_bad_in_them_alone(harness: Harness) -> None:
    assert "nothing is written" in harness(f"{RUN} --dry-run")
