"""Which software a process has: the code of harness, and the packages that a figure depends on."""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path

from harness.errors import HarnessError
from harness.registry.source import ENGINE, content
from harness.runtime.provenance import host, package_versions

CODE = "harness's code"
_COUNTED = (".py", ".toml", ".json")  # what decides a figure; templates and styles of the web page do not


@cache
def software() -> dict[str, str]:
    """The digest of harness's code, and the versions of packages, of this process."""
    return {CODE: code_digest(), **package_versions()}


def code_digest() -> str:
    """SHA-256 over the files of the package ``harness``, wherever they lie."""
    found = hashlib.sha256()
    walked = os.walk(ENGINE, followlinks=True)  # in a checkout, methods/ and attacks/ are links
    for file in sorted(Path(folder) / name for folder, _, names in walked for name in names):
        if file.suffix in _COUNTED:
            digest = hashlib.sha256(content(file)).hexdigest()
            found.update(f"{file.relative_to(ENGINE).as_posix()} {digest}\n".encode())
    return found.hexdigest()


def refuse_other_software(driver: dict[str, str], *, mixed: bool) -> None:
    """Refuse to work for a command that has other software than this process.

    Args:
        driver: ``software()`` of the command.
        mixed: take other versions of packages; never other code of harness.
    Raises:
        HarnessError: names what differs, on which machine.
    """
    own = software()
    if own[CODE] != driver[CODE]:
        raise HarnessError(
            f"the worker on {host()} has harness's code {own[CODE][:12]}, and this command has {driver[CODE][:12]}:"
            " they would not compute the same; take harness out of the folder in which that worker works, or"
            " install the same version there"
        )
    others = [
        f"{name} {own.get(name)} there, {version} here" for name, version in driver.items() if own.get(name) != version
    ]
    if others and not mixed:
        raise HarnessError(
            f"the worker on {host()} has other versions: {', '.join(others)}; install the same ones, or give"
            " --allow-mixed, which records them beside each result"
        )
