"""The upload to a Hub by huggingface_hub: the files in one commit, so that nothing half-uploaded is ever visible."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from harness.errors import HarnessError
from harness.hub.extra import import_huggingface_hub
from harness.hub.names import MAIN, WEIGHTS
from harness.hub.refusals import NOTHING, endpoint_of, redacted, refusal, secrets_in, shown_endpoint

TIMEOUT_S = 30.0  # without any byte; huggingface_hub itself would wait for ever


@dataclass(frozen=True)
class Upload:
    """An upload that was done.

    Attributes:
        address: of the repository on the web.
        commit: its identifier.
        made: whether the repository is new.
        remarks: what the Hub said of the card.
    """

    address: str
    commit: str
    made: bool
    remarks: tuple[str, ...]


def upload_files(
    files: Mapping[str, bytes], repository: str, *, message: str, private: bool = False, revision: str = MAIN
) -> Upload:
    """Make the repository if there is none, and commit the files to it, all at once.

    Args:
        repository: ``OWNER/NAME``.
        private: the repository must be private.
        revision: the branch; it is made if there is none.
    Raises:
        HarnessError: there is no token, the Hub refuses or is not there, or the repository is public and should be
            private. The message says what is on the Hub now, and never a secret.
    """
    hub = import_huggingface_hub()
    named = endpoint_of(os.environ.get("HF_ENDPOINT"))  # read now: huggingface_hub reads it when it is imported
    address = named or hub.constants.ENDPOINT
    secrets = secrets_in(None, address)
    done, asked = NOTHING, [""]
    with _patient(hub, asked), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            token = hub.get_token()
            secrets = secrets_in(token, address)
            api = hub.HfApi(endpoint=address, token=_required(token), library_name="robustness-harness")
            made = _make_repository(hub, api, repository, private)
            if made:
                done = f"the repository {repository} was made, and it is empty"
            if revision != MAIN:
                api.create_branch(repository, branch=revision, exist_ok=True)
            additions = [hub.CommitOperationAdd(name, _content(name, content)) for name, content in files.items()]
            commit = api.create_commit(repository, additions, commit_message=message, revision=revision)
            oid = str(commit.oid)
        except HarnessError:
            raise
        except (
            OSError,
            hub.errors.HTTPError,
            RuntimeError,
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
        ) as error:
            # of huggingface_hub, or of the client and the server behind it: the calls above hold no code of ours
            raise refusal(error, address, repository, secrets, done, asked[-1]) from None
    remarks = tuple(redacted(str(w.message), secrets) for w in said if w.category is UserWarning)  # on the card
    return Upload(f"{shown_endpoint(address)}/{repository}", redacted(oid, secrets), made, remarks)


def _required(token: str | None) -> str:
    if token is None:
        raise HarnessError(
            "an upload needs a token of the Hub that may write, and there is none; make one in your settings on the"
            " Hub, and give it by HF_TOKEN or `hf auth login`"
        )
    return token


def _make_repository(hub: ModuleType, api: Any, repository: str, private: bool) -> bool:
    """Make the repository; False if it was there already."""
    try:
        known = api.model_info(repository, timeout=TIMEOUT_S)  # its own default is to wait for ever
    except hub.errors.RepositoryNotFoundError:
        api.create_repo(repository, private=private or None)  # None: what the owner's settings say
        return True
    if private and not known.private:
        raise HarnessError(
            f"--private is refused: {repository} is there already and public, so the upload would be public;"
            f" {NOTHING}; make it private on the Hub, name another repository, or leave --private out"
        )
    return False


def _content(name: str, content: bytes) -> bytes | io.BytesIO:
    # a stream takes the way by HTTP alone, in place of a program of its own that sends bytes to another server
    return io.BytesIO(content) if name == WEIGHTS else content


@contextlib.contextmanager
def _patient(hub: ModuleType, asked: list[str]) -> Iterator[None]:
    """No bars, no lines of logs on standard error, and an end to every wait; all as before afterwards.

    Args:
        asked: takes the address of every request.
    """
    level = hub.logging.get_verbosity()
    barred = hub.utils.are_progress_bars_disabled()
    before = hub.get_session()
    kind, hooks = type(before), before.event_hooks

    def remember(request: Any) -> None:
        asked.append(str(request.url))

    def client(timeout: Any, *own: Any) -> Any:
        every = hooks | {"request": [*hooks["request"], *own]}
        return kind(event_hooks=every, follow_redirects=True, timeout=timeout)

    hub.logging.set_verbosity(hub.logging.CRITICAL)
    hub.utils.disable_progress_bars()
    hub.set_client_factory(lambda: client(TIMEOUT_S, remember))
    try:
        yield
    finally:
        hub.set_client_factory(lambda: client(before.timeout))
        hub.logging.set_verbosity(level)
        if not barred:
            hub.utils.enable_progress_bars()
