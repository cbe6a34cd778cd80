"""What the double of Neon's API keeps: projects, branches, computes, databases, roles, operations."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

_START = datetime(2026, 1, 1, tzinfo=timezone.utc)
_REGION = "aws-us-east-2"


def now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")


def _id(prefix: str) -> str:
    return f"{prefix}-{secrets.choice(('misty', 'noisy', 'old'))}-sea-{secrets.token_hex(4)}"


@dataclass
class Role:
    name: str
    password: str = field(default_factory=lambda: f"npg_{secrets.token_urlsafe(16)}")
    created_at: str = field(default_factory=now)

    def as_json(self, branch: Branch, *, password: bool = False) -> dict[str, Any]:
        shown = {"password": self.password} if password else {}
        times = {"created_at": self.created_at, "updated_at": self.created_at}
        return {"branch_id": branch.id, "name": self.name, "protected": False, **shown, **times}


@dataclass
class Database:
    name: str
    owner: str
    id: int = field(default_factory=lambda: secrets.randbelow(10**8))

    def as_json(self, branch: Branch) -> dict[str, Any]:
        times = {"created_at": branch.created_at, "updated_at": branch.created_at}
        return {
            "id": self.id,
            "branch_id": branch.id,
            "name": self.name,
            "owner_name": self.owner,
            **times,
        }


@dataclass
class Endpoint:
    """A compute. Its host is the direct one; that of the pooler is nowhere in its JSON."""

    type: str = "read_write"
    disabled: bool = False
    state: str = "idle"
    id: str = field(default_factory=lambda: _id("ep"))
    created_at: str = field(default_factory=now)
    host: str = ""

    def __post_init__(self) -> None:
        self.host = self.host or f"{self.id}.us-east-2.aws.neon.tech"

    def as_json(self, project: Project, branch: Branch) -> dict[str, Any]:
        return {
            "id": self.id,
            "host": self.host,
            "project_id": project.id,
            "branch_id": branch.id,
            "type": self.type,
            "current_state": self.state,
            "disabled": self.disabled,
            "region_id": _REGION,
            "autoscaling_limit_min_cu": 0.25,
            "autoscaling_limit_max_cu": 2,
            "settings": {},
            "passwordless_access": True,
            "creation_source": "console",
            "suspend_timeout_seconds": 0,
            "provisioner": "k8s-neonvm",
            "created_at": self.created_at,
            "updated_at": self.created_at,
        } | project.deprecated(
            pooler_enabled=False, pooler_mode="transaction", proxy_host="us-east-2.aws.neon.tech"
        )


@dataclass
class Branch:
    name: str
    parent: str = ""
    default: bool = False
    protected: bool = False
    expires_at: str = ""
    id: str = field(default_factory=lambda: _id("br"))
    created_at: str = ""
    roles: dict[str, Role] = field(default_factory=dict)
    databases: dict[str, Database] = field(default_factory=dict)
    endpoints: dict[str, Endpoint] = field(default_factory=dict)

    def as_json(self, project: Project) -> dict[str, Any]:
        times = dict.fromkeys(("created_at", "updated_at", "state_changed_at"), self.created_at)
        more = {"parent_id": self.parent} if self.parent else {}
        more |= {"expires_at": self.expires_at} if self.expires_at else {}
        numbers = ("cpu_used_sec", "compute_time_seconds", "active_time_seconds")
        numbers += ("written_data_bytes", "data_transfer_bytes")
        return {
            "id": self.id,
            "project_id": project.id,
            "name": self.name,
            "current_state": "ready",
            "creation_source": "console",
            "default": self.default,
            "protected": self.protected,
            **dict.fromkeys(numbers, 0),
            **times,
            **more,
        } | project.deprecated(primary=self.default)


@dataclass
class Operation:
    """A piece of work that takes its time; each time somebody asks, it has come one step on.

    Attributes:
        steps: its statuses to come.
        effect: what it does; done with ``finished`` or ``skipped``.
    """

    action: str
    branch: str
    steps: list[str]
    effect: Callable[[], None] = lambda: None
    endpoint: str = ""
    status: str = "scheduling"
    error: str = ""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    created_at: str = field(default_factory=now)

    @property
    def over(self) -> bool:
        return self.status in {"finished", "skipped", "failed", "cancelled"}

    def go_on(self) -> None:
        if self.over or not self.steps:
            return
        self.status = self.steps.pop(0)
        if self.status in {"finished", "skipped"}:
            self.effect()
        if self.status in {"failed", "error"}:
            self.error = "could not start the compute"

    def as_json(self, project: Project) -> dict[str, Any]:
        shown = {"id": self.id, "project_id": project.id, "branch_id": self.branch}
        shown |= {"endpoint_id": self.endpoint} if self.endpoint else {}
        shown |= {"error": self.error} if self.error else {}
        return shown | {
            "action": self.action,
            "status": self.status,
            "failures_count": 0,
            "created_at": self.created_at,
            "updated_at": self.created_at,
            "total_duration_ms": 0,
        }


@dataclass
class Project:
    name: str
    org_id: str
    store_passwords: bool = True
    #: whether answers still have the fields that are to go away
    show_deprecated: bool = False
    allowed_ips: list[str] = field(default_factory=list)
    id: str = ""
    branches: dict[str, Branch] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.id = self.id or f"old-violet-{secrets.randbelow(10**8):08}"

    def add(self, branch: Branch) -> Branch:
        age = timedelta(hours=len(self.branches))
        branch.created_at = branch.created_at or (_START + age).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.branches[branch.id] = branch
        return branch

    def deprecated(self, **fields: Any) -> dict[str, Any]:
        return fields if self.show_deprecated else {}

    @property
    def default(self) -> Branch:
        return next(branch for branch in self.branches.values() if branch.default)

    def as_json(self) -> dict[str, Any]:
        numbers = ("data_storage_bytes_hour", "data_transfer_bytes", "written_data_bytes")
        numbers += ("compute_time_seconds", "active_time_seconds", "cpu_used_sec")
        numbers += ("branch_logical_size_limit", "branch_logical_size_limit_bytes", "active_time")
        times = ("created_at", "updated_at", "consumption_period_start", "consumption_period_end")
        settings: dict[str, Any] = {}
        if self.allowed_ips:
            settings["allowed_ips"] = {"ips": self.allowed_ips, "protected_branches_only": True}
        return {
            "id": self.id,
            "name": self.name,
            "org_id": self.org_id,
            "owner_id": self.org_id,
            "platform_id": "aws",
            "region_id": _REGION,
            "provisioner": "k8s-neonvm",
            "pg_version": 17,
            "store_passwords": self.store_passwords,
            "settings": settings,
            "creation_source": "console",
            "history_retention_seconds": 86400,
            **dict.fromkeys(numbers, 0),
            **dict.fromkeys(times, now()),
        } | self.deprecated(proxy_host="us-east-2.aws.neon.tech")
