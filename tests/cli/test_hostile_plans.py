"""Hostile labels as names of folders and models in a plan: refused in one line, or shown in it, and data in JSON."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from PIL import Image

from harness.errors import normal, visible
from tests.cli.conftest import Ends
from tests.hostile_labels import LABELS, TWINS, sampled, unseen

NAMES = [*LABELS, *(name for pair in TWINS for name in pair)]
MODEL = "from torch import nn\n\n\ndef build():\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\n"
POSSIBLE = [name for name in NAMES if not set(name) & {"/", "\0"} and name != ".."]  # as the name of a folder


def photos(folder: Path, name: str) -> Path:
    """A folder of images of that name, which is a class in it, too."""
    for part in ("train", "test"):
        for number, kind in enumerate(("plain", name)):
            (folder / name / part / kind).mkdir(parents=True)
            Image.new("L", (8, 8), 40 * number + 20).save(folder / name / part / kind / "0.png")
    return folder / name


@pytest.mark.parametrize("name", sampled(POSSIBLE))
def test_a_folder_of_images_is_refused_or_its_name_is_shown(name: str, ends: Ends, elsewhere: Path) -> None:
    place = photos(elsewhere / "sets", name)
    command = f"run sat --dataset {shlex.quote(f'folder:{place}')} --arch smallcnn --attacks natural,pgd --dry-run"
    code, out, err = ends(command)
    assert unseen(out + err) == set()
    assert [line for line in (out + err).splitlines() if line.lstrip().startswith("forged")] == []
    if code == 2:
        assert (out, err.count("\n"), err.startswith("harness: ")) == ("", 1, True)
        assert visible(name) != name, err  # nothing else is refused
        return
    code, text, _ = ends(f"{command} --json")
    assert (code, text.isascii()) == (0, True)
    (network,) = json.loads(text)["networks"]
    assert network["run"] == "sat-smallcnn-folder-{}-s0".format(normal(name).replace(":", "-"))


@pytest.mark.parametrize("name", sampled([name for name in NAMES if "\0" not in name]))
def test_a_name_of_a_model_is_refused_or_shown(name: str, ends: Ends, elsewhere: Path) -> None:
    (elsewhere / "model.py").write_text(MODEL)
    command = f"evaluate model.py:build --dataset digits --attacks pgd --seeds 1 --dry-run --name={shlex.quote(name)}"
    code, out, err = ends(command)
    assert unseen(out + err) == set()
    assert [line for line in (out + err).splitlines() if line.lstrip().startswith("forged")] == []
    assert (code == 2) == (visible(name) != name)
    if code == 0:
        code, text, _ = ends(f"{command} --json")
        assert (code, text.isascii()) == (0, True)
        assert json.loads(text)["model"] == "model.py:build"


@pytest.mark.parametrize("name", sampled(POSSIBLE))
def test_a_protocol_is_refused_by_its_file(name: str, ends: Ends, elsewhere: Path) -> None:
    (elsewhere / f"{name}.toml").write_text('base = "digits"\n')
    command = f"run sat --dataset digits --arch smallcnn --dry-run --protocol={shlex.quote(f'{name}.toml')}"
    code, out, err = ends(command)
    assert unseen(out + err) == set()
    assert (code == 2) == (visible(name) != name)
