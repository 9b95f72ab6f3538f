"""What a Hub's refusal, or its silence, means for the user: one line, without any secret."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from urllib.parse import quote, urlsplit

from harness.errors import HarnessError, visible

_HOST = re.compile(r"[A-Za-z0-9.-]+|[0-9A-Fa-f:]+", re.ASCII)  # a name, or an address of IPv6
_LONGEST = 300  # characters of a Hub's own message
_AGAIN = "run the same command again"
_TOKEN = "make a token that may write in your settings on the Hub, and give it by HF_TOKEN or `hf auth login`"
_MEANINGS = {
    401: ("does not know the token", _TOKEN),
    403: ("does not let this token write to {repository}", f"check the name, or {_TOKEN}"),
    404: ("has no such repository or branch: {repository}", "check --to and --revision"),
    408: ("waited too long for the files", _AGAIN),
    409: ("has another change of {repository} under way", _AGAIN),
    413: ("takes no file of this size", "see the Hub's limits"),
    429: ("takes no more requests from you for now", f"wait a few minutes, then {_AGAIN}"),
}
UNKNOWN = "whether the commit arrived is not known: look at the repository before you run the command again"
NOTHING = "nothing was uploaded"


def endpoint_of(address: str | None) -> str | None:
    """The Hub's address that the user names in ``HF_ENDPOINT``; None where the user names none.

    Raises:
        HarnessError: it is no address of a web server.
    """
    if not address:
        return None
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and bool(_HOST.fullmatch(parts.hostname or "")) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise HarnessError("HF_ENDPOINT is refused: write the Hub's address, such as https://huggingface.co")
    return address.rstrip("/")


def shown_endpoint(address: str) -> str:
    """An address for a message: without a name, a password, and a query."""
    parts = urlsplit(address)
    port = f":{parts.port}" if parts.port else ""
    return visible(f"{parts.scheme}://{parts.hostname}{port}{parts.path}".rstrip("/"))


def secrets_in(token: str | None, address: str) -> list[str]:
    """What must never be printed: the token, and the password of an address, or the name that stands for one."""
    parts = urlsplit(address)
    known = [secret for secret in (token, parts.password or parts.username) if secret]
    return sorted({*known, *(quote(secret, safe="") for secret in known)}, key=len, reverse=True)


def redacted(text: str, secrets: Sequence[str]) -> str:
    """A text in one line, without secrets, and cut if it is long."""
    line = " ".join(text.split())
    for secret in secrets:
        line = line.replace(secret, "***")
    line = visible(line)
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."


def refusal(
    error: BaseException, address: str, repository: str, secrets: Sequence[str], done: str, last: str
) -> HarnessError:
    """The line for the user.

    Args:
        error: what huggingface_hub, or its HTTP client, raised.
        done: what is on the Hub now, if the commit did not arrive.
        last: the address that was asked last.
    """
    causes = list(_causes(error))
    answered = next((response for cause in causes if (response := getattr(cause, "response", None)) is not None), None)
    # only a refusal of the commit says that it did not arrive: after a fault, silence, or nonsense it may have
    state = UNKNOWN if "/commit/" in last and (answered is None or answered.status_code >= 500) else done
    host = shown_endpoint(address)
    if answered is not None:
        status = int(answered.status_code)
        fault = ("has a fault", f"try again later, or see {host}") if status >= 500 else ("refuses", "see its message")
        what, advice = _MEANINGS.get(status, fault)
        own = redacted(
            next((text for cause in causes if (text := getattr(cause, "server_message", None))), ""), secrets
        )
        told = f"{status}: {own}" if own else str(status)
        return HarnessError(f"the Hub {host} {what.format(repository=repository)} ({told}); {state}; {advice}")
    name = type(causes[-1]).__name__
    kinds = {cls.__name__ for cause in causes for cls in type(cause).__mro__}  # by name: which client it is may change
    if "TimeoutException" in kinds:
        return HarnessError(f"the Hub {host} does not answer in time ({name}); {state}; {_AGAIN}, or set HF_ENDPOINT")
    said = redacted(str(error), secrets)
    if kinds & {"OSError", "HTTPError"}:
        check = "check the connection, and HF_ENDPOINT if you set it"
        return HarnessError(f"the Hub {host} cannot be reached ({name}: {said}); {state}; {check}")
    return HarnessError(f"the Hub {host} gave an answer that cannot be used ({name}: {said}); {state}; {_AGAIN}")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exception, and what it was raised from; huggingface_hub wraps what an upload raises."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__
