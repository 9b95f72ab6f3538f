"""``harness run FILE.toml``: expanded to the requests that a user would type, planned together, done together."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from harness.planning.experiment import read_experiment
from harness.store.store import Store
from tests.cli.conftest import Ends, Harness

TEXT = """
summary = "two methods, one of them twice"
methods = ["lrat", "sat", "lrat  floor=pgd"]
networks = ["smallcnn width=4", "smallcnn width=8"]
datasets = ["digits"]
train-seeds = 2
seeds = 3
limit = 20
wrap = ["ema"]

[protocol]
base = "digits"
epsilon = "1/10"

[protocol.train]
epochs = 1
lr_drops = []

[protocol.evaluation]
attacks = ["natural", "cw"]

[protocol.attacks.cw]
kappa = 1
"""
LINE = (
    "--dataset digits --arch smallcnn --train-seeds 2 --seeds 3 --limit 20 --wrap ema --protocol digits --epsilon 1/10"
    " --epochs 1 --set train.lr_drops= --attacks natural,cw --set cw.kappa=1"
)


def plan(harness: Harness, command: str) -> list[dict[str, Any]]:
    networks: list[dict[str, Any]] = json.loads(harness(f"{command} --dry-run --json"))["networks"]
    return networks


def test_it_gives_the_identities_of_the_commands_in_order_and_their_costs(harness: Harness, elsewhere: Path) -> None:
    (elsewhere / "sub").mkdir()
    (elsewhere / "sub/experiment.toml").write_text(TEXT)
    parts = [
        json.loads(harness(f"run {method} {LINE} --set width={width} --dry-run --json"))
        for width, method in itertools.product((4, 8), ("lrat", "sat", "lrat --set floor=pgd"))
    ]
    whole = json.loads(harness("run sub/experiment.toml --dry-run --json"))
    for several in ("networks", "evaluations"):
        assert whole[several] == [each for part in parts for each in part[several]]
    (one,) = {network["protocol_fingerprint"] for network in whole["networks"]}
    assert one == parts[0]["networks"][0]["protocol_fingerprint"]
    assert len({network["identity"] for network in whole["networks"]}) == 12
    for cost in ("training_passes", "evaluation_passes_at_most"):
        for way in ("forward", "backward"):
            assert whole[cost][way] == sum(part[cost][way] for part in parts)
    assert not (elsewhere / "leaderboard.db").exists()


def test_the_plan_in_words_tells_all_networks_apart(harness: Harness, elsewhere: Path) -> None:
    (elsewhere / "experiment.toml").write_text(TEXT)
    lines = harness("run experiment.toml --dry-run").splitlines()
    assert "networks: 12 to train, 0 trained already" in lines
    assert "  lrat+ema-smallcnn-digits-s1 floor=pgd width=8 (attempt 1): 0/1 epochs done" in lines
    named = [line for line in lines if "(attempt 1)" in line]
    assert len(set(named)) == len(named) == 12


@pytest.mark.slow
def test_done_together_and_not_twice(ends: Ends, harness: Harness, elsewhere: Path) -> None:
    """Three networks, of two shapes, in one command; what a command did before is not done again."""
    small = """
        methods = ["sat", "standard"]
        networks = ["smallcnn width=2", "smallcnn width=3"]
        datasets = ["digits"]
        seeds = 1
        limit = 20
        checks = false
        [protocol.train]
        epochs = 1
        [protocol.evaluation]
        attacks = ["natural", "pgd"]
        steps = 1
    """
    (elsewhere / "experiment.toml").write_text(small)
    options = "--dataset digits --arch smallcnn --seeds 1 --limit 20 --no-checks --epochs 1 --attacks natural,pgd"
    harness(f"run sat {options} --set evaluation.steps=1 --set width=3 --device cpu --workers 1 --json")
    code, out, err = ends("run experiment.toml --device cpu --workers 1 --json")
    assert code == 0, err
    rows = json.loads(out)["rows"]
    shown = sorted((row["method"], row["arch_settings"]["width"]) for row in rows)
    assert shown == [("sat", 2), ("sat", 3), ("standard", 2), ("standard", 3)]
    assert len({row["protocol_fingerprint"] for row in rows}) == 1
    assert "2 of 8 evaluations (natural, pgd)" in err
    store = Store.read(None)
    assert len(store.runs()) == 4
    store.close()
    assert "nothing was attacked" in ends("run experiment.toml --device cpu --workers 1")[2]


def test_data_sets_of_different_protocols(harness: Harness, elsewhere: Path) -> None:
    """Without a base each data set has its own; what the file says changes each of these."""
    (elsewhere / "e.toml").write_text(
        'methods = ["sat"]\nnetworks = ["resnet18"]\ndatasets = ["cifar10", "svhn"]\n[protocol.train]\nepochs = 2'
    )
    together = plan(harness, "run e.toml")
    typed = plan(harness, "run sat --epochs 2") + plan(harness, "run sat --epochs 2 --dataset svhn")
    assert together == typed


def test_defaults_are_those_of_the_options(harness: Harness, elsewhere: Path) -> None:
    (elsewhere / "e.toml").write_text('methods = ["sat"]')
    assert plan(harness, "run e.toml") == plan(harness, "run sat")


class TestBesideAnExperiment:
    @pytest.fixture(autouse=True)
    def file(self, elsewhere: Path) -> None:
        (elsewhere / "e.toml").write_text(
            'methods = ["sat"]\nnetworks = ["smallcnn width=4"]\ndatasets = ["digits"]\nseeds = 2\nlimit = 10\n'
            '[protocol]\nbase = "digits"\nepsilon = 0.1\n[protocol.train]\nepochs = 3\nlr = 0.5'
        )

    @pytest.mark.parametrize(
        ("typed", "notes"),
        [
            ("", []),
            ("--seeds 1", ["seeds = 2"]),
            ("--limit 20 --no-checks", ["limit = 10"]),
            ("--arch smallcnn", ["networks = ['smallcnn width=4']"]),
            ("--dataset digits", ["datasets = ['digits']"]),
            ("--epochs 5", ["protocol.train.epochs = 3"]),
            ("--set train.epochs=5", ["protocol.train.epochs = 3"]),
            ("--epsilon 0.2 --epochs 5", ["protocol.epsilon = 0.1", "protocol.train.epochs = 3"]),
            ("--protocol paper", ["protocol.base = digits"]),
            ("--wrap ema --train-seeds 2", []),
        ],
    )
    def test_the_command_line_holds_and_that_is_said(self, ends: Ends, typed: str, notes: list[str]) -> None:
        code, out, err = ends(f"run e.toml {typed} --dry-run --json")
        assert code == 0, err
        assert err.splitlines() == [f"the command line holds, and not {note} of e.toml" for note in notes]
        defaults = "--protocol digits --epsilon 0.1 --epochs 3 --set lr=0.5 --seeds 2 --limit 10"
        network = "" if "--arch" in typed else "--set width=4"
        line = f"run sat --dataset digits --arch smallcnn {network} {defaults}"
        for option in ("--epochs 3", "--epsilon 0.1", "--protocol digits", "--seeds 2", "--limit 10"):
            if option.split()[0] in typed or ("epochs" in option and "train.epochs" in typed):
                line = line.replace(option, "")
        assert json.loads(out) == json.loads(
            ends(f"{line} {typed.replace('--dataset digits', '')} --dry-run --json")[1]
        )

    def test_settings_of_the_project_do_not_count_but_its_places_and_machine_do(
        self, ends: Ends, elsewhere: Path
    ) -> None:
        alone = json.loads(ends("run e.toml --dry-run --json")[1])
        (elsewhere / "harness.toml").write_text(
            '[run]\nepochs = 9\nset = ["momentum=0"]\nseeds = 7\nprotocol = "paper"\nwrap = ["ema"]\nworkers = 3'
        )
        code, out, err = ends("run e.toml --dry-run --json")
        assert code == 0, err
        assert json.loads(out) == alone | {"workers": 3, "estimated_s": alone["estimated_s"]}
        assert err.splitlines() == [
            "harness.toml: workers = 3",
            "harness.toml: epochs, set, seeds, protocol, wrap of [run] do not count beside an experiment",
        ]
        changed = json.loads(ends("run e.toml --set momentum=0.5 --dry-run --json")[1])
        (elsewhere / "harness.toml").unlink()
        assert changed["networks"] == json.loads(ends("run e.toml --set momentum=0.5 --dry-run --json")[1])["networks"]

    def test_trackers_of_the_project_follow_it_and_that_is_said(self, ends: Ends, elsewhere: Path) -> None:
        (elsewhere / "harness.toml").write_text('[run]\nepochs = 9\ntrack = ["tensorboard"]')
        assert ends("run e.toml --dry-run --json")[2].splitlines() == [
            "harness.toml: track = tensorboard",
            "harness.toml: epochs of [run] do not count beside an experiment",
        ]

    def test_a_setting_of_one_method_is_for_the_parts_that_have_it(self, harness: Harness, elsewhere: Path) -> None:
        (elsewhere / "f.toml").write_text(
            'methods = ["trades", "trades inverse_lambda=3", "lrat"]\nnetworks = ["smallcnn"]\ndatasets = ["digits"]'
        )
        networks = plan(harness, "run f.toml --set lrat.floor=pgd")
        assert [network["settings"] for network in networks] == [{}, {"inverse_lambda": 3.0}, {"floor": "pgd"}]


def test_paths_are_beside_the_experiment(ends: Ends, elsewhere: Path) -> None:
    (elsewhere / "sub").mkdir()
    (elsewhere / "sub/mine.toml").write_text('base = "digits"\nepsilon = 0.125')
    (elsewhere / "sub/e.toml").write_text(
        'methods = ["sat"]\nnetworks = ["smallcnn"]\ndatasets = ["digits"]\nprotocol = "mine.toml"'
    )
    code, out, err = ends("run sub/e.toml --dry-run --json")
    assert code == 0, err
    line = "run sat --arch smallcnn --dataset digits --epsilon 0.125 --dry-run --json"
    assert json.loads(out)["networks"] == json.loads(ends(line)[1])["networks"]
    (elsewhere / "sub/f.toml").write_text('methods = ["sat"]\ndatasets = ["folder:my images"]')
    assert f"there is no folder {elsewhere / 'sub/my images'}" in ends("run sub/f.toml --dry-run")[2]


def test_a_file_of_classes_is_beside_the_experiment(elsewhere: Path) -> None:
    """And not the one of the same name in the working directory, which may have another order."""
    (elsewhere / "sub").mkdir()
    for folder in (elsewhere, elsewhere / "sub"):
        (folder / "order.txt").write_text(f"a\nb\n{folder.name}")
    text = "methods = ['sat']\ndatasets = ['folder:images']\nclass-order = "
    (elsewhere / "sub/e.toml").write_text(f"{text}'order.txt'")
    read = read_experiment(Path("sub/e.toml")).shared["class_order"]
    assert (elsewhere / read).samefile(elsewhere / "sub/order.txt")
    for order in ("names", "b,a", "a" * 5000, "~no-such-user"):
        (elsewhere / "sub/e.toml").write_text(f"{text}'{order}'")
        assert read_experiment(Path("sub/e.toml")).shared["class_order"] == order
