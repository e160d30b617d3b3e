"""The API key of the function URL (`predictor.auth_type = "KEY"`): made once, in SSM Parameter Store, never printed.

The key is a SecureString. Terraform and the function get its SHA-256 only, so neither the state nor the function's
settings have the key. To make another key: delete the parameter, then `make apply`.
"""

from __future__ import annotations

import hashlib
import secrets

from deploy import console, settings
from deploy.console import Failure
from deploy.deployment import Deployment
from deploy.environment import Environment

KEY = "KEY"
HEADER = "x-api-key"
NO_KEY = "0" * 64  # the hash of no key: the plan before the first apply
VARIABLE = "PAWPRINT_API_KEY"  # of the shell, in the line of `make curl`


def parameter(name: str) -> str:
    """The name of the parameter of a stack."""
    return f"/{name}/predictor/api-key"


def is_wanted(env: Environment) -> bool:
    """Whether the settings ask for a key."""
    return settings.effective(env.tfvars)["predictor"].get("auth_type") == KEY


def hash_for_terraform(env: Environment, *, create: bool) -> str:
    """The SHA-256 of the key. Without a key it makes one if `create` is set, and otherwise gives a hash of no key."""
    name, region = settings.value(env.tfvars, "name"), settings.value(env.tfvars, "region")
    ssm = env.client("ssm", region)
    key = _stored(ssm, name)
    if key is None and create:
        key = secrets.token_urlsafe(32)
        ssm.put_parameter(
            Name=parameter(name),
            Value=key,
            Type="SecureString",
            Description=f"The API key of the function URL of {name}",
            Tags=[{"Key": "project", "Value": name}],
        )
        console.done(f"Made the API key of the function URL, in SSM Parameter Store: {parameter(name)}")
    return NO_KEY if key is None else hashlib.sha256(key.encode()).hexdigest()


def read(deployment: Deployment) -> str:
    """The key. Raises Failure if there is none."""
    key = _stored(deployment.client("ssm"), deployment.name)
    if key is None:
        raise Failure(
            f"The function URL needs an API key, and SSM Parameter Store has no {parameter(deployment.name)}. To make "
            f"another one: {console.make('apply')}"
        )
    return key


def remove(deployment: Deployment) -> None:
    """Delete the key of a stack that is destroyed."""
    ssm = deployment.client("ssm")
    try:
        ssm.delete_parameter(Name=parameter(deployment.name))
    except ssm.exceptions.ParameterNotFound:
        return


def _stored(ssm, name: str) -> str | None:
    try:
        return ssm.get_parameter(Name=parameter(name), WithDecryption=True)["Parameter"]["Value"]
    except ssm.exceptions.ParameterNotFound:
        return None


def command(deployment: Deployment) -> str:
    """The shell command that puts the key into VARIABLE, without showing it."""
    where = f"--name {parameter(deployment.name)} --region {deployment.region}"
    settings_of_rehearsal = ""
    if deployment.env.rehearsed:
        address = deployment.client("ssm").meta.endpoint_url
        settings_of_rehearsal = f"AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_ENDPOINT_URL={address} "
    read_it = f"aws ssm get-parameter {where} --with-decryption --query Parameter.Value --output text"
    return f'export {VARIABLE}="$({settings_of_rehearsal}{read_it})"'
