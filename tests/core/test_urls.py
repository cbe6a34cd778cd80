"""PostgresURL reads what people paste, and shows no password."""

from __future__ import annotations

import copy
import json
import logging
import logging.handlers
import pickle
import queue
import traceback

import pytest

from ppg_integrations import (
    AccelerateURLError,
    ConfigurationError,
    HostPort,
    PostgresURL,
    URLError,
)

PASSWORD = "s3cr3t-Pa55"


def parse(text: str) -> PostgresURL:
    return PostgresURL.parse(text)


PLAIN = "postgresql://app:s3cr3t-Pa55@h.example:5433/shop"


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        "postgres://app:s3cr3t-Pa55@h.example:5433/shop",
        "POSTGRES://app:s3cr3t-Pa55@h.example:5433/shop",
        "postgresql+psycopg://app:s3cr3t-Pa55@h.example:5433/shop",
        "postgis://app:s3cr3t-Pa55@h.example:5433/shop",
        f"  {PLAIN}\n",
        f"'{PLAIN}'",
        f'"{PLAIN}"',
        f"`{PLAIN}`;",
        f"\ufeff{PLAIN}\u200b",
        f"DATABASE_URL={PLAIN}",
        f'export DATABASE_URL="{PLAIN}"',
        f"psql '{PLAIN}'",
        "postgresql://app:s3cr3t%2DPa55@h.example:5433/shop",
        "postgresql://h.example:5433/shop?user=app&password=s3cr3t-Pa55",
        "postgresql://app:s3cr3t-Pa55@wrong:1/no?host=h.example&port=5433&dbname=shop",
    ],
)
def test_every_spelling_is_the_same_url(text: str) -> None:
    assert parse(text) == parse(PLAIN)
    assert parse(text).reveal() == PLAIN


@pytest.mark.parametrize(
    ("text", "password"),
    [
        ("postgresql://u:a@b@h/d", "a@b"),
        ("postgresql://u:a/b@h/d", "a/b"),
        ("postgresql://u:a?b@h/d", "a?b"),
        ("postgresql://u:1?b@h/d", "1?b"),
        ("postgresql://u:a#b@h/d", "a#b"),
        ("postgresql://u:12#b@h/d", "12#b"),
        ("postgresql://u:a:b@h/d", "a:b"),
        ("postgresql://u:a%b@h/d", "a%b"),
        ("postgresql://u:100%@h/d", "100%"),
        ("postgresql://u:[x]@h/d", "[x]"),
        ("postgresql://u:/?#@:@h:5432/d?sslmode=require", "/?#@:"),
        ("postgresql://u:a&b=c@h/d", "a&b=c"),
        ("postgresql://u:a%40b@h/d", "a@b"),
        ("postgresql://u:p%C3%A4ss@h/d", "päss"),
        ("postgresql://u:päss@h/d", "päss"),
    ],
)
def test_a_password_may_hold_anything_encoded_or_not(text: str, password: str) -> None:
    url = parse(text)
    assert url.password is not None
    assert (url.password.reveal(), url.host, url.database) == (password, "h", "d")
    assert parse(url.reveal()) == url


def test_an_at_sign_in_the_query_is_not_taken_for_the_end_of_the_password() -> None:
    url = parse("postgresql://u:p@h/d?application_name=me@work")
    assert (url.host, url.params["application_name"]) == ("h", "me@work")


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("postgresql://u@[::1]:5433/d", (HostPort("::1", 5433),)),
        ("postgresql://u@[2001:db8::5]/d", (HostPort("2001:db8::5", None),)),
        (
            "postgresql://u@a:1,b,[::1]:3/d",
            (HostPort("a", 1), HostPort("b", None), HostPort("::1", 3)),
        ),
        ("postgresql://u@%2Fvar%2FRun%2Fpg/d", (HostPort("/var/Run/pg", None),)),
        ("postgresql:///d?host=/var/Run/pg&port=6000", (HostPort("/var/Run/pg", 6000),)),
        ("postgresql:///d", ()),
        ("postgresql://u@h:/d", (HostPort("h", None),)),
    ],
)
def test_hosts(text: str, hosts: tuple[HostPort, ...]) -> None:
    assert parse(text).hosts == hosts
    assert parse(parse(text).reveal()) == parse(text)


def test_an_empty_database_is_postgres_on_prisma_and_the_user_elsewhere() -> None:
    prisma = parse("postgres://abc:sk_x@db.prisma.io:5432/?sslmode=require")
    assert (prisma.database, prisma.dbname) == ("postgres", "postgres")
    other = parse("postgres://abc:x@h")
    assert (other.database, other.dbname, other.libpq()["dbname"]) == ("", "abc", "abc")


@pytest.mark.parametrize(
    "name",
    [
        "pgbouncer",
        "connection_limit",
        "pool_timeout",
        "max_idle_connection_lifetime",
        "single_use_connections",
        "socket_timeout",
        "statement_cache_size",
        "pool",
    ],
)
def test_parameters_of_node_tools_are_stripped_and_named(name: str) -> None:
    url = parse(f"postgresql://u:p@h/d?sslmode=require&{name}=1")
    assert dict(url.params) == {"sslmode": "require"}
    assert any(name in text for text in url.notes + url.warnings)


def test_schema_is_dropped_silently_only_when_it_says_nothing() -> None:
    assert parse("postgresql://u:p@h/d?schema=public").warnings == ()
    (warning,) = parse("postgresql://u:p@h/d?schema=shop").warnings
    assert "schema" in warning
    assert "ALTER ROLE" in warning


@pytest.mark.parametrize(
    ("query", "mode"),
    [
        ("sslaccept=strict", "verify-full"),
        ("sslaccept=accept_invalid_certs", "require"),
        ("ssl=true", "require"),
        ("sslmode=no-verify", "require"),
        ("sslmode=verify-full&sslaccept=accept_invalid_certs", "verify-full"),
    ],
)
def test_ssl_spellings_are_translated(query: str, mode: str) -> None:
    assert parse(f"postgresql://u:p@h/d?{query}").params["sslmode"] == mode


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("sslidentity=client.p12", "PKCS#12"),
        ("sslmod=verify-full", "sslmode"),
        ("nonsense=1", "no PostgreSQL driver knows"),
        ("sslmode=yes", "sslmode is none of"),
        ("connect_timeout=soon", "connect_timeout"),
    ],
)
def test_what_cannot_be_honoured_is_refused_with_the_reason(query: str, said: str) -> None:
    with pytest.raises(URLError, match=said):
        parse(f"postgresql://u:p@h/d?{query}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("   ", "is empty"),
        ("mysql://u:p@h/d", "mysql"),
        ("sqlite:///db.sqlite3", "sqlite"),
        ("jdbc:postgresql://h/d", "jdbc"),
        ("host=h user=u password=s3cr3t-Pa55", "blank"),
        ("host=h", "keyword form"),
        ("just words", "blank"),
        ("h/d", "does not start with postgresql://"),
        ("postgresql://u:s3cr3t-Pa55@h:99999/d", "port"),
        ("postgresql://u:s3cr3t-Pa55@h:0/d", "port"),
        ("postgresql://u:s3cr3t-Pa55@ho st/d", "blank"),
        ("postgresql://u:s3cr3t-Pa55@/d@e@", "cannot be made out"),
        ("postgresql://u:s3cr3t-Pa55@[::zz]/d", "IPv6"),
        ("postgresql://u:%FF@h/d", "UTF-8"),
        ("postgresql://u:s3cr3t-Pa55%00@h/d", "NUL"),
        ("postgresql://u:s3cr3t-Pa55@a,b/d?port=1,2,3", "2 hosts and 3 ports"),
        ("postgresql://:5432/d", "cannot be made out"),
        ("x" * 9000, "longer"),
    ],
)
def test_errors_say_what_and_where_and_repeat_nothing(text: str, said: str) -> None:
    with pytest.raises(URLError, match=said) as caught:
        PostgresURL.parse(text, source="DATABASE_URL in .env")
    assert "DATABASE_URL in .env" in str(caught.value)
    shown = "".join(traceback.format_exception(caught.value))
    assert PASSWORD not in shown.split("Traceback", 1)[0]
    assert PASSWORD not in str(caught.value)


def test_something_that_is_no_text_is_our_error_too() -> None:
    with pytest.raises(URLError, match="bytes"):
        PostgresURL.parse(b"postgresql://h/d")  # type: ignore[arg-type]


@pytest.mark.parametrize("scheme", ["prisma", "prisma+postgres"])
def test_accelerate_urls_say_when_the_service_ends_and_what_to_set(scheme: str) -> None:
    with pytest.raises(AccelerateURLError, match="1 December 2026") as caught:
        parse(f"{scheme}://accelerate.prisma-data.net/?api_key={PASSWORD}")
    assert "DIRECT_URL" in caught.value.hint
    assert PASSWORD not in str(caught.value)


def local_url(document: object) -> str:
    import base64

    key = base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")
    return f"prisma+postgres://localhost:51213/?api_key={key}"


def test_a_local_prisma_url_holds_a_postgres_url() -> None:
    inner = (
        "postgres://postgres:postgres@localhost:51214/template1?sslmode=disable&connection_limit=1"
        "&connect_timeout=0&max_idle_connection_lifetime=0&pool_timeout=0&socket_timeout=0"
    )
    url = parse(local_url({"name": "x", "databaseUrl": inner, "shadowDatabaseUrl": inner}))
    assert (url.host, url.port, url.database) == ("localhost", 51214, "template1")
    assert dict(url.params) == {"sslmode": "disable", "connect_timeout": "0"}


@pytest.mark.parametrize("document", [{}, [], 3, {"databaseUrl": 5}, {"databaseUrl": "prisma://x"}])
def test_a_local_prisma_url_with_another_key_is_our_error(document: object) -> None:
    with pytest.raises(URLError, match="api_key"):
        parse(local_url(document))


# -- no password anywhere ---------------------------------------------------------------------


def test_the_password_is_shown_nowhere() -> None:
    url = parse(f"postgresql://u:{PASSWORD}@h/d?sslpassword={PASSWORD}")
    for shown in (
        str(url),
        repr(url),
        f"{url}",
        f"{url:>90}",
        "%s" % url,
        "%r" % (url,),
        str([url]),
    ):
        assert PASSWORD not in shown
        assert "***" in shown
    assert PASSWORD not in repr(url.password)
    assert url.password is not None
    assert url.password.reveal() == PASSWORD


def test_a_log_record_that_is_pickled_holds_no_password() -> None:
    url = parse(f"postgresql://u:{PASSWORD}@h/d?sslpassword={PASSWORD}")
    assert PASSWORD.encode() not in pickle.dumps(url)
    pickled = pickle.loads(pickle.dumps(url))
    assert (pickled.user, pickled.host) == ("u", "h")
    with pytest.raises(ConfigurationError, match="pickled"):
        pickled.reveal()
    records: queue.Queue[logging.LogRecord] = queue.Queue()
    handler = logging.handlers.QueueHandler(records)
    handler.handle(logging.LogRecord("x", 20, "x", 1, "url %s %r", (url, url), None))
    assert PASSWORD not in records.get().getMessage()


def test_a_copy_in_the_same_process_keeps_its_password() -> None:
    url = parse(PLAIN)
    assert copy.deepcopy({"url": url})["url"].reveal() == PLAIN
    assert copy.copy(url).reveal() == PLAIN
    assert copy.deepcopy(url.password) == url.password


def test_a_url_cannot_be_changed_only_replaced() -> None:
    url = parse(PLAIN)
    with pytest.raises(AttributeError, match="replace"):
        url.user = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        url.params["sslmode"] = "disable"  # type: ignore[index]
    other = url.replace(
        host="x", port=1, password="new", database="e", params={"sslmode": "require"}
    )
    assert other.reveal() == "postgresql://app:new@x:1/e?sslmode=require"
    assert url.reveal() == PLAIN
    assert len({url, parse(PLAIN), other}) == 2
    with pytest.raises(ConfigurationError, match="colour"):
        url.replace(params={"colour": "red"})
    with pytest.raises(URLError):
        url.replace(port=70000)
    with pytest.raises(TypeError, match="hostname"):
        url.replace(hostname="x")


# -- handing on -------------------------------------------------------------------------------

HARD = "postgresql://us%40r:p%20%2F%25%27%22%5C%24x@[::1]:5433/d%20b?sslmode=require&application_name=a%26b"


def test_libpq_keywords_and_variables() -> None:
    url = parse(HARD)
    assert url.libpq() == {
        "host": "::1",
        "port": "5433",
        "user": "us@r",
        "password": "p /%'\"\\$x",
        "dbname": "d b",
        "sslmode": "require",
        "application_name": "a&b",
    }
    environ = url.libpq_environ()
    assert environ["PGPASSWORD"] == "p /%'\"\\$x"
    assert environ["PGSSLMODE"] == "require"
    assert set(environ) == {
        "PGHOST",
        "PGPORT",
        "PGUSER",
        "PGPASSWORD",
        "PGDATABASE",
        "PGSSLMODE",
        "PGAPPNAME",
    }
    with pytest.raises(ConfigurationError, match="sslkeylogfile"):
        parse("postgresql://h/d?sslkeylogfile=x").libpq_environ()
    assert parse("postgresql://h/d?keepalives=1").libpq_environ() == {
        "PGHOST": "h",
        "PGDATABASE": "d",
    }


def test_libpq_itself_reads_our_url_as_we_do() -> None:
    from psycopg import conninfo

    for text in (HARD, PLAIN, "postgresql://u:p@a:1,b:2/d", "postgresql://u@%2Frun%2Fpg:6000/d"):
        url = parse(text)
        assert conninfo.conninfo_to_dict(url.reveal()) == url.libpq()


def test_django_entry() -> None:
    url = parse(HARD)
    entry = url.django(conn_max_age=60, engine="django.contrib.gis.db.backends.postgis")
    assert entry["ENGINE"] == "django.contrib.gis.db.backends.postgis"
    assert (entry["HOST"], entry["PORT"], entry["USER"]) == ("::1", 5433, "us@r")
    assert (entry["NAME"], entry["CONN_MAX_AGE"]) == ("d b", 60)
    assert entry["PASSWORD"] == "p /%'\"\\$x"
    assert "p /%" not in repr(entry)
    assert entry["OPTIONS"] == {"sslmode": "require", "application_name": "a&b"}
    several = parse("postgresql://u:p@A:1,B/d").django()
    assert (several["HOST"], several["PORT"]) == ("A,B", "1,5432")
    secret = parse(f"postgresql://h/d?sslpassword={PASSWORD}").django()["OPTIONS"]
    assert secret["sslpassword"] == PASSWORD
    assert PASSWORD not in repr(secret)
    odd = parse("postgresql://u:p@h/d?application_name=007&connect_timeout=5&options=").django()
    assert odd["OPTIONS"] == {"application_name": "007", "connect_timeout": 5, "options": ""}
    socket = parse("postgresql://u@%2FVar%2FRun/d").django()
    assert (socket["HOST"], socket["PORT"]) == ("/Var/Run", "")


def test_sqlalchemy_url() -> None:
    import sqlalchemy

    url = parse(HARD).sqlalchemy()
    assert isinstance(url, sqlalchemy.URL)
    assert (url.drivername, url.password, url.host) == ("postgresql+psycopg", "p /%'\"\\$x", "::1")
    assert "p /%" not in str(url)
    several = parse("postgresql://u:p@a:1,b/d").sqlalchemy("psycopg2")
    assert (several.query["host"], several.query["port"]) == ("a,b", "1,5432")
    asyncpg = parse("postgresql://u:p@h/d?sslmode=require&channel_binding=require").sqlalchemy(
        "asyncpg"
    )
    assert dict(asyncpg.query) == {"ssl": "require"}
    with pytest.raises(ConfigurationError, match="pg8000"):
        parse(PLAIN).sqlalchemy("pg8000")
