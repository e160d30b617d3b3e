"""The account's plan, `freetier:GetAccountPlanState`: on the free plan, EC2 starts a few instance types only."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from localaws import errors
from localaws.account_limits import account_limits
from localaws.context import ACCOUNT_ID

API = "freetier"
TARGET = "AWSFreeTierService.GetAccountPlanState"


def matches(environ: dict[str, Any]) -> bool:
    return environ.get("HTTP_X_AMZ_TARGET") == TARGET and errors.service_of(environ) == API


def application(environ: dict[str, Any], start_response: Callable) -> Iterable[bytes]:
    environ["wsgi.input"].read()
    state = {"accountId": ACCOUNT_ID, "accountPlanType": account_limits().plan, "accountPlanStatus": "ACTIVE"}
    body = json.dumps(state).encode()
    headers = [("Content-Type", "application/x-amz-json-1.0"), ("Content-Length", str(len(body)))]
    start_response(errors.status_line(200), headers)
    return [body]


def install() -> None:
    """Nothing to replace in moto, which does not have this service."""
