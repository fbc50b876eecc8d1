import pytest

from guard.adapters.endpoint_options import read_api_key, read_endpoint
from guard.core.samples import Arm
from guard.errors import ConfigurationError


def test_the_option_is_named_when_its_url_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"^--baseline: 'chat' is not a URL"):
        read_endpoint("--baseline", "chat", Arm.BASELINE)


@pytest.mark.parametrize(
    "url", ["http://me:hunter2@chat:8000", "ftp://me:hunter2@chat", "http://:hunter2@:x"]
)
def test_credentials_in_a_url_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError, match="use --api-key-env NAME") as refusal:
        read_endpoint("--candidate", url)
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("value", [None, ""], ids=["absent", "empty"])
def test_a_key_that_is_not_there_is_refused(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIDEGATE_TEST_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("TIDEGATE_TEST_KEY", value)
    with pytest.raises(ConfigurationError, match="--api-key-env TIDEGATE_TEST_KEY: no such variable"):
        read_api_key("TIDEGATE_TEST_KEY")


def test_without_the_option_there_is_no_key() -> None:
    assert read_api_key(None) is None
