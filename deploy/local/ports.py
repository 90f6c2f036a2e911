"""Free ports for systems that are started beside each other."""

import fcntl
import os
import random
import tempfile
from pathlib import Path

from deploy.local.probes import is_free
from deploy.local.settings import DEFAULT_ADDRESSES

# Below the range from which Linux takes the ports of outgoing connections: those come and go and would collide.
FIRST, BLOCK, BLOCKS = 20_000, 40, 300
_held: list[int] = []


def free_addresses(count: int) -> list[str]:
    """That many (at most 30) different addresses on 127.0.0.1 where nothing listens.

    They come from a block of ports that belongs to this process until it ends: others that ask in the same way get
    other ports, also in the time before anything listens. Raises OSError when no block has enough.
    """
    folder = Path(tempfile.gettempdir()) / f"pingxi-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for block in random.SystemRandom().sample(range(BLOCKS), BLOCKS):
        lock = os.open(folder / str(block), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        start = FIRST + block * BLOCK
        free = [address for port in range(start, start + BLOCK) if is_free(address := f"127.0.0.1:{port}")]
        if len(free) >= count:
            _held.append(lock)
            return free[:count]
        os.close(lock)
    raise OSError("no free ports: too many systems are running on this machine")


def private_addresses() -> dict[str, str]:
    """A free value for every address variable, PINGXI_MONGO included."""
    *addresses, mongo = free_addresses(len(DEFAULT_ADDRESSES) + 1)
    return {**dict(zip(DEFAULT_ADDRESSES, addresses, strict=True)), "PINGXI_MONGO": f"mongodb://{mongo}/pingxi"}
