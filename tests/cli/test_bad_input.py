"""Every bad input: exit code 2, one line on standard error, nothing on standard output, and nothing written."""

from __future__ import annotations

import contextlib
import os
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast
from urllib.error import URLError

import pytest
import torch
from PIL import Image

from harness.cli.main import main
from harness.planning.overrides import read_dataset
from harness.plugin.dataset import DataSource
from harness.protocols.protocol import load_protocol
from harness.registry.catalogue import discover, make
from harness.store.schema import VERSION_TABLE
from harness.store.store import Store

RUN = "run sat --dataset digits --arch smallcnn"  # what a bad input is added to: alone, it would train


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and no variable of the user's."""
    for name in ("HARNESS_DB", "HARNESS_PLUGINS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """What should be refused and is not must not take minutes."""

    def go_on(*_: object, **__: object) -> None:
        pytest.fail("it was not refused")

    monkeypatch.setattr("harness.execution.conduct.Conductor.conduct", go_on)


def tree(folder: Path) -> dict[str, bytes | None]:
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


class Refusal:
    """Runs the command line here, and gives the one line with which it refuses."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
        self._monkeypatch, self._capsys, self._folder = monkeypatch, capsys, folder

    def __call__(self, command: str) -> str:
        before = tree(self._folder)
        self._monkeypatch.setattr(sys, "argv", ["harness", *shlex.split(command)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = self._capsys.readouterr()
        assert ended.value.code == 2
        assert out == ""
        assert err.startswith("harness: ")
        assert err.count("\n") == 1
        assert err.endswith("\n")
        assert tree(self._folder) == before
        return err


@pytest.fixture
def refusal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], elsewhere: Path) -> Refusal:
    return Refusal(monkeypatch, capsys, elsewhere)


NAMES = {  # command -> what must be in the line
    "run satt --dataset digits --arch smallcnn": ["unknown method 'satt'", "did you mean 'sat'", "lrat"],
    "run sat lratt --dataset digits --arch smallcnn": ["unknown method 'lratt'", "did you mean 'lrat'"],
    "run SAT --dataset digits --arch smallcnn": ["unknown method 'SAT'", "known: "],
    "run '' --dataset digits --arch smallcnn": ["unknown method ''"],
    "run sat --dataset digits --arch smalcnn": ["unknown network 'smalcnn'", "did you mean 'smallcnn'", "resnet18"],
    "run sat --dataset digit --arch smallcnn": ["unknown dataset 'digit'", "did you mean 'digits'", "cifar10"],
    "run sat --dataset cifar-10": ["unknown dataset 'cifar-10'", "did you mean 'cifar10'"],
    f"{RUN} --protocol digit": ["unknown protocol 'digit'", "did you mean 'digits'", "paper"],
    f"{RUN} --protocol nowhere.toml": ["unknown protocol 'nowhere.toml'"],
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
    "show ninety": ["unknown run or model 'ninety'"],
    "compare sat trade --dataset digits": ["unknown row 'sat'"],
    "evaluate 99": ["there is no run 99"],
    "list": ["KIND"],
    "run": ["METHOD"],
}

VALUES = {
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
    "--set evaluation.checkpoints=best": ["checkpoints=best is refused", "'early'"],
    "--set lr_drops=0.5,later": ["lr_drops=0.5,later is refused"],
    "--set cw.kappa=high": ["cw: kappa=high is refused"],
    "--set pgd.keep=best": ["pgd: keep=best is refused", "'worst'"],
    "--set width=0": ["smallcnn: width=0 is refused"],
    "--set width=4.5": ["smallcnn: width=4.5 is refused"],
    "--set width": ["--set width is refused", "key=value"],
    "--set steps=5": ["steps could be train.steps or evaluation.steps"],
    "--set evaluation.attacks=": ["attacks= is refused"],
    "--set evaluation.checkpoints=": ["checkpoints= is refused"],
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
    "run sat --dataset digits": ["resnet18 takes images of 16x16 to 64x64, not 8x8", "--arch", "smallcnn"],
    "run sat --dataset digits --arch wrn-32-10": ["wrn-32-10", "not 8x8", "smallcnn"],
    "run sat --arch smallcnn --dataset digits:here": ["digits takes nothing after the colon"],
    "run sat --arch smallcnn --dataset folder": ["folder needs its path", "folder:PATH"],
    "run sat --arch smallcnn --dataset folder:": ["folder needs its path", "folder:PATH"],
    "run sat --arch smallcnn --dataset folder:nowhere": ["there is no folder", "nowhere", "train/CLASS/*"],
}


@pytest.mark.parametrize(("command", "parts"), NAMES.items(), ids=NAMES)
def test_an_unknown_name(refusal: Refusal, command: str, parts: list[str]) -> None:
    line = refusal(command)
    assert [part for part in parts if part not in line] == []


@pytest.mark.parametrize(("options", "parts"), VALUES.items(), ids=VALUES)
def test_a_value_out_of_range(refusal: Refusal, options: str, parts: list[str]) -> None:
    line = refusal(f"{RUN} {options}")
    assert [part for part in parts if part not in line] == []


@pytest.mark.parametrize(("command", "parts"), FIELDS.items(), ids=FIELDS)
def test_what_does_not_fit_together(refusal: Refusal, command: str, parts: list[str]) -> None:
    line = refusal(command)
    assert [part for part in parts if part not in line] == []


def test_the_commands_here_are_refused_for_what_is_bad_in_them_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["harness", *shlex.split(f"{RUN} --dry-run")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert "nothing is written" in capsys.readouterr().out


class TestProtocolFile:
    @staticmethod
    def text() -> str:
        """A protocol file that is taken."""
        train, evaluation = (dict(load_protocol("digits").document()[part]) for part in ("train", "evaluation"))
        tables = {"train": train, "evaluation": evaluation | {"attacks": ["natural", "cw"]}, "attacks.cw": {"kappa": 1}}
        lines = ['summary = "mine"', "epsilon = 0.1"]
        for name, values in tables.items():
            lines += [f"[{name}]", *(f"{key} = {value!r}" for key, value in values.items())]
        return "\n".join(lines)

    def test_a_good_one_is_taken(self, monkeypatch: pytest.MonkeyPatch, elsewhere: Path) -> None:
        (elsewhere / "mine.toml").write_text(self.text())
        monkeypatch.setattr(sys, "argv", ["harness", *shlex.split(f"{RUN} --protocol mine.toml --dry-run")])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0

    @pytest.mark.parametrize(
        ("old", "new", "parts"),
        [
            ("epsilon = 0.1", "epsilon = 8", ["epsilon=8 is refused", "8/255"]),
            ("epsilon = 0.1", "epsilon = ", ["'mine' is not valid TOML", "line 2"]),
            ("epsilon = 0.1", "", ["'mine' does not set epsilon"]),
            ("epsilon = 0.1", "epsilonn = 0.1", ["unknown protocol key 'epsilonn'", "did you mean 'epsilon'"]),
            ("momentum = ", "momentumm = ", ["table train", "'momentumm'", "did you mean 'momentum'"]),
            ("block_size = 500", "block_size = 0", ["block_size=0 is refused"]),
            ("[train]", "[trane]", ["unknown protocol key 'trane'", "did you mean 'train'"]),
            ("kappa", "kapa", ["unknown setting 'kapa'", "did you mean 'kappa'"]),
            ("[attacks.cw]", "[attacks.cww]", ["'cww'"]),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_a_bad_one(self, refusal: Refusal, elsewhere: Path, old: str, new: str, parts: list[str]) -> None:
        (elsewhere / "mine.toml").write_text(self.text().replace(old, new))
        line = refusal(f"{RUN} --protocol mine.toml")
        assert [part for part in parts if part not in line] == []

    def test_one_whose_table_is_a_number(self, refusal: Refusal, elsewhere: Path) -> None:
        (elsewhere / "mine.toml").write_text('summary = "mine"\nepsilon = 0.1\ntrain = 5\nevaluation = 5\n')
        assert "must be a table, and is 5" in refusal(f"{RUN} --protocol mine.toml")

    def test_one_that_is_no_text(self, refusal: Refusal, elsewhere: Path) -> None:
        (elsewhere / "mine.toml").write_bytes(b"\xff\xfe\x00")
        assert "mine" in refusal(f"{RUN} --protocol mine.toml")


def read_dataset_of(text: str) -> None:
    cls, values = read_dataset(discover("datasets"), text, None)
    cast(DataSource, make(cls, cls.name, values)).load(Path("data"))


class TestData:
    def test_a_corrupt_file_of_cifar10(self, refusal: Refusal, elsewhere: Path) -> None:
        file = elsewhere / "data" / "cifar-10-batches-py" / "data_batch_1"
        file.parent.mkdir(parents=True)
        file.write_bytes(b"half a file")
        line = refusal("run sat")
        for part in ("data/cifar-10-batches-py/data_batch_1 is corrupt", "delete it", "https://", "--dataset digits"):
            assert part in line

    @pytest.mark.parametrize(("dataset", "file"), [("cifar10", "data_batch_1"), ("svhn", "train_32x32.mat")])
    def test_a_download_that_fails(
        self, refusal: Refusal, monkeypatch: pytest.MonkeyPatch, dataset: str, file: str
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            raise URLError("the name of the server is not known")

        monkeypatch.setattr("urllib.request.urlopen", fail)
        line = refusal(f"run sat --dataset {dataset} --data-dir somewhere")
        for part in (f"{file} is missing", "could not be fetched", "not known", "by hand", "--dataset digits"):
            assert part in line

    @pytest.mark.parametrize("dry", ["", " --dry-run"])
    def test_fewer_classes_than_an_attack_needs(self, refusal: Refusal, elsewhere: Path, dry: str) -> None:
        for level, place in enumerate(("train/cat", "train/dog", "test/cat", "test/dog")):
            (elsewhere / "two" / place).mkdir(parents=True)
            Image.new("RGB", (16, 16), (60 * level,) * 3).save(elsewhere / "two" / place / "1.png")
        read_dataset_of("folder:two")  # whose decoded images are kept: reading them is no part of the refusal
        told = "autoattack needs 4 classes or more, and folder:two has 2; type "
        line = refusal(f"run sat --arch smallcnn --dataset folder:two{dry}")
        assert told + "--attacks natural,pgd,cw,apgd-ce,fab-t,square\n" in line
        line = refusal(
            f"run sat --arch smallcnn --dataset folder:two{dry} --set evaluation.attacks=natural,autoattack,apgd-ce"
        )
        assert told + "--attacks natural,apgd-ce,fab-t,square\n" in line
        line = refusal(f"reproduce table1 --arch smallcnn --dataset folder:two{dry}")
        assert told + "--attacks natural," in line
        if not dry:
            assert told + "--attacks natural,pgd,cw,apgd-ce,fab-t,square\n" in refusal(
                "evaluate torch.nn:Identity --dataset folder:two"
            )
            line = refusal("evaluate torch.nn:Identity --dataset folder:two --attacks apgd-t,fgsm")
            assert "apgd-t needs 4 classes or more, and folder:two has 2; type --attacks natural,apgd-ce,fgsm" in line

    def test_a_folder_with_a_broken_image(self, refusal: Refusal, elsewhere: Path) -> None:
        for part in ("train", "test"):
            for name in ("cat", "dog"):
                (elsewhere / "photos" / part / name).mkdir(parents=True)
                (elsewhere / "photos" / part / name / "1.png").write_bytes(b"no image")
        line = refusal("run sat --arch smallcnn --dataset folder:photos")
        assert "cannot read the image" in line
        assert "photos/train/cat/1.png" in line


def make_text(file: Path) -> None:
    file.write_text("notes, and no database\n" * 50)


def make_other(file: Path) -> None:
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE runs (id INTEGER)")


def make_newer(file: Path) -> None:
    Store.write(str(file)).close()
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")


class TestPlaces:
    @pytest.mark.parametrize("command", [RUN, f"{RUN} --dry-run", "leaderboard", "runs", "show 1"])
    @pytest.mark.parametrize("by", ["option", "variable", "default"])
    @pytest.mark.parametrize(
        ("make", "reason"),
        [(make_text, "is not a database"), (make_other, "another program"), (make_newer, "update harness")],
        ids=["a text", "another program's", "a newer schema"],
    )
    def test_a_database_that_is_none(
        self,
        refusal: Refusal,
        elsewhere: Path,
        monkeypatch: pytest.MonkeyPatch,
        make: Callable[[Path], None],
        reason: str,
        by: str,
        command: str,
    ) -> None:
        name = "leaderboard.db" if by == "default" else "board.db"
        make(elsewhere / name)
        if by == "variable":
            monkeypatch.setenv("HARNESS_DB", name)
        line = refusal(command + (" --db board.db" if by == "option" else ""))
        assert reason in line
        assert name in line

    @pytest.mark.parametrize("command", [RUN, "leaderboard", "runs", "show 1"])
    def test_a_database_that_is_a_directory(self, refusal: Refusal, elsewhere: Path, command: str) -> None:
        (elsewhere / "board").mkdir()
        assert "the database board cannot be opened" in refusal(f"{command} --db board")

    def test_a_database_below_a_file(self, refusal: Refusal, elsewhere: Path) -> None:
        (elsewhere / "notes").write_text("mine")
        assert "notes is not a directory" in refusal(f"{RUN} --db notes/board.db")

    def test_a_url_without_a_driver(self, refusal: Refusal) -> None:
        line = refusal("leaderboard --db nonsense://me:hunter2@host/board")
        assert "no driver" in line
        assert "hunter2" not in line

    def test_a_folder_of_runs_that_is_a_file(self, refusal: Refusal, elsewhere: Path) -> None:
        (elsewhere / "notes").write_text("mine")
        assert "notes is not a directory" in refusal(f"{RUN} --runs-dir notes")
        assert "is not a directory" in refusal(f"{RUN} --runs-dir notes/runs")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
    @pytest.mark.parametrize("option", ["--runs-dir", "--db"])
    def test_a_place_without_permission(self, refusal: Refusal, elsewhere: Path, option: str) -> None:
        (elsewhere / "locked").mkdir(mode=0o555)
        assert "cannot be written" in refusal(f"{RUN} {option} locked/it")

    @pytest.mark.skipif(os.geteuid() != 0 or not Path("/proc/self").exists(), reason="only root is told so")
    def test_a_folder_of_runs_that_cannot_be_made_whoever_asks(self, refusal: Refusal) -> None:
        assert "cannot be" in refusal(f"{RUN} --runs-dir /proc/runs")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:7"])
def test_a_cuda_device_that_is_not_there(refusal: Refusal, device: str) -> None:
    line = refusal(f"{RUN} --device {device}")
    assert f"--device {device} is not on this machine" in line
    assert "--device cpu" in line


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_one_cuda_device_too_many(refusal: Refusal) -> None:
    count = torch.cuda.device_count()
    assert f"it has {count} CUDA device(s)" in refusal(f"{RUN} --device cuda:{count}")


class TestFreshProcess:
    @pytest.mark.parametrize("command", [f"{RUN} --seeds 0", "leaderboard --db notes"])
    def test_the_installed_command_refuses_alike(self, elsewhere: Path, command: str) -> None:
        (elsewhere / "notes").write_text("no database\n" * 50)
        before = tree(elsewhere)
        harness = Path(sys.executable).parent / "harness"
        ended = subprocess.run([harness, *shlex.split(command)], capture_output=True, text=True, check=False)
        assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
        assert ended.stderr.startswith("harness: ")
        assert tree(elsewhere) == before

    def test_a_bug_keeps_its_traceback(self, elsewhere: Path) -> None:
        program = (
            "import harness.store.store as store; from harness.cli.main import main; import sys\n"
            "def broken(*_): raise ZeroDivisionError('a bug')\n"
            "store.Store.read = broken; sys.argv = ['harness', 'runs']; main()"
        )
        ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert ended.returncode == 1
        assert "Traceback" in ended.stderr
        assert "ZeroDivisionError: a bug" in ended.stderr
