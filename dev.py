#!/usr/bin/env python3
"""Run the demo, the tests or the benchmarks of ppg-integrations from a bare checkout.

Needs Python 3.10 or later and its standard library, nothing else. Everything it installs goes into
`.venv`, `.tox` and `.boot` beside this file; downloads are kept in the caches of pip and uv.
"""

import sys

# Before the imports, and with no syntax newer than 3.6 in this file: an older Python reads this far
# and stops in plain words.
if sys.version_info < (3, 10):  # noqa: UP036
    sys.exit(
        f"dev.py needs Python 3.10 or later; {sys.executable} is {sys.version.split()[0]}.\n"
        "Name a newer one, as in: python3.12 dev.py demo"
    )

import argparse
import json
import os
import signal
import tempfile
from pathlib import Path

from benchmarks.options import parsed
from devtools import interpreters, matrix, running, venv

CHECKOUT = venv.Checkout(Path(__file__).resolve().parent)
DEMO = ("-e", ".[django,flask,local]", "--group", "demo")
PROVIDERS = ("local", "prisma", "neon", "casedev")
FRAMEWORKS = ("django", "flask")
QUICK = ("-e", ".[django,flask,local,psycopg2]", "--group", "test")
BENCH = ("-e", ".[django,flask,local,psycopg2]", "--group", "bench")
TOX = ("-r", "requirements/runner.txt")  # pinned with hashes, as all that tox then installs


def demo(environ: dict[str, str], arguments: list[str]) -> int:
    venv.install(CHECKOUT, DEMO, environ)
    sys.stdout.flush()
    # In our place: signals, terminal and exit status are the demo's own.
    folder = str(CHECKOUT.root / "example_projects" / "demo")
    os.execve(CHECKOUT.python, [CHECKOUT.python, folder, *arguments], environ)  # noqa: S606


def bench(environ: dict[str, str], arguments: list[str]) -> int:
    """Benchmarks, one after the other."""
    asked = parsed(arguments)  # ends here, if they are wrong or ask for help
    arguments = [*arguments, "--out", str(asked.out)]  # seen from where we are
    venv.install(CHECKOUT, BENCH, environ)
    sys.stdout.flush()
    os.chdir(CHECKOUT.root)
    os.execve(CHECKOUT.python, [CHECKOUT.python, "-m", "benchmarks", *arguments], environ)  # noqa: S606


def quick(environ: dict[str, str], arguments: list[str]) -> int:
    """The tests on this Python, with pytest alone."""
    venv.install(CHECKOUT, QUICK, environ)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "junit.xml")
        command = [CHECKOUT.python, "-m", "pytest", f"--junitxml={report}", *arguments]
        status = running.run(command, environ, CHECKOUT.root)
        counts = matrix.counts(report) or matrix.Counts(failed=1)
    print(matrix.closing(counts), flush=True)
    return status or int(counts.failed > 0)


def test(environ: dict[str, str], arguments: list[str], *, strict: bool) -> int:
    """Every environment of tox.ini whose Python is installed."""
    venv.install(CHECKOUT, TOX, environ)
    found = interpreters.find(environ)
    versions = matrix.plan(matrix.expected(CHECKOUT.root / "tox.ini"), found)
    chosen = [name for name, version in versions.items() if version]
    environ = {
        **environ,
        **interpreters.uv_settings(CHECKOUT, environ),
        "PATH": interpreters.search_path(environ, found),
        "PYTHONUNBUFFERED": "1",  # what tox says and what its children say, in order
    }
    result = CHECKOUT.tox / "dev-result.json"
    reports = {name: CHECKOUT.tox / name / "log" / "junit.xml" for name in chosen}
    command = [CHECKOUT.python, "-m", "tox", "run-parallel", "-c", str(CHECKOUT.root / "tox.ini")]
    command += ["-e", ",".join(chosen), "--parallel", "auto", "--result-json", str(result)]
    command += ["--no-list-dependencies"]
    if not sys.stdout.isatty():
        command += ["--parallel-no-spinner"]
    if versions["lowest"]:
        oldest = versions["lowest"].replace(".", "")
        command += ["-x", f"testenv:lowest.base_python=py{oldest}"]
    if arguments:
        command += ["--", *arguments]
    print(f"running {len(chosen)} environments on Python {', '.join(found)}", flush=True)
    with running.lock(CHECKOUT.boot / "test.lock", "its tests"):
        for old in (result, *reports.values()):
            old.unlink(missing_ok=True)
        status = running.run(command, environ, CHECKOUT.root)
        try:
            journal = json.loads(result.read_text())["testenvs"]
        except (OSError, ValueError, KeyError):  # tox stopped before it ran anything
            journal = {}
        counted = {name: matrix.counts(report) for name, report in reports.items()}
    rows = matrix.judge(versions, journal, counted, strict=strict)
    sums = matrix.total(row.counts for row in rows)
    print(f"\n{matrix.table(rows)}\n\n{matrix.closing(sums)}", flush=True)
    return status or int(sums.failed > 0)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="dev.py",
        description="Demo, tests and benchmarks of ppg-integrations, from a bare checkout.",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="demo|test|bench")
    demos = verbs.add_parser(
        "demo", help="the example projects on a real PostgreSQL and PgBouncer: what went where"
    )
    demos.add_argument(
        "--provider",
        choices=PROVIDERS,
        default="local",
        help="a hosted one shows the verbs there, at a server that plays its API",
    )
    demos.add_argument("--framework", choices=FRAMEWORKS, help="one of the two; both by default")
    tests = verbs.add_parser(
        "test", help="all tests on every Python that is installed; options for pytest after --"
    )
    tests.add_argument("--quick", action="store_true", help="this Python only, without tox")
    tests.add_argument(
        "--all", action="store_true", help="fail when a Python is missing (always so with CI=true)"
    )
    verbs.add_parser(
        "bench",
        help="this package side by side with others; see bench --help",
        add_help=False,
    )
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    benching = arguments[:1] == ["bench"]  # the rest is for benchmarks/options.py
    options = parser.parse_args(arguments[: 1 if benching else cut])
    for_pytest = [] if benching else arguments[cut + 1 :]
    if options.verb == "demo" and for_pytest:
        parser.error("demo takes no arguments for pytest")
    if options.verb == "demo" and options.framework and options.provider != "local":
        parser.error("--framework is for --provider local")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda caught, _: sys.exit(128 + caught))
    environ = running.with_cache(running.clean(os.environ), CHECKOUT.boot / "cache")
    try:
        if options.verb == "bench":
            return bench(environ, arguments[1:])
        if options.verb == "demo":
            chosen = ["--framework", options.framework] if options.framework else []
            return demo(environ, ["--provider", options.provider, *chosen])
        if options.quick:
            return quick(environ, for_pytest)
        strict = options.all or environ.get("CI", "").lower() in ("1", "true")
        return test(environ, for_pytest, strict=strict)
    except running.Stopped as stop:
        print(f"\ndev.py: {stop}", file=sys.stderr)
    except PermissionError as error:
        print(
            f"\ndev.py: {error}\n"
            "This folder, or its .venv, .tox or .boot, belongs to another user.\n"
            "Remove those three, or use a checkout of your own.",
            file=sys.stderr,
        )
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
