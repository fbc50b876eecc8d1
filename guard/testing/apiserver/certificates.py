"""One run's certificates: an authority, the server's, and a client's that may do everything."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Certificates:
    """Paths of PEM files; keys lie in the same file as their certificate."""

    authority: Path
    server: Path
    client: Path

    def context(self) -> ssl.SSLContext:
        """For a client that trusts this server alone, and is let in by it."""
        context = ssl.create_default_context(cafile=str(self.authority))
        context.load_cert_chain(str(self.client))
        return context


def issue(folder: Path, host: str) -> Certificates:
    """New certificates in a folder; `host` is the server's address.

    The API server lets members of system:masters do everything, without asking any authorizer.
    """
    issued = Certificates(folder / "ca.pem", folder / "server.pem", folder / "client.pem")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(issued.authority))
    _write(issued.server, authority.issue_cert(host))
    masters = authority.issue_cert("client", common_name="tidegate", organization_name="system:masters")
    _write(issued.client, masters)
    return issued


def _write(path: Path, leaf: trustme.LeafCert) -> None:
    path.touch(mode=0o600)
    leaf.private_key_and_cert_chain_pem.write_to_path(str(path))
