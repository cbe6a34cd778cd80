"""Who can get at the embedded servers, how, and where their passwords stand."""

from __future__ import annotations

import base64
import os
import re
import stat
from pathlib import Path

import pytest

from ppg_integrations.drivers import connect, driver
from ppg_integrations.errors import ConnectError
from ppg_integrations.providers.local import account as accounts
from ppg_integrations.providers.local import certificates
from ppg_integrations.providers.local.scram import verifier
from tests.support.programs import run_python


def ask(url, sql, *params):
    with connect(url) as connection:
        return connection.fetch(sql, params)


def server_folder(servers):
    return servers.status().data.parent


def all_passwords(servers, *generated):
    return [
        *servers._store.passwords().values(),
        *(item.direct.password.reveal() for item in generated),
    ]


def test_both_ends_use_tls_and_scram(servers, generated):
    assert servers.status().tls
    with connect(generated.direct) as direct, connect(generated.pooled) as pooled:
        assert direct.tls
        assert pooled.tls
        keys = [c.fetch("SELECT pg_backend_pid()")[0][0] for c in (direct, pooled)]
        with servers.connect() as admin:
            rows = admin.fetch("SELECT pid, ssl FROM pg_stat_ssl WHERE pid = ANY(%s)", (keys,))
    assert sorted(rows) == sorted((key, True) for key in keys)
    folder = server_folder(servers)
    log = (folder / "postgres.log").read_text()
    for key in keys:
        (line,) = re.findall(rf"\|{key}\|.*connection authenticated: .*", log)
        assert "method=scram-sha-256" in line
    logins = re.findall(
        rf"login attempt: .*user={generated.id} .*", (folder / "pgbouncer.log").read_text()
    )
    assert logins
    assert all("tls=TLSv1." in line for line in logins)


@pytest.mark.parametrize("end", ["pooled", "direct"])
def test_a_login_without_tls_is_refused(generated, end):
    url = getattr(generated, end)
    assert url.params["sslmode"] == "require"
    with pytest.raises(ConnectError):
        connect(url.replace(params={"sslmode": "disable"}))


@pytest.mark.parametrize("end", ["pooled", "direct"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_certificate_can_be_verified(servers, generated, end, host):
    authority = server_folder(servers) / "tls/ca.pem"
    params = {"sslmode": "verify-full", "sslrootcert": str(authority)}
    assert ask(getattr(generated, end).replace(host=host, params=params), "SELECT 1") == [(1,)]


def test_the_certificate_is_kept_and_lasts(project):
    from datetime import datetime, timedelta, timezone

    from cryptography import x509

    account = accounts.choose()
    files = certificates.ensure(project / "tls", account)
    texts = [path.read_bytes() for path in files]
    leaf = x509.load_pem_x509_certificate(texts[1])
    assert leaf.not_valid_after_utc > datetime.now(timezone.utc) + timedelta(days=3650)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {str(name.value) for name in names} == {"localhost", "127.0.0.1", "::1"}
    assert certificates.ensure(project / "tls", account) == files
    assert [path.read_bytes() for path in files] == texts


@pytest.mark.parametrize("umask", [0o000, 0o777 & ~0o700, 0o777])
def test_everything_is_private_whatever_the_umask(project, umask):
    code = """
import os, sys
os.umask(int(sys.argv[2]))
from ppg_integrations.providers.local.servers import LocalServers
servers = LocalServers(sys.argv[1], settings={"fsync": "off"})
servers.generate()
"""
    from ppg_integrations.providers.local.servers import LocalServers

    servers = LocalServers(project / ".ppg/local")
    try:
        run_python(code, servers.folder, umask)
        account = accounts.choose()
        outer = {project / ".ppg", project / ".ppg/local"}
        checked = 0
        for path in [*outer, *(project / ".ppg").rglob("*")]:
            if path.is_symlink() or "-copy" in str(path):
                continue
            status = path.stat()
            mode = stat.S_IMODE(status.st_mode)
            if path in outer and account.dropped:
                # the servers' account passes through and sees nothing
                assert (mode, status.st_gid) == (0o710, account.gid)
            else:
                assert mode == (0o700 if path.is_dir() else 0o600), path
            checked += 1
        assert checked > 100
    finally:
        servers.erase()


def test_no_password_is_where_it_should_not_be(servers, generated):
    ask(generated.pooled, "SELECT 1")
    with pytest.raises(ConnectError) as caught:
        connect(generated.pooled.replace(database="nowhere"), timeout=1)
    passwords = all_passwords(servers, generated)
    assert len(set(passwords)) == 4
    said = f"{caught.value!s}{caught.value!r}{servers.status()!r}{generated!r}{generated!s}"
    assert not [secret for secret in passwords if secret in said]
    holders = set()
    for root in (servers.folder, server_folder(servers)):
        for path in root.rglob("*"):
            if path.is_file() and not path.is_symlink():
                blob = path.read_bytes()
                if any(secret.encode() in blob for secret in passwords):
                    holders.add(path.name)
    assert holders == {"secrets.json", "userlist.txt"}


def test_no_password_is_in_a_process_list(servers, generated):
    passwords = [secret.encode() for secret in all_passwords(servers, generated)]
    read = 0
    for entry in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                blob = (entry / name).read_bytes()
            except OSError:  # gone, or another user's
                continue
            read += 1
            assert not any(secret in blob for secret in passwords), entry
    assert read > 2


def sockets_of(pid):
    """The inodes of a process's sockets."""
    links = [os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()]
    return {link[8:-1] for link in links if link.startswith("socket:[")}


def test_only_the_loopback_interface_is_listened_on(servers):
    status = servers.status()
    for server in (status.postgres, status.pooler):
        mine = sockets_of(server.pid)
        listening = []
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and fields[9] in mine:  # LISTEN
                    listening.append(fields[1])
        assert listening == [f"0100007F:{server.port:04X}"]
        unix = [
            line.split()
            for line in Path("/proc/net/unix").read_text().splitlines()[1:]
            if line.split()[6] in mine
        ]
        assert [fields[7:] for fields in unix if fields[7:]] == []


def test_the_servers_do_not_run_as_root(servers):
    status = servers.status()
    account = accounts.choose()
    for pid in (status.postgres.pid, status.pooler.pid):
        lines = dict(
            line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        )
        assert lines["Uid"].split() == [str(account.uid)] * 4
        assert account.uid != 0
        if account.dropped:
            assert lines["Gid"].split() == [str(account.gid)] * 4
            assert lines["Groups"].split() == []


def test_the_servers_get_a_small_environment(servers):
    for pid in (servers.status().postgres.pid, servers.status().pooler.pid):
        blob = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
        names = {item.partition("=")[0] for item in blob if item}
        ours = {"PATH", "HOME", "LC_ALL", "TZ", "LD_LIBRARY_PATH"}
        # PostgreSQL adds two of its own
        assert names <= ours | {"PG_GRANDPARENT_PID", "PGLOCALEDIR", "PGSYSCONFDIR"}


def test_a_verifier_is_what_libpq_would_make(servers, monkeypatch):
    ours = verifier("pencil")
    assert verifier("pencil") != ours
    with servers.connect() as admin:
        if driver().__name__ == "psycopg":
            theirs = admin._raw.pgconn.encrypt_password(b"pencil", b"x", b"scram-sha-256").decode()
        else:
            from psycopg2.extensions import encrypt_password

            theirs = encrypt_password("pencil", "x", admin._raw, "scram-sha-256")
    salt = base64.b64decode(theirs.split("$")[1].split(":")[1])
    monkeypatch.setattr(os, "urandom", lambda size: salt[:size])
    assert verifier("pencil") == theirs
