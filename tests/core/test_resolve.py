"""resolve(): the places in their order, and the hosts that have the last word."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from ppg_integrations import (
    AccelerateURLError,
    ConfigurationError,
    ConnectionPair,
    MismatchedPairError,
    MissingDirectURLError,
    MissingURLError,
    PPGWarning,
    URLError,
    resolve,
)

PASSWORD = "s3cr3t-Pa55"
NEON = f"postgresql://u:{PASSWORD}@ep-a-1.us-east-2.aws.neon.tech/neondb?sslmode=require"
NEON_POOLED = NEON.replace("ep-a-1", "ep-a-1-pooler")
PRISMA = f"postgres://u:{PASSWORD}@db.prisma.io:5432/?sslmode=require"
PRISMA_POOLED = PRISMA.replace("db.", "pooled.db.")
PLAIN = f"postgresql://u:{PASSWORD}@pool.example:6432/shop"
PLAIN_DIRECT = f"postgresql://u:{PASSWORD}@pg.example:5432/shop"


def quiet(**options: object) -> ConnectionPair:
    options.setdefault("env_file", False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return resolve(**options)  # type: ignore[arg-type]


def warned(**options: object) -> tuple[ConnectionPair, str]:
    options.setdefault("env_file", False)
    with pytest.warns(PPGWarning) as caught:
        pair = resolve(**options)  # type: ignore[arg-type]
    assert [str(item.message) for item in caught] == list(pair.warnings)
    assert PASSWORD not in "".join(pair.warnings)
    assert caught[0].filename == __file__
    return pair, "\n".join(pair.warnings)


def halves(pair: ConnectionPair) -> tuple[object, object]:
    return pair.pooled, pair.direct


POOLED_NAMES = ["DATABASE_URL", "DATABASE_URL_POOLED", "POSTGRES_URL", "POSTGRES_PRISMA_URL"]
DIRECT_NAMES = [
    "DIRECT_URL",
    "DATABASE_URL_UNPOOLED",
    "POSTGRES_URL_NON_POOLING",
    "DATABASE_DIRECT_URL",
]


@pytest.mark.parametrize("place", range(4))
def test_names_win_in_their_order(place: int) -> None:
    environ = dict.fromkeys(POOLED_NAMES[place + 1 :], "postgresql://other@x/y")
    environ |= dict.fromkeys(DIRECT_NAMES[place + 1 :], "postgresql://other@x/y")
    environ[POOLED_NAMES[place]] = PLAIN
    environ[DIRECT_NAMES[place]] = PLAIN_DIRECT
    pair = quiet(environ=environ)
    assert pair.pooled.host == "pool.example"
    assert pair.direct is not None
    assert pair.direct.host == "pg.example"
    assert str(pair.pooled_source) == f"{POOLED_NAMES[place]} in the environment"
    assert str(pair.direct_source) == f"{DIRECT_NAMES[place]} in the environment"


def test_arguments_win_over_the_environment_and_it_over_the_file(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text(
        "DATABASE_URL=postgresql://u@file:1/shop\nDIRECT_URL=postgresql://u@file:2/shop\n"
    )
    from_file = quiet(environ={}, env_file=env_file)
    assert (from_file.pooled.port, from_file.direct and from_file.direct.port) == (1, 2)
    assert str(from_file.pooled_source) == f"DATABASE_URL in {env_file}"
    assert str(from_file.direct_source) == f"DIRECT_URL in {env_file}"
    mixed = quiet(environ={"DATABASE_URL": "postgresql://u@env:3/shop"}, env_file=env_file)
    assert (mixed.pooled.host, mixed.direct and mixed.direct.host) == ("env", "file")
    argued = quiet(
        pooled="postgresql://u@arg:4/shop",
        environ={
            "DATABASE_URL": "postgresql://u@env:3/shop",
            "DIRECT_URL": "postgresql://u@env/shop",
        },
        env_file=env_file,
    )
    assert (argued.pooled.host, argued.direct and argued.direct.host) == ("arg", "env")
    assert str(argued.pooled_source) == "the argument pooled"


def test_the_file_is_found_by_its_variable_or_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(f"DATABASE_URL={PLAIN}\nDIRECT_URL={PLAIN_DIRECT}\n")
    (tmp_path / "other").write_text("DATABASE_URL=postgresql://u@other/x\n")
    assert quiet(environ={}, env_file=None).pooled.host == "pool.example"
    assert quiet(environ={"PPG_ENV_FILE": "other"}, env_file=None).pooled.host == "other"
    with pytest.raises(MissingURLError):
        quiet(environ={}, env_file=False)


def test_a_later_name_that_is_not_needed_is_not_looked_at(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        f"DATABASE_URL={PLAIN}\nDIRECT_URL={PLAIN_DIRECT}\n"
        "POSTGRES_PRISMA_URL=${DATABASE_URL}?pgbouncer=true\nPOSTGRES_URL=mysql://x\n"
    )
    assert quiet(environ={}, env_file=tmp_path / ".env").pooled.host == "pool.example"


def test_the_file_may_name_the_provider_where_the_hosts_do_not(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"DATABASE_URL={PLAIN}\nPPG_PROVIDER=casedev\n")
    assert quiet(environ={}, env_file=tmp_path / ".env").provider == "casedev"
    environ = {"PPG_PROVIDER": "neon"}
    assert quiet(environ=environ, env_file=tmp_path / ".env").provider == "neon"


def test_a_variable_inside_a_url_of_the_file_is_not_taken_for_a_password(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DATABASE_URL=postgresql://u:${DB_PASSWORD}@db/shop\n")
    with pytest.raises(ConfigurationError, match=r"DATABASE_URL in .*\.env") as caught:
        quiet(environ={"DB_PASSWORD": PASSWORD}, env_file=tmp_path / ".env")
    assert "Write the whole URL out" in caught.value.hint


def test_an_empty_variable_is_one_that_is_not_set() -> None:
    assert quiet(environ={"DATABASE_URL": " ", "POSTGRES_URL": PLAIN}).pooled.host == "pool.example"


@pytest.mark.parametrize(("pooled", "direct"), [(NEON_POOLED, NEON), (PRISMA_POOLED, PRISMA)])
def test_one_half_is_completed_where_the_host_is_certain(pooled: str, direct: str) -> None:
    whole = quiet(environ={"DATABASE_URL": pooled, "DIRECT_URL": direct})
    from_pooled = quiet(environ={"DATABASE_URL": pooled})
    from_direct = quiet(environ={"DIRECT_URL": direct})
    assert halves(from_pooled) == halves(from_direct) == halves(whole)
    assert str(from_pooled.direct_source) == "derived from DATABASE_URL in the environment"
    assert str(from_direct.pooled_source) == "derived from DIRECT_URL in the environment"
    assert whole.provider in ("neon", "prisma")


def test_requests_run_without_a_direct_url_and_direct_work_does_not() -> None:
    pair = quiet(environ={"DATABASE_URL": PLAIN})
    assert pair.direct is None
    with pytest.raises(MissingDirectURLError, match="DATABASE_URL in the environment") as caught:
        pair.require_direct()
    assert "Set DIRECT_URL" in caught.value.hint


def test_nothing_found_names_what_was_looked_for_and_where(tmp_path: Path) -> None:
    with pytest.raises(MissingURLError) as caught:
        quiet(environ={}, env_file=tmp_path / ".env")
    text = str(caught.value)
    assert all(name in text for name in POOLED_NAMES)
    assert f"{tmp_path / '.env'}, which does not exist" in text
    assert "ppg_connect create" in text


def test_a_lone_direct_url_of_an_unknown_host_says_what_to_set() -> None:
    with pytest.raises(MissingURLError, match="only a direct URL is known") as caught:
        quiet(environ={"DIRECT_URL": PLAIN_DIRECT})
    assert "Set DATABASE_URL" in caught.value.hint


# -- the hosts decide -------------------------------------------------------------------------


@pytest.mark.parametrize(("pooled", "direct"), [(NEON_POOLED, NEON), (PRISMA_POOLED, PRISMA)])
def test_a_swapped_pair_is_put_right_with_a_warning_that_names_both(
    pooled: str, direct: str
) -> None:
    pair, said = warned(environ={"POSTGRES_URL": direct, "DATABASE_DIRECT_URL": pooled})
    assert halves(pair) == halves(quiet(environ={"DATABASE_URL": pooled, "DIRECT_URL": direct}))
    assert "POSTGRES_URL" in said
    assert "DATABASE_DIRECT_URL" in said
    assert "swapped" in said
    assert str(pair.pooled_source) == "DATABASE_DIRECT_URL in the environment"


def test_prisma_through_vercel_keeps_the_direct_url_in_database_url() -> None:
    environ = {"DATABASE_URL": PRISMA, "DATABASE_URL_POOLED": PRISMA_POOLED, "POSTGRES_URL": PRISMA}
    pair, said = warned(environ=environ)
    assert pair.pooled.host == "pooled.db.prisma.io"
    assert pair.direct is not None
    assert pair.direct.host == "db.prisma.io"
    assert str(pair.pooled_source) == "DATABASE_URL_POOLED in the environment"
    assert "DATABASE_URL in the environment is the direct URL" in said


def test_a_direct_url_alone_in_the_pooled_variable_is_moved() -> None:
    pair, said = warned(environ={"DATABASE_URL": NEON})
    assert "-pooler" in pair.pooled.host
    assert pair.direct is not None
    assert "-pooler" not in pair.direct.host
    assert "DATABASE_URL" in said


def test_the_same_direct_url_in_both_variables() -> None:
    pair, said = warned(environ={"DATABASE_URL": NEON, "DIRECT_URL": NEON})
    assert "-pooler" in pair.pooled.host
    assert "DATABASE_URL" in said


def test_the_same_pooled_url_in_both_variables() -> None:
    pair, said = warned(environ={"DATABASE_URL": NEON_POOLED, "DIRECT_URL": NEON_POOLED})
    assert pair.direct is not None
    assert "-pooler" not in pair.direct.host
    assert "DIRECT_URL" in said


def test_a_pooled_url_that_cannot_be_turned_is_no_direct_url() -> None:
    pooled = "postgresql://postgres.abc:p@aws-0-eu.pooler.supabase.com:6543/postgres"
    pair, said = warned(environ={"DATABASE_URL": pooled, "DIRECT_URL": pooled})
    assert pair.direct is None
    assert "set DIRECT_URL" in said


def test_unknown_hosts_are_taken_at_their_variables_word() -> None:
    pair = quiet(environ={"DATABASE_URL": PLAIN_DIRECT, "DIRECT_URL": PLAIN})
    assert pair.pooled.host == "pg.example"


# -- Accelerate -------------------------------------------------------------------------------

ACCELERATE = f"prisma://accelerate.prisma-data.net/?api_key={PASSWORD}"


def test_an_accelerate_url_beside_a_direct_one_is_passed_over_in_one_line() -> None:
    pair, said = warned(environ={"DATABASE_URL": ACCELERATE, "DIRECT_URL": NEON})
    assert halves(pair) == halves(quiet(environ={"DIRECT_URL": NEON}))
    assert said.count("\n") == 0
    assert "1 December 2026" in said
    assert str(pair.pooled_source) == "derived from DIRECT_URL in the environment"


def test_an_accelerate_url_beside_a_prisma_direct_url() -> None:
    environ = {
        "DATABASE_URL": ACCELERATE.replace("prisma:", "prisma+postgres:"),
        "DIRECT_URL": PRISMA,
    }
    pair, _ = warned(environ=environ)
    assert pair.pooled.host == "pooled.db.prisma.io"


def test_an_accelerate_url_alone_is_an_error_with_the_date() -> None:
    with pytest.raises(AccelerateURLError, match="1 December 2026"):
        quiet(environ={"DATABASE_URL": ACCELERATE})


def test_a_local_prisma_server_has_one_endpoint() -> None:
    inner = {"databaseUrl": "postgres://postgres:postgres@localhost:51214/template1"}
    key = base64.urlsafe_b64encode(json.dumps(inner).encode()).decode().rstrip("=")
    pair = quiet(environ={"DATABASE_URL": f"prisma+postgres://localhost:51213/?api_key={key}"})
    assert pair.direct == pair.pooled
    assert pair.one_endpoint
    assert str(pair.direct_source) == "derived from DATABASE_URL in the environment"


def test_a_pooler_or_a_tunnel_on_this_machine_may_lead_anywhere() -> None:
    local = NEON_POOLED.replace("ep-a-1-pooler.us-east-2.aws.neon.tech", "127.0.0.1:6432")
    assert quiet(environ={"DATABASE_URL": local, "DIRECT_URL": NEON}).pooled.port == 6432
    assert quiet(environ={"DATABASE_URL": NEON_POOLED, "DIRECT_URL": local}).direct is not None


def test_a_warning_names_the_callers_line() -> None:
    def wrapper() -> ConnectionPair:
        return resolve(environ={"DATABASE_URL": NEON}, env_file=False, stacklevel=3)

    with pytest.warns(PPGWarning) as caught:
        line = sys._getframe().f_lineno + 1
        wrapper()
    assert (caught[0].filename, caught[0].lineno) == (__file__, line)


# -- two halves of one database ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("direct", "said", "word"),
    [
        (
            PLAIN_DIRECT.replace("/shop", "/other"),
            "different databases: shop and other",
            "database",
        ),
        (PLAIN_DIRECT.replace("u:", "admin:"), "different users: u and admin", "user"),
    ],
)
def test_halves_that_differ_are_an_error_unless_allowed(direct: str, said: str, word: str) -> None:
    environ = {"DATABASE_URL": PLAIN, "DIRECT_URL": direct}
    with pytest.raises(MismatchedPairError, match=said) as caught:
        quiet(environ=environ)
    assert "DATABASE_URL" in str(caught.value)
    assert "DIRECT_URL" in str(caught.value)
    assert word in caught.value.hint
    assert PASSWORD not in str(caught.value)
    assert quiet(environ=environ, allow_mismatch=[word]).direct is not None
    assert quiet(environ={**environ, "PPG_ALLOW_MISMATCH": word}).direct is not None


@pytest.mark.parametrize(
    ("pooled", "direct"),
    [
        (NEON_POOLED, NEON.replace("ep-a-1", "ep-b-2")),
        (NEON_POOLED, PRISMA.replace("/?", "/neondb?")),
    ],
)
def test_two_branches_or_providers_are_different_databases(pooled: str, direct: str) -> None:
    with pytest.raises(MismatchedPairError, match="different servers"):
        quiet(environ={"DATABASE_URL": pooled, "DIRECT_URL": direct})


def test_supabases_two_user_names_are_one_role() -> None:
    quiet(
        environ={
            "DATABASE_URL": "postgresql://postgres.abc:p@aws-0-eu.pooler.supabase.com:6543/postgres",
            "DIRECT_URL": "postgresql://postgres:p@db.abc.supabase.co:5432/postgres",
        }
    )


def test_an_unknown_word_in_allow_mismatch_is_an_error() -> None:
    environ = {"DATABASE_URL": PLAIN, "DIRECT_URL": PLAIN_DIRECT}
    with pytest.raises(ConfigurationError, match="colour"):
        quiet(environ=environ, allow_mismatch=["colour"])


def test_a_bad_url_names_its_variable() -> None:
    with pytest.raises(URLError, match="DIRECT_URL in the environment"):
        quiet(environ={"DATABASE_URL": PLAIN, "DIRECT_URL": "mysql://x"})


def test_what_was_stripped_and_may_be_missed_is_a_warning_with_its_source() -> None:
    _, said = warned(environ={"DATABASE_URL": PLAIN + "?schema=shop", "DIRECT_URL": PLAIN_DIRECT})
    assert said.startswith("DATABASE_URL in the environment: dropped schema")


def test_nothing_heavy_is_imported_to_resolve_from_the_environment() -> None:
    heavy = [
        "httpx",
        "psycopg",
        "psycopg2",
        "dotenv",
        "filelock",
        "platformdirs",
        "django",
        "flask",
        "sqlalchemy",
        "dataclasses",
        "inspect",
        "pathlib",
        "json",
        "asyncio",
        "argparse",
    ]
    code = (
        "import sys; import ppg_integrations; p = ppg_integrations.resolve();"
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"],
        env={"DATABASE_URL": PLAIN, "DIRECT_URL": PLAIN_DIRECT},
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )
    assert done.stdout.strip() == "[]"
