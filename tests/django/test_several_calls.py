"""``databases()`` called more than once for an alias: the call that Django uses counts."""

from __future__ import annotations

import pytest

from ppg_integrations.django import databases, state

OTHER = {"pooled": "postgres://u:p@other.invalid:3/y", "direct": "postgres://u:p@other.invalid:4/y"}

#: Each is a later call for the same aliases, and none of them reaches DATABASES.
LATER = {
    "another pair": f"databases(**{OTHER!r})",
    "no URL": "databases(False, environ={})",
    "the same without direct": "databases(False, environ={'DATABASE_URL': os.environ['DATABASE_URL']})",
    "another direct alias": "databases(aliases=('default', 'other'))",
    "another pooled alias": "databases(aliases=('other', 'direct'))",
}


@pytest.fixture(params=LATER.values(), ids=LATER)
def later(request):
    return request.param


def ports(project, code):
    pooled, direct = project.generated.pooled.port, project.generated.direct.port
    return [
        {pooled: "pooled", direct: "direct"}.get(value, value) for value in project.python(code)
    ]


@pytest.mark.once
def test_a_later_call_in_the_settings(project, later, pooled_logins, direct_logins):
    project.settings(f"_other = {later}\n")
    done = project.manage("migrate", "shop")
    assert done.stderr == ""
    assert pooled_logins() == 0
    assert direct_logins() > 0
    assert "ppg.W012" not in project.manage("check").stderr


def test_a_later_call_in_a_live_process(project, later):
    found = ports(
        project,
        f"""
        import os
        from ppg_integrations.django import databases
        seen = []
        {later}
        with direct_connection():
            seen.append(port())
            {later}
            with direct_connection("direct"):
                seen.append(port())
        seen.append(port())
        result(seen)
        """,
    )
    assert found == ["direct", "direct", "pooled"]


def test_the_name_that_a_test_runner_gives_does_not_hide_the_call(project):
    """Two databases of one server differ in the name only, which the runner changes."""
    found = ports(
        project,
        """
        from ppg_integrations.django import databases
        import os
        urls = [os.environ[name].replace("/" + connection.settings_dict["NAME"], "/postgres")
                for name in ("DATABASE_URL", "DIRECT_URL")]
        databases(pooled=urls[0], direct=urls[1])
        from ppg_integrations.django import state
        before = state.current().place.name == connection.settings_dict["NAME"]
        connection.settings_dict["NAME"] = connection.settings_dict["NAME"] + "_renamed"
        from ppg_integrations.django import routing
        with routing.route(state.current()) as outcome:
            seen = [outcome, connection.settings_dict["NAME"].endswith("_renamed")]
        result([before, *seen])
        """,
    )
    assert found == [True, "direct", True]


def test_ppg_connect_means_the_pair_that_django_uses(project):
    project.settings(f"_other = databases(**{OTHER!r})\n")
    done = project.manage("ppg_connect", "show")
    assert "other.invalid" not in done.stdout
    assert str(project.generated.pooled.port) in done.stdout


def test_before_there_are_settings_the_last_call_counts():
    try:
        for port in (1, 2):
            databases(pooled=f"postgres://u@h.invalid:{port}/x", direct="postgres://u@h.invalid/x")
        assert state.current().place.port == 2
        assert state.find("direct") is state.current()
        assert state.registered() == (state.current(),)
    finally:
        state.clear()


WARNING = "default was changed after databases() had made it: this runs there, maybe through a"


def elsewhere(project):
    """The pooler by another name, which says nothing to us."""
    project.settings('DATABASES["default"]["HOST"] = "localhost"\n')


@pytest.mark.once
@pytest.mark.parametrize("command", [("migrate", "shop"), ("showmigrations",), ("test",)])
def test_a_changed_alias_is_said_at_once(project, command):
    elsewhere(project)
    if command == ("test",):
        project.write("shop/tests.py", "from django.test import SimpleTestCase\n")
    assert WARNING in project.manage(*command).stderr
    assert WARNING not in project.manage(*command, "-v0").stderr


def test_a_replaced_alias_without_a_pooler_is_not_worth_a_line(project):
    project.settings(
        'DATABASES["default"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db"}\n'
    )
    done = project.manage("migrate", "shop")
    assert "ppg.W012" in done.stderr
    assert WARNING not in done.stderr


def test_no_url_is_still_refused_after_a_call_that_had_one(bare):
    bare.settings(f"DATABASES = databases(False, environ={{}})\n_other = databases(**{OTHER!r})\n")
    assert "CommandError: no database URL" in bare.manage("migrate", status=1).stderr


def test_an_alias_is_found_without_a_look_at_the_others(monkeypatch):
    monkeypatch.setattr(state, "_calls", [])
    monkeypatch.setattr(state, "_by_alias", {})
    place = state.Place(False, "", "", "", "")
    for number in range(20):
        aliases = (f"pooled{number}", f"direct{number}")
        state.register(state.Registered(*aliases, None, None, None, place, place))
    looked = []
    monkeypatch.setattr(state, "_live", looked.append)
    for alias in ("direct7", "pooled7"):
        assert state.find(alias).pooled_alias == "pooled7"
    assert {*looked} <= {"pooled7", "direct7"}
    assert state.find("elsewhere") is None
