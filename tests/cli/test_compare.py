"""``harness compare``, through the entry point: what it prints, what it refuses, and that it only looks."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from harness.data.digits import Digits
from harness.data.folder import Folder
from harness.statistics.equivalence import over_images
from harness.statistics.paired import Crossed
from harness.store.records import DatasetRecord
from harness.store.store import Store
from tests.cli.conftest import Harness, Refused
from tests.stores import add_checkpoint, add_evaluation, as_digits, make_spec, see_protocol, start

TRAINING = {"epochs": 3}
ATTACKS: dict[str, dict[str, Any]] = {"natural": {}, "pgd": {"block_size": 4}, "cw": {"block_size": 2}}
VERDICTS = {  # method -> attack -> one a training seed
    "sat": {"natural": ["111111", "111111"], "pgd": ["111100", "111110"], "cw": ["111100", "111100"]},
    "lrat": {"natural": ["111111", "111011"], "pgd": ["110000", "111100"], "cw": ["111000", "100100"]},
    "trades": {"natural": ["111111"], "pgd": ["011000"], "cw": ["000000"]},
}


def fill(location: str, dataset: DatasetRecord) -> None:
    store = Store.write(location)
    see_protocol(store, ATTACKS, TRAINING)
    for method, held in VERDICTS.items():
        for seed in range(len(held["pgd"])):
            run = start(store, make_spec(dataset, method=method, training=TRAINING, train_seed=seed), dataset)
            checkpoint = add_checkpoint(store, run, epoch=3)
            for attack, verdicts in held.items():
                add_evaluation(store, checkpoint, attack, ATTACKS[attack], as_digits(verdicts[seed]))
            store.end_run(run.id)
    store.close()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A database of five networks on the digits."""
    file = tmp_path_factory.mktemp("filled") / "leaderboard.db"
    fingerprint = Digits().load(Path("nowhere")).fingerprint
    fill(str(file), DatasetRecord("digits", fingerprint, 1437, 360, 1, 8, 8, 10))
    return file.read_bytes()


@pytest.fixture(autouse=True)
def database(filled: bytes, elsewhere: Path) -> Path:
    (elsewhere / "leaderboard.db").write_bytes(filled)
    return elsewhere / "leaderboard.db"


@pytest.fixture(autouse=True)
def nothing_is_written(database: Path, filled: bytes, request: pytest.FixtureRequest) -> Any:
    yield
    assert database.read_bytes() == filled
    if "folder" not in request.node.name:
        assert [path.name for path in database.parent.iterdir()] == ["leaderboard.db"]


def test_two_rows_as_json(harness: Harness) -> None:
    document = json.loads(harness("compare sat lrat --json"))
    assert (document["first"], document["second"], document["attack"]) == ("sat", "lrat", "cw")
    assert (document["dataset"], document["examples"], document["notes"]) == ("digits", 6, [])
    methods = document["methods"]  # differences 1/6 and 2/6 in points
    assert (methods["test"], methods["unit"], methods["n"]) == ("paired t", "training seeds", 2)
    assert methods["difference"] == pytest.approx(25.0)
    assert (methods["interval"]["kind"], methods["interval"]["unit"]) == ("t", "training seeds")
    first, second = document["networks"]
    assert [pair["first"]["run"] for pair in (first, second)] == [1, 2]
    assert [pair["second"]["train_seed"] for pair in (first, second)] == [0, 1]
    assert second["every_seed"]["table"] == {"both": 2, "first_only": 2, "second_only": 0, "neither": 2}
    assert (second["every_seed"]["p"], second["unit"]) == (0.5, "test images")
    assert second["every_seed"]["interval"]["kind"] == "bootstrap"
    assert [(seed["seed"], seed["p"]) for seed in second["by_seed"]] == [(0, 0.5)]
    labels = Digits().load(Path("nowhere")).test.labels[:6].tolist()
    assert {c["class"]: c["n"] for c in first["classes"]} == {str(label): labels.count(label) for label in labels}


def test_two_rows_as_text(harness: Harness) -> None:
    text = harness("compare sat lrat --attack pgd")
    assert "sat and lrat, pgd: digits [" in text
    assert "the first 6 test images, smallcnn, last" in text
    assert "(unit: the training seed)" in text
    assert "(unit: the test image, n = 6)" in text
    lines = [" ".join(line.split()) for line in text.splitlines()]
    # seed 0: sat is right on 4, lrat on 2 of them: 2 discordant images, all one way
    (line,) = [line for line in lines if line.startswith("1, 3 0, 0 0 2 2 0 2 66.67 33.33 +33.33 [")]
    assert line.endswith("0.500")


def test_headings_stand_after_an_empty_line(harness: Harness) -> None:
    text = harness("compare sat lrat --attack pgd")
    assert "\n\nThe methods, trained from new seeds" in text
    assert "\\n" not in text


def test_alike_within_a_margin(harness: Harness) -> None:
    found = json.loads(harness("compare sat lrat --margin 60 --json"))["equivalence"]
    assert (found["margin"], found["alpha"]) == (60, 0.05)
    methods = found["methods"]  # differences 1/6 and 2/6: mean 25, error 25/3; t with one degree is Cauchy
    assert (methods["unit"], methods["n"], methods["equivalent"]) == ("training seeds", 2, False)
    for p, t in ((methods["p_not_worse"], 85 * 3 / 25), (methods["p_not_better"], 35 * 3 / 25)):
        assert p == pytest.approx(0.5 - math.atan(t) / math.pi)
    assert (methods["not_worse"], methods["not_better"]) == (True, False)
    assert methods["interval"]["level"] == pytest.approx(0.9)
    one, other = found["networks"]
    # of six images sat alone is right on 1, then on 2, and lrat alone on none
    for network, (first, second) in ((one, (1, 0)), (other, (2, 0))):
        assert (network["unit"], network["n"]) == ("test images", 6)
        expected = over_images(Crossed(6 - first - second, first, second, 0), 60.0)
        assert (network["p_not_worse"], network["p_not_better"]) == (expected.p_not_worse, expected.p_not_better)
    text = harness("compare sat lrat --margin 60")
    assert "No worse by 60 points, the margin that you gave?" in text
    (line,) = [line for line in text.splitlines() if "2 training seeds " in line]
    assert " ".join(line.split()).startswith("methods 2 training seeds yes, p = 0.031 not shown, p = 0.074 not shown [")
    assert "The methods: no test; it needs two training seeds" in harness("compare sat trades --margin 60")
    assert "equivalence" not in json.loads(harness("compare sat lrat --json"))


def test_what_the_seeds_can_tell(harness: Harness) -> None:
    power = json.loads(harness("compare sat lrat --power --points 50 --json"))["power"]
    assert (power["unit"], power["test"], power["n"]) == ("training seeds", "paired t", 2)
    assert power["first_percents"] == pytest.approx([400 / 6, 400 / 6])
    assert power["second_percents"] == pytest.approx([50.0, 200 / 6])
    assert power["deviation"] == pytest.approx(100 / 6 / math.sqrt(2))  # of the differences 1/6 and 2/6
    assert power["interval"]["kind"] == "chi-square"
    alone, of_all = power["smallest"]  # three rows stand on the board
    assert [(row["seeds"], row["comparisons"]) for row in (alone, of_all)] == [(2, 1), (2, 3)]
    # with one degree of freedom the bound of t is tan(0.475 pi); found where the error of the variance is small
    bound, centre = math.tan(0.475 * math.pi), alone["difference"] / power["deviation"] * math.sqrt(2)
    assert stats.nct.sf(bound, 1, centre) == pytest.approx(0.8, abs=1e-3)
    (needed, _) = power["needed"]
    assert (needed["difference"], needed["seeds"]) == (50, 3)
    assert power["first_variance"] is None  # both networks are right on 4 of 6 images
    # lrat under cw: 111000 and 100100: variances 1/2 on three images, 0 on the others; of the accuracy 1/72
    whole, alone = 1 / 72, 1.5 / 36
    share = power["second_variance"]
    assert share["test_set_share"] == pytest.approx((6 * alone / whole - 1) / 5)
    assert share["deviation"] == pytest.approx(100 * math.sqrt(whole))
    assert (share["lasting_deviation"], share["interval"]["kind"], share["examples"]) == (0.0, "F", 6)
    text = harness("compare sat lrat --power --points 50")
    assert "A: the accuracies do not vary" in text
    assert f"B: of the variance over seeds {100 * share['test_set_share']:.0f} % [" in text
    assert "A, seed by seed: 66.67, 66.67" in text
    assert "deviation 11.79 [" in text
    (line,) = [line for line in text.splitlines() if "this test alone" in line and " 50 " in line]
    assert line.split()[:2] == ["50", "3"]


def test_the_worst_case(harness: Harness) -> None:
    pair = json.loads(harness("compare sat lrat --attack worst_case --json"))["networks"][0]
    assert pair["attack_seeds"] == {"natural": [0], "pgd": [0], "cw": [0]}
    assert pair["every_seed"]["table"] == {"both": 2, "first_only": 2, "second_only": 0, "neither": 2}


def test_all_pairs(harness: Harness) -> None:
    (board,) = json.loads(harness("compare --all --dataset digits --json"))["boards"]
    assert (board["column"], board["correction"]) == ("cw", {"method": "Holm", "comparisons": 3})
    tests = {(pair["first"], pair["second"]): pair["comparison"]["test"] for pair in board["pairs"]}
    assert tests == {("sat", "lrat"): "paired t", ("sat", "trades"): "McNemar", ("lrat", "trades"): "McNemar"}
    lines = [" ".join(line.split()) for line in harness("compare --all").splitlines()]
    assert any("cw, 3 pairs" in line for line in lines)
    (line,) = [line for line in lines if line.startswith("sat trades +66.67 McNemar 6 test images 0.125 ")]
    assert line.endswith("no")
    assert "No board of two or more measured rows matches" in harness("compare --all --dataset svhn")


@pytest.mark.parametrize("names", ["sat lrat", "sat --attacks pgd,cw"])
def test_vulnerable_images(harness: Harness, monkeypatch: pytest.MonkeyPatch, names: str) -> None:
    # an image of a higher number is more vulnerable for even evaluations, and less for odd ones
    def margins(self: Store, evaluation_id: int) -> list[float]:
        values = [0.1 * i - 0.25 for i in range(6)]
        return values if evaluation_id % 2 else values[::-1]

    monkeypatch.setattr(Store, "margins", margins)
    document = json.loads(harness(f"compare {names} --vulnerable --share 0.5 --json"))
    seed = document["pairs"][0]["seeds"][0]
    records = {e.id: e for r in Store.read().runs() for c in r.checkpoints for e in c.evaluations}
    wanted = {(1, "cw"), (3, "cw")} if "lrat" in names else {(1, "pgd"), (1, "cw")}
    runs = {e: run.id for run in Store.read().runs() for c in run.checkpoints for e in (x.id for x in c.evaluations)}
    one, other = sorted(number for number in records if (runs[number], records[number].attack) in wanted)
    expected = 3 if one % 2 == other % 2 else 0
    assert (seed["most_vulnerable"], seed["in_both"], seed["overlap"]) == (3, expected, expected / 3)
    assert seed["overlap_if_independent"] == 0.5
    assert [image["first"] for image in seed["images"]] == margins(Store.read(), one)
    assert [image["in_first"] for image in seed["images"]].count(True) == 3
    text = harness(f"compare {names} --vulnerable --share 0.5")
    assert "the 3 most vulnerable of the first 6 test images of digits" in text
    assert f"{expected / 3:.3f}" in text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("", "0 name(s) where 2 belong: write harness compare A B"),
        ("sat", "1 name(s) where 2 belong"),
        ("sat lrat --attacks pgd,cw --vulnerable", "write harness compare A --attacks X,Y --vulnerable"),
        ("sat --attacks pgd,cw", "add --vulnerable"),
        ("sat lrat --share 0.2", "add --vulnerable"),
        ("sat lrat --vulnerable --share 20", "--share 20 is refused"),
        ("sat lrat --vulnerable --share 0", "--share 0 is refused"),
        ("sat --attacks pgd,cw --attack pgd --vulnerable", "give one of them"),
        ("--all sat lrat", "--all compares every two rows"),
        ("--all --power", "write harness compare A B --power"),
        ("sat lrat --vulnerable --power", "write harness compare A B --power"),
        ("sat lrat --points 1", "add --power"),
        ("--protocols tiny,other sat lrat", "give no names and no other question with it"),
        ("--protocols tiny,other --all", "give no names and no other question with it"),
        ("--protocols tiny,other --protocol tiny", "give no names and no other question with it"),
        ("--protocols tiny,other", "no measured board has the protocol other"),
        ("--protocols tiny", "--protocols tiny is refused: name two different protocols"),
        ("--all --margin 1", "write harness compare A B --margin POINTS"),
        ("sat lrat --vulnerable --margin 1", "write harness compare A B --margin POINTS"),
        ("sat lrat --margin 0", "--margin 0.0 is refused: it is a difference in points, above 0 and below 100"),
        ("sat lrat --margin 100", "--margin 100.0 is refused"),
        ("sat lrat --margin nan", "--margin nan is refused"),
        ("sat lrat --power --points 0", "--points 0 is refused: name differences in points"),
        ("sat trades --power", "--power is refused: a deviation needs two training seeds a side"),
        ("--all --attack nonsense", "unknown column 'nonsense'"),
        ("sat lart", "unknown row 'lart'; did you mean 'lrat'"),
        ("sat 77", "there is no run 77"),
        ("sat sat", "are the same network"),
        ("sat lrat --attack autoattack", "sat has no complete evaluation by autoattack; it has cw, natural, pgd"),
        ("sat lrat --dataset svhn", "sat was not measured there, but on digits"),
        ("sat lrat --dataset nothing:here", "unknown dataset 'nothing'"),
        (f"sat lrat --dataset folder:{'a' * 5000}", "File name too long"),
        ("sat lrat --channels 1", "--channels says how a folder of images is read: add --dataset folder:PATH"),
        (
            "--all --dataset digits --image-size 8",
            "--image-size is for folders of images; digits has",
        ),
        ("sat lrat --vulnerable", "before the vulnerability of each image was kept"),
    ],
)
def test_a_mistake_is_one_line(arguments: str, told: str, refusal: Refused) -> None:
    assert told in refusal(f"compare {arguments}")


def test_a_folder_of_images_is_read_for_its_classes(harness: Harness, refusal: Refused, elsewhere: Path) -> None:
    random = np.random.default_rng(0)
    for part in ("train", "test"):
        for name in ("cat", "dog"):
            (elsewhere / "pets" / part / name).mkdir(parents=True)
            for i in range(3):
                pixels = random.integers(0, 256, (8, 8, 3), np.uint8)
                Image.fromarray(pixels).save(elsewhere / "pets" / part / name / f"{i}.png")
    pets = Folder(path="pets").load(elsewhere / "data")
    fill("pets.db", DatasetRecord(pets.name, pets.fingerprint, 6, 6, 3, 8, 8, 2))
    read = json.loads(harness("compare sat lrat --dataset folder:pets --db pets.db --json"))
    # sat is right on the first four images, lrat on the first three: they differ on a dog
    classes = {c["class"]: (c["n"], c["table"]["first_only"]) for c in read["networks"][0]["classes"]}
    assert classes == {"cat": (3, 0), "dog": (3, 1)}
    bare = json.loads(harness("compare sat lrat --db pets.db --json"))
    assert bare["networks"][0]["classes"] is None
    assert "give --dataset folder:PATH" in bare["notes"][0]
    (elsewhere / "pets").rename(elsewhere / "gone")
    assert json.loads(harness("compare sat lrat --dataset folder:pets --db pets.db --json")) == bare
    assert "there is no folder" in refusal("compare sat lrat --dataset folder:pets --channels 3 --db pets.db")


PROGRAM = """
import sys
from harness.cli.main import main
sys.argv = ["harness", *sys.argv[1:]]
try:
    main()
except SystemExit:
    pass
print(" ".join(name for name in sys.modules if name in ("torch", "sklearn", "scipy.stats")))
"""


@pytest.mark.parametrize("arguments", [["leaderboard"], ["compare", "--all"]], ids=" ".join)
def test_ties_and_families_need_no_torch(elsewhere: Path, arguments: list[str]) -> None:
    command = [sys.executable, "-c", PROGRAM, *arguments]
    ended = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, check=True)
    *table, imported = ended.stdout.splitlines()
    assert re.search(r"sat +.*lrat|sat", "\n".join(table))
    assert imported == ""
