"""``harness evaluate`` of runs: more seeds, other attacks, and what is there already."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from harness.attacks.pgd import PGD
from harness.data.digits import Digits
from harness.evaluator import evaluate
from harness.execution.executors.executor import InProcess
from harness.execution.executors.placement import Placement
from harness.networks.smallcnn import SmallCNN
from harness.plugin.images import Images
from harness.plugin.threat import Threat
from harness.runtime.seeds import generator
from harness.store.store import Store
from tests.cli.conftest import Harness, Refused
from tests.cli.evaluate.given import HERE, TRAIN, N, store_of, the_run, weights


class TestRuns:
    def test_more_seeds_and_other_attacks_are_added_to_the_run(self, harness: Harness, place: Path) -> None:
        document = json.loads(harness(f"evaluate 1 --attacks pgd,fgsm --seeds 2 --limit {N} --no-checks --json {HERE}"))
        last = the_run(place).checkpoint("last")
        assert last is not None
        assert [(e.attack, e.seed, e.complete) for e in last.evaluations] == [
            *(("natural", 0, True), ("pgd", 0, True), ("cw", 0, True)),
            *(("pgd", 1, True), ("fgsm", 0, True)),
        ]
        (report,) = document["reports"]
        assert list(report["metrics"]) == ["natural", "pgd", "fgsm"]  # natural accuracy costs nothing
        percents = [e.percent for e in last.evaluations if e.attack == "pgd"]
        assert report["metrics"]["pgd"]["median"] == pytest.approx(sum(percents) / 2)
        assert report["metrics"]["pgd"]["n"] == 2
        low, high = (report["metrics"]["pgd"]["wilson"][end] for end in ("low", "high"))
        assert low < report["metrics"]["pgd"]["median"] < high

    def test_fewer_seeds_than_there_are_give_the_figure_of_those_asked_for(self, harness: Harness, place: Path) -> None:
        harness(f"evaluate 1 --attacks pgd --seeds 3 --limit {N} --no-checks {HERE}")
        seeds = {e.seed: e.percent for e in the_run(place).checkpoints[-1].evaluations if e.attack == "pgd"}
        assert len(seeds) == 3
        command = f"evaluate 1 --attacks pgd --seeds 1 --limit {N} --no-checks --json {HERE}"
        figure = json.loads(harness(command))["reports"][0]["metrics"]["pgd"]
        assert (figure["median"], figure["n"]) == (seeds[0], 1)

    def test_all_test_images_are_attacked_where_no_limit_is_given(self, harness: Harness, place: Path) -> None:
        (report,) = json.loads(harness(f"evaluate 1 --attacks fgsm --no-checks --json {HERE}"))["reports"]
        last = the_run(place).checkpoint("last")
        assert last is not None
        told = [(e.attack, e.examples, e.complete) for e in last.evaluations[3:]]
        assert told == [("natural", 360, True), ("fgsm", 360, True)]
        assert report["examples"] == 360

    def test_the_worst_case_counts_images_that_every_attack_leaves(self, harness: Harness, place: Path) -> None:
        (report,) = json.loads(harness(f"evaluate 1 --seeds 2 --limit {N} --no-checks --json {HERE}"))["reports"]
        (run,), _, verdicts, _ = store_of(place)
        evaluations = run.checkpoints[-1].evaluations
        assert len(evaluations) == 5
        robust = [all(verdicts[e.id][i] for e in evaluations) for i in range(N)]
        assert report["worst_case"]["percent"] == 100 * sum(robust) / N
        assert report["worst_case"]["attacks"] == {"natural": 1, "pgd": 2, "cw": 2}
        assert 0 < sum(robust) < N

    def test_a_checkpoint_and_the_file_of_its_weights_name_the_run(self, harness: Harness, place: Path) -> None:
        shutil.copy(weights(place), place / "copy.safetensors")
        shutil.copy(weights(place), place / "copy.pt")
        for target in ("1:early", "copy.pt", "copy.safetensors"):
            harness(f"evaluate {target} --attacks fgsm --limit {N} --no-checks {HERE}")
        (run,), models, _, _ = store_of(place)
        assert models == []
        found = {c.name: [e.attack for e in c.evaluations] for c in run.checkpoints}
        assert found == {"early": ["natural", "fgsm"], "last": ["natural", "pgd", "cw", "fgsm"]}

    def test_another_data_set_is_refused_before_it_is_downloaded(
        self, refusal: Refused, place: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("harness.data.cifar10.CIFAR10.load", lambda *_: pytest.fail("it is loaded"))
        said = "run 1 was trained on digits, and this is cifar10; give the first to --dataset"
        assert said in refusal(f"evaluate 1 --dataset cifar10 {HERE}")

    def test_of_equal_attempts_a_file_names_the_newest(self, harness: Harness, place: Path) -> None:
        harness(f"{TRAIN} --seeds 1 --no-checks --fresh --db leaderboard.db --runs-dir runs")
        files = list(place.glob("runs/*/last.safetensors"))
        assert len({file.read_bytes() for file in files}) == 1 < len(files)
        harness(f"evaluate {files[0]} --attacks fgsm --limit {N} --no-checks {HERE}")
        attacks = [[e.attack for e in run.checkpoints[-1].evaluations] for run in store_of(place)[0]]
        assert attacks == [["natural", "pgd", "cw"], ["natural", "pgd", "cw", "fgsm"]]

    @pytest.mark.parametrize("checks", ["", "--no-checks"])
    def test_what_is_there_is_not_repeated(self, checks: str, harness: Harness, place: Path) -> None:
        command = f"evaluate 1 --seeds 1 --limit {N} {checks} {HERE}"
        first = harness(command)
        before = (place / "leaderboard.db").read_bytes()
        assert harness(command) == first
        assert (place / "leaderboard.db").read_bytes() == before

    def test_another_ball_is_another_board_and_leaves_the_first(self, harness: Harness, place: Path) -> None:
        harness(f"evaluate 1 --epsilon 4/255 --seeds 1 --limit {N} --no-checks {HERE}")
        (run,), _, _, measured = store_of(place)
        radii = [e.settings.get("epsilon") for e in run.checkpoints[-1].evaluations]
        assert radii == [None, 0.2, 0.2, 4 / 255, 4 / 255]  # natural accuracy knows no ball, and is shared
        assert len(measured) == 2
        wide, narrow = (board.rows[0].metrics["pgd"] for board in measured)
        assert wide is not None
        assert narrow is not None
        assert narrow.median > wide.median
        again = json.loads(harness(f"evaluate 1 --seeds 1 --limit {N} --no-checks --json {HERE}"))
        assert again["reports"][0]["epsilon"] == 0.2  # the ball it was trained in is still the default

    def test_the_radius_of_the_training_is_no_other_ball(self, harness: Harness, place: Path) -> None:
        before = store_of(place)[3]
        harness(f"evaluate 1 --epsilon 0.2 --seeds 1 --limit {N} --no-checks {HERE}")
        assert store_of(place)[3] == before

    def test_a_runs_ball_is_its_own_whatever_was_evaluated_before_it(self, harness: Harness, place: Path) -> None:
        save_file(load_file(weights(place)), place / "bare.safetensors")
        (place / "leaderboard.db").unlink()
        elsewhere = f"--dataset digits --protocol quick.toml --epsilon 0.1 --limit {N} --seeds 1 --no-checks {HERE}"
        harness(f"evaluate bare.safetensors --attacks pgd {elsewhere}")  # the first that the store hears of quick.toml
        harness(f"{TRAIN} --seeds 1 --no-checks --db leaderboard.db --runs-dir runs")
        (report,) = json.loads(harness(f"evaluate 1 --seeds 1 --limit {N} --no-checks --json {HERE}"))["reports"]
        assert report["epsilon"] == 0.2
        harness(f"evaluate 1 --epsilon 0.1 --seeds 1 --limit {N} --no-checks {HERE}")
        (report,) = json.loads(harness(f"evaluate 1 --seeds 1 --limit {N} --no-checks --json {HERE}"))["reports"]
        assert report["epsilon"] == 0.2

    def test_what_is_found_under_stronger_attacks_is_told_of_them_alone(self, harness: Harness, place: Path) -> None:
        command = f"evaluate 1 --seeds 1 --limit {N} {HERE}"
        harness(command)
        (run,), _, _, (board,) = store_of(place)
        assert board.scope is not None
        found = run.checkpoints[-1].findings(board.scope)
        harness(f"{command} --set pgd.restarts=9")
        (run,), _, _, measured = store_of(place)
        last = run.checkpoints[-1]
        own, stronger = (last.findings(board.scope) for board in measured if board.scope is not None)
        assert own == found
        assert [finding.check for finding in stronger] == [finding.check for finding in found]
        kinds = [examination.settings["kind"] for examination in last.examinations]
        assert kinds == ["model", "verdicts", "verdicts"]  # the budget of the model's own examination is the same

    def test_the_verdicts_are_those_of_the_evaluator_on_each_block(self, harness: Harness, place: Path) -> None:
        harness(f"evaluate 1 --attacks pgd --set pgd.restarts=2 --epsilon 0.1 --seeds 1 --limit {N} --no-checks {HERE}")
        (run,), _, verdicts, _ = store_of(place)
        (stored,) = [e for e in run.checkpoints[-1].evaluations if e.settings.get("restarts") == 2]
        data = Digits().load(place)
        model = SmallCNN(width=4).build(data.shape)
        model.load_state_dict(load_file(weights(place)))
        threat = Threat(epsilon=0.1, steps=3, step_size=0.05, start="uniform")
        expected, margins = b"", []
        places = data.places(Images(N, "balanced"))
        for start in (0, 16, 32):
            part = places[start : min(start + 16, N)]
            x, y = data.pixels(data.test.images[part]), data.test.labels[part]
            draws = generator(torch.device("cpu"), 0, "evaluation", "pgd", start)
            outcome = evaluate(model, PGD(restarts=2), x, y, threat, draws)
            expected += bytes(outcome.correct.tolist())
            margins += outcome.margins.half().tolist()
        assert verdicts[stored.id] == expected
        store = Store.read(str(place / "leaderboard.db"))
        assert store.margins(stored.id) == margins  # which other random numbers would change
        store.close()

    def test_each_checkpoint_is_attacked_with_its_own_weights(self, harness: Harness, place: Path) -> None:
        harness(f"evaluate 1 --set evaluation.checkpoints=early,last --attacks fgsm --limit {N} --no-checks {HERE}")
        (run,), _, verdicts, _ = store_of(place)
        data = Digits().load(place)
        places = data.places(Images(N, "balanced"))
        x, y = data.pixels(data.test.images[places]), data.test.labels[places]
        found = []
        for checkpoint in run.checkpoints:
            (natural,) = [e for e in checkpoint.evaluations if e.attack == "natural"]
            model = SmallCNN(width=4).build(data.shape).eval()
            model.load_state_dict(load_file(weights(place).with_name(f"{checkpoint.name}.safetensors")))
            assert verdicts[natural.id] == bytes((model(x).argmax(1) == y).tolist())
            found.append(verdicts[natural.id])
        assert found[0] != found[1]


def test_networks_that_are_to_be_examined_alone_are_shared_out_among_workers(
    harness: Harness, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []

    def counted(_place: Placement, items: int) -> InProcess:
        told.append(items)
        return InProcess()

    monkeypatch.setattr(Placement, "executor", counted)
    train = f"{TRAIN} --seeds 1 --set evaluation.checkpoints=early,last --db leaderboard.db --runs-dir runs"
    harness(f"{train} --no-checks")
    harness(train)
    harness(train)
    assert told == [3 * 3, 2, 0]  # three attacks on three blocks of the other checkpoint; then a look at each
    assert len(store_of(place)[0][0].checkpoints[0].examinations) == 2
