"""What ``harness evaluate`` refuses, with nothing changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from harness.data.digits import Digits
from harness.plugin.dataset import Split
from tests.cli.conftest import Harness, Refused
from tests.cli.evaluate.given import HERE, TRAIN, weights


class TestRefused:
    @pytest.mark.parametrize(
        ("command", "told"),
        [
            ("evaluate 7", "there is no run 7"),
            ("evaluate 1:best", "run 1 has no checkpoint 'best'; write 1:early or 1:last"),
            ("evaluate 1 --epsilon 8", "write 8/255 rather than 8"),
            ("evaluate 1 --epsilon=-1/255", "epsilon"),
            ("evaluate 1 --attacks pdg", "unknown attack 'pdg'; did you mean 'pgd'"),
            ("evaluate 1 --attacks ,", "--attacks ',' is refused"),
            ("evaluate 1 --seeds 0", "--seeds 0 is refused"),
            ("evaluate 1 --limit 999999", "360 test images"),
            ("evaluate 1 --protocol quick.toml", "--protocol is refused: 1 is a run"),
            ("evaluate 1 --mean 0.5 --std 0.5", "--mean is refused: 1 is a run"),
            ("evaluate 1 --no-normalisation", "--no-normalisation is refused: 1 is a run"),
            (
                "evaluate mynet:make --dataset digits --no-normalisation",
                "--no-normalisation is refused: it is for weights",
            ),
            ("evaluate 1 --arch smallcnn", "--arch is refused: 1 is a run"),
            ("evaluate 1 --set network.width=8", "--set network.width is refused: 1 is a run"),
            ("evaluate 1 --name mine", "--name is refused: 1 is a run"),
            ("evaluate bare.safetensors --name 1 --dataset digits", "--name '1' is refused: a number is a run's"),
            ("evaluate 1 --sweep 0,8 --epsilon 8/255", "--epsilon and --sweep exclude each other"),
            ("evaluate 1 --sweep 0,8 --attacks natural", "--sweep is refused: no attack here moves in a ball"),
            ("evaluate ''", "TARGET '' is refused: name a run's number, a weights file"),
            ("show 1 --dataset digits --db leaderboard.db", "--dataset is refused: 1 is a run"),
            ("evaluate 1 --set train.lr=1", "--set train.lr is refused: nothing is trained"),
            ("evaluate 1 --set epsilon=0.1", "--epsilon changes the ball of the attacks"),
            ("evaluate nothing.pt --dataset digits", "there is no weights file nothing.pt"),
            ("evaluate nothing.pt", "there is no weights file nothing.pt"),  # not: cifar10 cannot be downloaded
            ("evaluate nothing", "nothing is no target"),
            ("evaluate no.such.module:make --dataset digits", "no.such.module"),
        ],
    )
    def test_in_one_line_and_nothing_is_written(self, command: str, told: str, place: Path, refused: Refused) -> None:
        before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
        assert told in refused(command if "--db" in command else f"{command} {HERE}")
        assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before

    def test_other_images_than_the_runs(self, place: Path, monkeypatch: pytest.MonkeyPatch, refused: Refused) -> None:
        whole = Digits().load(place)
        fewer = replace(whole, test=Split(whole.test.images[1:], whole.test.labels[1:]))
        monkeypatch.setattr(Digits, "load", lambda *_: fewer)
        line = refused(f"evaluate 1 {HERE}")
        for dataset in (whole, fewer):
            assert f"digits [{dataset.fingerprint[:8]}]" in line

    @pytest.mark.parametrize("command", ["evaluate 1 --epsilon 4/255", f"{TRAIN} --seeds 2 --no-checks"])
    @pytest.mark.parametrize("gone", [True, False])
    def test_weights_that_are_gone_or_others(
        self, command: str, gone: bool, harness: Harness, place: Path, refused: Refused
    ) -> None:
        weights(place).unlink() if gone else weights(place).write_bytes(b"others")
        before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
        told = "cannot be read (No such file or directory); give the --runs-dir" if gone else "are not those that"
        assert told in refused(f"{command} {HERE}")
        assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before
        harness("evaluate 1 --seeds 1 --limit 40 --no-checks " + HERE)  # what is there is shown without them

    def test_a_name_that_another_model_has(self, harness: Harness, place: Path, refused: Refused) -> None:
        for scale in (1.0, 2.0):
            state = {name: tensor * scale for name, tensor in load_file(weights(place)).items()}
            save_file(state, place / f"times{scale:g}.safetensors")
        options = (
            f"--attacks pgd --seeds 1 --name same --dataset digits --protocol quick.toml --limit 8 --no-checks {HERE}"
        )
        harness(f"evaluate times1.safetensors {options}")
        line = refused(f"evaluate times2.safetensors {options}")
        assert "another model on digits is called 'same'; give this one another --name" in line
