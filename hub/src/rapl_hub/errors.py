"""Why a download failed. The message is the reason, on one line; an engine adds the remedy, which names its settings.

HubError
├── HubUnavailable
│   └── HubOffline
├── NotFound
│   ├── RevisionNotFound
│   └── RepositoryGated
└── DamagedFile
"""

import socket
import ssl
from collections.abc import Iterator


class HubError(Exception):
    """A download failed. Raised itself if the hub refused the request; another attempt would fail too."""


class HubUnavailable(HubError):
    """The network or the hub failed; a later attempt may succeed. What was downloaded so far is kept."""


class HubOffline(HubUnavailable):
    """HF_HUB_OFFLINE is set."""


class NotFound(HubError):
    """The hub has no such repository, or the repository requires a token."""


class RevisionNotFound(NotFound):
    pass


class RepositoryGated(NotFound):
    """The terms of the repository must be accepted first."""


class DamagedFile(HubError):
    """A file is missing, cut off, or not the one that the hub lists."""


def connection_problem(error: BaseException) -> str:
    """Why the network failed, in a few words; the error's own message if that is not known.

    The messages of the HTTP libraries quote each other, with the names of their classes.
    """
    for cause in _causes(error):
        match cause:
            case ssl.SSLCertVerificationError():
                return f"its certificate is not trusted: {cause.verify_message}"
            case ssl.SSLError():
                return "it does not speak TLS"
            case socket.gaierror():
                return "unknown host name"
            case ConnectionRefusedError():
                return "connection refused"
            case ConnectionResetError() | BrokenPipeError():
                return "the connection was closed"
            case TimeoutError():
                return "no answer in time"
            case _:
                if "timeout" in type(cause).__name__.lower():
                    return "no answer in time"
    return short(error)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yields the error and what led to it. urllib3 and requests keep that in `args`, `reason` and `original_error`."""
    seen, waiting = set[int](), [error]
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        known = (getattr(each, name, None) for name in ("reason", "original_error", "__cause__", "__context__"))
        waiting += [found for found in (*each.args, *known) if isinstance(found, BaseException)]


def short(error: BaseException) -> str:
    """The first line of an error's message, short enough for a log line and a state file."""
    text = str(error).strip().partition("\n")[0] or type(error).__name__
    return text if len(text) <= 200 else text[:200] + " ..."
