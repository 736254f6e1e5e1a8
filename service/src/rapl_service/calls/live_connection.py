"""Opens the WebSocket of live audio."""

from urllib.parse import urlsplit

from rapl_protocol.live_audio import LIVE_PATH, MAX_LIVE_MESSAGE_BYTES
from websockets.asyncio.client import ClientConnection, connect

from rapl_service.calls.addresses import addresses_in_random_order
from rapl_service.calls.call import CONNECT_TIMEOUT_S, Service
from rapl_service.calls.lost_machine import notice_lost_machine

_PING_S = 10.0
"""Seconds between two pings, and for their answer. A service that hangs is noticed after twice this time."""
_CLOSE_S = 1.0


async def connect_to_live_audio(service: Service, headers: dict[str, str]) -> ClientConnection:
    """Connects to one of the addresses of the service. Raises: OSError, WebSocketException."""
    parts = urlsplit(service.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    addresses = await addresses_in_random_order(parts.hostname or "", port)
    for number, (host, _) in enumerate(addresses, start=1):
        try:
            socket = await connect(
                service.url.replace("http", "ws", 1) + LIVE_PATH,
                host=host,
                port=port,
                additional_headers=headers,
                compression=None,
                max_size=MAX_LIVE_MESSAGE_BYTES,
                open_timeout=CONNECT_TIMEOUT_S,
                ping_interval=_PING_S,
                ping_timeout=_PING_S,
                close_timeout=_CLOSE_S,
                proxy=None,
            )
        except OSError:
            if number == len(addresses):
                raise
        else:
            notice_lost_machine(socket.transport.get_extra_info("socket"))
            return socket
    raise OSError(f"{parts.hostname} has no address")
