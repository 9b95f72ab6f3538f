"""``harness upload``: what arrives at a hub, and what the user reads where the hub is not there or refuses."""

from __future__ import annotations

import hashlib
import json
import runpy
import shlex
import sys
from pathlib import Path

import pytest
import torch

from harness.hub import upload as uploading
from tests.cli.conftest import Ends, Harness, Refused
from tests.cli.hub.conftest import TOKEN
from tests.cli.imported import HEAVY, modules
from tests.fake_hub import FakeHub
from tests.hub_store import OneRun

UPLOAD = "upload 1 --to me/robust"
FILES = {"README.md", "model.safetensors", "config.json", "load_model.py"}


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """huggingface_hub tries again without waiting; gives the seconds that it would have waited."""
    waited: list[float] = []
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", waited.append)
    return waited


class TestWhatArrives:
    def test_the_files_in_one_commit(self, one_run: OneRun, hub: FakeHub, ends: Ends) -> None:
        code, out, err = ends(f"{UPLOAD} --license mit")
        assert (code, err) == (0, "")
        assert out == f"{hub.address}/me/robust commit {1:040x}\n"
        assert hub.files("me/robust").keys() == FILES
        assert [commit["summary"] for commit in hub.commits] == [
            "Upload trades-smallcnn-cifar10-s3, checkpoint last, by harness"
        ]
        assert [asked for asked in hub.asked if "/commit/" in asked] == ["POST /api/models/me/robust/commit/main"]
        assert b"\nlicense: mit\n" in hub.files("me/robust")["README.md"]
        assert hub.private == set()

    def test_the_weights_are_those_that_the_store_recorded(self, one_run: OneRun, hub: FakeHub, ends: Ends) -> None:
        ends(UPLOAD)
        content = hub.files("me/robust")["model.safetensors"]
        assert hashlib.sha256(content).hexdigest() == one_run.record.sha256
        assert content == (one_run.weights / "last.safetensors").read_bytes()

    def test_loaded_anew_the_model_gives_the_same_logits_to_the_bit(
        self, one_run: OneRun, hub: FakeHub, ends: Ends, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        ends(UPLOAD)
        folder = tmp_path_factory.mktemp("downloaded")
        for name, content in hub.files("me/robust").items():
            (folder / name).write_bytes(content)
        model = runpy.run_path(str(folder / "load_model.py"))["load_model"]()
        x = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(1))
        assert torch.equal(model(x), one_run.model(x))
        assert not model.training

    def test_a_private_repository_and_a_branch(self, one_run: OneRun, hub: FakeHub, ends: Ends) -> None:
        assert ends(f"{UPLOAD} --private --revision seed-3")[0] == 0
        assert hub.private == {"me/robust"}
        assert hub.files("me/robust", "main") == {}
        assert hub.files("me/robust", "seed-3").keys() == FILES

    def test_the_card_on_a_branch_downloads_that_branch(self, one_run: OneRun, hub: FakeHub, ends: Ends) -> None:
        # the branch main may have the weights of another checkpoint
        ends(f"{UPLOAD} --revision seed-3")
        card = hub.files("me/robust", "seed-3")["README.md"].decode()
        assert "snapshot_download('me/robust', revision='seed-3')" in card

    def test_a_repository_that_is_there_takes_one_more_commit(self, one_run: OneRun, hub: FakeHub, ends: Ends) -> None:
        hub.repositories["me/robust"] = {"main": {"other.txt": b"kept"}}
        hub.warnings.append("metadata: `datasets` names a data set twice")
        code, out, err = ends(UPLOAD)
        assert code == 0
        assert out
        assert err == (
            "note: Warnings while validating metadata in README.md: - metadata: `datasets` names a data set twice\n"
            "note: me/robust was there already; its history keeps the files as they were\n"
        )
        assert hub.files("me/robust").keys() == {*FILES, "other.txt"}
        assert "POST /api/repos/create" not in hub.asked

    def test_a_dry_run_prints_the_files_and_the_card_and_asks_nobody(
        self, one_run: OneRun, hub: FakeHub, harness: Harness, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("HF_TOKEN")
        out = harness(f"{UPLOAD} --dry-run")
        size = (one_run.weights / "last.safetensors").stat().st_size
        assert out.splitlines()[1] == f"model.safetensors: {size:,} bytes"
        assert 'snapshot_download("me/robust")' in out.replace("'", '"')
        assert hub.asked == []

    def test_nothing_is_left_on_this_disk(self, one_run: OneRun, hub: FakeHub, ends: Ends, elsewhere: Path) -> None:
        before = sorted(path.name for path in elsewhere.rglob("*"))
        assert ends(UPLOAD)[0] == 0
        assert sorted(path.name for path in elsewhere.rglob("*")) == before

    def test_the_token_goes_to_the_hub_and_nowhere_else(self, one_run: OneRun, hub: FakeHub, ends: Ends) -> None:
        _, out, err = ends(UPLOAD)
        sent = [head.get("authorization", head.get("Authorization")) for head in hub.heads]
        assert f"Bearer {TOKEN}" in sent
        assert [told for told, asked in zip(sent, hub.asked, strict=True) if asked.startswith("PUT /lfs/")] == [None]
        assert TOKEN not in out + err
        assert not [name for name, content in hub.files("me/robust").items() if TOKEN.encode() in content]


class TestTheHubRefuses:
    """One line: what, by which rule, and what is on the hub now."""

    @pytest.mark.parametrize(
        ("where", "status", "said"),
        [
            ("repos/create", 401, "does not know the token (401: who?); nothing was uploaded; make a token that may"),
            (
                "repos/create",
                403,
                "does not let this token write to me/robust (403: who?); nothing was uploaded; check",
            ),
            ("repos/create", 409, "has another change of me/robust under way (409: who?); nothing was uploaded; run"),
            ("repos/create", 429, "takes no more requests from you for now (429: who?); nothing was uploaded; wait"),
            ("repos/create", 500, "has a fault (500: who?); nothing was uploaded; try again later"),
            ("repos/create", 418, "refuses (418: who?); nothing was uploaded; see its message"),
            ("validate-yaml", 403, "(403: who?); the repository me/robust was made, and it is empty; check the name"),
            ("preupload", 403, "(403: who?); the repository me/robust was made, and it is empty; check the name"),
            ("preupload", 500, "(500: who?); the repository me/robust was made, and it is empty; try again later"),
            ("PUT /lfs", 403, "(403: who?); the repository me/robust was made, and it is empty; check the name"),
            ("PUT /lfs", 500, "(500: who?); the repository me/robust was made, and it is empty; try again later"),
            ("/commit/", 409, "(409: who?); the repository me/robust was made, and it is empty; run the same"),
            ("/commit/", 500, "(500: who?); whether the commit arrived is not known: look at the repository before"),
        ],
    )
    def test_by_status(
        self,
        one_run: OneRun,
        hub: FakeHub,
        refusal: Refused,
        no_waiting: list[float],
        where: str,
        status: int,
        said: str,
    ) -> None:
        hub.refusals[where] = (status, {}, json.dumps({"error": "who?"}))
        line = refusal(UPLOAD)
        assert line.startswith(f"harness: the Hub {hub.address} ")
        assert said in line
        assert all(files == {} for branches in hub.repositories.values() for files in branches.values())

    def test_a_public_repository_where_a_private_one_is_wanted(
        self, one_run: OneRun, hub: FakeHub, refusal: Refused
    ) -> None:
        hub.repositories["me/robust"] = {"main": {}}
        line = refusal(f"{UPLOAD} --private")
        assert "--private is refused: me/robust is there already and public" in line
        assert hub.commits == []

    def test_a_card_that_it_does_not_take(self, one_run: OneRun, hub: FakeHub, refusal: Refused) -> None:
        hub.refusals["validate-yaml"] = (400, {}, '{"errors": [{"message": "license must be known"}]}')
        line = refusal(UPLOAD)
        assert "license must be known" in line
        assert "it is empty" in line

    def test_an_answer_that_is_no_answer_of_a_hub(self, one_run: OneRun, hub: FakeHub, refusal: Refused) -> None:
        hub.refusals["/api/models"] = (200, {"Content-Type": "text/html"}, "<html>Log in to the hotel</html>")
        assert "gave an answer that cannot be used (JSONDecodeError" in refusal(UPLOAD)
        hub.refusals["/api/models"] = (200, {}, "[1, 2]")
        assert "gave an answer that cannot be used (TypeError" in refusal(UPLOAD)

    def test_nonsense_in_answer_to_the_commit_does_not_say_whether_it_arrived(
        self, one_run: OneRun, hub: FakeHub, refusal: Refused
    ) -> None:
        hub.refusals["/commit/"] = (200, {}, "{}")
        assert "whether the commit arrived is not known" in refusal(UPLOAD)
        hub.refusals["/commit/"] = (502, {}, "<html>Bad gateway</html>")
        assert "whether the commit arrived is not known" in refusal(UPLOAD)

    def test_it_prints_no_token_even_if_the_hub_does(
        self, one_run: OneRun, hub: FakeHub, ends: Ends, no_waiting: list[float]
    ) -> None:
        hub.refusals["repos/create"] = (403, {"X-Error-Message": f"Bearer {TOKEN}"}, f"no: {TOKEN}\x1b[31m")
        code, out, err = ends(UPLOAD)
        assert code == 2
        assert TOKEN not in out + err
        assert "Bearer ***" in err
        assert "\x1b" not in err


class TestTheHubIsNotThere:
    def test_the_connection_is_refused(
        self, one_run: OneRun, refusal: Refused, monkeypatch: pytest.MonkeyPatch, free_port: int
    ) -> None:
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setenv("HF_ENDPOINT", f"http://somebody:{TOKEN}@127.0.0.1:{free_port}/hub?key={TOKEN}")
        line = refusal(UPLOAD)
        assert f"the Hub http://127.0.0.1:{free_port}/hub cannot be reached (ConnectError" in line
        assert "nothing was uploaded; check the connection, and HF_ENDPOINT" in line
        assert TOKEN not in line

    @pytest.fixture
    def free_port(self) -> int:
        import socket

        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            return int(taken.getsockname()[1])

    @pytest.mark.parametrize(
        ("where", "state"),
        [
            ("GET /api/models", "nothing was uploaded; run the same command again"),
            ("validate-yaml", "the repository me/robust was made, and it is empty; run the same command again"),
            ("/commit/", "whether the commit arrived is not known"),
        ],
    )
    def test_it_does_not_answer(
        self, one_run: OneRun, hub: FakeHub, refusal: Refused, monkeypatch: pytest.MonkeyPatch, where: str, state: str
    ) -> None:
        monkeypatch.setattr(uploading, "TIMEOUT_S", 0.3)
        hub.silent = where
        line = refusal(UPLOAD)
        assert "does not answer in time (ReadTimeout)" in line
        assert state in line

    @pytest.mark.parametrize(
        "address",
        [
            "localhost:8000",
            "ftp://x.org",
            "http://",
            "http://x.org:port",
            "//x",
            "http://a b",
            "http://[::1",
            "http://x.org:99999",
        ],
    )
    def test_an_address_that_is_none(
        self, one_run: OneRun, refusal: Refused, monkeypatch: pytest.MonkeyPatch, address: str
    ) -> None:
        monkeypatch.setenv("HF_ENDPOINT", address)
        assert "HF_ENDPOINT is refused: write the Hub's address" in refusal(UPLOAD)

    def test_without_a_token(
        self, one_run: OneRun, hub: FakeHub, refusal: Refused, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("HF_TOKEN")
        assert "give it by HF_TOKEN or `hf auth login`" in refusal(UPLOAD)
        assert hub.asked == []


class TestRefusedBeforeTheHubIsAsked:
    @pytest.mark.parametrize(
        "to", ["robust", "me/robust/x", "me/", "/x", "'me/a b'", "me/-x", "me/x..y", "me/x.git", "'me/<b>'"]
    )
    def test_a_name_that_is_none(self, hub: FakeHub, refusal: Refused, to: str) -> None:
        assert "is refused: write OWNER/NAME" in refusal(f"upload 1 --to {to}")
        assert hub.asked == []

    @pytest.mark.parametrize("branch", ["''", "'a b'", "../x", "-x", "a..b", "x/"])
    def test_a_branch_that_is_none(self, hub: FakeHub, refusal: Refused, branch: str) -> None:
        assert "is refused: a branch's name has" in refusal(f"{UPLOAD} --revision {shlex.quote(branch.strip(chr(39)))}")

    def test_a_licence_that_nobody_knows(self, hub: FakeHub, refusal: Refused) -> None:
        assert "unknown licence 'MTI'; did you mean 'mit'? known: " in refusal(f"{UPLOAD} --license MTI")

    def test_weights_that_are_gone_or_changed(self, one_run: OneRun, hub: FakeHub, refusal: Refused) -> None:
        file = one_run.weights / "last.safetensors"
        file.write_bytes(file.read_bytes() + b"x")
        assert "are not those that the store recorded" in refusal(UPLOAD)
        file.unlink()
        assert "cannot be read" in refusal(UPLOAD)
        assert hub.asked == []


def test_without_huggingface_hub_one_line_names_the_extra(
    one_run: OneRun, refusal: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert "pip install 'robustness-harness[hub]'" in refusal(f"{UPLOAD} --dry-run")


def test_its_help_imports_nothing_heavy(elsewhere: Path) -> None:
    assert modules(elsewhere, "upload", "--help") & {*HEAVY, "yaml"} == set()
