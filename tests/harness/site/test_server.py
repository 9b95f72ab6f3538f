"""The server shows a site's files, and nothing else, to whoever names this machine."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from harness.errors import HarnessError, StoreError
from harness.site.pages import Files
from harness.site.server import HEADERS, SiteServer

FILES = {"index.html": b"<p>board", "static/site.css": b"p {}", "version.json": b"{}", "data/runs.js": b"harness"}

Ask = Callable[..., http.client.HTTPResponse]


@pytest.fixture
def served() -> Iterator[SiteServer]:
    with SiteServer(lambda: FILES, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def ask(served: SiteServer) -> Iterator[Ask]:
    connections = []

    def call(path: str, method: str = "GET", **headers: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", served.server_port, timeout=10)
        connections.append(connection)
        connection.request(method, path, headers=headers)
        return connection.getresponse()

    yield call
    for connection in connections:
        connection.close()


@pytest.mark.parametrize(
    ("path", "name", "kind"),
    [
        ("/", "index.html", "text/html; charset=utf-8"),
        ("/index.html?x=1", "index.html", "text/html; charset=utf-8"),
        ("/static/site.css", "static/site.css", "text/css; charset=utf-8"),
        ("/data/runs.js", "data/runs.js", "text/javascript; charset=utf-8"),
        ("/version.json", "version.json", "application/json"),
    ],
)
def test_a_file_of_the_site_is_shown(ask: Ask, path: str, name: str, kind: str) -> None:
    answer = ask(path)
    assert (answer.status, answer.read(), answer.headers["Content-Type"]) == (200, FILES[name], kind)
    assert {key: answer.headers[key] for key in HEADERS} == HEADERS
    head = ask(path, "HEAD")
    assert (head.status, head.read(), head.headers["Content-Length"]) == (200, b"", str(len(FILES[name])))


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/static/../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
        "//etc/passwd",
        "/static/",
        "/static",
        "/index.html%00",
        "/" + "a" * 5000,
    ],
)
def test_no_address_leads_out_of_the_site(ask: Ask, path: str) -> None:
    answer = ask(path)
    assert (answer.status, answer.read()) == (404, b"there is no such page\n")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "<script>"])
def test_nothing_but_looking_is_answered(ask: Ask, method: str) -> None:
    answer = ask("/", method)
    assert answer.status == 501
    assert answer.read() == b"this server only shows pages: GET and HEAD\n"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "localhost:9999", "[::1]:80", "192.168.0.7:8000"])
def test_this_machine_is_known_by_its_addresses(ask: Ask, host: str) -> None:
    assert ask("/", Host=host).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "", "[", "a b"]
)
def test_a_name_from_elsewhere_is_refused(ask: Ask, host: str) -> None:
    """DNS rebinding: the page of another site, whose name now leads here, must not read this one."""
    answer = ask("/index.html", Host=host)
    assert answer.status == 421
    assert b"board" not in answer.read()


def test_what_has_not_changed_is_not_sent_again(ask: Ask) -> None:
    first = ask("/")
    first.read()
    again = ask("/", **{"If-None-Match": first.headers["ETag"]})
    assert (again.status, again.read()) == (304, b"")


def test_what_is_no_request_harms_nothing(ask: Ask, served: SiteServer) -> None:
    with socket.create_connection(("127.0.0.1", served.server_port), timeout=10) as raw:
        raw.sendall(b"\x16\x03\x01 no http\r\n\r\n")
        assert raw.recv(100) == b"this server only shows pages: GET and HEAD\n"
    assert ask("/").status == 200


def test_a_database_that_is_gone_is_said_so(monkeypatch: pytest.MonkeyPatch, ask: Ask, served: SiteServer) -> None:
    def gone() -> Files:
        raise StoreError("x.db is a database of another program")

    monkeypatch.setattr(served, "files", gone)
    answer = ask("/")
    assert (answer.status, answer.read()) == (503, b"x.db is a database of another program\n")


def test_a_port_in_use_and_an_address_elsewhere_are_refused(served: SiteServer) -> None:
    with pytest.raises(HarnessError, match=f"--port {served.server_port} of 127.0.0.1 cannot be used: .*in use; give"):
        SiteServer(lambda: FILES, "127.0.0.1", served.server_port)
    with pytest.raises(HarnessError, match="--port 70000 is refused"):
        SiteServer(lambda: FILES, "127.0.0.1", 70000)
    with pytest.raises(HarnessError, match="--host no host is no address"):
        SiteServer(lambda: FILES, "no host", 0)


def test_it_is_bound_where_it_says(served: SiteServer) -> None:
    assert served.server_address[0] == "127.0.0.1"
    assert served.address == f"http://127.0.0.1:{served.server_port}/"
    assert json.loads(FILES["version.json"]) == {}
