"""Every code block of README.md, CONTRIBUTING.md, docs/ and the examples' READMEs is run.

For those who write pages. A page is one test: its blocks run from top to bottom. What a block does
is decided by its language:

``python``
    Its first line is ``# settings.py``, ``# app.py``, ``# shop/tasks.py``, ``# tests/conftest.py``
    (a comment that is a path): it is that file of the scratch project. Any other is run where the
    project is set up (Django: after ``django.setup()``; Flask: in ``app.app_context()``, with ``app``,
    ``db`` and ``ppg`` there), and what it defines stays for the next. ``await`` may stand at the top.
    Writing a file, and a change of the environment, start with fresh names.
``sh``
    Run by ``bash -eu -o pipefail`` in the project's folder; ``cd`` and ``export`` last. ``bash`` and
    ``console`` are not used.
``sql``
    Run on the direct endpoint.
``yaml``, ``toml``, ``json``, ``ini``, ``dotenv``, ``dockerfile``
    Must parse; the commands of ours in them (``ppg-connect``, ``manage.py ppg_connect``,
    ``flask ppg``, ``pip install``) must exist, options too. With a path in the first line
    (``# .env``, ``# Dockerfile``, ``# pytest.ini``) it is a file of the project.
``text``, or none
    Output, an error's text, another program's configuration. Not run. Any other language fails.

**The scratch project** is fresh for each page, with a ``HOME`` of its own. Its kind is ``flask`` on
pages whose name has flask in it, ``django`` elsewhere, unless a directive says so.

- ``django``: ``manage.py``, ``config/settings.py`` (``# settings.py`` is that), ``config/urls.py``
  (``# urls.py``) and an app ``shop`` with ``shop/models.py`` (a model ``Item`` with ``name``), migrated
  by nobody. A ``# settings.py`` block goes below the skeleton's: ``BASE_DIR``, ``os`` and the rest are
  there, ``...`` in INSTALLED_APPS stands for the skeleton's apps. Later blocks go below earlier ones;
  one that sets DATABASES takes the place of the earlier ones that did. Without any,
  ``DATABASES = databases(env_file=BASE_DIR / ".env")``. ``manage.py check`` must pass after each file.
- ``flask``: ``app.py`` with ``create_app()``, ``db``, ``migrate``, ``ppg`` and a model ``Item``. A ``# app.py``
  block goes below the skeleton's imports (``Flask``, ``SQLAlchemy``, ``Migrate``, and ``db``, ``migrate``,
  ``ppg``), and takes the place of the rest; one that defines no ``create_app`` and no ``app`` goes below
  all of it. It must import, and ``create_app()`` must work.
- ``flask-migrations``: that, with the ``migrations/`` that ``flask db init`` makes and a version for ``Item``.
- ``plain``: an empty folder, for ``resolve()``, ``ppg-connect`` and plain SQLAlchemy.
- ``guestbook``, ``shortlinks``: a copy of the example project. Their own READMEs have these.
- ``checkout``: this repository's folder; for pages about developing it.

**The database** is a fresh role and database on one shared PostgreSQL with PgBouncer (TLS on), and
the project's ``.env`` holds its pair as ``ppg-connect create --provider local`` would have written it,
so that ``rotate``, ``list``, ``doctor`` work. ``create --provider local``, ``local start`` and ``stop`` act
on that shared server.

**A comment directly before a block** (a blank line between them is fine) changes that, for this block
and those after it::

    <!-- docs: project=flask -->            another project; a name used before goes back to that one
    <!-- docs: project=flask:second -->     one more of a kind, by a name of its own
    <!-- docs: provider=neon -->            neon, prisma or casedev: .env as `create` wrote it there
                                            (its token is in the environment); local is the default
    <!-- docs: start=empty -->              no pair, no token: the page brings them (a quickstart)

and for the one block after it::

    <!-- docs: fails -->                    must fail
    <!-- docs: fails="some text" -->        must fail, and say that
    <!-- docs: output -->                   this text block is what the block above it printed: its
                                            lines, in order; ... stands for anything
    <!-- docs: file=nginx/app.conf -->      this block is that file, where a comment cannot say so

Several fit in one: ``<!-- docs: project=django:neon provider=neon start=empty -->``. A comment that
names ``project``, ``provider`` or ``start`` means a project of just that kind. There is no way to skip a
block: what cannot run is ``text``.

**Tabs**: what stands below titles on a repository host, one per framework say, becomes tabs on the
site between ``<!-- tabs: framework -->`` and ``<!-- tabs: end -->`` (docs/conf.py). To the tests
they are nothing: every tab's blocks are run, from top to bottom.

**Placeholders** in sh and dotenv blocks become real values: ``postgresql://...pooled...``,
``postgresql://...direct...`` (of this project; any ``postgres(ql)://`` with those words in it),
``NEON_API_KEY=...``, ``PRISMA_SERVICE_TOKEN=...``, ``CASEDEV_API_KEY=...`` (of a server that plays that
API; also ``=sbp_...`` or any value that ends in three dots). ``ID`` as the last word of ``revoke ID`` is a
connection that exists beside the one in use.

**Programs** on PATH: ``python``, ``python3``, ``flask``, ``ppg-connect``, ``pytest``, ``psql``, ``pg_dump``,
``pg_restore``, ``git``, ``gunicorn``, ``uvicorn``; also as ``.venv/bin/...``. Special ones:

- ``pip install`` (``uv add``, ``uv pip install``): installs nothing, and fails for an extra that this package
  does not have, or a package that pyproject.toml does not name.
- ``runserver``, ``flask run``, ``gunicorn``, ``uvicorn``: start for real on a free port, answer one request
  (not with a 5xx), and are stopped; the block goes on. ``&`` behind them is not needed.
- ``python3 dev.py ...``, ``python -m benchmarks``, ``python -m devtools...``, ``tox -e ...``: the verb, options,
  environments and files have to exist; nothing runs. ``pytest`` in a checkout collects.

Each program is given 60 seconds. The whole has to take under a minute: one command that shows it
rather than three.
"""
