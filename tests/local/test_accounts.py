"""As whom root runs servers that are there already, and what is left alone until that is known."""

from __future__ import annotations

import os
import pwd
import stat

import pytest

from ppg_integrations.errors import LocalServerError
from ppg_integrations.providers.local import account as accounts
from ppg_integrations.providers.local import files

NOBODY = pwd.getpwnam("nobody")


def folder_status(uid, gid=0):
    return os.stat_result((stat.S_IFDIR | 0o700, 0, 0, 1, uid, gid, 0, 0, 0, 0))


@pytest.fixture
def as_root(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)


@pytest.mark.parametrize(
    ("uid", "name"), [(NOBODY.pw_uid, "nobody"), (4_000_123, "4000123")], ids=["known", "unknown"]
)
def test_root_goes_on_as_the_owner_of_the_servers(as_root, uid, name):
    chosen = accounts.choose(folder_status(uid, 77))
    assert (chosen.name, chosen.uid, chosen.dropped) == (name, uid, True)
    assert chosen.gid == (NOBODY.pw_gid if name == "nobody" else 77)


def test_root_never_runs_them_as_itself(as_root):
    assert accounts.choose(folder_status(0)).uid != 0
    assert accounts.choose(None) == accounts.choose(folder_status(0))


def test_a_postgres_user_that_appears_later_changes_nothing(local, monkeypatch):
    monkeypatch.setattr(accounts, "_UNPRIVILEGED", ("nobody",))
    local.start()
    owner = local.status().data.stat().st_uid
    assert owner == (NOBODY.pw_uid if os.geteuid() == 0 else os.geteuid())
    local.stop()
    monkeypatch.undo()
    assert local.start().running
    assert local.status().data.stat().st_uid == owner


def test_root_takes_up_what_another_user_began_and_hands_it_back(local, project):
    local.start()
    local.stop()
    if os.geteuid() == 0:
        account = accounts.choose()
        for path in (project / ".ppg", *(project / ".ppg").rglob("*")):
            os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid, follow_symlinks=False)
        assert account.uid != NOBODY.pw_uid
        local.folder.chmod(0o700)
    owner = local.folder.stat().st_uid
    assert local.start().running
    local.generate(database="shop")
    local.stop()
    for path in (local.folder, *local.folder.glob("*")):
        assert path.stat().st_uid == owner, path
    assert stat.S_IMODE(local.folder.stat().st_mode) == (0o700 if owner else 0o710)


def test_nothing_is_changed_before_the_servers_folder_is_found_to_be_ours(local, project):
    local.start()
    local.stop()
    (project / ".ppg").chmod(0o711)
    before = (project / ".ppg").stat()
    other = accounts.Account("other", 4_000_123, 4_000_123, dropped=False)
    with pytest.raises(LocalServerError, match="is not a folder of other"):
        files.Store(local.folder).prepare(other)
    after = (project / ".ppg").stat()
    assert (after.st_mode, after.st_gid) == (before.st_mode, before.st_gid)


def test_root_is_not_talked_into_becoming_a_third_user(project, monkeypatch):
    # A user's own state.json may name any folder: somebody's home, say.
    folder, home = project / ".ppg/local", project / "home"
    folder.mkdir(parents=True)
    store = files.Store(folder)
    store.remember(files.State(server_folder=str(home)))
    kind, real = type(folder), type(folder).stat
    keepers = {}

    def faked(path, **options):
        if path in (home, folder):
            return folder_status(4_000_123 if path == home else keepers[folder])
        return real(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: 0)
        patch.setattr(kind, "stat", faked)
        patch.setattr(kind, "lstat", faked)
        for keeper, accepted in ((0, True), (4_000_123, True), (4_000_124, False)):
            keepers[folder] = keeper
            assert (store.runner() is not None) == accepted, keeper
