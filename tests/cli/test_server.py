"""Commands on a PostgreSQL server: they say what they say of a file, and fail in one line without the password."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.store.copying import copy_database
from tests.cli.conftest import Ends, Harness, Refused
from tests.harness.store.entries import rows
from tests.postgres import PASSWORD, Server
from tests.varied import varied_store

READING = [
    "leaderboard",
    "leaderboard --format json",
    "leaderboard --by-seed --format csv",
    "runs",
    "runs --json",
    "runs --state lost",
    "show 1",
    "show 2 --json",
    "show theirs",
    "db check",
]
TRAINED = (
    "run sat --dataset digits --arch smallcnn --set width=1 --set train.steps=1 --epochs 1 --attacks natural,fgsm"
    " --no-checks --limit 40 --workers 1 --json"
)


@pytest.fixture
def made(postgres: Server) -> Iterator[str]:
    """The address of a database without tables."""
    name = postgres.create()
    yield postgres.url(name)
    postgres.drop(name)


@pytest.fixture
def varied(made: str, elsewhere: Path) -> tuple[str, str]:
    """A file with much in it, and a server with the same."""
    file = elsewhere / "board.db"
    varied_store(file).close()
    copy_database(str(file), made)
    return str(file), made


def test_every_reading_command_says_the_same_of_a_server(varied: tuple[str, str], ends: Ends) -> None:
    for command in READING:
        of_file, of_server = (ends(f"{command} --db {place}") for place in varied)
        assert of_file[0] == (command == "db check"), of_file  # it finds what nobody would store
        assert of_server == of_file
    for place, name in zip(varied, ("file", "server"), strict=True):
        assert ends(f"export verdicts --out {name}.csv --db {place}")[0] == 0
    assert Path("server.csv").read_bytes() == Path("file.csv").read_bytes()


def test_every_writing_command_leaves_the_same_on_a_server(varied: tuple[str, str], harness: Harness) -> None:
    for place in varied:
        harness(f"note 1 'a remark' --db {place}")
        harness(f"tag 1 2 --add paper --db {place}")
        harness(f"rm 3 --yes --db {place}")
    of_file, of_server = map(rows, varied)
    assert of_file == of_server
    assert any("a remark" in row for row in of_server["runs"])
    assert of_server["removed_attempts"]


@pytest.mark.slow
@pytest.mark.usefixtures("elsewhere")
def test_a_run_gives_the_same_and_its_results_go_both_ways(made: str, postgres: Server, harness: Harness) -> None:
    figures = [json.loads(harness(f"{TRAINED} --db {place}")) for place in ("file.db", made)]
    assert figures[0] == figures[1]
    of_file, of_server = (
        {re.sub(r"\b[0-9]+\.[0-9]+\b", "", row) for row in rows(place)["blocks"]} for place in ("file.db", made)
    )
    assert of_file == of_server  # but for the seconds that each took
    logs = [file.read_text() for file in Path("runs").rglob("*.txt")]
    assert logs
    assert PASSWORD not in "".join(logs)

    said = harness(f"db copy back.db --db {made}").splitlines()
    assert said == ["copied to back.db", "sound: 1 runs, 2 evaluations, 80 verdicts"]
    assert rows("back.db") == rows(made)
    assert json.loads(harness(f"{TRAINED} --db back.db")) == figures[0]  # nothing is left to do
    new, third = (postgres.url(postgres.create()) for _ in range(2))
    assert harness(f"db merge file.db --db {new} --dry-run").startswith("would add: 1 protocols, 1 runs")
    merged = harness(f"db merge file.db --db {new}")
    assert merged.startswith("added: 1 protocols, 1 runs")
    assert harness(f"db merge {new} --db again.db") == merged
    assert harness(f"db merge {new} --db {made}").startswith("added: 0 protocols, 0 runs")
    assert harness(f"db copy --to {third} --db {new}").startswith("copied to postgresql+psycopg://***@127.0.0.1:")
    assert rows(third) == rows(new)
    assert "already" in harness(f"db upgrade --no-backup --db {third}")

    told = harness(f"doctor --json --db {third}")
    found = {one["topic"].partition(" postgresql")[0]: one for one in json.loads(told)["checks"]}
    assert re.fullmatch(r"\d+\.\d+, driver psycopg 3\..*", found["PostgreSQL"]["text"])
    assert "switch fsync" in found["PostgreSQL's disk"]["remedy"]  # it is off for the tests
    assert found["database"]["text"] == "sound: 1 runs, 2 evaluations"
    assert PASSWORD not in told
    for place in (new, third):
        postgres.drop(place.rpartition("/")[2])


def test_the_doctor_tells_of_a_server_that_refuses(postgres: Server, ends: Ends) -> None:
    code, out, _ = ends(f"doctor --json --db {postgres.url('nowhere')}")
    assert code == 1
    assert "is not on its server" in out
    assert PASSWORD not in out


WRONG = ["runs", "leaderboard", "show 1", "rm 1 --yes", "db check", "db copy new.db", "db upgrade --no-backup", TRAINED]


def test_what_cannot_be_opened_is_one_line_and_leaves_nothing(
    postgres: Server, server_database: str, refusal: Refused, elsewhere: Path
) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        silent = f"postgresql+psycopg://me:{PASSWORD}@127.0.0.1:{mute.getsockname()[1]}/x?connect_timeout=2"
        places = {
            postgres.url(server_database, password="wrong-one"): "refuses the user's name or password",
            postgres.url("nowhere"): "is not on its server",
            postgres.url("x").replace(str(postgres.port), "1"): "cannot be reached: nothing listens there",
        }
        for place, reason in places.items():
            for command in WRONG:
                line = refusal(f"{command} --db {place}")
                assert reason in line, command
                assert PASSWORD not in line
                assert "wrong-one" not in line
        assert "nothing came within 2 s" in refusal(f"runs --db {silent}")
        for command in (f"db merge {silent} --db new.db", f"db copy --to {silent} --db there.db"):
            assert PASSWORD not in refusal(command)
    assert "name one place for the copy" in refusal("db copy --db x.db")
    assert "name one place for the copy" in refusal("db copy a.db --to b.db --db x.db")
    assert list(elsewhere.rglob("*.db")) == []
