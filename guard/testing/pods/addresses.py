"""A loopback address for each pod; where there is only one, ports of their own instead.

Linux answers on all of 127.0.0.0/8. macOS has 127.0.0.1 alone: there a declared container port that is taken
becomes a free one. The rule for such a pod: a declared port's number, where it stands as a number of its own
in command, arguments and environment, is the port that the pod got.
"""

import ipaddress
import re
import socket
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from guard.errors import ConfigurationError


@dataclass(frozen=True)
class Lease:
    """What one pod may listen on; `ports` maps declared numbers to real ones and is empty when they agree."""

    address: str
    ports: Mapping[int, int] = field(default_factory=dict)

    def rewrite(self, text: str) -> str:
        """The text with the pod's own port numbers."""
        for declared, real in self.ports.items():
            text = re.sub(rf"(?<![\d.]){declared}(?![\d.])", str(real), text)
        return text


class Addresses:
    """Hands out the addresses of one range in turn, so that an address is not soon used again.

    Raises (on creation):
        ConfigurationError: The range is not on loopback.
    """

    def __init__(self, network: str) -> None:
        self._network = ipaddress.IPv4Network(network)
        if not self._network.is_loopback:
            raise ConfigurationError(
                f"addresses {network!r}: pods run on this machine, give a part of 127.0.0.0/8"
            )
        single = self._network.num_addresses == 1
        first = str(self._network[0] if single else self._network[1])
        self.shared = single or not _can_listen(first, 0)
        self._only = first if single else "127.0.0.1"
        self._lock = threading.Lock()
        self._taken: set[str] = set()
        self._ports_taken: set[int] = set()
        self._next = 0

    def take(self, declared_ports: Iterable[int]) -> Lease:
        """An address that no other pod has, or the one address with ports that no other pod has."""
        with self._lock:
            if self.shared:
                return Lease(self._only, {port: self._free_port(port) for port in declared_ports})
            return Lease(self._free_address())

    def release(self, lease: Lease) -> None:
        with self._lock:
            self._taken.discard(lease.address)
            self._ports_taken.difference_update(lease.ports.values())

    def _free_address(self) -> str:
        usable = self._network.num_addresses - 2
        for _ in range(usable):
            address = str(self._network[1 + self._next % usable])
            self._next += 1
            if address not in self._taken:
                self._taken.add(address)
                return address
        raise ConfigurationError(f"all {usable} addresses of {self._network} are taken by pods")

    def _free_port(self, declared: int) -> int:
        port = declared
        while port in self._ports_taken or not _can_listen(self._only, port):
            with socket.create_server((self._only, 0)) as probe:
                port = probe.getsockname()[1]
        self._ports_taken.add(port)
        return port


def _can_listen(address: str, port: int) -> bool:
    try:
        socket.create_server((address, port)).close()
    except OSError:
        return False
    return True
