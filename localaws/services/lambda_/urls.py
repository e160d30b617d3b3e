"""Function URL configurations: one per function or alias, at an address that stays the same over a re-creation."""

import base64
import hashlib
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from moto.awslambda.exceptions import GenericResourcNotFound, InvalidParameterValueException, LambdaClientError

from localaws.context import context

SETTINGS = ("AuthType", "Cors", "InvokeMode")


class UrlExists(LambdaClientError):
    code = 409

    def __init__(self, arn: str):
        super().__init__(
            "ResourceConflictException",
            f"Failed to create function url config for [{arn}]. Error message:"
            f" FunctionUrlConfig exists for this Lambda function",
        )


class UrlConfig:
    """A function URL. `id` is the first label of its host name."""

    def __init__(self, region: str, account: str, name: str, qualifier: str, arn: str):
        digest = hashlib.sha256(f"{account}/{region}/{name}/{qualifier}".encode()).digest()
        self.id = base64.b32encode(digest[:20]).decode().lower()
        self.region = region
        self.function_name = name
        self.qualifier = qualifier
        self.function_arn = arn
        self.settings: dict[str, Any] = {"InvokeMode": "BUFFERED"}
        self.created = self.modified = _now()

    def update(self, request: dict[str, Any]) -> None:
        if request.get("InvokeMode", "BUFFERED") != "BUFFERED":
            raise InvalidParameterValueException("The local AWS answers function URLs buffered: InvokeMode BUFFERED.")
        if request.get("AuthType", "NONE") not in ("NONE", "AWS_IAM"):
            raise InvalidParameterValueException("AuthType must be AWS_IAM or NONE.")
        self.settings.update({name: request[name] for name in SETTINGS if request.get(name) is not None})
        if not self.settings.get("Cors"):  # an empty one takes the configuration away
            self.settings.pop("Cors", None)
        self.modified = _now()

    def to_dict(self) -> dict[str, Any]:
        return {
            "FunctionUrl": f"http://{self.id}.lambda-url.{self.region}.localhost:{context().port}/",
            "FunctionArn": self.function_arn,
            "CreationTime": self.created,
            "LastModifiedTime": self.modified,
            **self.settings,
        }


class Urls:
    """The part of the Lambda backend that keeps function URLs; `function_urls` is keyed by function and qualifier."""

    function_urls: dict[tuple[str, str], UrlConfig]

    def create_function_url_config(
        self, name_or_arn: str, config: dict[str, Any], qualifier: str | None = None
    ) -> UrlConfig:
        name, qualifier = self.split(name_or_arn, qualifier)
        arn = self.get_function(name).function_arn
        if qualifier:
            arn = self.get_alias(qualifier, name).arn
        if (name, qualifier or "") in self.function_urls:
            raise UrlExists(arn)
        url = UrlConfig(self.region_name, self.account_id, name, qualifier or "", arn)
        url.update(config)
        self.function_urls[name, qualifier or ""] = url
        return url

    def get_function_url_config(self, name_or_arn: str, qualifier: str | None = None) -> UrlConfig:
        name, qualifier = self.split(name_or_arn, qualifier)
        if (name, qualifier or "") not in self.function_urls:
            raise GenericResourcNotFound
        return self.function_urls[name, qualifier or ""]

    def update_function_url_config(
        self, name_or_arn: str, config: dict[str, Any], qualifier: str | None = None
    ) -> UrlConfig:
        url = self.get_function_url_config(name_or_arn, qualifier)
        url.update(config)
        return url

    def delete_function_url_config(self, name_or_arn: str, qualifier: str | None = None) -> None:
        url = self.get_function_url_config(name_or_arn, qualifier)
        del self.function_urls[url.function_name, url.qualifier]


class UrlOperations:
    """The operations on function URLs, each with its qualifier."""

    def create_function_url_config(self) -> tuple:
        url = self.backend.create_function_url_config(self._named, self.json_body, self.qualifier)
        return 201, {"status": 201}, json.dumps(url.to_dict())

    def get_function_url_config(self) -> str:
        return json.dumps(self.backend.get_function_url_config(self._named, self.qualifier).to_dict())

    def update_function_url_config(self) -> str:
        url = self.backend.update_function_url_config(self._named, self.json_body, self.qualifier)
        return json.dumps(url.to_dict())

    def delete_function_url_config(self) -> tuple:
        self.backend.delete_function_url_config(self._named, self.qualifier)
        return 204, {"status": 204}, ""

    def list_function_url_configs(self) -> str:
        name = self.backend.get_function(self._named).function_name
        urls = [url.to_dict() for (owner, _), url in self.backend.function_urls.items() if owner == name]
        return json.dumps({"FunctionUrlConfigs": urls})

    @property
    def _named(self) -> str:
        return unquote(self.path.split("/")[-2])


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
