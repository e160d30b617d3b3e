"""The Lambda API's operations: moto keeps the functions, the requests are read and answered here.

An operation here reads the request, asks the backend or one of its collaborators, and words the answer.
"""

import json
from typing import Any
from urllib.parse import parse_qs

from moto.awslambda.exceptions import FunctionAlreadyExists, InvalidParameterValueException, LambdaClientError
from moto.awslambda.models import LambdaAlias

from localaws.services.lambda_.function import LocalFunction, changed, check_revision
from localaws.services.lambda_.invoke import InvokeRequest
from localaws.services.lambda_.names import LATEST

MOST_TAGS = 50
ONLY_FUNCTIONS = (
    "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. Please "
    "specify either a function name or an unqualified function ARN."
)


class AliasNotFound(LambdaClientError):
    code = 404

    def __init__(self, arn: str):
        super().__init__("ResourceNotFoundException", f"Alias not found: {arn}")


class LocalLambdaResponse(InvokeRequest):
    """One request to the Lambda API."""

    # --- the account ---

    def get_account_settings(self) -> str:
        return json.dumps(self.backend.account_settings())

    # --- functions ---

    def create_function(self) -> str:
        spec = self.given
        name, _ = self.backend.functions.split(spec["FunctionName"])
        if self.backend.functions.exists(name):
            raise FunctionAlreadyExists(name)
        if len(spec.get("Tags") or {}) > MOST_TAGS:
            raise InvalidParameterValueException("Number of tags exceeds resource tag limit.")
        function = self.backend.create_function({**spec, "FunctionName": name})
        version = self.backend.functions.find(name, "1") if spec.get("Publish") else function
        return json.dumps({**function.pending(), "Version": str(version.version)})

    def get_function(self) -> str:
        function = self.function
        return json.dumps({**function.get_code(), "Configuration": function.described(self.qualifier)})

    def get_function_configuration(self) -> str:
        return json.dumps(self.function.described(self.qualifier))

    def list_functions(self) -> str:
        if "MasterRegion" in self.query:  # replicas of Lambda@Edge, of which there are none
            return self.paged("Functions", [])
        found = sorted(self.backend.list_functions(), key=lambda function: function.function_name)
        if self.query.get("FunctionVersion") != "ALL":
            return self.paged("Functions", [each.listed() for each in found])
        versions = [self._versions(each.function_name) for each in found]
        return self.paged("Functions", [each for group in versions for each in group])

    def list_versions_by_function(self) -> str:
        return self.paged("Versions", self._versions(self.function.function_name))

    def _versions(self, name: str) -> list[dict[str, Any]]:
        return [each.listed() for each in self.backend.list_versions_by_function(name)]

    def update_function_code(self) -> str:
        body, function = self.given, self.backend.functions.find(self.name)
        check_revision(function, body.get("RevisionId"))
        if body.get("DryRun"):
            return json.dumps(self.backend.update_code(self.name, body).get_configuration())
        changed(function)
        made = self.backend.update_code(self.name, body)
        return json.dumps(made.in_progress() if made is function else made.pending())

    def update_function_configuration(self) -> str:
        body, function = self.given, self.backend.functions.find(self.name)
        check_revision(function, body.get("RevisionId"))
        changed(function)
        return json.dumps(self.backend.update_configuration(self.name, body).in_progress())

    def publish_version(self) -> str:
        body, function = self.given, self.backend.functions.find(self.name)
        check_revision(function, body.get("RevisionId"))
        expected = body.get("CodeSha256")
        if expected and expected != function.code_sha_256:
            raise InvalidParameterValueException(
                f"CodeSHA256 ({expected}) is different from current CodeSHA256 in $LATEST ({function.code_sha_256}). "
                "Please try again with the CodeSHA256 in $LATEST."
            )
        return json.dumps(self.backend.publish_version(self.name, body.get("Description", "")).get_configuration())

    def delete_function(self) -> str:
        self.backend.delete_function(self.name, self.qualifier)
        return ""

    def get_function_code_signing_config(self) -> str:
        self.backend.functions.find(self.name)
        return "{}"

    # --- aliases ---

    def create_alias(self) -> str:
        body = self.given
        named = (body["Name"], self.name, body["FunctionVersion"])
        alias = self.backend.create_alias(*named, body.get("Description", ""), body.get("RoutingConfig"))
        return json.dumps(_alias(alias))

    def get_alias(self) -> str:
        return json.dumps(_alias(self.backend.get_alias(self.parts[2], self.name)))

    def update_alias(self) -> str:
        body, name = self.given, self.parts[2]
        alias = self.backend.functions.find_alias(self.name, name)
        if alias is None:
            raise AliasNotFound(self.backend.functions.arn(self.name, name))
        check_revision(alias, body.get("RevisionId"))
        settings = (body.get(each) for each in ("FunctionVersion", "Description", "RoutingConfig"))
        return json.dumps(_alias(self.backend.update_alias(name, self.name, *settings)))

    def delete_alias(self) -> str:
        self.backend.delete_alias(self.parts[2], self.name)
        return ""

    def list_aliases(self) -> str:
        self.backend.functions.find(self.name)
        version = self.query.get("FunctionVersion")
        found = [each for each in self.backend.list_aliases(self.name) if version in (None, each.function_version)]
        return self.paged("Aliases", [_alias(each) for each in found])

    # --- resource policies ---

    def add_permission(self) -> str:
        statement = self.backend.permissions.add(self.name, self.qualifier, self.given)
        return json.dumps({"Statement": json.dumps(statement)})

    def remove_permission(self) -> str:
        self.backend.permissions.remove(self.name, self.parts[2], self.query.get("RevisionId"), self.qualifier)
        return ""

    def get_policy(self) -> str:
        return json.dumps(self.backend.permissions.describe(self.name, self.qualifier))

    # --- concurrency ---

    def put_function_concurrency(self) -> str:
        if self.qualifier:
            raise InvalidParameterValueException(ONLY_FUNCTIONS)
        self.backend.functions.find(self.name, LATEST)
        reserved = self.backend.put_function_concurrency(self.name, self.given["ReservedConcurrentExecutions"])
        return json.dumps({"ReservedConcurrentExecutions": reserved})

    def get_function_concurrency(self) -> str:
        reserved = self.backend.functions.find(self.name).reserved_concurrency
        return json.dumps({} if reserved is None else {"ReservedConcurrentExecutions": reserved})

    def delete_function_concurrency(self) -> str:
        self.backend.functions.find(self.name).reserved_concurrency = None
        return ""

    def put_provisioned_concurrency_config(self) -> str:
        requested = self.given["ProvisionedConcurrentExecutions"]
        return json.dumps(self.backend.concurrency.put(self.name, self.qualifier, requested))

    def get_provisioned_concurrency_config(self) -> str:
        return json.dumps(self.backend.concurrency.get(self.name, self.qualifier))

    def delete_provisioned_concurrency_config(self) -> str:
        self.backend.concurrency.delete(self.name, self.qualifier)
        return ""

    def list_provisioned_concurrency_configs(self) -> str:
        return self.paged("ProvisionedConcurrencyConfigs", self.backend.concurrency.describe_all(self.name))

    # --- function URLs ---

    def create_function_url_config(self) -> str:
        return json.dumps(self.backend.function_urls.create(self.name, self.given, self.qualifier).made())

    def get_function_url_config(self) -> str:
        return json.dumps(self.backend.function_urls.get(self.name, self.qualifier).to_dict())

    def update_function_url_config(self) -> str:
        return json.dumps(self.backend.function_urls.update(self.name, self.given, self.qualifier).changed())

    def delete_function_url_config(self) -> str:
        self.backend.function_urls.delete(self.name, self.qualifier)
        return ""

    def list_function_url_configs(self) -> str:
        return self.paged("FunctionUrlConfigs", [url.to_dict() for url in self.backend.function_urls.of(self.name)])

    # --- asynchronous invocations ---

    def put_function_event_invoke_config(self) -> str:
        return json.dumps(self.backend.event_configs.put(self.name, self.qualifier, self.given))

    def update_function_event_invoke_config(self) -> str:
        return json.dumps(self.backend.event_configs.update(self.name, self.qualifier, self.given))

    def get_function_event_invoke_config(self) -> str:
        return json.dumps(self.backend.event_configs.get(self.name, self.qualifier))

    def delete_function_event_invoke_config(self) -> str:
        self.backend.event_configs.delete(self.name, self.qualifier)
        return ""

    def list_function_event_invoke_configs(self) -> str:
        return self.paged("FunctionEventInvokeConfigs", self.backend.event_configs.of(self.name))

    # --- tags ---

    def list_tags(self) -> str:
        return json.dumps({"Tags": self._tagged().tags})

    def tag_resource(self) -> str:
        function = self._tagged()
        tags = {**function.tags, **self.given["Tags"]}
        if len(tags) > MOST_TAGS:
            raise InvalidParameterValueException("Number of tags exceeds resource tag limit.")
        function.tags = tags
        changed(function)
        return ""

    def untag_resource(self) -> str:
        function, keys = self._tagged(), parse_qs(self.parsed_url.query)["tagKeys"]
        function.tags = {key: value for key, value in function.tags.items() if key not in keys}
        changed(function)
        return ""

    def _tagged(self) -> LocalFunction:
        """The function whose ARN a request about tags names."""
        name, qualifier = self.backend.functions.split(self.parts[0])
        if qualifier:
            raise InvalidParameterValueException(
                "Tags on function aliases and versions are not supported. Please specify a function ARN."
            )
        return self.backend.functions.find(name)


def _alias(alias: LambdaAlias) -> dict[str, Any]:
    return {name: value for name, value in alias.to_json().items() if value is not None}


# The operation is found by the service's model; here it is enough that a path is Lambda's.
URL_PATHS = {r"{0}/(?P<api_version>[^/]+)/(?P<rest>.+)$": LocalLambdaResponse.dispatch}
