"""A live site follows its database, tells which pages changed, and does not work at each request."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.site import live
from harness.site.live import LiveSite
from harness.store import run_states
from harness.store.database_time import database_seconds
from harness.store.store import Store
from tests.harness.site.made import unpacked
from tests.harness.site.training import train


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "REST", 0)
    monkeypatch.setattr(live, "LEAST_S", 0.0)


def versions(site: LiveSite) -> dict[str, str]:
    found: dict[str, str] = json.loads(site.files()["version.json"])
    return found


@pytest.mark.usefixtures("at_once")
def test_each_page_changes_when_what_it_shows_changes(tmp_path: Path) -> None:
    site = LiveSite(str(tmp_path / "board.db"))
    empty = versions(site)
    assert b"Nothing is measured yet" in site.files()["index.html"]
    train(tmp_path / "board.db", "sat", 100)
    one = versions(site)
    assert b"27.78" in site.files()["index.html"]
    assert all(one[page] != empty[page] for page in ("index.html", "run.html", "method.html"))
    train(tmp_path / "board.db", "mart")  # still running: no board changes
    two = versions(site)
    assert two["run.html"] != one["run.html"]
    assert two["compare.html"] == one["compare.html"]
    assert versions(site) == two
    assert f'data-version="{two["run.html"]}"'.encode() in site.files()["run.html"]


def test_it_rests_between_two_makings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LEAST_S", 3600.0)
    site = LiveSite(str(tmp_path / "board.db"))
    first = site.files()
    train(tmp_path / "board.db", "sat", 100)
    assert site.files() is first
    monkeypatch.setattr(site, "_ready_at", 0.0)
    assert site.files() is not first


@pytest.mark.usefixtures("at_once")
def test_nothing_is_made_while_nothing_changes_and_nothing_is_written(tmp_path: Path) -> None:
    train(tmp_path / "board.db", "sat", 100)
    before = (tmp_path / "board.db").read_bytes()
    site = LiveSite(str(tmp_path / "board.db"))
    assert site.files() is site.files()
    assert (tmp_path / "board.db").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["board.db"]


@pytest.mark.usefixtures("at_once")
class TestARunWhoseProcessIsGone:
    """Its lease ends by the clock of the database; nobody writes that down."""

    @pytest.fixture
    def site(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LiveSite:
        train(tmp_path / "board.db", "trades", 100)
        train(tmp_path / "board.db", "sat")
        site = LiveSite(str(tmp_path / "board.db"))
        assert self.shown(site) == "running"
        monkeypatch.setattr(run_states, "database_seconds", lambda: database_seconds() + 601)  # the lease is of 600 s
        return site

    @staticmethod
    def shown(site: LiveSite) -> str:
        done, unended = unpacked(site.files()["data/runs.js"])["runs"]
        assert done["status"] == "done"
        return str(unended["status"])

    def test_is_shown_as_lost_though_the_database_does_not_change(
        self, site: LiveSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert b"1 of 1 training seeds still running" in site.files()["index.html"]
        before, told = (tmp_path / "board.db").read_bytes(), versions(site)
        assert self.shown(site) == "running"  # nobody has looked yet
        monkeypatch.setattr(site, "_look_at", 0.0)
        assert self.shown(site) == "lost"
        assert b"1 of 1 training seeds lost" in site.files()["index.html"]
        assert versions(site)["run.html"] != told["run.html"]
        assert (tmp_path / "board.db").read_bytes() == before

    def test_is_looked_up_now_and_then_and_never_where_all_runs_are_done(
        self, site: LiveSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(live, "STATES_S", 0.0)
        monkeypatch.setattr(site, "_look_at", 0.0)
        assert self.shown(site) == "lost"
        lost = site.files()
        assert site.files() is lost  # looked up again: no state is another one
        train(tmp_path / "done.db", "sat", 100)
        done = LiveSite(str(tmp_path / "done.db"))
        first = done.files()
        monkeypatch.setattr(Store, "read", lambda _: pytest.fail("the database was read"))
        assert done.files() is first
