"""Service Quotas: the limits of `localaws.account_limits`, to read. LOCALAWS_QUOTAS changes them, not a request."""

import json
from collections.abc import Sequence
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.servicequotas import urls
from moto.servicequotas.responses import ServiceQuotasResponse

from localaws.account_limits import SERVICE_NAMES, Quota, account_limits, find, quotas_of
from localaws.context import ACCOUNT_ID

PAGE = 100


class NoSuchQuota(ServiceException):
    code = "NoSuchResourceException"


class BadPage(ServiceException):
    code = "InvalidPaginationTokenException"


class LocalServiceQuotas(ServiceQuotasResponse):
    """One request to Service Quotas."""

    @property
    def asked(self) -> dict[str, Any]:
        return json.loads(self.body or "{}")

    def list_services(self) -> ActionResult:
        services = [{"ServiceCode": code, "ServiceName": name} for code, name in SERVICE_NAMES.items()]
        return ActionResult(self._page("Services", services))

    def list_service_quotas(self) -> ActionResult:
        quotas = [self._described(each) for each in self._quotas()]
        wanted = self.asked.get("QuotaCode")
        return ActionResult(self._page("Quotas", [each for each in quotas if wanted in (None, each.get("QuotaCode"))]))

    def list_aws_default_service_quotas(self) -> ActionResult:
        return ActionResult(self._page("Quotas", [self._described(each, default=True) for each in self._quotas()]))

    def get_service_quota(self) -> ActionResult:
        return ActionResult({"Quota": self._described(self._quota())})

    def get_aws_default_service_quota(self) -> ActionResult:
        return ActionResult({"Quota": self._described(self._quota(), default=True)})

    def _quotas(self) -> tuple[Quota, ...]:
        service = self.asked["ServiceCode"]
        if service not in SERVICE_NAMES:
            raise NoSuchQuota(f"The request failed because the specified service {service} does not exist.")
        return quotas_of(service)

    def _quota(self) -> Quota:
        service, code = self.asked["ServiceCode"], self.asked["QuotaCode"]
        quota = find(service, code)
        if quota is None or quota.code != code:
            raise NoSuchQuota(
                f"The request failed because the specified quota {code} does not exist for service {service}."
            )
        return quota

    def _described(self, quota: Quota, default: bool = False) -> dict[str, Any]:
        """A quota as AWS lists it; QuotaCode and QuotaArn are missing if the code is not known here."""
        account = "" if default else ACCOUNT_ID
        arn = f"arn:aws:servicequotas:{self.region}:{account}:{quota.service}/{quota.code}"
        return {
            "ServiceCode": quota.service,
            "ServiceName": SERVICE_NAMES[quota.service],
            "QuotaName": quota.name,
            **({"QuotaCode": quota.code, "QuotaArn": arn} if quota.code else {}),
            "Value": float(quota.default if default else account_limits().applied(quota)),
            "Unit": "None",
            "Adjustable": True,
            "GlobalQuota": False,
            "QuotaAppliedAtLevel": "ACCOUNT",
        }

    def _page(self, key: str, listed: Sequence[Any]) -> dict[str, Any]:
        token = self.asked.get("NextToken") or "0"
        if not token.isdecimal():
            raise BadPage("Invalid token.")
        begin, end = int(token), int(token) + int(self.asked.get("MaxResults") or PAGE)
        return {key: list(listed[begin:end]), **({"NextToken": str(end)} if end < len(listed) else {})}


def install() -> None:
    urls.url_paths["{0}/$"] = LocalServiceQuotas.dispatch
