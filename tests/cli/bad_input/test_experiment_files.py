"""Experiment files that are refused: one line that names the file, and the part; nothing is written or trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.errors import HarnessError
from harness.planning import experiment_jobs
from harness.planning.experiment import read_experiment
from tests.cli.conftest import Refused

GOOD = 'methods = ["sat", "lrat"]\nnetworks = ["smallcnn"]\ndatasets = ["digits"]\n'


def refused(folder: Path, content: str | bytes) -> str:
    """Why reading alone refuses a file; what only names can tell is not asked."""
    file = folder / "e.toml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(HarnessError) as caught:
        read_experiment(file)
    message = str(caught.value)
    assert str(file) in message
    assert "\n" not in message
    return message


def test_a_good_one_is_taken(elsewhere: Path) -> None:
    (elsewhere / "e.toml").write_text(GOOD)
    assert [method.name for method in read_experiment(elsewhere / "e.toml").methods] == ["sat", "lrat"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("method = ['sat']", ["unknown key 'method'", "did you mean 'methods'"]),
        ("networks = ['smallcnn']", ["names no methods; add a line such as methods = "]),
        (GOOD + "train_seeds = 3", ["unknown key 'train_seeds'", "did you mean 'train-seeds'"]),
        (GOOD + "base = 'paper'", ["unknown key 'base'"]),
        (GOOD + "db = 'x.db'", ["db is refused: it belongs to a machine; write it in harness.toml"]),
        (GOOD + "device = 'cpu'", ["device is refused", "harness.toml, below [run]"]),
        (GOOD + "summary = 5", ["summary = 5 is refused: it must be a text"]),
        (GOOD + "seeds = '5'", ["seeds = '5' is refused: it must be a whole number"]),
        (GOOD + "seeds = 5.0", ["seeds = 5.0 is refused"]),
        (GOOD + "limit = true", ["limit = True is refused: it must be a whole number"]),
        (GOOD + "checks = 0", ["checks = 0 is refused: it must be true or false"]),
        (
            "methods = ['sat']\ndatasets = ['folder:~no-such-user/x']",
            ["~no-such-user/x is refused: there is no user no-such-user"],
        ),
        (GOOD + "class-order = ['a']", ["class-order = ['a'] is refused"]),
        ("methods = 'sat'", ["methods = 'sat' is refused: it must be a list of names"]),
        ("methods = [5]", ["methods = [5] is refused"]),
        ("methods = ['']", ["methods = [''] is refused"]),
        ("methods = []", ["methods is empty; name at least one method"]),
        ("methods = ['sat']\nnetworks = []", ["networks is empty; name at least one network"]),
        ("methods = ['sat']\ndatasets = []", ["datasets is empty; name at least one data set"]),
        ("methods = ['sat', 'lrat', 'sat']", ["methods names 'sat' twice"]),
        ("methods = ['lrat floor=pgd', 'lrat   floor=pgd']", ["methods names 'lrat floor=pgd' twice"]),
        (GOOD + "wrap = ['ema', 'ema']", ["wrap names 'ema' twice"]),
        ("methods = ['lrat floor']", ["'lrat floor' in methods is refused: write NAME KEY=VALUE"]),
        ("methods = ['floor=pgd']", ["'floor=pgd' in methods is refused"]),
        ("methods = ['lrat =pgd']", ["'lrat =pgd' in methods is refused"]),
        (GOOD + "protocol = 5", ["protocol = 5 is refused: it must be a table, or a protocol's name"]),
        (GOOD + "[protocol]\nbases = 'paper'", ["table protocol: unknown key 'bases'", "did you mean 'base'"]),
        (GOOD + "[protocol]\nbase = 5", ["base = 5 is refused"]),
        (GOOD + "[protocol]\nepochs = 5", ["table protocol: unknown key 'epochs'"]),
        (GOOD + "[protocol]\ntrain = 5", ["protocol.train = 5 is refused: it must be a table"]),
        (GOOD + "[protocol.train]\nepoch = 5", ["protocol.train: unknown setting 'epoch'", "did you mean 'epochs'"]),
        (
            GOOD + "[protocol.train]\nlr = 2020-01-01",
            ["table protocol.train: lr = ", "give a number, a text, or a list"],
        ),
        (GOOD + "[protocol.train]\nlr = { a = 1 }", ["lr = {'a': 1} is refused"]),
        (GOOD + "[protocol.attacks]\ncw = 1", ["protocol.attacks.cw = 1 is refused: it must be a table"]),
        ("= 5", ["is not valid TOML"]),
        (b"\xff\xfe\x00", ["is not a text in UTF-8"]),
    ],
    ids=lambda value: "" if isinstance(value, list) else None,
)
def test_a_mistake_in_the_file(elsewhere: Path, text: str | bytes, parts: list[str]) -> None:
    message = refused(elsewhere, text)
    assert [part for part in parts if part not in message] == []


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (GOOD.replace('"lrat"', '"lrta"'), ["e.toml, digits, smallcnn: unknown method 'lrta'", "did you mean 'lrat'"]),
        (GOOD.replace('"lrat"', '"lrat flor=pgd"'), ["unknown setting 'lrat.flor'", "did you mean 'lrat.floor'"]),
        (GOOD.replace('"lrat"', '"lrat train.lr=1"'), ["unknown setting 'lrat.train.lr'"]),
        (GOOD.replace('"smallcnn"', '"smallcnn", "smalcnn"'), ["e.toml, digits, smalcnn: ", "'smallcnn'"]),
        (GOOD.replace('"smallcnn"', '"smallcnn width=no"'), ["e.toml, digits, smallcnn width=no: ", "width=no"]),
        (GOOD.replace('"digits"', '"digits", "digts"'), ["e.toml, digts, smallcnn: unknown dataset 'digts'"]),
        (GOOD.replace('"digits"', '"digits", "folder:gone"'), ["there is no folder"]),
        (GOOD + "seeds = 1000000000", ["--seeds 1000000000 is refused: it must be 10,000 at most"]),
        (GOOD + "train-seeds = 0", ["--train-seeds 0 is refused"]),
        (GOOD + "wrap = ['emma']", ["unknown wrapper 'emma'", "did you mean 'ema'"]),
        (GOOD + "[protocol]\nbase = 'papper'", ["unknown protocol 'papper'", "did you mean 'paper'"]),
        (GOOD + "[protocol]\nepsilon = 8", ["epsilon=8 is refused"]),
        (GOOD + "[protocol.attacks.cww]\nkappa = 1", ["unknown setting 'cww.kappa'", "did you mean 'cw.kappa'"]),
        (
            GOOD.replace('"lrat"', '"lrat", "lrat floor=natural+pgd"'),
            ["lrat on digits, smallcnn and lrat floor=natural+pgd on digits, smallcnn are the same runs"],
        ),
        (
            GOOD.replace('"smallcnn"', '"smallcnn", "smallcnn width=16"'),
            ["sat on digits, smallcnn and sat on digits, smallcnn width=16 are the same runs; leave one out"],
        ),
    ],
    ids=lambda value: "" if isinstance(value, list) else None,
)
def test_what_only_the_names_tell(refusal: Refused, elsewhere: Path, text: str, parts: list[str]) -> None:
    (elsewhere / "e.toml").write_text(text)
    line = refusal("run e.toml")
    assert [part for part in parts if part not in line] == []


def test_a_mistake_in_the_last_part_is_found_before_any_data_set_is_read(
    refusal: Refused, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Any] = []
    monkeypatch.setattr(experiment_jobs, "resolve_grid", lambda *a, **k: read.append(a))
    (elsewhere / "e.toml").write_text(GOOD.replace('"digits"', '"digits", "cifar10", "svnh"'))
    assert "did you mean 'svhn'" in refusal("run e.toml")
    assert read == []


@pytest.mark.parametrize(
    ("command", "part"),
    [
        ("run gone.toml", "there is no experiment file gone.toml"),
        ("run e.toml sat", "e.toml is an experiment file: give it alone"),
        ("run sat e.toml", "e.toml is an experiment file: give it alone"),
        ("run e.toml e.toml", "give it alone"),
        ("run folder.toml", "folder.toml is a directory"),
        ("run e.toml --seeds 0", "--seeds 0 is refused"),
        ("run e.toml --set lr", "write --set key=value"),
        ("run e.toml --arch smalcnn", "unknown network 'smalcnn'"),
    ],
)
def test_beside_an_experiment(refusal: Refused, elsewhere: Path, command: str, part: str) -> None:
    (elsewhere / "e.toml").write_text(GOOD)
    (elsewhere / "folder.toml").mkdir()
    assert part in refusal(command)
