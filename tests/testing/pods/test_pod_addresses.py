"""Addresses and ports of pods, also where all pods share one address."""

import socket

import pytest

from guard.errors import ConfigurationError
from guard.testing.pods.addresses import Addresses, Lease


def test_every_pod_has_an_address_of_its_own_and_its_declared_ports() -> None:
    addresses = Addresses("127.20.9.0/24")
    leases = [addresses.take([8000]) for _ in range(5)]
    assert len({lease.address for lease in leases}) == 5
    assert all(lease.ports == {} for lease in leases)


def test_an_address_comes_back_only_after_all_others() -> None:
    addresses = Addresses("127.20.9.0/30")
    first = addresses.take([])
    addresses.release(first)
    assert addresses.take([]) != first
    assert addresses.take([]) == first
    with pytest.raises(ConfigurationError, match="taken"):
        addresses.take([])


def test_on_a_shared_address_a_taken_port_is_moved_and_a_free_one_kept() -> None:
    addresses = Addresses("127.20.9.1/32")
    with socket.create_server(("127.20.9.1", 0)) as other:
        taken = other.getsockname()[1]
        first = addresses.take([taken])
    second = addresses.take([taken])
    third = addresses.take([taken])
    assert first.address == second.address == third.address == "127.20.9.1"
    assert first.ports[taken] != taken
    assert second.ports[taken] == taken
    assert third.ports[taken] not in (taken, first.ports[taken])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("--port=8000", "--port=41234"),
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:41234/v1"),
        ("80000", "80000"),
        ("127.0.8000.1", "127.0.8000.1"),
    ],
)
def test_a_moved_port_is_rewritten_where_it_is_a_number_of_its_own(text: str, expected: str) -> None:
    assert Lease("127.0.0.1", {8000: 41234}).rewrite(text) == expected


def test_addresses_of_other_machines_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"10\.0"):
        Addresses("10.0.0.0/8")
