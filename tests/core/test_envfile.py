"""envfile.py, with envtext.py, spelling.py and lock.py: what is written is what everybody reads."""

from __future__ import annotations

import errno
import io
import os
import re
import stat
import subprocess
import sys
import tempfile
import textwrap
import threading
import warnings
from pathlib import Path

import dotenv
import pytest
from dotenv.parser import parse_stream
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from ppg_integrations import atomicfile, envfile, envtext, lock, spelling
from ppg_integrations.errors import EnvFileError, PPGWarning, URLError
from ppg_integrations.urls import PostgresURL

URL = "postgresql://user:p%40ss@db.example.com:5432/app?sslmode=require"
TWO_PARAMETERS = URL + "&connect_timeout=10"


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory, monkeypatch):
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    return home


@pytest.fixture
def path(tmp_path):
    return tmp_path / ".env"


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


# The four readers -----------------------------------------------------------------------------


def sh_reads(path):
    """What `sh` has after sourcing the file."""
    script = 'set -a; . "$1"; exec env -0'
    done = subprocess.run(
        ["sh", "-c", script, "sh", str(path)],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        check=True,
    )
    assert done.stderr == b""
    pairs = (item.split("=", 1) for item in done.stdout.decode().split("\0") if item)
    return {k: v for k, v in pairs if k not in {"PATH", "PWD", "_", "SHLVL", "OLDPWD"}}


def dotenv_reads(path):
    """What load_dotenv() would set, with its interpolation."""
    return dict(dotenv.dotenv_values(path))


def docker_reads(path):
    """`docker run --env-file`: the rules of docker/cli, pkg/kvfile."""
    values = {}
    for number, raw in enumerate(path.read_bytes().split(b"\n")):
        line = raw.removesuffix(b"\r").decode()
        if number == 0:
            line = line.removeprefix("\ufeff")
        line = line.lstrip()
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not name or " " in name or "\t" in name:
            raise ValueError(f"variable {name!r} contains whitespaces")
        if equals:
            values[name] = value
    return values


def compose_reads(path):
    """`docker compose`: the rules of compose-go, dotenv/parser.go, for files without `${`."""
    text, values = path.read_bytes().decode(), {}
    while text := text.lstrip():
        if text.startswith("#"):
            text = text.partition("\n")[2]
            continue
        name, text = re.match(r"(?:export)?\s*([A-Za-z0-9_.]+)\s*[=:](?s:(.*))", text).groups()
        text = text.lstrip(" \t\r")
        quote = text[:1]
        if quote in {"'", '"'}:
            found = re.match(rf"{quote}((?:\\.|[^{quote}\\])*){quote}", text, re.DOTALL)
            value, text = found.group(1).replace(f"\\{quote}", quote), text[found.end() :]
            if quote == '"':
                assert "$" not in value
                value = re.sub(r"\\(.)", lambda m: {"n": "\n", "r": "\r"}.get(m[1], m[1]), value)
        else:
            value, _, text = text.partition("\n")
            value = value.split(" #")[0].rstrip()
            assert "$" not in value
        values[name] = value
    return values


SHARED_READERS = [envfile.read, dotenv_reads, sh_reads, compose_reads]
ALL_READERS = [*SHARED_READERS, docker_reads]


# Spelling -------------------------------------------------------------------------------------


@pytest.mark.parametrize("reader", ALL_READERS)
@pytest.mark.parametrize(
    "value",
    [
        URL,
        "",
        "postgresql://u:p@[::1]:5432/db",
        "postgresql://h1:1,h2:2/db",
        "a%20b+c",
        "/run/x",
        "a~b",
        "postgresql://u@/db?host=%2Frun",
        "=",
        "a=b=c",
    ],
)
def test_all_four_read_bare_values_alike(path, reader, value):
    assert envfile.update(path, {"A": value}).notes == ()
    assert reader(path) == {"A": value}


@pytest.mark.parametrize("reader", SHARED_READERS)
@pytest.mark.parametrize(
    "value",
    [
        TWO_PARAMETERS,
        "a b",
        " a ",
        "a;b",
        "$HOME",
        "`id`",
        "$(id)",
        "a#b",
        "#a",
        "a #b",
        '"a"',
        "~",
        "x:~root",
        "*",
        "{a,b}",
        "a|b>c<d",
        "\\n",
        "a\\b",
        "it's",
        "'",
        "''",
        'it\'s "so"',
        "a\\\\b",
        "a\\'b",
        "a\\\"b'",
        "ä€",
        "\u00a0",
        "!x",
        "^x",
        "a(b)",
        '"',
    ],
)
def test_three_read_quoted_values_alike_and_docker_is_warned_of(path, reader, value):
    update = envfile.update(path, {"OTHER": "1", "A": value})
    assert reader(path) == {"OTHER": "1", "A": value}
    (note,) = update.notes
    assert note.startswith("A had to be quoted")
    assert "docker run --env-file" in note
    assert docker_reads(path)["A"] != value


def test_docker_keeps_the_quotes_and_our_parser_takes_them_off(path):
    envfile.update(path, {"DATABASE_URL": TWO_PARAMETERS})
    as_docker_has_it = docker_reads(path)["DATABASE_URL"]
    assert as_docker_has_it == f"'{TWO_PARAMETERS}'"
    assert PostgresURL.parse(as_docker_has_it) == PostgresURL.parse(TWO_PARAMETERS)


@pytest.mark.parametrize(
    "value",
    [
        "a\nb",
        "a\r",
        "\0",
        "\x1b[31m",
        "\x7f",
        "\x85",
        "\ud800",
        "a\\",
        "${A}",
        "x'$y",
        "'`",
        "\\\\$",
    ],
)
def test_what_no_spelling_fits_is_refused_and_not_repeated(path, value):
    path.write_text("A=old\n")
    with pytest.raises(EnvFileError, match="value of SECRET_NAME cannot be written") as caught:
        envfile.update(path, {"SECRET_NAME": f"prefix{value}"})
    assert "prefix" not in str(caught.value)
    assert path.read_text() == "A=old\n"


@pytest.mark.parametrize("name", ["", "1A", "A B", "A=", "A-B", "Ä", "A\n", "export A"])
def test_bad_names_are_refused(path, name):
    with pytest.raises(EnvFileError, match="name of a variable"):
        envfile.update(path, {name: "x"})
    assert not path.exists()


@given(user=st.text(min_size=1), password=st.text(min_size=1), database=st.text())
@example(user="~", password="~root", database="~")
def test_urls_of_ours_with_one_parameter_are_bare(user, password, database):
    try:
        url = PostgresURL.build(
            host="db.example.com",
            user=user,
            password=password,
            database=database,
            params={"sslmode": "require"},
        ).reveal()
    except URLError:  # a name that PostgreSQL cannot have
        assume(False)
    spelled = spelling.spell("DATABASE_URL", url)
    assert spelling.is_bare(spelled) == (":~" not in url)


# Reading --------------------------------------------------------------------------------------


def test_no_file_no_variables(path):
    assert envfile.read(path) == {}


def test_reading_is_python_dotenvs(path):
    path.write_bytes(
        b"\xef\xbb\xbfA=1\r\n# c\r\nexport B = 'x y' # c\r\nC\r\nD=\r\nE=\"a\r\nb\"\r\nA=2\r\nF=${A}$A\r\n"
    )
    expected = {"A": "2", "B": "x y", "D": "", "E": "a\nb", "F": "${A}$A"}
    assert envfile.read(path) == expected
    path.write_bytes(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    theirs = dotenv.dotenv_values(path, interpolate=False)
    assert {k: v for k, v in theirs.items() if v is not None} == expected


def test_a_name_without_a_value_unsets_as_in_dotenv(path):
    path.write_text("A=1\nA\n")
    assert envfile.read(path) == {}


def test_a_symbolic_link_is_read(path, tmp_path):
    (tmp_path / "real").write_text("A=1\n")
    path.symlink_to(tmp_path / "real")
    assert envfile.read(path) == {"A": "1"}


def test_dev_null_is_an_empty_file():
    assert envfile.read("/dev/null") == {}


def test_a_line_that_cannot_be_read_warns_with_its_number(path):
    path.write_text("A=1\n\n\nDATABASE_URL='postgresql://u:hunter2@h/db\nB=2\nnot an assignment\n")
    with pytest.warns(PPGWarning) as caught:
        assert envfile.read(path) == {"A": "1", "B": "2"}
    (warning,) = caught
    assert f"{path}, line 4: DATABASE_URL is ignored" in str(warning.message)
    assert "hunter2" not in str(warning.message)
    assert warning.filename == __file__


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"A=1\nB=hunter2\xff\n", ["line 2", "not UTF-8"]),
        ("A=hunter2\n".encode("utf-16"), ["line 1", "UTF-16", "PowerShell"]),
        (b"A=hunter2\n" * 200_000, ["larger than 1 MiB"]),
    ],
)
@pytest.mark.parametrize(
    "act", [envfile.read, envfile.check_writable, lambda p: envfile.update(p, {"X": "1"})]
)
def test_what_cannot_be_read_is_an_error_that_holds_no_secret(path, data, words, act):
    path.write_bytes(data)
    with pytest.raises(EnvFileError) as caught:
        act(path)
    for word in [str(path), *words]:
        assert word in str(caught.value)
    seen, error = [], caught.value
    while error is not None:
        seen.append(repr(getattr(error, "object", "")) + str(error))
        error = error.__cause__ or error.__context__
    assert "hunter2" not in "".join(seen)
    assert path.read_bytes() == data


@pytest.mark.parametrize(
    "act", [envfile.read, envfile.check_writable, lambda p: envfile.update(p, {"X": "1"})]
)
def test_a_folder_is_an_error(path, act):
    path.mkdir()
    with pytest.raises(EnvFileError, match="is a folder"):
        act(path)


def test_an_unreadable_file_is_an_error(path, monkeypatch):
    path.write_text("A=1\n")

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)  # root may read everything
    with pytest.raises(EnvFileError, match="cannot be read: Permission denied") as caught:
        envfile.read(path)
    assert caught.value.hint


# Writing --------------------------------------------------------------------------------------


def test_a_new_file(path):
    update = envfile.update(path, {"DATABASE_URL": URL, "DIRECT_URL": URL})
    assert update == (("DATABASE_URL", "DIRECT_URL"), ())
    assert path.read_text() == f"DATABASE_URL={URL}\nDIRECT_URL={URL}\n"
    assert mode(path) == 0o600


def test_everything_else_is_kept(path):
    path.write_text(
        textwrap.dedent("""\
        # head

          export DATABASE_URL = "old" # why # twice
        unknown line here
        KEY="-----BEGIN
        DATABASE_URL=not me
        -----END"
        DATABASE_URL=old2   # bare
        'DATABASE_URL'='old # 3'#tight
        DATABASE_URL
        \tDATABASE_URL=#novalue
        OTHER=x # y
        DATABASE_URLS=other
        # DATABASE_URL=comment
        LAST=1""")
    )
    envfile.update(path, {"DATABASE_URL": "new", "ADDED": "1"})
    assert path.read_text() == textwrap.dedent("""\
        # head

          # why # twice
          export DATABASE_URL=new
        unknown line here
        KEY="-----BEGIN
        DATABASE_URL=not me
        -----END"
        # bare
        DATABASE_URL=new
        #tight
        DATABASE_URL=new
        DATABASE_URL=new
        \tDATABASE_URL=new
        OTHER=x # y
        DATABASE_URLS=other
        # DATABASE_URL=comment
        LAST=1
        ADDED=1
        """)


def test_a_replaced_line_with_a_comment_is_read_alike_by_all(path):
    path.write_text("A=1\nB=old # note\n")
    envfile.update(path, {"B": URL})
    for reader in ALL_READERS:
        assert reader(path) == {"A": "1", "B": URL}


def test_no_old_secret_stays_behind(path):
    path.write_text("A=hunter2\nexport A='hunter2\nhunter2'\nA=\"hunter2\" \nA= hunter2 # c\n")
    envfile.update(path, {"A": "new"})
    assert "hunter2" not in path.read_text()


def test_windows_line_endings_stay_and_a_byte_order_mark_goes(path):
    path.write_bytes(b"\xef\xbb\xbfA=1\r\nB=2\r\n")
    update = envfile.update(path, {"B": "3", "C": "4"})
    assert path.read_bytes() == b"A=1\r\nB=3\r\nC=4\r\n"
    assert any("Windows line endings" in note for note in update.notes)
    for reader in (envfile.read, dotenv_reads, docker_reads, compose_reads):
        assert reader(path) == {"A": "1", "B": "3", "C": "4"}


def test_an_open_file_mode_is_tightened_and_said(path):
    path.write_text("A=1\n")
    path.chmod(0o644)
    update = envfile.update(path, {"A": "1"})
    assert mode(path) == 0o600
    assert update.changed == ()
    assert [note for note in update.notes if "0644" in note and "0600" in note]


def test_export_lines_are_kept_and_docker_is_warned_of(path):
    path.write_text("export A=1\n")
    path.chmod(0o600)
    (note,) = envfile.update(path, {"A": "2"}).notes
    assert "export" in note
    assert path.read_text() == "export A=2\n"
    assert sh_reads(path) == {"A": "2"}
    with pytest.raises(ValueError, match="whitespaces"):
        docker_reads(path)


def test_changed_names_only_what_changed(path):
    path.write_text("A=1\nB=2\n")
    assert envfile.update(path, {"B": "2", "A": "3", "C": ""}).changed == ("A", "C")
    assert envfile.update(path, {"B": "2", "A": "3", "C": ""}).changed == ()


@pytest.mark.parametrize("act", [envfile.check_writable, lambda p: envfile.update(p, {"X": "a b"})])
def test_an_open_quote_is_refused_with_its_line(path, act):
    text = "A=1\n\nB='open\n"
    path.write_text(text)
    with pytest.raises(EnvFileError, match=re.escape(f"{path}, line 3:")):
        act(path)
    assert path.read_text() == text


def test_check_writable_writes_nothing(path, tmp_path):
    envfile.check_writable(path)
    assert os.listdir(tmp_path) == []
    path.write_text("A=1\n")
    before = path.stat()
    envfile.check_writable(path)
    assert path.stat()[:9] == before[:9]
    assert os.listdir(tmp_path) == [".env"]


@pytest.mark.parametrize("act", [envfile.check_writable, lambda p: envfile.update(p, {"X": "1"})])
def test_links_and_missing_folders_are_refused(path, tmp_path, act):
    (tmp_path / "real").write_text("A=1\n")
    path.symlink_to(tmp_path / "real")
    with pytest.raises(EnvFileError, match="symbolic link"):
        act(path)
    with pytest.raises(EnvFileError, match="no folder"):
        act(tmp_path / "missing" / ".env")
    assert (tmp_path / "real").read_text() == "A=1\n"


def test_what_an_editor_saved_meanwhile_is_kept(path, monkeypatch):
    path.write_text("A=1\n")
    real, edits = atomicfile.write, []

    def write(target, data, *, before_replace, **kwargs):
        if not edits:
            edits.append(path.write_text("A=1\nEDITOR=here\n"))
        return real(target, data, before_replace=before_replace, **kwargs)

    monkeypatch.setattr(atomicfile, "write", write)
    envfile.update(path, {"B": "2"})
    assert envfile.read(path) == {"A": "1", "EDITOR": "here", "B": "2"}


def test_a_file_that_never_rests_is_an_error(path, monkeypatch):
    real, count = atomicfile.write, iter(range(100))

    def write(target, data, **kwargs):
        path.write_text("#" * next(count))
        return real(target, data, **kwargs)

    monkeypatch.setattr(atomicfile, "write", write)
    with pytest.raises(EnvFileError, match="changed by another program"):
        envfile.update(path, {"B": "2"})


def test_a_full_disk_leaves_the_old_file(path, tmp_path, monkeypatch):
    path.write_text("A=old\n")

    def write(descriptor, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(atomicfile, "_write_all", write)
    with pytest.raises(EnvFileError, match="No space left") as caught:
        envfile.update(path, {"A": "hunter2"})
    assert "disk is full" in caught.value.hint
    assert "hunter2" not in str(caught.value)
    assert path.read_text() == "A=old\n"
    assert os.listdir(tmp_path) == [".env"]


def test_leftovers_of_a_killed_run_are_removed(path, tmp_path):
    (tmp_path / ".env.ppg-0123456789abcdef").write_text("A=hunter2")
    envfile.update(path, {"A": "1"})
    assert os.listdir(tmp_path) == [".env"]


UPDATE = (
    "import sys; from ppg_integrations import envfile; n = sys.argv[2]\n"
    "for i in range(3): envfile.update(sys.argv[1], {f'P{n}_{i}': 'a b', 'SHARED': n})"
)


def test_parallel_updates_lose_nothing(path, tmp_path, own_home):
    path.write_text("FIRST=1\nSHARED=0\n")
    running = [
        subprocess.Popen([sys.executable, "-c", UPDATE, str(path), str(n)]) for n in range(8)
    ]
    assert [process.wait(120) for process in running] == [0] * 8
    values = envfile.read(path)
    assert values.pop("SHARED") in set("01234567")
    assert values == {"FIRST": "1"} | {f"P{n}_{i}": "a b" for n in range(8) for i in range(3)}
    assert os.listdir(tmp_path) == [".env"]
    locks = list((own_home / ".cache" / "ppg-integrations" / "locks").iterdir())
    assert locks
    assert {mode(file) for file in locks} == {0o600}


# The lock -------------------------------------------------------------------------------------


def test_a_held_lock_is_an_error_that_says_who(path):
    taken, done = threading.Event(), threading.Event()

    def hold():
        with lock.holding(path):
            taken.set()
            done.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert taken.wait(30)
        with pytest.raises(EnvFileError, match=f"locked by process {os.getpid()} .*waited 0.2 s"):
            with lock.holding(path.parent / "." / path.name, timeout=0.2):
                pass
        with lock.holding(path.with_name("other"), timeout=0.2):
            pass
    finally:
        done.set()
        thread.join()
    with lock.holding(path, timeout=0.2):
        pass


def test_a_killed_holder_leaves_no_lock(path):
    script = "import os, sys; from ppg_integrations import lock\nwith lock.holding(sys.argv[1]): os._exit(9)"
    assert subprocess.run([sys.executable, "-c", script, str(path)]).returncode == 9
    with lock.holding(path, timeout=0.2):
        pass


def test_a_home_that_cannot_be_used_is_no_obstacle(path, tmp_path, monkeypatch):
    spare = tmp_path / "tmp"
    spare.mkdir()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file" / "x"))
    monkeypatch.setenv("HOME", str(tmp_path / "file" / "x"))
    monkeypatch.setattr(tempfile, "tempdir", str(spare))
    with lock.holding(path):
        (folder,) = spare.iterdir()
    assert mode(folder) == 0o700
    assert folder.name == f"ppg-integrations-{os.geteuid()}"


def test_somebody_elses_home_is_left_alone(path, tmp_path, own_home, monkeypatch):
    spare = tmp_path / "tmp"
    spare.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(spare))
    monkeypatch.setattr(lock, "owner_of_first_existing", lambda folder: os.geteuid() + 1)
    with lock.holding(path):
        assert len(list(spare.iterdir())) == 1
    assert not (own_home / ".cache").exists()


def test_no_folder_for_locks_at_all(path, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "file"))
    with pytest.raises(EnvFileError, match="no folder for lock files") as caught:
        envfile.check_writable(path)
    assert "XDG_CACHE_HOME" in caught.value.hint


# Any file, any values -------------------------------------------------------------------------

names = st.sampled_from(["A", "B", "DATABASE_URL", "DIRECT_URL", "X1"])
values = st.one_of(
    st.just(URL),
    st.just(TWO_PARAMETERS),
    st.text(alphabet="ab'\"\\$`#&;= ~{}!:/?%*\t", max_size=12),
    st.text(max_size=12),
)
fragments = st.one_of(
    names,
    st.sampled_from(
        [
            "=",
            " = ",
            "='",
            "'",
            '"',
            '="',
            "\n",
            "\r\n",
            "\r",
            "#",
            " # c",
            "\\",
            "export ",
            " ",
            "\t",
            "\ufeff",
            "${A}",
            "$",
            "\x0b",
            "\x1f",
            "\u2028",
            "x",
            "'A'",
            "A=1\n",
            "B='x y'\n",
            'DATABASE_URL="a\nb" # c\n',
            "export DIRECT_URL=z\n",
            "\n\n",
        ]
    ),
    st.text(max_size=3),
)
assignments = st.builds(
    "{}{}{}{}{}{}".format,
    st.sampled_from(["", "", "  ", "export ", "\n", "# c\n"]),
    names,
    st.sampled_from(["=", "=", " = ", "= "]),
    st.sampled_from(
        ["", "x", "'x y'", '"x\\"y"', "'x\\'y'", "it's", 'a"b', "#x", "'a\nb'", '"a # b"', "a\\"]
    ),
    st.sampled_from(["", "", " # c", "# c", " # it's", ' # "']),
    st.sampled_from(["\n", "\n", "\r\n", "", " \n"]),
)
texts = st.one_of(
    st.lists(assignments, max_size=8).map("".join),
    st.lists(st.one_of(fragments, assignments), max_size=25).map("".join),
)


def spellable(wanted):
    kept = {}
    for name, value in wanted.items():
        try:
            spelling.spell(name, value)
        except EnvFileError:
            continue
        kept[name] = value
    return kept


def others(text, wanted):
    return [
        (b.key, b.value) for b in parse_stream(io.StringIO(text)) if b.key and b.key not in wanted
    ]


@settings(max_examples=400, deadline=None)
@given(text=texts, wanted=st.dictionaries(names, values))
@example(text="A='", wanted={"B": "x y"})
@example(text="A='x", wanted={"A": "x y"})
@example(text="A=1\rB=2", wanted={"A": "3"})
@example(text="export\nA", wanted={"A": ""})
@example(text="'A'", wanted={"A": "it's"})
def test_any_text_keeps_its_other_bindings(text, wanted):
    wanted = spellable(wanted)
    spelled = {name: spelling.spell(name, value) for name, value in wanted.items()}
    text = text.lstrip("\ufeff")
    try:
        new = envtext.rewrite(text, wanted, spelled)
    except envtext.WouldChangeMeaningError:
        # Only ever where something in the text was broken before.
        assert any(quote in text for quote in "'\"")
        return
    read = envtext.values(new)
    assert {name: read[name] for name in wanted} == wanted
    assert others(new, wanted) == others(text, wanted)
    # Comments and whatever else python-dotenv does not read are still there.
    kept = [b for b in envtext._bindings(text) if b.key not in wanted]
    for binding in kept:
        assert binding.original.string in new
    # A second time changes nothing.
    assert envtext.rewrite(new, wanted, spelled) == new


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=texts, wanted=st.dictionaries(names, values, min_size=1))
def test_any_file_is_updated_or_left_alone(text, wanted):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, ".env")
        data = text.encode(errors="replace")
        path.write_bytes(data)
        try:
            envfile.update(path, wanted)
        except EnvFileError:
            assert path.read_bytes() == data
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", PPGWarning)
                read = envfile.read(path)
            assert {name: read.get(name) for name in wanted} == wanted
            assert mode(path) == 0o600
        assert os.listdir(folder) == [".env"]


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(values, min_size=1, max_size=40))
def test_all_readers_agree_on_any_values(found):
    wanted = spellable({f"V{number}": value for number, value in enumerate(found)})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, ".env")
        path.write_text("# ours\nFIRST='1'\n")
        notes = envfile.update(path, wanted).notes
        for reader in SHARED_READERS:
            assert reader(path) == {"FIRST": "1"} | wanted
        in_docker = docker_reads(path)
        differing = {name for name in wanted if in_docker[name] != wanted[name]}
        named = set(re.findall(r"V\d+", " ".join(notes)))
        assert named == differing
