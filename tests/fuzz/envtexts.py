"""The text of a ``.env`` file: read as python-dotenv reads it, and changed where we set something."""

from __future__ import annotations

import io
import re
from random import Random

from dotenv.main import resolve_variables
from dotenv.parser import parse_stream

from ppg_integrations import envtext, spelling
from ppg_integrations.errors import EnvFileError
from tests.fuzz import urls
from tests.fuzz.mutation import mutant

URL = "postgresql://u:p%40ss@h.example:5432/d?sslmode=require&connect_timeout=10"
OURS = ("DATABASE_URL", "DIRECT_URL")

SEEDS = [
    f"DEBUG=1\nDATABASE_URL='{URL}'\nDIRECT_URL={URL}\n# the end\n",
    f'# shop\r\nexport SECRET_KEY="a b\\n${{HOME}} # c"\r\nDATABASE_URL = "{URL}"  # pooled\r\n',
    f"A=1 # one\n\n  DATABASE_URL={URL}\nB='x\ny'\nDATABASE_URL=again\nEMPTY=\nNAME\n",
    f"KEY='-----BEGIN\nx'\nexport DIRECT_URL='{URL}' # direct\n\tC=\"\\\"q\\\"\"\n",
    "\ufeffA=\u00e9\u4e2d\nDATABASE_URL=\n",
    "A='open\nB=2\n",
    "",
]
TOKENS = [
    *"' \" # = \\ $ ` \\' \\\" \\n ${HOME} '' \"\" = == 'a'='b'".split(),
    *(
        "\n",
        "\r\n",
        "\r",
        "\n\n",
        " ",
        "\t",
        " #",
        "export ",
        "export\t",
        "\x0b",
        "\x0c",
        "\x85",
        "\u2028",
    ),
    *(
        "DATABASE_URL=",
        "DIRECT_URL = ",
        "export DATABASE_URL=",
        "DATABASE_URL\n",
        "'DATABASE_URL'=",
        "X=",
    ),
    *("A='", 'A="', URL, f"'{URL}'"),
]


# python-dotenv looks for a blank and "#" with a pattern that is quadratic in blanks.
_BLANKS = re.compile(r"[^\S\r\n]{200,}")


def texts(random: Random) -> str:
    return _BLANKS.sub(" ", mutant(random, SEEDS, TOKENS))


def check(text: str, *, thorough: bool = False) -> bool:
    """Whether our two variables can be set in it; what must not come of it is an AssertionError."""
    # A file is UTF-8, and opened with universal newlines by whoever reads it with python-dotenv.
    text = text.encode(errors="replace").decode()
    envtext.values(text)
    list(envtext.unread(text))
    envtext.has_export(text)
    wanted = dict.fromkeys(OURS, URL)
    spelled = {name: spelling.spell(name, value) for name, value in wanted.items()}
    try:
        new = envtext.rewrite(text, wanted, spelled)
    except envtext.WouldChangeMeaningError:
        return False
    after = loaded(new)
    assert {name: after[name] for name in OURS} == wanted
    before, kept = others(text), others(new)
    assert before == kept, "another assignment has changed"
    for remark in remarks(text):
        assert remark in new, "something that is no assignment is gone"
    assert envtext.rewrite(new, wanted, spelled) == new, "the second time it changes something"
    return True


def loaded(text: str) -> dict[str, str | None]:
    """What ``load_dotenv()`` would set, with its interpolation and without its log."""
    pairs = [(b.key, b.value) for b in parse_stream(io.StringIO(text)) if b.key is not None]
    return dict(resolve_variables(pairs, override=True))


def others(text: str) -> list[str]:
    """Each assignment that is not ours, as it is written, but for the end of the last line."""
    bindings = list(parse_stream(io.StringIO(text)))
    return [
        b.original.string.rstrip("\r\n")
        for b in bindings
        if b.key is not None and b.key not in OURS
    ]


def remarks(text: str) -> list[str]:
    return [b.original.string.rstrip() for b in parse_stream(io.StringIO(text)) if b.key is None]


def believed(random: Random) -> None:
    """A value that can be written is read as it was; what cannot be is refused, without itself."""
    value = urls.texts(random).strip()
    try:
        line = f"DATABASE_URL={spelling.spell('DATABASE_URL', value)}\n"
    except EnvFileError as error:
        assert urls.CANARY not in str(error)
        return
    assert loaded(line) == {"DATABASE_URL": value}, repr(value)
