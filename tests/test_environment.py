"""What the root conftest.py promises to every test of ours."""

import urllib.request

import pytest

from guard.adapters.kubernetes.client import KubernetesClient
from guard.errors import ConfigurationError


def test_no_test_finds_a_cluster_that_it_did_not_name():
    with pytest.raises(ConfigurationError, match="set KUBECONFIG"):
        KubernetesClient()


def test_no_request_of_a_test_takes_a_proxy():
    assert urllib.request.getproxies_environment() == {}
