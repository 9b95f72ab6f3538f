"""Models from elsewhere that print, set torch's default type, exit, or take batches of one size: right, or refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.cli.conftest import Ends
from tests.cli.model_file import evaluation, log, write
from tests.command import exit_code


@pytest.mark.parametrize("part", ["forward", "backward"])
def test_a_default_type_that_it_sets_is_put_back_and_flagged(part: str, ends: Ends) -> None:
    documents = []
    for deed in ("pass", "torch.set_default_dtype(torch.float64)"):
        write(**{part: deed})
        code, out, err = ends(evaluation("--json --workers 1 --fresh"))
        assert code == 0, err
        documents.append(json.loads(out)["reports"][0])
    plain, setting = documents
    assert torch.get_default_dtype() == torch.float32
    assert setting["metrics"] == plain["metrics"]
    raised = [{f["check"] for f in each["findings"] if f["status"] == "flagged"} for each in documents]
    assert raised[1] - raised[0] == {"global-state"}


@pytest.mark.parametrize(
    "text", ["import sys; sys.exit(0)", "import sys\ndef Net(): sys.exit(0)", "import sys\nclass Net:\n    sys.exit()"]
)
def test_an_exit_as_it_is_opened_is_refused_and_nothing_is_written(text: str, ends: Ends) -> None:
    Path("net.py").write_text(text)
    before = set(Path().iterdir())
    code, out, err = ends(evaluation())
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "raised SystemExit" in err
    assert set(Path().iterdir()) == before


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_what_it_prints_or_writes_past_python_never_reaches_standard_output(
    workers: int, capfd: pytest.CaptureFixture[str]
) -> None:
    past = "sys.__stdout__.write('dunder\\n'); os.write(1, b'descriptor\\n'); ctypes.CDLL(None).puts(b'in C')"
    write(forward=f"print('forward'); os.system('echo shell'); {past}", backward="print('backward')")
    Path("net.py").write_text(f"import ctypes\nprint('import')\n{Path('net.py').read_text()}")
    code = exit_code(f"harness {evaluation(f'--json --no-checks --workers {workers}')}")
    out, err = capfd.readouterr()
    assert code == 0, err
    assert list(json.loads(out)["reports"][0]["metrics"]) == ["natural", "pgd"]
    assert {"import", "forward", "dunder", "descriptor", "in C", "shell"} <= set(err.splitlines())
    # 2 blocks: a pass each for natural accuracy, 3 steps and a last look each for PGD; and fixed images, after each of
    # the four and at first in every process
    asked = log().count("printed: forward") - (2 + 2 * (3 + 1) + 4)
    assert 1 <= asked <= workers
    assert log().count("printed: backward") == 2 * 3
    assert 1 <= err.count("the model or an attack prints; it goes to runs") <= workers


@pytest.mark.slow
def test_one_size_gives_the_figures_of_any_size_and_one_that_mixes_its_images_is_flagged(ends: Ends) -> None:
    reports = []
    for forward, returned in (
        ("pass", "logits"),
        ("assert len(x) == 32", "logits"),
        ("assert len(x) == 32", "logits + 5 * logits.mean(0)"),
    ):
        write(forward=forward, returned=returned)
        code, out, err = ends(evaluation("--json --workers 1"))
        assert code == 0, err
        reports.append(json.loads(out)["reports"][0])
    anyhow, one, _ = reports
    assert one["metrics"] == anyhow["metrics"]
    flagged = [{f["check"] for f in each["findings"] if f["status"] == "flagged"} for each in reports]
    assert flagged[1] == flagged[0]
    assert "random-forward" not in flagged[0]
    assert "random-forward" in flagged[2]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("nn.Linear(64, 10)", "nn.Linear(64, 10, device='meta')"), "cannot be brought to the CPU"),
        (("def in_forward", "def train(self, mode=True): sys.exit(0)\n    def in_forward"), "(SystemExit: 0)"),
        (("return logits", "return logits.to('meta')"), "returns its answers on meta for images on cpu"),
    ],
)
def test_a_model_that_is_elsewhere_or_has_no_evaluation_mode_is_refused_and_nothing_is_written(
    change: tuple[str, str], told: str, ends: Ends
) -> None:
    write()
    Path("net.py").write_text(Path("net.py").read_text().replace(*change))
    before = set(Path().iterdir())
    code, out, err = ends(evaluation())
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert told in err
    assert set(Path().iterdir()) == before
