"""The scripts that make a board: which photographs, which commands, what is packed, and how the work goes on."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path
from typing import IO, cast

import numpy as np
import pytest
from PIL import Image

from harness.leaderboard.board import MEASURED
from harness.leaderboard.ranking import boards
from harness.plugin.images import Images
from harness.protocols.protocol import load_protocol
from harness.registry.catalogue import discover
from harness.store.store import Store
from scripts import board, board_pack
from scripts.photographs import CHOICE, chosen, unpack

PRESETS = sorted(file for file in (board.ROOT / "scripts" / "boards").glob("*.toml") if "folder" in file.read_text())
PROTOCOL = """
summary = "toy"
epsilon = "8/255"
[train]
epochs = {epochs}
batch_size = 4
lr = 0.1
lr_drops = []
lr_factor = 0.1
momentum = 0.9
weight_decay = 0.0
steps = 1
relative_step = "1/4"
start = "uniform"
early = 1.0
precision = "float32"
[evaluation]
checkpoints = ["last"]
steps = 1
relative_step = "1/4"
start = "uniform"
block_size = 4
attacks = ["natural", "pgd"]
"""
ONE_PROCESS = ["--workers", "1"]
PRESET = """
folder = "toy"
train_per_class = 4
protocol = "toy-protocol.toml"
network = "smallcnn"
set = ["smallcnn.width=2"]
methods = [["standard", "sat"]]
train_seeds = 1
seeds = 1
limit = 4
"""


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of 6 training and 3 test images of each of two classes, 8x8."""
    folder, draws = tmp_path_factory.mktemp("photographs"), np.random.default_rng(0)
    for part, count in (("train", 6), ("test", 3)):
        for label in ("cat", "dog"):
            (folder / part / label).mkdir(parents=True)
            for number in range(count):
                pixels = draws.integers(0, 256, (8, 8, 3), np.uint8)
                Image.fromarray(pixels).save(folder / part / label / f"{number:04}.png")
    archive = folder.parent / "photographs.tar.xz"
    with tarfile.open(archive, "w:xz") as packed:
        for part in ("train", "test"):
            packed.add(folder / part, part)
    return archive


def preset(folder: Path, epochs: int = 1) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "toy-protocol.toml").write_text(PROTOCOL.format(epochs=epochs))
    file = folder / "toy.toml"
    file.write_text(PRESET)
    return file


def files(folder: Path) -> dict[str, bytes]:
    return {f.relative_to(folder).as_posix(): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


NAMES = [f"{part}/{label}/{n}.jpg" for part in ("train", "test") for label in ("a", "b") for n in range(50)]


def test_a_subset_has_as_many_of_each_class_and_contains_every_smaller_one() -> None:
    small, large = (chosen(NAMES, {"train": n, "test": 2}) for n in (5, 20))
    assert set(small) < set(large)
    counts = {place: sum(name.startswith(place) for name in large) for place in ("train/a", "train/b", "test/a")}
    assert counts == {"train/a": 20, "train/b": 20, "test/a": 2}
    assert chosen(NAMES[::-1], {"train": 5, "test": 2}) == small  # the order in which they are found does not matter
    assert chosen([*NAMES, "README.md", "train/a/.hidden"], {}) == sorted(NAMES)
    first = [f"train/a/{n}.jpg" for n in range(5)]
    assert [name for name in small if name.startswith("train/a")] != first  # neighbours are not preferred


def test_a_class_with_too_few_photographs_is_refused() -> None:
    with pytest.raises(SystemExit, match="test/a has 50 photographs, fewer than the 51"):
        chosen(NAMES, {"test": 51})


def test_an_archive_and_its_folder_give_the_same_photographs(photographs: Path, tmp_path: Path) -> None:
    (tmp_path / ".half.part").mkdir()  # of a start that was stopped
    (tmp_path / ".half.part" / "rubbish").touch()
    unpack(photographs, tmp_path / "whole", {})
    unpack(photographs, tmp_path / "half", {"train": 3})
    unpack(tmp_path / "whole", tmp_path / "again", {"train": 3})
    whole, half, again = (
        {name: content for name, content in files(tmp_path / folder).items() if name != CHOICE}
        for folder in ("whole", "half", "again")
    )
    assert half == again
    assert (len(whole), len(half)) == (18, 12)
    unpack(photographs, tmp_path / "half", {"train": 3})  # it is there
    with pytest.raises(SystemExit, match="holds other photographs"):
        unpack(photographs, tmp_path / "half", {"train": 4})
    with pytest.raises(SystemExit, match="there are no photographs at"):
        unpack(tmp_path / "nowhere", tmp_path / "new", {})


@pytest.fixture(scope="module")
def made(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a board's file, what was made, and what was packed."""
    place = tmp_path_factory.mktemp("made")
    assert board.make(preset(place / "boards"), photographs, place / "work", out=place / "out", more=ONE_PROCESS) == 0
    return place


def test_a_board_has_the_rows_that_its_file_asks_for(made: Path) -> None:
    store = Store.read(str(made / "work" / "board.db"))
    (ranked,) = [b for b in boards(store) if b.source == MEASURED]
    runs = store.runs()
    store.close()
    assert {row.method for row in ranked.rows} == {"standard", "sat"}
    assert ranked.images == Images(4, "balanced")
    assert {run.provenance["host"] for run in runs} == {"published"}
    assert {run.dataset.name for run in runs} == {"folder:toy"}
    assert {run.dataset.train_examples for run in runs} == {8}


def test_another_machine_has_what_was_packed_and_does_nothing_twice(
    made: Path, photographs: Path, tmp_path: Path
) -> None:
    assert board.make(made / "boards" / "toy.toml", photographs, tmp_path, resume=made / "out", more=ONE_PROCESS) == 0
    here, there = (Store.read(str(place / "board.db")) for place in (tmp_path, made / "work"))
    assert here.runs() == there.runs()
    here.close()
    there.close()
    packed, weights = (
        {name for name in files(place) if name.startswith("runs/") and name.endswith(".safetensors")}
        for place in (tmp_path, made / "work")
    )
    assert packed == weights
    assert len(packed) == 4  # early and last of both networks
    with tarfile.open(made / "out" / "logs.tar.xz") as logs:
        assert len(logs.getnames()) == 2
        assert b"epoch 1: loss" in cast(IO[bytes], logs.extractfile(logs.getnames()[0])).read()


@pytest.mark.slow
def test_work_stops_in_time_and_goes_on(made: Path, photographs: Path, tmp_path: Path) -> None:
    file, work = preset(tmp_path / "boards", epochs=100_000), tmp_path / "work"
    assert board.make(file, photographs, work, seconds=0.0) == board.STOPPED
    assert not (work / "board.db").exists()  # no command was started
    shutil.copytree(made / "work" / "toy", work / "toy", dirs_exist_ok=True)
    assert board.make(file, photographs, work, seconds=1.0, more=ONE_PROCESS) == board.STOPPED
    preset(tmp_path / "boards")  # the board is smaller now
    assert board.make(file, photographs, work, seconds=600.0, more=ONE_PROCESS) == 0


def test_what_a_board_needs_to_go_on_is_packed_first(made: Path, tmp_path: Path) -> None:
    work, out = Path(shutil.copytree(made / "work", tmp_path / "work")), tmp_path / "out"
    store = Store.write(str(work / "board.db"))
    first, second = store.runs()
    last = second.checkpoint("last")
    assert last is not None
    store.open_evaluation(last.id, "pgd", {"steps": 7}, 0, 4)  # the second network is still to be attacked
    store.close()

    def packed(**limits: int) -> list[str]:
        board_pack.pack(work, out, **limits)
        parts = sorted(out.glob("weights.tar-*"))
        assert all(part.stat().st_size <= limits.get("part_bytes", 2**24) for part in parts)
        shutil.rmtree(tmp_path / "back", ignore_errors=True)
        board_pack.restore(out, tmp_path / "back")
        back = tmp_path / "back" / "runs"
        return sorted(f.relative_to(back).as_posix() for f in back.rglob("*.safetensors"))

    def name(folder: str, checkpoint: str) -> str:
        return f"{folder}/{checkpoint}.safetensors"

    order = [name(second.folder, "last"), name(second.folder, "early")]
    order += [name(first.folder, "last"), name(first.folder, "early")]
    assert packed(part_bytes=4096) == sorted(order)
    others = sum((out / name).stat().st_size for name in ("board.db", "logs.tar.xz"))
    for count in range(1, 4):
        room = sum((work / "runs" / file).stat().st_size + 1024 for file in order[:count])
        assert packed(whole_bytes=others + room + 3 * tarfile.RECORDSIZE) == sorted(order[:count])
    assert packed(whole_bytes=0) == []


def test_the_command_line_hands_on_what_follows_two_dashes(
    made: Path, photographs: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = [str(made / "boards" / "toy.toml"), "--photographs", str(photographs), "--work", str(made / "work"), "--"]
    assert board.main([*words, "--dry-run", "--json", "--epochs", "3"]) == 0
    assert len(json.loads(capfd.readouterr().out)["networks"]) == 2


def test_a_mistake_in_a_boards_file_is_one_line(tmp_path: Path) -> None:
    preset(tmp_path).write_text(PRESET + "attacks = 3")
    with pytest.raises(SystemExit, match=r"toy\.toml: .*attacks"):
        board.read_preset(tmp_path / "toy.toml")


@pytest.mark.parametrize("file", PRESETS, ids=lambda file: file.stem)
def test_a_board_that_ships_can_be_asked_for(file: Path) -> None:
    asked = board.read_preset(file)
    protocol = load_protocol(str(file.parent / asked.protocol))
    assert protocol.epsilon == pytest.approx(8 / 255)
    assert protocol.evaluation.attacks == ("natural", "pgd", "cw", "autoattack")
    methods = [method for command in asked.methods for method in command]
    assert {"standard", "sat", "gairat", "lrat", "trades", "gair-trades", "lrat-trades"} <= set(methods)
    assert len(set(methods)) == len(methods)
    assert set(methods) <= set(discover("methods").found) - {"hat", "ard", "rslad"}  # these need a teacher's weights
    assert asked.network in discover("networks").found
