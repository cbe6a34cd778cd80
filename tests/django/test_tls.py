"""Django at a host whose certificate browsers trust: its own ENGINE, verifying."""

from __future__ import annotations

import pytest

from tests.support.provider_host import DIRECT, POOLED, provider_host

TRY = """
from django.db.utils import OperationalError
found = {}
for alias in ("default", "direct"):
    options = connections[alias].settings_dict["OPTIONS"]
    try:
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT session_user")
            said = cursor.fetchone()[0]
    except OperationalError as error:
        said = str(error)
    found[alias] = [options["sslmode"], options.get("sslrootcert"), said]
result(found)
"""


@pytest.fixture(scope="module")
def neon(servers):
    with provider_host(servers) as found:
        yield found


def test_verified_by_default(project, neon, generated):
    project.environ["DATABASE_URL"] = neon.url(generated, POOLED).reveal()
    project.environ["DIRECT_URL"] = neon.url(generated, DIRECT).reveal()

    found = project.python(TRY, SSL_CERT_FILE=neon.authority)
    fine = ["verify-full", neon.authority, generated.pooled.user]
    assert found == {"default": fine, "direct": fine}

    found = project.python(TRY, SSL_CERT_FILE=neon.stranger)
    for host, (mode, roots, said) in zip((POOLED, DIRECT), found.values(), strict=True):
        assert (mode, roots) == ("verify-full", neon.stranger)
        assert "certificate verify failed" in said
        assert "PPG_SSLMODE=require" in said
        assert generated.pooled.password.reveal() not in said

    found = project.python(TRY, SSL_CERT_FILE=neon.stranger, PPG_SSLMODE="require")
    fine = ["require", None, generated.pooled.user]
    assert found == {"default": fine, "direct": fine}


def test_a_file_that_is_not_there_is_named(project, neon, generated):
    project.environ["DATABASE_URL"] = neon.url(generated, POOLED).reveal()
    done = project.manage("check", status=None, SSL_CERT_FILE="/gone")
    assert done.returncode == 1
    assert "ImproperlyConfigured: SSL_CERT_FILE in the environment is /gone" in done.stderr
