"""The reader of URLs: what may come of any text, and texts to try it with."""

from __future__ import annotations

import copy
import pickle
import traceback
from functools import cache
from random import Random
from urllib.parse import quote, unquote

import dj_database_url
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo
from sqlalchemy import make_url

from ppg_integrations.errors import URLError
from ppg_integrations.hosts import classify, other_half
from ppg_integrations.parameters import LIBPQ, SECRET
from ppg_integrations.secret import MASK, Secret
from ppg_integrations.urls import PostgresURL
from tests.fuzz.mutation import mutant

#: Planted wherever a person would not want it shown; no message, word or hint of ours holds it.
CANARY = "zQ7kX9wv"
_PARTS = [CANARY[at : at + 5] for at in range(len(CANARY) - 4)]

SEEDS = [
    f"postgresql://shop_owner:{CANARY}@ep-cool-sky-a1b2c3-pooler.eu-central-1.aws.neon.tech/shop?sslmode=require&channel_binding=require",
    f"postgresql://shop_owner:{CANARY}@ep-cool-sky-a1b2c3.eu-central-1.aws.neon.tech/shop?sslmode=require",
    f"postgres://5f6a7b:sk_{CANARY}@pooled.db.prisma.io:5432/?sslmode=require",
    f"postgres://5f6a7b:sk_{CANARY}@db.prisma.io:5432/postgres?sslmode=require&pool=true",
    f"prisma+postgres://accelerate.prisma-data.net/?api_key={CANARY}",
    "prisma+postgres://localhost:51213/?api_key=eyJkYXRhYmFzZVVybCI6InBvc3RncmVzOi8vcG9zdGdyZXM6elE3a1g5d3ZAbG9jYWxob3N0OjUxMjE0L3RlbXBsYXRlMT9zc2xtb2RlPWRpc2FibGUifQ",
    f"psql 'postgresql://u:{CANARY}@h.example:6432/d?connect_timeout=10&application_name=shop'",
    f'DATABASE_URL="postgresql://u:{CANARY}@h.example/d"',
    f"export DIRECT_URL=postgresql+psycopg://u:{CANARY}@h.example/d;",
    f"postgresql://u:{CANARY}@[2001:db8::1%25eth0]:5432/d?target_session_attrs=read-write",
    f"postgresql://u:{CANARY}@a.example:5432,b.example:5433,c.example/d?load_balance_hosts=random",
    f"postgresql://u:{CANARY}@%2Fvar%2Frun%2Fpostgresql/d",
    f"postgresql:///d?host=/tmp&port=5433&user=u&password={CANARY}",
    f"postgresql://h/d?sslkey=/k&sslpassword={CANARY}&sslrootcert=system&sslmode=verify-full",
    f"postgresql://h/d?user=me@corp&password={CANARY}&scram_client_key={CANARY}&scram_server_key={CANARY}",
    f"postgresql://u:{CANARY}@h/d?options=-c%20search_path%3Dshop%20endpoint%3Dep-a&schema=public&pgbouncer=true",
    f"postgresql://u:p@ss/{CANARY}#1@h.example:5432/d?sslmode=no-verify&ssl=true&sslaccept=strict",
    f"host=h user=u password={CANARY} dbname=d",
    f"jdbc:postgresql://h/d?user=u&password={CANARY}",
    f"http://u:{CANARY}@h/",
    "postgresql://",
    "",
]
TOKENS = [
    *"@ : / ? # [ ] % & = , + - . ' \" ` ; {".split(),
    *"%40 %3A %2F %3F %23 %25 %00 %0A %20 %FF %C3%A9 %c3%28 %2 %zz :// //@ @@ :@ @: [::1] [ ] ]: :99999 :0 :٣".split(),
    *"postgresql:// postgres:// prisma:// prisma+postgres:// postgresql+asyncpg:// psql".split(),
    *(f"&{name}=" for name in sorted(LIBPQ)),
    *"?host= &host= &hostaddr= &port= &user= &password= &dbname= &schema= &pool= &ssl= &sslidentity= &x=".split(),
    "psql ",
    "export ",
    "NAME=",
    "\n",
    *"localhost 127.0.0.1 h.example db.prisma.io pooled. -pooler /tmp @abstract xn--e1afmkfd".split(),
    CANARY,
]
_PUNCTUATION = "aZ09@:/?#[]%&=,;+-._~!$'()*^|\\{}<>\"`é€"
_KNOWN = sorted(LIBPQ | {"host", "port", "user", "password", "dbname"})


def texts(random: Random) -> str:
    return mutant(random, SEEDS, TOKENS)


def check(text: str, *, thorough: bool = False) -> bool:
    """Whether the text was read as a URL; what must not come of it is an AssertionError.

    Args:
        thorough: look at the formatted traceback of a refusal too, which takes its time.
    """
    try:
        url = PostgresURL.parse(text, source="DATABASE_URL")
    except URLError as error:
        said = f"{error} {error!r}"
        if thorough:
            said += "".join(traceback.format_exception(error))
        assert not any(part in said for part in _PARTS), "a refusal repeats what was given"
        assert said.isprintable() or "\n" in said
        return False
    revealed = url.reveal()
    assert PostgresURL.parse(revealed) == url, "read again it is another URL"
    assert revealed.isascii() and revealed.isprintable() and " " not in revealed
    conceals(url)
    peers_agree(url, revealed)
    classify(url.host, url.port)
    other_half(url)
    return True


def conceals(url: PostgresURL) -> None:
    """With other secrets in their place, nothing that is shown is different."""
    params = {name: "other" if name in SECRET else value for name, value in url.params.items()}
    password = url.password and Secret("other")
    other = PostgresURL(
        url.user, password, url.hosts, url.database, params, url.notes, url.warnings
    )
    assert str(url) == str(other), "str() depends on a secret"
    assert repr(url) == repr(other)
    assert f"{url:>9}" == f"{other:>9}"
    pickled = pickle.dumps(url)
    assert pickled == pickle.dumps(other), "a pickle depends on a secret"
    assert str(pickle.loads(pickled)) == str(url)
    assert copy.deepcopy(url) is url
    noted = " ".join((*url.notes, *url.warnings))
    assert not any(part in noted for part in _PARTS), "a note repeats what was given"
    assert url.password is None or MASK in str(url)


@cache
def libpq_knows() -> frozenset[str]:
    return frozenset(option.keyword.decode() for option in Conninfo.get_defaults())


def peers_agree(url: PostgresURL, revealed: str) -> None:
    """libpq, SQLAlchemy and dj-database-url read what :meth:`reveal` writes as we do."""
    password = url.password.reveal() if url.password else None
    if url.params.keys() <= libpq_knows():
        theirs = conninfo_to_dict(revealed)
        ports = theirs.pop("port", "").split(",")
        expected = dict(url.params)
        expected["host"] = ",".join(host for host, _ in url.hosts)
        expected |= {"user": url.user, "password": password or "", "dbname": url.database}
        assert theirs == {
            name: value for name, value in expected.items() if value or name in url.params
        }
        assert ports == [str(port or "") for _, port in url.hosts] or not any(ports)
    else:  # a keyword of a newer libpq than this one
        try:
            conninfo_to_dict(revealed)
        except ProgrammingError:
            pass
        else:
            raise AssertionError("libpq knows a keyword that it does not list")
    if len(url.hosts) == 1 and not url.host.startswith(("/", "@")) and "%" not in url.host:
        # These two know one host, no socket folder and no zone of an address there, and drop
        # parameters without a value.
        made = make_url(revealed)
        assert (made.username or "", made.password, made.port) == (
            url.user,
            password,
            url.hosts[0].port,
        )
        assert (made.host, made.database or "") == (url.host, url.database)
        assert dict(made.query) == {name: value for name, value in url.params.items() if value}
        entry = dj_database_url.parse(revealed)
        assert (entry["USER"], entry["PASSWORD"]) == (url.user, password or "")
        assert (entry["HOST"], entry["NAME"]) == (url.host.lower(), url.database)
        assert entry["PORT"] == (url.hosts[0].port or "")


def believed(random: Random) -> None:
    """A URL whose password a person left as it is means that password, or nothing at all."""
    size = 1 + int(random.random() * random.random() * 24)
    password = "".join(
        [_PUNCTUATION[int(random.random() * len(_PUNCTUATION))] for _ in range(size)]
    )
    if random.random() < 0.2:
        at = int(random.random() * len(password))
        password = password[:at] + TOKENS[int(random.random() * len(TOKENS))] + password[at:]
    if random.random() < 0.1:
        password = quote(password, safe="")
    tail = "?sslmode=require" if random.random() < 0.5 else ""
    port = ":5432" if random.random() < 0.5 else ""
    text = f"postgresql://shop:{password}@db.example{port}/d{tail}"
    try:
        url = PostgresURL.parse(text)
    except URLError:
        return
    if _is_a_url_of_its_own(password):
        return
    assert (url.user, url.host, url.port, url.database) == ("shop", "db.example", 5432, "d"), text
    assert url.password is not None, text
    assert url.password.reveal() in (password, unquote(password)), text


def _is_a_url_of_its_own(password: str) -> bool:
    """It holds ``?keyword=``: then the text is a URL to every reader, of another place."""
    _, _, query = password.partition("?")
    return any(f"{name}=" in query for name in _KNOWN)
