"""A certificate for both servers, signed by an authority whose key is thrown away at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .private import make_private, write_private

if TYPE_CHECKING:
    from pathlib import Path

    from .account import Account


class Certificate(NamedTuple):
    """Files in PEM: the authority's certificate, the servers' one, and its key."""

    authority: Path
    certificate: Path
    key: Path


def ensure(folder: Path, account: Account) -> Certificate | None:
    """The certificate in `folder`, made if it is not there; None where ``trustme`` is missing.

    It lasts for centuries (trustme's default): it never leaves this machine, and a server whose
    certificate runs out on some morning helps nobody.
    """
    files = Certificate(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    if all(path.exists() for path in files):
        return files
    try:
        import trustme
    except ImportError:
        return None
    authority = trustme.CA(organization_name="ppg-integrations")
    leaf = authority.issue_cert("localhost", "127.0.0.1", "::1")
    make_private(folder, account)
    chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
    write_private(files.authority, authority.cert_pem.bytes().decode(), account)
    write_private(files.certificate, chain.decode(), account)
    write_private(files.key, leaf.private_key_pem.bytes().decode(), account)
    return files
