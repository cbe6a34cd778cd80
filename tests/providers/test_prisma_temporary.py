"""Temporary databases, by the double of the service that makes them."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qs, urlsplit

import pytest

from ppg_integrations.drivers import connect
from ppg_integrations.errors import ConfigurationError, ProviderError, ProviderUnavailableError
from ppg_integrations.providers.base import GenerateRequest
from ppg_integrations.providers.prisma_temporary import TemporaryProvider
from ppg_integrations.providers.settings import Settings
from tests.support.doubles.accounts import Accounts
from tests.support.doubles.create_db import CreateDbDouble


@pytest.fixture(scope="module")
def accounts(servers):
    with Accounts(servers) as made:
        yield made


@pytest.fixture
def double(accounts):
    with CreateDbDouble(accounts) as running:
        yield running


def provider(double, **more):
    environ = {"CREATE_DB_WORKER_URL": double.url, "PPG_TIMEOUT": "5"}
    return TemporaryProvider(Settings(environ | more))


def request(**more):
    return GenerateRequest(**{"name": "shop-host-0a1b2c3d", **more})


def test_a_temporary_database_works_and_can_be_claimed(double):
    before = datetime.now(timezone.utc)
    intents = []
    made = provider(double).generate(request(), intents.append)
    for url in (made.pooled, made.direct):
        with connect(url) as connection:
            assert connection.fetch("SELECT 1") == [(1,)]
    assert made.pooled.port != made.direct.port
    (project,) = double.workspace.projects
    assert made.id == project.databases[0].connections[0].id
    claim = urlsplit(made.details["claim_url"])
    assert (claim.scheme, claim.netloc, claim.path) == ("https", "create-db.prisma.io", "/claim")
    assert parse_qs(claim.query)["projectID"] == [project.id]
    expires = datetime.strptime(made.details["expires_at"], "%Y-%m-%dT%H:%M:%S%z")
    assert timedelta(hours=23, minutes=59) < expires - before < timedelta(hours=24, minutes=1)
    (note,) = made.notes
    assert made.details["claim_url"] in note
    assert made.details["expires_at"] in note
    (intent,) = intents
    assert (intent.provider, intent.name) == ("prisma", project.name)


def test_no_token_and_no_other_secret_is_sent(double):
    ours = provider(double, PRISMA_SERVICE_TOKEN="hush", PPG_API_URL="https://127.0.0.1:1")
    ours.generate(request(), lambda _: None)
    (sent,) = double.requests
    assert (sent.method, sent.path) == ("POST", "/create")
    assert "hush" not in str(sent.headers)
    assert json.loads(sent.body).keys() == {"region", "name", "utm_source", "source"}


@pytest.mark.parametrize("region", ["", "eu-west-3"])
def test_the_region_is_the_user_s_or_the_default(double, region):
    provider(double).generate(request(region=region), lambda _: None)
    assert double.workspace.projects[0].region == (region or "us-east-1")


def test_a_region_that_there_is_not_leads_to_the_list(double):
    with pytest.raises(ProviderError, match="^create-db's API at") as caught:
        provider(double).generate(request(region="mars-1"), lambda _: None)
    assert caught.value.hint.endswith(f"{double.url}/regions")
    assert caught.value.nothing_done


def test_the_place_to_claim_it_can_be_moved(double):
    ours = provider(double, CLAIM_DB_WORKER_URL="http://localhost:8787/")
    made = ours.generate(request(), lambda _: None)
    assert made.details["claim_url"].startswith("http://localhost:8787/claim?projectID=proj_")


@pytest.mark.parametrize("variable", ["CREATE_DB_WORKER_URL", "CLAIM_DB_WORKER_URL"])
def test_a_moved_service_has_to_be_https(double, variable):
    ours = provider(double, **{variable: "http://example.com"})
    with pytest.raises(ConfigurationError, match=variable):
        ours.generate(request(), lambda _: pytest.fail("nothing is to be made"))
    assert double.requests == []


def test_too_many_at_once_says_what_else_can_be_done(double):
    double.most = 0
    with pytest.raises(ProviderUnavailableError, match="exceeded the rate limit") as caught:
        provider(double).generate(request(), lambda _: None)
    assert caught.value.status == 429
    assert caught.value.nothing_done
    assert "PRISMA_SERVICE_TOKEN" in caught.value.hint
    assert len(double.requests) == 1


@pytest.mark.parametrize("left_out", ["pooled", "direct"])
def test_one_url_is_never_made_of_the_other(double, left_out):
    double.workspace.changed = {left_out: None}
    with pytest.raises(ProviderError, match=f"endpoints.{left_out}.connectionString") as caught:
        provider(double).generate(request(), lambda _: None)
    assert not caught.value.nothing_done


@pytest.mark.parametrize("connections", [[], None, "none"])
def test_an_answer_without_connections_names_the_field(double, connections):
    database = {"id": "db_1", "name": "x", "status": "ready", "connections": connections}
    body = json.dumps({"data": {"id": "proj_1", "name": "x", "database": database}})
    double.fail("POST", "/create", status=201, body=body)
    with pytest.raises(ProviderError, match="database.connections") as caught:
        provider(double).generate(request(), lambda _: None)
    assert not caught.value.nothing_done


def test_a_lost_answer_cannot_be_found_and_ends_by_itself(double):
    double.fail("POST", "/create", cut="before", work=True)
    intents = []
    with pytest.raises(ProviderError) as caught:
        provider(double).generate(request(), intents.append)
    assert not caught.value.nothing_done
    settled = provider(double).settle(intents[0])
    assert settled.outcome == "kept", "nothing is left to be found out"
    assert "24 hours" in settled.text
    assert intents[0].name in settled.text
