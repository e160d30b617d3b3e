"""A deployment: its environment and the outputs of its Terraform stack."""

from __future__ import annotations

from typing import Any, Generic, TypeVar, overload

from deploy import console
from deploy.console import Failure
from deploy.environment import Environment

T = TypeVar("T")

INSTANCES, SERVERLESS, IN_FUNCTION = "instances", "serverless", "in-function"  # the kinds of endpoint


class Output(Generic[T]):
    """One output of the stack, under its name in `terraform/outputs.tf`.

    Reading it raises Failure if it does not exist because an apply failed or was interrupted.
    """

    def __init__(self, what: str):
        self.what = what
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, deployment: None, owner: type) -> Output[T]: ...
    @overload
    def __get__(self, deployment: Deployment, owner: type) -> T: ...
    def __get__(self, deployment: Deployment | None, owner: type) -> Output[T] | T:
        if deployment is None:
            return self
        value = deployment.outputs.get(self.name)
        if value is None and self.name.startswith("endpoint_") and deployment.endpoint_kind == IN_FUNCTION:
            raise Failure(
                f"There is no {self.what}, because the function has the model itself (endpoint.kind = in-function)."
            )
        if value is None:
            raise Failure(
                f"The {self.what} does not exist: the last apply did not finish. Run it again: {console.make('apply')}"
            )
        return value


class Deployment:
    """The outputs of one environment's stack as typed attributes, and AWS clients for its region."""

    name = Output[str]("stack")
    region = Output[str]("stack")
    artifacts_bucket = Output[str]("artifacts bucket")
    training_role_arn = Output[str]("role of training jobs")
    training_image = Output[str]("stack")
    training_instance_type = Output[str]("stack")
    training_log_group = Output[str]("stack")
    notebook_name = Output[str]("notebook instance")
    ec2_instance_id = Output[str]("training instance")
    ec2_instance_type = Output[str]("training instance")
    ec2_log_group = Output[str]("log group of the training instance")
    ec2_idle_minutes = Output[int]("stack")
    endpoint_name = Output[str]("endpoint")
    endpoint_config_name = Output[str]("endpoint configuration")
    endpoint_log_group = Output[str]("log group of the endpoint")
    endpoint_image = Output[str]("endpoint")
    batch_model_name = Output[str]("model of batch transform jobs")
    batch_instance_type = Output[str]("stack")
    batch_log_group = Output[str]("stack")
    release = Output[str]("stack")
    model_data_url = Output[str]("stack")
    function_name = Output[str]("function")
    function_alias = Output[str]("alias of the function")
    function_url = Output[str]("function URL")
    function_log_group = Output[str]("log group of the function")
    predictor_auth_type = Output[str]("stack")

    def __init__(self, env: Environment, outputs: dict[str, Any]):
        self.env = env
        self.outputs = outputs

    @property
    def endpoint_kind(self) -> str:
        """One of the kinds of endpoint. A stack that was applied before there were kinds has instances."""
        return self.outputs.get("endpoint_kind") or INSTANCES

    def has(self, *names: str) -> bool:
        """Whether these outputs exist."""
        return all(self.outputs.get(name) is not None for name in names)

    def client(self, service: str, **config: Any) -> Any:
        """A boto3 client of the deployment's region; `config` is botocore's."""
        return self.env.client(service, self.region, **config)
