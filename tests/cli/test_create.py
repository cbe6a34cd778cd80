"""``create``: generated, kept, proved, written; in that order, whatever fails."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from ppg_integrations import ConfigurationError, ConnectError, EnvFileError, PostgresURL, drivers
from ppg_integrations import envfile
from ppg_integrations.cli import main
from ppg_integrations.entry import Entry
from ppg_integrations.journal import Journal
from ppg_integrations.providers.base import Generated, GenerateRequest, Intend, Progress
from ppg_integrations.providers.local import provider as local_provider
from ppg_integrations.providers.local.servers import LocalServers
from ppg_integrations.verbs import handover as module
from ppg_integrations.verbs import proof, variables
from ppg_integrations.verbs import foreign
from ppg_integrations.verbs.context import Context
from ppg_integrations.verbs.create import create

NEON = "postgresql://u:n30n-Pa55@ep-a-1.us-east-2.aws.neon.tech/neondb?sslmode=require"


@pytest.fixture
def project(tmp_path: Path, servers: LocalServers, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder whose embedded servers are those of the test session."""
    folder = tmp_path / "shop"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(local_provider, "servers_of", lambda _folder: servers)
    return folder


def run(project: Path, **options: object) -> module.Stored:
    context = Context(env_file=project / ".env", provider="local", database="shop", environ={})
    return create(context, **options)  # type: ignore[arg-type]


def asks(url: PostgresURL) -> str:
    with drivers.connect(url) as connection:
        return str(connection.fetch("SELECT current_database()")[0][0])


def test_the_pair_is_generated_proved_and_written(project: Path) -> None:
    created = run(project)
    written = envfile.read(project / ".env")
    assert set(written) == {"DATABASE_URL", "DIRECT_URL", "PPG_CONNECTION", "PPG_PROVIDER"}
    assert written["PPG_PROVIDER"] == "local"
    assert stat.S_IMODE((project / ".env").stat().st_mode) == 0o600
    pooled, direct = (PostgresURL.parse(written[n]) for n in ("DATABASE_URL", "DIRECT_URL"))
    assert asks(pooled) == asks(direct) == "shop"
    assert created.diagnosis.pooled.kind == "transaction-pooler"
    assert created.diagnosis.direct is not None
    assert created.diagnosis.direct.kind == "direct"
    assert created.connection_id == direct.user
    assert created.origin == "generated"
    assert Journal(project / ".env").entries() == ()
    assert not (project / ".ppg" / "pending.json").exists()


def test_a_second_run_writes_another_connection_and_keeps_the_rest_of_the_file(
    project: Path,
) -> None:
    (project / ".env").write_text("# mine\nexport DEBUG=1\nDATABASE_URL=\nSECRET='a b'\n")
    first = run(project)
    second = run(project)
    assert first.connection_id != second.connection_id
    text = (project / ".env").read_text()
    assert text.startswith("# mine\nexport DEBUG=1\nDATABASE_URL=")
    assert "SECRET='a b'" in text
    assert text.count("DATABASE_URL=") == text.count("DIRECT_URL=") == 1
    with drivers.connect(first.pair.require_direct()) as one:
        one.execute("CREATE TABLE made_by_first (id int)")
    with drivers.connect(second.pair.require_direct()) as two:
        two.execute("ALTER TABLE made_by_first ADD COLUMN more int")
        two.execute("DROP TABLE made_by_first")


@pytest.mark.parametrize("step", ["prove", "write", "clear"])
def test_an_interrupted_run_is_finished_by_the_next(
    project: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    before = "DEBUG=1\n"
    (project / ".env").write_text(before)
    generated: list[Generated] = []
    generate = local_provider.LocalProvider.generate

    def spy(
        self: object, request: GenerateRequest, intend: Intend, progress: Progress
    ) -> Generated:
        generated.append(generate(self, request, intend, progress))  # type: ignore[arg-type]
        return generated[-1]

    monkeypatch.setattr(local_provider.LocalProvider, "generate", spy)
    target, name = {
        "prove": (proof, "prove"),
        "write": (envfile, "update"),
        "clear": (Journal, "clear"),
    }[step]

    def crash(*_args: object, **_options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(target, name, crash)
        with pytest.raises(KeyboardInterrupt):
            run(project)
    if step != "clear":
        assert (project / ".env").read_text() == before
    created = run(project)
    assert created.origin == "resumed"
    assert len(generated) == 1
    assert created.connection_id == generated[-1].id
    assert envfile.read(project / ".env")["DIRECT_URL"] == generated[-1].direct.reveal()
    assert Journal(project / ".env").entries() == ()


def test_a_pending_connection_that_is_gone_is_let_go(
    project: Path, servers: LocalServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(proof, "prove", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run(project)
    (entry,) = Journal(project / ".env").entries()
    assert entry.generated is not None
    gone = entry.generated.id
    with servers.connect() as admin:
        admin.execute(f'DROP ROLE "{gone}"')
    created = run(project)
    assert created.origin == "generated"
    assert created.connection_id != gone


def test_a_connection_that_does_not_work_is_kept_and_not_written(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate = local_provider.LocalProvider.generate

    def broken(
        self: object, request: GenerateRequest, intend: Intend, progress: Progress
    ) -> Generated:
        made = generate(self, request, intend, progress)  # type: ignore[arg-type]
        return Generated(made.id, made.name, made.pooled.replace(port=1), made.direct)

    monkeypatch.setattr(local_provider.LocalProvider, "generate", broken)
    with pytest.raises(ConnectError, match="generated and kept") as caught:
        run(project)
    assert "create again" in caught.value.hint
    assert not (project / ".env").exists()
    (entry,) = Journal(project / ".env").entries()
    assert entry.generated is not None
    assert entry.generated.direct.password is not None
    assert entry.generated.direct.password.reveal() not in str(caught.value)
    assert f"revoke {entry.generated.id}" in caught.value.hint


def pending(project: Path, generated: Generated, **changes: object) -> Entry:
    """What a run that was killed before it wrote the file leaves."""
    values: dict[str, object] = {
        "provider": "local",
        "request": {"database": "shop"},
        "generated": generated,
    }
    entry = Entry(**(values | changes))  # type: ignore[arg-type]
    Journal(project / ".env").record(entry)
    return entry


def test_a_pending_connection_is_found_where_its_servers_moved_to(
    project: Path, generated: Generated
) -> None:
    pooled, direct = generated.pooled.replace(port=1), generated.direct.replace(port=2)
    pending(project, replace(generated, pooled=pooled, direct=direct))
    created = run(project)
    assert created.origin == "resumed"
    assert created.pair.pooled == generated.pooled
    assert created.pair.direct == generated.direct
    assert Journal(project / ".env").entries() == ()


@pytest.mark.parametrize(
    "changes",
    [{"request": {"database": "other"}}, {"provider": "neon"}],
)
def test_a_pending_connection_of_another_request_stays_pending(
    project: Path, generated: Generated, changes: dict[str, object]
) -> None:
    entry = pending(project, generated, **changes)
    created = run(project)
    assert created.origin == "generated"
    assert created.connection_id != generated.id
    assert Journal(project / ".env").entries() == (entry,)


def test_a_bare_run_takes_up_what_a_run_with_options_left(
    project: Path, generated: Generated
) -> None:
    pending(project, generated)
    created = create(Context(env_file=project / ".env", provider="local", environ={}))
    assert created.origin == "resumed"


def test_the_host_of_a_url_counts_more_than_the_providers_name_in_the_file(project: Path) -> None:
    before = f"PPG_PROVIDER=local\nDATABASE_URL={NEON}\nDIRECT_URL=postgres://u@10.0.0.1/d\n"
    (project / ".env").write_text(before)
    with pytest.raises(ConfigurationError, match="would overwrite"):
        run(project)
    (project / ".env").write_text(before.replace(NEON, ""))
    with pytest.raises(ConfigurationError, match="DIRECT_URL .* would overwrite"):
        run(project)


@pytest.mark.parametrize("name", ["DATABASE_URL", "DIRECT_URL"])
@pytest.mark.parametrize("url", [NEON, "postgres://me:n30n-Pa55@localhost:5432/mine", "mysql://x"])
def test_another_providers_url_is_not_overwritten(
    project: Path, monkeypatch: pytest.MonkeyPatch, name: str, url: str
) -> None:
    before = f"{name}={url}\n"
    (project / ".env").write_text(before)
    with monkeypatch.context() as patch:
        patch.setattr(
            local_provider.LocalProvider, "generate", lambda *_a: pytest.fail("generated")
        )
        with pytest.raises(ConfigurationError, match=f"{name} in .* would overwrite") as caught:
            run(project)
    assert "--replace" in caught.value.hint
    assert "n30n-Pa55" not in str(caught.value)
    assert (project / ".env").read_text() == before
    run(project, replace=True)
    assert url not in (project / ".env").read_text()


def test_nothing_is_generated_for_a_file_that_git_would_track(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    subprocess.run(["git", "init", "-q", str(project)], check=True)
    with monkeypatch.context() as patch:
        patch.setattr(
            local_provider.LocalProvider, "generate", lambda *_a: pytest.fail("generated")
        )
        with pytest.raises(EnvFileError, match="git"):
            run(project)
        assert main(["create", "--provider", "local"]) == 1
    assert ".gitignore" in capsys.readouterr().err
    assert main(["create", "--provider", "local", "--gitignore", "--database", "shop"]) == 0
    status = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=all"],
        cwd=project,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert status == "?? .gitignore\n"


def test_no_provider_says_how_to_name_one(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["create"]) == 1
    err = capsys.readouterr().err
    for way in ("PRISMA_SERVICE_TOKEN", "NEON_API_KEY", "CASEDEV_API_KEY", "create --temporary"):
        assert way in err
    assert "create --provider local" in err
    assert main(["create", "--provider", "nonesuch"]) == 2
    assert "prisma, neon, casedev, local" in capsys.readouterr().err
    assert main(["create", "--provider", "neon"]) == 1
    assert "NEON_API_KEY" in capsys.readouterr().err
    assert not (project / ".env").exists()
    assert not (project / ".ppg").exists()


def test_json_is_one_document_with_stable_keys(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["create", "--json", "--provider", "local", "--database", "shop"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert list(document) == ["provider", "pooled", "direct", "env_file", "warnings", "connection"]
    assert list(document["pooled"]) == list(document["direct"]) == ["host", "port", "source", "url"]
    assert list(document["connection"]) == ["id", "name"]
    assert "***" in document["pooled"]["url"]
    assert document["env_file"] == str(project / ".env")
    assert document["provider"] == "local"
    assert document["warnings"] == []


def test_a_variable_that_wins_over_the_file_is_pointed_out(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", NEON)
    assert main(["create", "--provider", "local", "--database", "shop"]) == 0
    printed = capsys.readouterr()
    assert "DATABASE_URL is also set in the environment" in printed.err
    assert main(["create", "--provider", "local", "--database", "shop", "--json"]) == 0
    warning, _ = json.loads(capsys.readouterr().out)["warnings"]
    assert "DATABASE_URL is also set in the environment" in warning
    assert "n30n-Pa55" not in printed.out + printed.err


def test_the_human_output_is_short_and_redacted(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["create", "--provider", "local", "--database", "shop", "--name", "web"]) == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) <= 10
    assert "transaction-pooler" in out
    assert " (web) of local" in out
    assert str(project / ".env") in out
    url = PostgresURL.parse(envfile.read(project / ".env")["DIRECT_URL"])
    assert url.password is not None
    assert url.password.reveal() not in out
    assert os.environ.get("DATABASE_URL") is None


# -- the provider's name in the file ----------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "provider", "earlier", "written"),
    [
        ("db.prisma.io", "prisma", "local", "prisma"),
        ("db.prisma.io", "prisma", "Prisma", None),
        ("db.prisma.io", "prisma", "", None),
        ("ep-a-1.us-east-2.aws.neon.tech", "neon", "casedev", "neon"),
        ("ep-a-1.us-east-2.aws.neon.tech", "casedev", "", "casedev"),
    ],
)
def test_no_earlier_providers_name_stays_in_the_file(
    tmp_path: Path, host: str, provider: str, earlier: str, written: str | None
) -> None:
    (tmp_path / ".env").write_text(f"PPG_PROVIDER={earlier}\n")
    url = PostgresURL.build(host=host, user="u", password="p", database="d")
    context = Context(env_file=tmp_path / ".env", environ={})
    values = variables.of(context, Entry(provider, generated=Generated("id", "", url, url)))
    assert values.set.get("PPG_PROVIDER") == written


def test_a_pair_of_casedev_on_neons_hosts_is_casedevs(shop: Path) -> None:
    url = "postgresql://ann:pw@ep-a-1.us-east-2.aws.neon.tech/neondb"
    (shop / ".env").write_text(f"DATABASE_URL={url}\nDIRECT_URL={url}\nPPG_PROVIDER=casedev\n")
    context = Context(env_file=shop / ".env", environ={})
    foreign.refuse_overwriting(context, "casedev")
    for other in ("neon", "prisma"):
        with pytest.raises(ConfigurationError, match="would overwrite"):
            foreign.refuse_overwriting(context, other)
