"""The public service that makes temporary Prisma Postgres databases for people without an account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import flask
from flask.typing import ResponseReturnValue

from ppg_integrations.providers.local.servers import LocalServers

from .accounts import Accounts
from .base import Double, Refused
from .prisma_workspace import REGIONS, Workspace

_MEMBERS = {"region", "name", "utm_source", "userAgent", "source", "ttlMs"}


class CreateDbDouble(Double):
    """``https://create-db-temp.prisma.io``: no token, and an answer relayed from Prisma's API.

    Args:
        home: of its databases; Accounts outlive it, and serve the next double.

    Attributes:
        workspace: what was made; the service's own.
        most: how many databases it makes before it answers 429.
    """

    def __init__(self, home: LocalServers | Accounts) -> None:
        super().__init__()
        self.accounts = home if isinstance(home, Accounts) else Accounts(home)
        self._own = self.accounts is not home
        self.workspace = Workspace(self.accounts)
        self.most = 100
        for rule, method, view in (
            ("/health", "GET", self._health),
            ("/regions", "GET", self._regions),
            ("/create", "POST", self._create),
        ):
            self.app.add_url_rule(
                rule, rule, view, methods=[method], provide_automatic_options=False
            )

    def __exit__(self, *error: object) -> None:
        try:
            super().__exit__(*error)
        finally:
            if self._own:
                self.accounts.close()
            else:
                self.workspace.close()

    def authenticate(self) -> None:
        if flask.request.headers.get("Authorization"):
            raise Refused(400, "this service takes no token, and should be sent none")
        if flask.request.args:
            raise Refused(400, "unexpected query")

    def error_body(self, status: int, message: str, more: Mapping[str, Any]) -> Any:
        if "code" in more:
            return {"error": more["code"], "message": message, "rateLimitInfo": more["limit"]}
        return {"error": message}

    def _health(self) -> ResponseReturnValue:
        return {"status": "ok", "service": "create-db"}

    def _regions(self) -> ResponseReturnValue:
        return {
            "data": [
                {"id": id, "type": "region", "name": name, "status": "available"}
                for id, name in REGIONS.items()
            ]
        }

    def _create(self) -> ResponseReturnValue:
        body = flask.request.get_json(silent=True)
        if flask.request.mimetype != "application/json" or not isinstance(body, dict):
            raise Refused(400, "Invalid JSON body")
        if not body.keys() <= _MEMBERS or not {"region", "name"} <= body.keys():
            raise Refused(400, "Missing or unknown parameters")
        if not all(isinstance(body[name], str) for name in body.keys() - {"ttlMs"}):
            raise Refused(400, "Parameters must be texts")
        if body["region"] not in REGIONS or body.get("source", "cli") not in (
            "cli",
            "programmatic",
        ):
            raise Refused(400, "Invalid region or source")
        with self.lock:
            if len(self.workspace.projects) >= self.most:
                raise Refused(
                    429,
                    "You have exceeded the rate limit for database creation.",
                    code="RATE_LIMIT_EXCEEDED",
                    limit={"retryAfterMs": 60000, "currentCount": self.most},
                )
            project = self.workspace.add_project(body["name"], region=body["region"])
            database = self.workspace.add_database(
                project, body["name"], region=body["region"], default=True
            )
            self.workspace.add_connection(database, "Default")
            return {"data": self.workspace.created_project_json(project)}, 201
