"""Shell completion, as a shell asks for it, in fresh processes: it offers what there is, and imports no torch."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from harness.protocols.protocol import protocol_names
from harness.reference import lrat_paper
from harness.registry.catalogue import discover
from tests.cli.imported import HEAVY
from tests.cli.sources import ATTACK, METHOD, NETWORK

PROGRAM = f"""
import atexit, sys
from harness.cli.main import main
sys.argv = ["harness"]
atexit.register(lambda: print(*sorted(sys.modules.keys() & {{*{HEAVY!r}, "sqlalchemy"}}), sep="\\n", file=sys.stderr))
main()
"""


def completed(line: str, **variables: str) -> list[str]:
    """What bash is offered at the end of a line; the process that answers must not import what is heavy."""
    words = shlex.split(line) + ([""] if line.endswith(" ") else [])
    asked = {"_HARNESS_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    command = [sys.executable, "-c", PROGRAM]
    ended = subprocess.run(command, env=os.environ | asked | variables, capture_output=True, text=True, check=True)
    assert ended.stderr.split() == []
    return ended.stdout.split()


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("harness run ", "methods"),
        ("harness run sat ", "methods"),
        ("harness run sat --arch ", "networks"),
        ("harness run sat --dataset ", "datasets"),
        ("harness run sat --wrap ", "wrappers"),
        ("harness run sat --attacks ", "attacks"),
        ("harness evaluate 12 --attacks ", "attacks"),
        ("harness check attack ", "attacks"),
    ],
)
def test_it_offers_what_discovery_finds(line: str, kind: str) -> None:
    assert completed(line) == list(discover(kind).found)


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("harness run lrat-", ["lrat-trades"]),
        ("harness evaluate 12 --attacks pgd,apgd-", ["pgd,apgd-ce", "pgd,apgd-t"]),
        ("harness evaluate 12 --attacks apgd-ce,apgd-", ["apgd-ce,apgd-t"]),
        ("harness run sat --protocol ", protocol_names()),
        ("harness list w", ["wrappers"]),
        ("harness new net", ["network"]),
        ("harness reproduce ", [*dict.fromkeys(f"table{f.paper_table}" for f in lrat_paper.figures()), "all"]),
        ("harness leaderboard --columns natural,w", ["natural,worst_case"]),
        ("harness leaderboard --columns worst_case,aut", ["worst_case,autoattack"]),
        ("harness leaderboard --source m", ["measured"]),
        ("harness leaderboard --layout p", ["paper"]),
        ("harness leaderboard --method mar", ["mart"]),
        ("harness leaderboard --format ma", ["markdown"]),
        ("harness ev", ["evaluate"]),
        ("harness run --epo", ["--epochs"]),
    ],
)
def test_it_completes_a_beginning(line: str, offered: list[str]) -> None:
    assert completed(line) == offered


def test_plugins_of_the_user_s_are_offered_by_their_kind(elsewhere: Path) -> None:
    (elsewhere / "mine").mkdir()
    for name, text in {"my_loss": METHOD, "push": ATTACK, "narrow": NETWORK, "_shared": METHOD}.items():
        (elsewhere / "mine" / f"{name}.py").write_text(text)
    (elsewhere / "other.py").write_text(METHOD)
    folder = {"HARNESS_PLUGINS": "mine"}
    assert completed("harness run --plugin other.py my", **folder) == ["my-loss"]
    assert completed("harness run --plugin other.py o", **folder) == ["other"]
    assert completed("harness evaluate 1 --attacks pu", **folder) == ["push"]
    assert completed("harness run sat --arch na", **folder) == ["narrow"]


def test_an_experiment_and_the_project_s_places_are_offered(elsewhere: Path) -> None:
    (elsewhere / "mine").mkdir()
    (elsewhere / "mine/my_loss.py").write_text(METHOD)
    (elsewhere / "my-experiment.toml").write_text("methods = ['sat']")
    (elsewhere / "harness.toml").write_text("plugins = ['mine']")
    assert completed("harness run my") == ["my-loss", "my-experiment.toml"]
    (elsewhere / "harness.toml").write_text("= 5")  # what cannot be read is not offered
    assert completed("harness run my") == ["my-experiment.toml"]
    assert completed("harness run har") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell(shell: str) -> None:
    from typer._completion_shared import get_completion_script

    text = get_completion_script(prog_name="harness", complete_var="_HARNESS_COMPLETE", shell=shell)
    assert "_HARNESS_COMPLETE" in text
    asked = os.environ | {"_HARNESS_COMPLETE": f"source_{shell}"}
    ended = subprocess.run([sys.executable, "-m", "harness"], env=asked, capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == text.strip()
