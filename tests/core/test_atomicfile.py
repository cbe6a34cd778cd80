"""atomicfile.py: the old contents or the new, whatever happens in between."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import textwrap

import pytest

from ppg_integrations import atomicfile
from ppg_integrations.errors import EnvFileError

STEPS = ["open", "fchmod", "write", "fsync", "close", "replace"]


@pytest.fixture
def target(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    return path


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


class FailingOS:
    """The os module, but that one function fails, before or after its work."""

    def __init__(self, step, code=errno.ENOSPC):
        self._step, self._code = step, code

    def __getattr__(self, name):
        real = getattr(os, name)
        if name != self._step:
            return real

        def fail(*args, **kwargs):
            if name == "close":  # the descriptor goes even where close() reports an error
                real(*args, **kwargs)
            raise OSError(self._code, os.strerror(self._code))

        return fail


def test_a_new_file_is_private_under_any_umask(tmp_path):
    for umask in (0o000, 0o022, 0o077, 0o277):
        path = tmp_path / f"file{umask:o}"
        script = f"import os; os.umask({umask}); from ppg_integrations import atomicfile as a; a.write({str(path)!r}, 'x')"
        subprocess.run([sys.executable, "-c", script], check=True)
        assert mode(path) == 0o600
        assert path.read_text() == "x"


def test_it_is_private_from_the_first_byte(target, monkeypatch):
    seen = []

    def write(descriptor, data):
        seen.append((os.fstat(descriptor).st_size, stat.S_IMODE(os.fstat(descriptor).st_mode)))
        return os.write(descriptor, data[:1])  # a short write, which must go on

    watching = FailingOS("")
    watching.write = write
    monkeypatch.setattr(atomicfile, "os", watching)
    target.chmod(0o666)
    atomicfile.write(target, b"abc")
    assert seen == [(0, 0o600), (1, 0o600), (2, 0o600)]
    assert target.read_bytes() == b"abc"
    assert mode(target) == 0o600


def test_text_is_utf8_and_the_mode_can_be_chosen(target):
    atomicfile.write(target, "ä\r\n", mode=0o644)
    assert target.read_bytes() == b"\xc3\xa4\r\n"
    assert mode(target) == 0o644


def test_a_relative_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    atomicfile.check("file")
    atomicfile.write("file", "x")
    assert (tmp_path / "file").read_text() == "x"


@pytest.mark.parametrize("step", STEPS[1:])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_failing_step_leaves_the_old_file_and_nothing_else(target, monkeypatch, step, code):
    with monkeypatch.context() as patch:
        patch.setattr(atomicfile, "os", FailingOS(step, code))
        with pytest.raises(EnvFileError) as caught:
            atomicfile.write(target, "new")
    assert str(target) in caught.value.message
    assert ("disk is full" in caught.value.hint) == (code == errno.ENOSPC)
    assert target.read_text() == "old"
    assert os.listdir(target.parent) == [target.name]


def test_an_interrupt_leaves_the_old_file_and_nothing_else(target):
    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        atomicfile.write(target, "new", before_replace=interrupt)
    assert target.read_text() == "old"
    assert os.listdir(target.parent) == [target.name]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_any_step_leaves_the_old_or_the_new_file(target, step, when):
    script = textwrap.dedent("""
        import os, sys
        from ppg_integrations import atomicfile
        path, step, when = sys.argv[1:]
        class Killing:
            def __getattr__(self, name):
                real = getattr(os, name)
                def kill(*args, **kwargs):
                    folder = name == "open" and args[1] & os.O_DIRECTORY
                    if when == "before" and not folder:
                        os._exit(9)
                    result = real(*args, **kwargs)
                    if not folder:
                        os._exit(9)
                    return result
                return kill if name == step else real
        atomicfile.os = Killing()
        atomicfile.write(path, "new")
    """)
    done = subprocess.run([sys.executable, "-c", script, str(target), step, when])
    assert done.returncode == 9
    assert target.read_text() == ("new" if (step, when) == ("replace", "after") else "old")
    for name in set(os.listdir(target.parent)) - {target.name}:
        assert mode(target.parent / name) == 0o600
    atomicfile.sweep(target)
    assert os.listdir(target.parent) == [target.name]


def test_the_sweep_touches_nothing_else(tmp_path):
    for name in (".env", ".env.local", ".env.ppg", ".env.ppg-0011", "x.ppg-0011"):
        (tmp_path / name).write_text("")
    atomicfile.sweep(tmp_path / ".env")
    assert sorted(os.listdir(tmp_path)) == [".env", ".env.local", ".env.ppg", "x.ppg-0011"]


def test_a_long_name(tmp_path):
    path = tmp_path / ("n" * 255)
    atomicfile.write(path, "x")
    assert path.read_text() == "x"


@pytest.mark.parametrize("act", [atomicfile.check, lambda path: atomicfile.write(path, "new")])
class TestRefusals:
    def refused(self, act, path, *words):
        with pytest.raises(EnvFileError) as caught:
            act(path)
        for word in (str(path), *words):
            assert word in str(caught.value)
        assert caught.value.hint

    def test_a_symbolic_link(self, act, target):
        link = target.with_name("link")
        link.symlink_to(target)
        self.refused(act, link, "symbolic link", str(target))
        assert link.is_symlink()
        assert target.read_text() == "old"

    def test_a_dangling_symbolic_link(self, act, tmp_path):
        (tmp_path / "link").symlink_to(tmp_path / "nowhere")
        self.refused(act, tmp_path / "link", "symbolic link")
        assert not (tmp_path / "nowhere").exists()

    def test_a_folder(self, act, tmp_path):
        (tmp_path / "folder").mkdir()
        self.refused(act, tmp_path / "folder", "is a folder")

    def test_a_pipe(self, act, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        self.refused(act, tmp_path / "pipe", "no regular file")

    def test_a_missing_folder(self, act, tmp_path):
        self.refused(act, tmp_path / "no" / "file", "no folder")

    def test_a_file_in_place_of_the_folder(self, act, target):
        self.refused(act, target / "file", "no folder")

    @pytest.mark.parametrize("name", ["", ".", "..", "folder/"])
    def test_no_name(self, act, name):
        with pytest.raises(EnvFileError, match="names no file"):
            act(name)

    def test_somebody_elses_file(self, act, target, monkeypatch):
        monkeypatch.setattr(os, "geteuid", lambda: target.stat().st_uid + 1)
        self.refused(act, target, "belongs to another user", f"uid {target.stat().st_uid}")
        assert target.read_text() == "old"

    def test_a_folder_that_is_not_writable(self, act, target, monkeypatch):
        # Root may write anywhere, so the system's answers are played.
        failing = FailingOS("open", errno.EACCES)
        failing.access = lambda *args, **kwargs: False
        failing.open = lambda name, flags, *args, **kwargs: (
            FailingOS("open", errno.EACCES).open() if flags & os.O_CREAT else os.open(name, flags)
        )
        monkeypatch.setattr(atomicfile, "os", failing)
        self.refused(act, target, "cannot be written")
        assert target.read_text() == "old"


def test_root_leaves_a_file_to_its_owner(target, monkeypatch):
    if os.geteuid() == 0:
        os.chown(target, 12345, 12346)
    before = target.stat()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    atomicfile.write(target, "new")
    after = target.stat()
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino
    assert mode(target) == 0o600


def test_root_leaves_a_new_file_to_the_owner_of_its_folder(tmp_path, monkeypatch):
    folder = tmp_path / "folder"
    folder.mkdir()
    if os.geteuid() == 0:
        os.chown(folder, 12345, 12346)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    atomicfile.write(folder / "file", "new")
    owner, found = folder.stat(), (folder / "file").stat()
    assert (found.st_uid, found.st_gid) == (owner.st_uid, owner.st_gid)


def test_a_folder_that_cannot_be_synced_is_no_failure(target, monkeypatch):
    watching = FailingOS("")

    def fsync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "no")
        os.fsync(descriptor)

    watching.fsync = fsync
    monkeypatch.setattr(atomicfile, "os", watching)
    atomicfile.write(target, "new")
    assert target.read_text() == "new"
