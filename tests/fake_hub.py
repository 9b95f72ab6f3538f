"""A model hub on this machine: the addresses that huggingface_hub asks for an upload, and a record of what arrives."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

Files = dict[str, bytes]


@dataclass
class FakeHub:
    """Its state, which tests read and set.

    Attributes:
        repositories: name -> branch -> files, as a visitor sees them.
        private: names of private repositories.
        refusals: part of an address, with its method before it -> status, headers, and text of the answer.
        silent: part of an address that is never answered.
        warnings: what the Hub says of a card.
        asked: method and path of every request; ``heads``: their headers; ``stored``: large files by SHA-256.
    """

    address: str = ""
    repositories: dict[str, dict[str, Files]] = field(default_factory=dict)
    private: set[str] = field(default_factory=set)
    refusals: dict[str, tuple[int, dict[str, str], str]] = field(default_factory=dict)
    silent: str | None = None
    warnings: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    heads: list[dict[str, str]] = field(default_factory=list)
    stored: dict[str, bytes] = field(default_factory=dict)
    commits: list[dict[str, Any]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def files(self, name: str, branch: str = "main") -> Files:
        return self.repositories[name][branch]

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, str], Any]:
        """The answer to one request: status, headers, and a document."""
        parts = [unquote(part) for part in path.strip("/").split("/")]
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            if name in self.repositories:
                return 409, {}, {"error": "You already created this model repo"}
            self.repositories[name] = {"main": {}}
            if asked.get("visibility") == "private":
                self.private.add(name)
            return 200, {}, {"url": f"{self.address}/{name}"}
        if path == "/api/validate-yaml":
            return 200, {}, {"errors": [], "warnings": [{"message": text} for text in self.warnings]}
        if parts[0] == "lfs":
            self.stored[parts[1]] = body
            return 200, {}, {}
        if path.endswith(".git/info/lfs/objects/batch"):
            objects = json.loads(body)["objects"]
            upload = [{"upload": {"href": f"{self.address}/lfs/{wanted['oid']}"}} for wanted in objects]
            return 200, {}, {"objects": [wanted | {"actions": u} for wanted, u in zip(objects, upload, strict=True)]}
        name = "/".join(parts[2:4])
        if name not in self.repositories:
            return 404, {"X-Error-Code": "RepoNotFound"}, {"error": "Repository not found"}
        branches = self.repositories[name]
        what, branch = (*parts[4:6], "", "")[:2]
        if what == "branch":
            branches.setdefault(branch, dict(branches["main"]))
            return 200, {}, {}
        if what == "preupload":
            files = [file["path"] for file in json.loads(body)["files"]]
            modes = {file: "lfs" if file.endswith(".safetensors") else "regular" for file in files}
            return 200, {}, {"files": [{"path": f, "uploadMode": m, "shouldIgnore": False} for f, m in modes.items()]}
        if what == "commit":
            return 200, {}, self._commit(branches[branch], [json.loads(line) for line in body.splitlines()], name)
        return 200, {}, {"id": name, "private": name in self.private, "sha": "0" * 40, "siblings": []}

    def _commit(self, files: Files, lines: list[dict[str, Any]], name: str) -> dict[str, str]:
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.stored[value["oid"]]
            else:
                self.commits.append(value)
        oid = f"{len(self.commits):040x}"
        return {"commitUrl": f"{self.address}/{name}/commit/{oid}", "commitOid": oid}


@contextlib.contextmanager
def fake_hub() -> Iterator[FakeHub]:
    """A hub that answers on a free port of this machine until the block ends."""
    hub = FakeHub()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            path = urlsplit(self.path).path
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Transfer-Encoding") == "chunked":
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
            asked = f"{self.command} {path}"
            hub.asked.append(asked)
            hub.heads.append(dict(self.headers))
            if hub.silent is not None and hub.silent in asked:
                hub.over.wait(20)
                return
            refused = next((told for part, told in hub.refusals.items() if part in asked), None)
            status, headers, document = refused or hub.answer(self.command, path, body)
            content = document.encode() if isinstance(document, str) else json.dumps(document).encode()
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = answer  # noqa: N815  # the names are http.server's

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing on standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
