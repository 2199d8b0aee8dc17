"""Ports for services that a test starts at an address it has chosen before."""

from __future__ import annotations

import itertools
import os
import socket

# Below the ports that Linux hands out by itself (from 32768): between the choice and the service's start, no other
# process that takes "any free port" can be given this one, and no outgoing connection can come from it.
FIRST, LAST = 10_000, 32_000
_numbers = itertools.count(os.getpid() * 101)  # processes that test at the same time begin far apart


def free_port() -> int:
    """A port of this machine on which nobody listens, and which was not given before by this process."""
    for number in itertools.islice(_numbers, LAST - FIRST):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", FIRST + number % (LAST - FIRST)))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError(f"no port of {FIRST} to {LAST} is free")
