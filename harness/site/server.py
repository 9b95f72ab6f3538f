"""A small web server that shows a site to browsers: it reads, and changes nothing.

It knows the files of the site by their names and looks for none on the disk, so no address leads anywhere else. It
answers only requests that name this machine: a page from elsewhere, whose name its owner lets point here (DNS
rebinding), learns nothing.
"""

from __future__ import annotations

import hashlib
import ipaddress
import socket
import socketserver
import sys
import traceback
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from harness.errors import HarnessError
from harness.site.pages import Files

TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
}
HEADERS = {
    "Cache-Control": "no-cache",  # ask each time; an unchanged file is not sent again
    "Content-Security-Policy": "frame-ancestors 'none'",  # each page has the rest of the policy
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class SiteServer(ThreadingHTTPServer):
    """Shows what ``files`` returns at the time of a request."""

    daemon_threads = True

    def __init__(self, files: Callable[[], Files], host: str, port: int) -> None:
        if not 0 <= port <= 65535:
            raise HarnessError(f"--port {port} is refused: a port is a number from 0 to 65535")
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        except (OSError, UnicodeError):
            raise HarnessError(f"--host {host} is no address of this machine; leave it out for 127.0.0.1") from None
        self.address_family, _, _, _, address = found[0]
        self.files, self._host = files, host
        try:
            super().__init__(address[:2], _Answer)  # type: ignore[arg-type]
        except OSError as error:
            reason = error.strerror or str(error)
            raise HarnessError(f"--port {port} of {host} cannot be used: {reason}; give another --port") from None

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # the base's looks up the machine's full name, which may take long
        self.server_name, self.server_port = self._host, self.server_address[1]

    @property
    def address(self) -> str:
        """The address to open in a browser."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.server_port}/"

    def knows(self, host: str | None) -> bool:
        """Whether a request's ``Host`` names this machine: an address in numbers, or a name of the machine's own."""
        if not host:
            return False
        name = urlsplit(f"//{host}").hostname or ""
        try:
            ipaddress.ip_address(name.partition("%")[0])
        except ValueError:
            return name in {"localhost", self._host.lower(), socket.gethostname().lower()}
        return True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # a browser that goes away is no fault
            traceback.print_exc()


class _Answer(BaseHTTPRequestHandler):
    server: SiteServer
    protocol_version = "HTTP/1.1"
    timeout = 30  # seconds of silence
    server_version, sys_version = "harness", ""

    def do_GET(self) -> None:
        try:
            known = self.server.knows(self.headers.get("Host"))
        except ValueError:
            known = False
        if not known:
            self._send(HTTPStatus.MISDIRECTED_REQUEST, b"this server is not known by that name\n", "text/plain")
            return
        try:
            files = self.server.files()
        except HarnessError as error:  # the database was moved away, or is of another version now
            self._send(HTTPStatus.SERVICE_UNAVAILABLE, f"{error}\n".encode(), "text/plain; charset=utf-8")
            return
        path = unquote(urlsplit(self.path).path).removeprefix("/") or "index.html"
        content = files.get(path)
        if content is None:
            self._send(HTTPStatus.NOT_FOUND, b"there is no such page\n", "text/plain")
            return
        self._send(HTTPStatus.OK, content, TYPES.get(path.rpartition(".")[2], "text/plain; charset=utf-8"))

    def do_HEAD(self) -> None:
        self.do_GET()  # ``_send`` leaves the content out

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what is no request, or asks for more than to look, in one line of plain text."""
        self.close_connection = True  # what else was sent is not read
        self._send(HTTPStatus(code), b"this server only shows pages: GET and HEAD\n", "text/plain", Connection="close")

    def _send(self, status: HTTPStatus, content: bytes, kind: str, **more: str) -> None:
        tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        if status == HTTPStatus.OK and self.headers.get("If-None-Match") == tag:
            status, content = HTTPStatus.NOT_MODIFIED, b""
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": kind, "ETag": tag, **more}.items():
            self.send_header(name, value)
        if status != HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Print nothing for a request."""
