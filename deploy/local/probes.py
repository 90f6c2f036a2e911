"""Whether a process is ready, asked in the way its clients will ask. Each probe blocks for about a second at most."""

import http.client
import socket
import struct
from collections.abc import Callable

Probe = Callable[[], bool]
TIMEOUT_SECONDS = 1.0
_API_VERSIONS = 18
_OP_MSG = 2013


def split(address: str) -> tuple[str, int]:
    """host:port as a pair."""
    host, _, port = address.rpartition(":")
    return host, int(port)


def http_ready(address: str) -> bool:
    """`GET /readyz` answers 200."""
    connection = http.client.HTTPConnection(*split(address), timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def kafka_ready(address: str) -> bool:
    """The broker answers ApiVersions (version 0), which it does only after it is no longer fenced."""
    body = struct.pack(">hhih", _API_VERSIONS, 0, 1, -1)
    answer = _exchange(address, struct.pack(">i", len(body)) + body, 10)
    # Size, correlation id, error code.
    return len(answer) == 10 and struct.unpack(">iih", answer)[1:] == (1, 0)


def mongo_ready(address: str) -> bool:
    """The server answers a `ping` in MongoDB's wire protocol."""
    document = b"\x10ping\x00\x01\x00\x00\x00\x02$db\x00\x06\x00\x00\x00admin\x00\x00"
    document = struct.pack("<i", len(document) + 4) + document
    body = struct.pack("<iB", 0, 0) + document
    answer = _exchange(address, struct.pack("<iiii", len(body) + 16, 1, 0, _OP_MSG) + body, 16)
    return len(answer) == 16 and struct.unpack("<iiii", answer)[2:] == (1, _OP_MSG)


def is_free(address: str) -> bool:
    """Whether a server could listen there now (servers reuse addresses of closed connections, so this does too)."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(split(address))
        except OSError:
            return False
        return True


def _exchange(address: str, request: bytes, expected: int) -> bytes:
    """Sends and reads up to `expected` bytes; what came so far on any trouble."""
    answer = b""
    try:
        with socket.create_connection(split(address), timeout=TIMEOUT_SECONDS) as connection:
            connection.sendall(request)
            while len(answer) < expected:
                chunk = connection.recv(expected - len(answer))
                if not chunk:
                    break
                answer += chunk
    except OSError:
        pass
    return answer
