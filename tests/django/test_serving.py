"""A real server with threads: requests are pooled, before, during and after a command in it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.error import URLError
from urllib.request import urlopen

import pytest

URLS = """
from django.core.management import call_command
from django.db import connection
from django.http import JsonResponse
from django.urls import path
from shop.models import Item

def here(request):
    count = Item.objects.count()
    return JsonResponse({"port": connection.connection.info.port, "count": count})

def work(request):
    call_command("migrate", "shop", verbosity=0)
    return here(request)

urlpatterns = [path("", here), path("work", work)]
"""


@pytest.fixture
def served(project):
    """Base URL of `manage.py runserver`, with its reloader, as a developer starts it."""
    project.write("proj/urls.py", URLS)
    project.manage("migrate", "shop")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "manage.py", "runserver", f"127.0.0.1:{port}"],
        cwd=project.folder,
        env=project.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=30)


def get(url, seconds=30):
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urlopen(url, timeout=seconds) as response:
                return json.load(response)
        except URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def test_runserver(served, project, pooled_logins):
    pooled, direct = project.generated.pooled.port, project.generated.direct.port
    assert get(served) == {"port": pooled, "count": 0}
    with ThreadPoolExecutor(4) as clients:
        urls = [served, served + "work", served, served + "work", served, served]
        answers = [*clients.map(get, urls)]
    # A connection that another thread opens meanwhile may be direct, until that request is over.
    assert {answer["port"] for answer in answers} <= {pooled, direct}
    assert [get(served)["port"] for _ in range(3)] == [pooled] * 3
    assert pooled_logins() > 0
