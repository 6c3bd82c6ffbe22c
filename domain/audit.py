"""Who did what to whose account, and why. Append-only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class AuditAction(StrEnum):
    """What is recorded: every action of an operator, and every change of a key."""

    CREATE_TENANT = "create_tenant"
    SUSPEND_TENANT = "suspend_tenant"
    RESUME_TENANT = "resume_tenant"
    ERASE_TENANT = "erase_tenant"
    SET_LIMITS = "set_limits"
    SET_RETENTION = "set_retention"
    CREATE_KEY = "create_key"
    REVOKE_KEY = "revoke_key"
    CHANGE_KEY = "change_key"
    SET_BUDGET = "set_budget"
    CREATE_OPERATOR_KEY = "create_operator_key"
    REVOKE_OPERATOR_KEY = "revoke_operator_key"
    GRANT_CREDITS = "grant_credits"
    WITHDRAW_CREDITS = "withdraw_credits"
    TAKE_BACK_CREDITS = "take_back_credits"
    EXPIRE_LOT = "expire_lot"
    VOID_LOT = "void_lot"
    SET_THRESHOLDS = "set_thresholds"
    ROTATE_MASTER_KEY = "rotate_master_key"
    OPEN_PROVIDER = "open_provider"
    LOOK_UP = "look_up"
    TRY_PROVIDER = "try_provider"
    BOOTSTRAP = "bootstrap"
    RESEND_USAGE_EVENTS = "resend_usage_events"
    STOP_USAGE_EVENTS = "stop_usage_events"
    DELETE_GENERATION = "delete_generation"
    DELETE_FILE = "delete_file"
    CREATE_WEBHOOK_ENDPOINT = "create_webhook_endpoint"
    CHANGE_WEBHOOK_ENDPOINT = "change_webhook_endpoint"
    DELETE_WEBHOOK_ENDPOINT = "delete_webhook_endpoint"
    ROTATE_WEBHOOK_SECRET = "rotate_webhook_secret"  # noqa: S105 - the name of an action


@dataclass(frozen=True)
class Actor:
    """Who acts, and why: an operator's name, or `key:` or `operator:` and the id of a key."""

    name: str
    reason: str = ""


SYSTEM = Actor("system")


@dataclass(frozen=True)
class AuditEvent:
    """One action. `details` holds no secret and no content.

    Attributes:
        subject: What was acted on: a tenant, a key, a generation, a file, a provider.
    """

    id: int
    at: datetime
    actor: str
    action: str
    tenant_id: str | None
    subject: str
    reason: str
    details: Mapping[str, Any] = field(default_factory=dict)
