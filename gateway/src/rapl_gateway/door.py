"""Before a request's upload is received: whose it is, and whether there is room for it."""

from fastapi import Request
from rapl_protocol.audio import BYTES_PER_SECOND
from rapl_protocol.errors import ServiceError
from rapl_protocol.http import drain
from rapl_protocol.prepared import MAX_SEGMENT_S

from rapl_gateway.access import SHARE
from rapl_gateway.backends import Backends
from rapl_gateway.upload import Upload


async def admitted(request: Request, backends: Backends) -> str:
    """Whose the request is, where those who ask take turns: its key's, or its address's where no key is asked for.

    Raises:
        ServiceError: OVERLOADED, where it would be refused whatever its model is. Nothing was kept of its body.
    """
    share = request.scope.get(SHARE) or (request.client.host if request.client else "")
    try:
        backends.require_room(share)
    except ServiceError:
        await drain(request.receive)
        raise
    return share


def expected_s(upload: Upload) -> float:
    """How much audio an upload brings at first, to judge by its size: exact for canonical WAV, else too little."""
    return min(MAX_SEGMENT_S, upload.size_bytes / BYTES_PER_SECOND)
