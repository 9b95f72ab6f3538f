"""A run that is done and measured, and a hub to upload it to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fake_hub import FakeHub, fake_hub
from tests.hub_store import OneRun, flagged, passed

TOKEN = "hf_a-secret-that-nobody-may-read"


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> OneRun:
    made = OneRun(tmp_path_factory.mktemp("one-run"))
    made.measure()
    made.examine(passed())
    made.examine(flagged(), kind="verdicts")
    made.end()
    made.store.close()
    return made


@pytest.fixture
def one_run(kept: OneRun, elsewhere: Path) -> OneRun:
    """In the working directory, for each test anew."""
    return kept.moved(elsewhere)


@pytest.fixture(autouse=True)
def no_hub_of_the_user(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a token nor an address of the user's, and no proxy on the way."""
    from huggingface_hub import constants

    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_OIDC_RESOURCE", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(elsewhere / "no-token"))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with fake_hub() as found:
        monkeypatch.setenv("HF_ENDPOINT", found.address)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield found
