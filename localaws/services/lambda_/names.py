"""How a request names a function: by its name, a partial ARN or an ARN, each with or without a qualifier.

Source: the pattern of FunctionName in Lambda's service model; the errors are AWS's answers that LocalStack has recorded
(test_get_function_wrong_region, test_ops_with_arn_qualifier_mismatch in tests/aws/services/lambda_).
"""

import re

from moto.awslambda.exceptions import InvalidParameterValueException, LambdaClientError

LATEST = "$LATEST"
_NAME = re.compile(
    r"(?:arn:aws[a-zA-Z-]*:lambda:)?(?:(?P<region>[a-z]{2,4}(?:-[a-z]+)+-\d):)?(?:(?P<account>\d{12}):)?(?:function:)?"
    r"(?P<name>[a-zA-Z0-9-_.]+)(?::(?P<qualifier>\$LATEST|[a-zA-Z0-9-_$]+))?"
)
ALIAS = re.compile(r"(?!\d+$)[a-zA-Z0-9-_]+")


class FromOtherRegion(LambdaClientError):
    code = 404

    def __init__(self, region: str, here: str):
        words = f"Functions from '{region}' are not reachable in this region ('{here}')"
        super().__init__("ResourceNotFoundException", words)


class OfOtherAccount(LambdaClientError):
    code = 403

    def __init__(self, arn: str):
        super().__init__("AccessDeniedException", f"The caller is not authorized to use the resource {arn}")


class QualifierMismatch(InvalidParameterValueException):
    def __init__(self) -> None:
        super().__init__("The derived qualifier from the function name does not match the specified qualifier.")


def split(function_name: str, qualifier: str | None, region: str, account: str) -> tuple[str, str | None]:
    """The name and the qualifier that a request means. Raises LambdaClientError for a function of somewhere else.

    `qualifier` is the request's own member; it must not contradict the one in the name.
    """
    found = _NAME.fullmatch(function_name)
    if found is None:
        return function_name, qualifier or None
    own = found["qualifier"]
    if own and qualifier and own != qualifier:
        raise QualifierMismatch
    if found["region"] not in (None, region):
        raise FromOtherRegion(found["region"], region)
    if found["account"] not in (None, account):
        raise OfOtherAccount(function_name)
    return found["name"], own or qualifier or None


def is_alias(qualifier: str) -> bool:
    """Whether a qualifier can be the name of an alias, not the number of a version."""
    return ALIAS.fullmatch(qualifier) is not None
