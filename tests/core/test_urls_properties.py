"""Whatever goes in, what comes out is a URL or an error of ours; and it survives a round trip."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ppg_integrations import PostgresURL, URLError
from ppg_integrations.hosts import classify, other_half
from ppg_integrations.parameters import LIBPQ, SECRET

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=30)
LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
HOST = st.one_of(
    st.lists(LABEL, min_size=1, max_size=4).map(".".join),
    st.ip_addresses().map(str),
    st.from_regex(r"[/@][A-Za-z0-9/_. @-]{1,20}", fullmatch=True),
)
PORT = st.one_of(st.none(), st.integers(1, 65535))
PARAMS = st.dictionaries(
    st.sampled_from(
        sorted(LIBPQ - {"sslmode", "requiressl", "connect_timeout", "tcp_user_timeout"})
    ).filter(lambda name: not name.startswith("keepalives")),
    TEXT,
    max_size=4,
)


@given(user=TEXT, password=TEXT, host=HOST, port=PORT, database=TEXT, params=PARAMS)
def test_round_trip(user, password, host, port, database, params) -> None:
    url = PostgresURL.build(
        user=user, password=password, host=host, port=port, database=database, params=params
    )
    again = PostgresURL.parse(url.reveal())
    if not database and classify(host, port or 5432).provider == "prisma":
        url = url.replace(database="postgres")
    assert again == url
    assert (again.user, again.database, dict(again.params)) == (user, url.database, params)
    assert (again.password.reveal() if again.password else "") == password
    assert not again.notes


@given(
    password=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
)
@example(password="a/b@c#d?e:f&g=h")
@example(password="12/34@x")
@example(password="@")
def test_an_unencoded_password_is_read_whole_or_refused(password: str) -> None:
    try:
        url = PostgresURL.parse(
            f"postgresql://user:{password}@db.example:5432/shop?sslmode=require"
        )
    except URLError as error:
        if len(password) > 8:
            assert password not in str(error)
        return
    assert (url.host, url.port, url.database) == ("db.example", 5432, "shop")
    assert url.password is not None
    from urllib.parse import unquote

    assert url.password.reveal() in (password, unquote(password))


@given(st.text(max_size=200))
@example("postgresql://[")
@example("postgresql://u:p@[::1%25eth0]/d")
@example("prisma+postgres://localhost:1/?api_key=AAAA")
@example("prisma+postgres://[/?api_key=")
@example("postgresql://h/d?=x")
@example("postgresql://\ud800@h/d")
@example("postgresql://h:５/d")
@example("postgresql:///d?host=@/tmp")
@example("postgresql://h/" + "{" * 3_000)
def test_no_input_escapes(text: str) -> None:
    accepts(text)


@given(st.text(st.sampled_from("postgresql://@:?#[]%&=,.+-'\" \t\nUab019é"), max_size=60))
def test_no_input_near_a_url_escapes(text: str) -> None:
    accepts(f"postgresql://{text}")
    accepts(f"prisma+postgres://{text}")
    accepts(text)


def accepts(text: str) -> None:
    try:
        url = PostgresURL.parse(text, source="X")
    except URLError as error:
        assert str(error)
        return
    assert PostgresURL.parse(url.reveal()) == url
    assert str(url)
    assert url.libpq() is not None
    classify(url.host, url.port)
    other_half(url)
    if (
        url.password
        and len(url.password.reveal()) > 6
        and url.password.reveal() not in text.replace(f":{url.password.reveal()}", "", 1)
    ):
        assert url.password.reveal() not in str(url)


def test_a_url_that_cannot_be_read_again_once_encoded_is_refused() -> None:
    with pytest.raises(URLError, match="longer than 8192 characters"):
        PostgresURL.parse("postgresql://h/" + "{" * 3_000)
    assert PostgresURL.parse("postgresql://h/" + "a" * 3_000).database == "a" * 3_000


@pytest.mark.parametrize(
    ("query", "sslmode"),
    [
        ("requiressl=1", "require"),
        ("requiressl=0", None),
        ("sslmode=verify-full&requiressl=1", "verify-full"),
        ("requiressl=0&sslmode=verify-full", "verify-full"),
    ],
)
def test_the_old_word_for_encryption_does_not_undo_the_new_one(query: str, sslmode: str) -> None:
    url = PostgresURL.parse(f"postgresql://h/d?{query}")
    assert url.params.get("sslmode") == sslmode
    assert "requiressl" not in url.params
    assert "requiressl" in url.notes[0]


def test_the_secret_parameters_are_known_to_libpq() -> None:
    assert SECRET < LIBPQ
