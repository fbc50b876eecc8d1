"""Which certificates an HTTPS client of ours trusts by default: one context a process.

Making one costs 20 to 50 ms of CPU, a client with one that is there 0.2 ms. A changed bundle of the machine
is seen at the next start.
"""

import ssl
from functools import cache

import httpx


@cache
def default_trust() -> ssl.SSLContext:
    """What httpx trusts: SSL_CERT_FILE or SSL_CERT_DIR of the environment, else its own bundle."""
    return httpx.create_ssl_context()
