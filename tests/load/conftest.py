from pathlib import Path

import pytest
import trustme


@pytest.fixture(scope="session")
def tls_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """PEM files: the issuer's certificate; a chain and its key for the tests' own address."""
    folder: Path = tmp_path_factory.mktemp("tls")
    issuer, server = folder / "issuer.pem", folder / "server.pem"
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(issuer))
    authority.issue_cert("127.40.1.1").private_key_and_cert_chain_pem.write_to_path(str(server))
    return str(issuer), str(server)
