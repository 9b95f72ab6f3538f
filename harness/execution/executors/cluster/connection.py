"""Connects this process to a Ray cluster, and asks what the cluster has."""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import logging
import os
import signal
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, SettingError, one_line
from harness.registry.catalogue import PLUGIN_FOLDER_VARIABLE
from harness.registry.source import ENGINE

_ANSWER_S = 10.0  # an address that does not answer in this time is refused
_HANDLED = [getattr(signal, name) for name in ("SIGINT", "SIGTERM") if hasattr(signal, name)]
AUTO = "auto"
_VARIABLE = "RAY_ADDRESS"
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"  # how a client of HTTP/2 begins
_HEADER = 9  # bytes before each of its frames; the fourth is the frame's type
_SETTINGS = b"\4"  # the type of a server's first frame


@dataclass(frozen=True)
class Resources:
    """What a cluster has now.

    Attributes:
        cores, devices: of all machines together: cores of processors, and CUDA devices.
        widest: the most cores that one machine has.
        free_cores, free_devices: those that no task has.
    """

    cores: float
    devices: float
    widest: float
    free_cores: float
    free_devices: float


def find_ray() -> None:
    """Refuse to go on without Ray.

    Raises:
        SettingError: it is not installed.
    """
    if importlib.util.find_spec("ray") is None:
        raise SettingError("--executor ray needs Ray, which is not installed: pip install 'robustness-harness[ray]'")


def connect(address: str | None) -> None:
    """Connect this process, unless it is connected already, as a script that called ``ray.init`` is.

    Args:
        address: ``HOST:PORT``; ``auto``: the cluster that this machine belongs to; None: as Ray does it: the cluster
            that ``RAY_ADDRESS`` names, else this machine's, else a new one here, which ends with this process.
    Raises:
        SettingError: Ray is not installed, or the address is refused.
        HarnessError: no cluster answers there, or what answers is another version.
    """
    find_ray()
    with _handlers_kept():
        import ray

        if ray.is_initialized():
            _refuse_another(address, ray.get_runtime_context().gcs_address)
            return
        found = answering(address)
        # Ray would print what befalls a machine of the cluster on standard output, which is for results
        vars(importlib.import_module("ray._private.worker"))["print_to_stdstream"] = _say_nothing
        try:
            ray.init(
                address=found or "local",
                log_to_driver=False,
                logging_level=logging.ERROR,
                include_dashboard=None if found else False,
                runtime_env={
                    # Ray sends harness's code to each machine, by the hash of its content
                    "py_modules": [str(ENGINE)],
                    # one arena: what a worker's thread frees is then kept for the next step, as on a main thread
                    "env_vars": {PLUGIN_FOLDER_VARIABLE: "", "MALLOC_ARENA_MAX": "1"},
                },
            )
        except (ConnectionError, RuntimeError, ValueError) as error:  # such as another version of Ray or Python
            raise HarnessError(f"the Ray cluster {found or ''} cannot be joined: {one_line(error)}") from None
        atexit.register(_leave)


def _refuse_another(asked: str | None, joined: str) -> None:
    """Refuse to work elsewhere than the user asks for, where this process is connected already."""
    if asked in (None, AUTO):
        return
    (host, port), (own, own_port) = _checked(str(asked)), _checked(joined)
    with contextlib.suppress(OSError):
        host = socket.gethostbyname(host)
    if port != own_port or (host != own and not host.startswith("127.")):
        raise SettingError(
            f"--ray-address {asked} is refused: this process is connected to the Ray cluster at {joined} already; call"
            " ray.shutdown() first, or leave the address out"
        )


def _leave() -> None:
    """Leave the cluster at the end of the process. A second Ctrl-C meanwhile ends it, without a traceback of Ray's."""
    with contextlib.suppress(ValueError):  # only the main thread may
        for number in _HANDLED:
            signal.signal(number, signal.SIG_DFL)
    ray: Any = importlib.import_module("ray")
    ray.shutdown()


def _say_nothing(*_: object, **__: object) -> None:
    """In place of Ray's printing: the executor tells of what matters."""


def resources() -> Resources:
    """What the cluster has; all zero if it does not answer."""
    ray: Any = importlib.import_module("ray")
    try:
        total, free, nodes = ray.cluster_resources(), ray.available_resources(), ray.nodes()
    except ray.exceptions.RayError:
        total, free, nodes = {}, {}, []
    each = [node.get("Resources", {}).get("CPU", 0.0) for node in nodes if node.get("Alive")]
    return Resources(
        cores=total.get("CPU", 0.0),
        devices=total.get("GPU", 0.0),
        widest=max(each, default=0.0),
        free_cores=free.get("CPU", 0.0),
        free_devices=free.get("GPU", 0.0),
    )


def head_answers() -> bool:
    """Whether the head of the joined cluster is there; without it, Ray's calls end this process after a minute."""
    ray: Any = importlib.import_module("ray")
    return _silent(*_checked(ray.get_runtime_context().gcs_address)) is None


def has_devices() -> bool:
    """Whether a machine of the cluster that this process is connected to has a CUDA device; without one: no."""
    ray: Any = importlib.import_module("ray")
    return bool(ray.is_initialized() and resources().devices)


def room(device_type: str, per_device: int) -> int:
    """How many items of one core, or of a share of a CUDA device, the cluster can perform side by side; at least 1."""
    ray: Any = importlib.import_module("ray")
    if not ray.is_initialized():
        return os.cpu_count() or 1
    has = resources()
    return max(1, int(has.devices * per_device if device_type == "cuda" else has.cores))


def answering(named: str | None) -> str | None:
    """The address of the cluster to join; None if none is named, and none runs on this machine.

    Ray itself would try a silent address for minutes, also one that a cluster which has ended left behind.

    Args:
        named: as ``connect``.
    Raises:
        SettingError: it is no address.
        HarnessError: no cluster answers there.
    """
    named = named or os.environ.get(_VARIABLE)
    if named is not None and named != AUTO:
        host, port = _checked(named)
        problem = _silent(host, port)
        if problem is not None:
            raise HarnessError(
                f"--ray-address {named}: no Ray cluster answers there ({problem}; it was given {_ANSWER_S:g} s); check"
                " the address, and that `ray start --head` has run there"
            )
        return named
    for folder in (os.environ.get("RAY_TMPDIR") or "/tmp", tempfile.gettempdir()):  # where `ray start` leaves a note
        with contextlib.suppress(OSError, SettingError):
            left = (Path(folder) / "ray" / "ray_current_cluster").read_text(encoding="utf-8").strip()
            if _silent(*_checked(left)) is None:
                return left
    if named == AUTO:
        raise HarnessError(
            "--ray-address auto: no Ray cluster runs on this machine; start one with `ray start --head`, name HOST:PORT"
            " of another, or leave --ray-address out"
        )
    return None


def _checked(address: str) -> tuple[str, int]:
    """Host and port of an address."""
    if "://" in address:
        raise SettingError(
            f"--ray-address {address} is refused: name HOST:PORT of the cluster's head, and run the command on a"
            " machine of the cluster; from elsewhere, --detach hands it over"
        )
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise SettingError(f"--ray-address {address} is refused: write auto, or HOST:PORT such as 10.0.0.5:6379")
    return host.strip("[]"), int(port)


def _silent(host: str, port: int) -> str | None:
    """Why no cluster answers at an address; None if one does.

    A head speaks HTTP/2. Ray would try anything else, such as the dashboard's port, for minutes.
    """
    try:
        with socket.create_connection((host, port), _ANSWER_S) as speaking:
            if os.environ.get("RAY_USE_TLS") == "1":  # then it answers to those alone who have its certificate
                return None
            speaking.sendall(_GREETING)
            answer = b""
            while len(answer) < _HEADER and (more := speaking.recv(_HEADER - len(answer))):
                answer += more
    except OSError as error:
        return error.strerror or str(error)
    return None if answer[3:4] == _SETTINGS else "what is there is no head of one"


@contextlib.contextmanager
def _handlers_kept() -> Iterator[None]:
    """Keep this process's handlers of signals: Ray replaces that of SIGTERM when it is imported."""
    before: dict[int, Any] = {}
    with contextlib.suppress(ValueError):  # only the main thread may
        before = {number: signal.getsignal(number) for number in _HANDLED}
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            for number, handler in before.items():
                if handler is not None:
                    signal.signal(number, handler)
