"""Function URL configurations: one per function or alias, at an address that stays the same over a re-creation."""

import base64
import hashlib
from datetime import UTC, datetime
from typing import Any

from moto.awslambda.exceptions import GenericResourcNotFound, InvalidParameterValueException, LambdaClientError

from localaws.context import context
from localaws.services.lambda_.versions import LocalStorage

SETTINGS = ("AuthType", "Cors", "InvokeMode")


class UrlExists(LambdaClientError):
    code = 409

    def __init__(self, arn: str):
        super().__init__(
            "ResourceConflictException",
            f"Failed to create function url config for [functionArn = {arn}]. Error message: "
            " FunctionUrlConfig exists for this Lambda function",
        )


class UrlOfNoFunction(LambdaClientError):
    code = 404

    def __init__(self) -> None:
        super().__init__("ResourceNotFoundException", "Function does not exist")


class UrlConfig:
    """A function URL. `id` is the first label of its host name."""

    def __init__(self, region: str, account: str, name: str, qualifier: str, arn: str):
        digest = hashlib.sha256(f"{account}/{region}/{name}/{qualifier}".encode()).digest()
        self.id = base64.b32encode(digest[:20]).decode().lower()
        self.region = region
        self.function_name = name
        self.qualifier = qualifier
        self.function_arn = arn
        self.settings: dict[str, Any] = {}
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
            "InvokeMode": "BUFFERED",
            **self.settings,
        }

    def changed(self) -> dict[str, Any]:
        """The answer to a change, which says nothing of a mode that was never set."""
        left_out = {"InvokeMode"} - self.settings.keys()
        return {name: value for name, value in self.to_dict().items() if name not in left_out}

    def made(self) -> dict[str, Any]:
        """The answer to the request that made it, which has no LastModifiedTime either."""
        return {name: value for name, value in self.changed().items() if name != "LastModifiedTime"}


class Urls:
    """The function URLs of one region."""

    def __init__(self, functions: LocalStorage):
        self._functions = functions
        self._urls: dict[tuple[str, str], UrlConfig] = {}  # by function and qualifier ("": none)

    def create(self, function_name: str, request: dict[str, Any], qualifier: str | None = None) -> UrlConfig:
        name, qualifier = self._functions.split(function_name, qualifier)
        if not self._functions.exists(name, qualifier):
            raise UrlOfNoFunction
        arn = self._functions.arn(name, qualifier)
        if (name, qualifier or "") in self._urls:
            raise UrlExists(arn)
        url = UrlConfig(self._functions.region_name, self._functions.account_id, name, qualifier or "", arn)
        url.update(request)
        self._urls[name, qualifier or ""] = url
        return url

    def get(self, function_name: str, qualifier: str | None = None) -> UrlConfig:
        name, qualifier = self._functions.split(function_name, qualifier)
        if (name, qualifier or "") not in self._urls:
            raise GenericResourcNotFound
        return self._urls[name, qualifier or ""]

    def update(self, function_name: str, request: dict[str, Any], qualifier: str | None = None) -> UrlConfig:
        if not self._functions.exists(*self._functions.split(function_name, qualifier)):
            raise UrlOfNoFunction
        url = self.get(function_name, qualifier)
        url.update(request)
        return url

    def delete(self, function_name: str, qualifier: str | None = None) -> None:
        url = self.get(function_name, qualifier)
        del self._urls[url.function_name, url.qualifier]

    def of(self, function_name: str) -> list[UrlConfig]:
        """The URLs of a function and its aliases. Raises if there is no such function."""
        name, _ = self._functions.split(function_name)
        if not self._functions.exists(name):
            raise UrlOfNoFunction
        return [url for (owner, _), url in self._urls.items() if owner == name]

    def find(self, url_id: str) -> UrlConfig | None:
        """The URL whose host name begins with an identifier."""
        return next((url for url in list(self._urls.values()) if url.id == url_id), None)

    def forget(self, name: str, qualifier: str | None) -> None:
        """Drop a qualifier's URL, or all URLs of a function."""
        for key in [key for key in self._urls if key[0] == name and qualifier in (None, key[1])]:
            del self._urls[key]


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
