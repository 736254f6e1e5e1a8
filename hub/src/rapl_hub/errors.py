"""Why a download failed. The message is the reason, on one line; an engine adds the remedy, which names its settings.

HubError
├── HubUnavailable
│   └── HubOffline
├── NotFound
│   ├── RevisionNotFound
│   └── RepositoryGated
└── DamagedFile
"""


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


def short(error: BaseException) -> str:
    """The first line of an error's message, short enough for a log line and a state file."""
    text = str(error).strip().partition("\n")[0] or type(error).__name__
    return text if len(text) <= 200 else text[:200] + " ..."
