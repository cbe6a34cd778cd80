"""A provider's host name on this machine: a PgBouncer with a certificate for that name.

Server name and verification go by ``host``, and the way there by ``hostaddr``. asyncpg knows no
``hostaddr``: :func:`resolves_here` is for that.
"""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from ppg_integrations.providers.base import Generated
from ppg_integrations.providers.local.servers import LocalServers
from ppg_integrations.urls import PostgresURL

from .poolers import pooler

#: The direct endpoint, and the pooled one, of one Neon compute.
DIRECT = "ep-x-1.eu-central-1.aws.neon.tech"
POOLED = "ep-x-1-pooler.eu-central-1.aws.neon.tech"


@dataclass(frozen=True)
class ProviderHost:
    """What listens under the names.

    Attributes:
        port: of the pooler, whichever name is used.
        authority: the certificate that its own is signed by, as a file.
        stranger: that of another authority.
    """

    port: int
    authority: str
    stranger: str

    def url(self, generated: Generated, host: str = POOLED, **params: str) -> PostgresURL:
        """To this host, with the login of `generated`, as a provider's console shows it."""
        return generated.pooled.replace(
            host=host,
            port=self.port,
            params={"sslmode": "require", "hostaddr": "127.0.0.1", **params},
        )


@contextmanager
def provider_host(servers: LocalServers, *names: str) -> Iterator[ProviderHost]:
    """Starts it.

    Args:
        names: that its certificate is for; Neon's two names by default.
    """
    authority, stranger = trustme.CA(), trustme.CA()
    leaf = authority.issue_cert(*(names or (DIRECT, POOLED)))
    with tempfile.TemporaryDirectory(prefix="ppg-tests-") as name:
        folder = Path(name)
        os.chmod(folder, 0o755)  # the pooler may run as another account
        for path, blobs in {
            "authority.pem": [authority.cert_pem],
            "stranger.pem": [stranger.cert_pem],
            "server.pem": leaf.cert_chain_pems,
            "server.key": [leaf.private_key_pem],
        }.items():
            (folder / path).write_bytes(b"".join(blob.bytes() for blob in blobs))
        with pooler(
            servers,
            client_tls_cert_file=folder / "server.pem",
            client_tls_key_file=folder / "server.key",
        ) as found:
            yield ProviderHost(
                found.port, str(folder / "authority.pem"), str(folder / "stranger.pem")
            )


def resolves_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neon's names are those of this machine, for whatever asks Python."""
    really = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **keywords: Any) -> Any:
        here = isinstance(host, str) and host.endswith(".neon.tech")
        return really("127.0.0.1" if here else host, *args, **keywords)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
