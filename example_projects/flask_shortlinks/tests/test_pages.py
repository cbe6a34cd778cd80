from __future__ import annotations

import re
from datetime import datetime, timezone

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

TARGET = "https://docs.example.com/a/long/way?from=home"


def submit(client: FlaskClient, **fields: str) -> TestResponse:
    """Sends the form as a browser does, with the token that is in it."""
    token = re.search(r'name="csrf_token" type="hidden" value="([^"]+)"', client.get("/").text)
    assert token
    return client.post("/", data={"csrf_token": token[1], **fields}, follow_redirects=True)


def test_a_link_is_made_followed_and_counted(client: FlaskClient) -> None:
    page = submit(client, target=TARGET, slug="docs").text
    assert "Your short link is ready." in page
    assert "http://localhost/docs" in page
    for _ in range(2):
        followed = client.get("/docs")
        assert (followed.status_code, followed.location) == (302, TARGET)
        assert followed.headers["Cache-Control"] == "no-store"
    assert client.head("/docs").location == TARGET  # counts as nobody
    today = datetime.now(timezone.utc).date().isoformat()
    found = client.get("/docs.json").get_json()
    assert (found["target"], found["clicks"], found["days"][today]) == (TARGET, 2, 2)
    assert len(found["days"]) == 14
    assert f'datetime="{today}"' in client.get("/docs+").text


def test_a_link_without_a_name_gets_one(client: FlaskClient) -> None:
    page = submit(client, target=TARGET).text
    found = re.search(r"<h1>([2-9a-z]{6})</h1>", page)
    assert found
    assert client.get(f"/{found[1]}").location == TARGET


def test_the_first_page_lists_the_newest_first(client: FlaskClient) -> None:
    assert "There is none yet." in client.get("/").text
    for slug in ("first", "second"):
        submit(client, target=TARGET, slug=slug)
    client.get("/first")
    rows = re.findall(r'">(\w+)</a></th>.*?class="number">(\d+)', client.get("/").text, re.DOTALL)
    assert rows == [("second", "0"), ("first", "1")]


def test_a_name_is_given_once(client: FlaskClient) -> None:
    submit(client, target=TARGET, slug="docs")
    response = submit(client, target="https://example.org/", slug="docs")
    assert response.status_code == 422
    assert "Another link has this name." in response.text
    assert client.get("/docs").location == TARGET


def test_what_is_wrong_is_said_next_to_its_field(client: FlaskClient) -> None:
    for target in ("", "javascript:alert(1)", "https://", "http://[::1", "docs.example.com"):
        response = submit(client, target=target)
        assert response.status_code == 422, target
        assert 'aria-describedby="target-error"' in response.text
    assert "one of ours already" in submit(client, target="http://localhost/docs").text
    assert "small letters" in submit(client, target=TARGET, slug="Docs & more").text


def test_markup_in_an_address_is_shown_and_not_run(client: FlaskClient) -> None:
    submit(client, target="https://example.com/<script>alert(1)</script>", slug="eve")
    for page in ("/", "/eve+"):
        assert "&lt;script&gt;alert(1)" in client.get(page).text


def test_a_form_without_the_token_is_refused(client: FlaskClient) -> None:
    response = client.post("/", data={"target": TARGET})
    assert response.status_code == 400
    assert "CSRF token is missing" in response.text


def test_what_does_not_exist_has_a_page_too(client: FlaskClient) -> None:
    for path in ("/nothing", "/nothing+", "/No/such/page"):
        response = client.get(path)
        assert response.status_code == 404
        assert "To the first page" in response.text
    assert client.get("/nothing.json").get_json() == {
        "error": "There is no short link of this name."
    }


def test_the_health_check_asks_the_database(client: FlaskClient) -> None:
    assert client.get("/-/health").status_code == 204
