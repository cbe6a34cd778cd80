"""Runs the ``python`` blocks of a project, one JSON line each, with names that stay.

Part of the zygote's children; its arguments are the project's kind and its folder. Answers ``{}`` or ``{"error": ...}``.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import json
import os
import sys
import traceback
from typing import Any


def names(kind: str, stack: contextlib.ExitStack) -> dict[str, Any]:
    """What the first block finds."""
    found: dict[str, Any] = {"__name__": "page", "os": os}
    if kind in ("django", "guestbook"):
        import django

        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
        django.setup()
        from django.db import connection, connections, transaction

        found |= {"connection": connection, "connections": connections, "transaction": transaction}
        if kind == "django":
            from shop.models import Item

            found["Item"] = Item
    elif kind.startswith("flask"):
        import app as module

        found |= {name: value for name, value in vars(module).items() if not name.startswith("__")}
        if "create_app" in found:
            found["app"] = found["create_app"]()
        stack.enter_context(found["app"].app_context())
    elif kind == "shortlinks":
        from wsgi import app

        found["app"] = app
        stack.enter_context(app.app_context())
    return found


def main() -> None:
    kind = sys.argv[1]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what blocks print is for whoever reads a failure
    sys.path[0] = sys.argv[2]
    space: dict[str, Any] = {}
    with contextlib.ExitStack() as stack, asyncio.Runner() as runner:
        for line in sys.stdin:
            block = json.loads(line)
            error = ""
            try:
                if not space:
                    space.update(names(kind, stack))
                source = "\n" * (block["line"] - 1) + block["text"]
                code = compile(
                    source, block["page"], "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True
                )
                if code.co_flags & inspect.CO_COROUTINE:
                    runner.run(eval(code, space))
                else:
                    exec(code, space)
            except (Exception, SystemExit):
                error = traceback.format_exc()
            print(json.dumps({"error": error}), file=answers, flush=True)


main()
