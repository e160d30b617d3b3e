"""A local AWS for the scenarios of the capacity bench: a function, an endpoint that sleeps, and their policies.

Its clock of metrics, alarms and cooldowns runs SCALE times as fast. The model waits and does not compute, so instances
of this machine do not share its processors, as instances on AWS do not.
"""

from __future__ import annotations

import io
import json
import statistics
import tarfile
import threading
import time
import zipfile
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import numpy as np
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from bench.own_aws import PATIENCE, OwnAws, until
from deploy.build.package import LAMBDA_MODULES, payload_members
from deploy.capacity.system import Scaling
from deploy.load.client import Load, LoadAnswer, LoadTarget, raw_request

SCALE = 60.0
THREADS = 2
LINE = THREADS + 100  # own_container.py of the local AWS: those that are served, and 100 that wait
CONNECTIONS = 128
ROLE = "arn:aws:iam::123456789012:role/bench"
IMAGE = b"\xff\xd8\xff\xe0" + bytes(4_000)
ANSWER = {"predictions": [{"label": "beagle", "probability": 1.0}], "model": {"name": "bench"}}
MODEL = f"""
import json, os, random, time
def model_fn(folder): return float(os.environ["SLEEP"]), os.environ["SPREAD"]
def input_fn(body, content_type, context): return body
def predict_fn(body, model):
    mean, spread = model
    time.sleep(random.expovariate(1 / mean) if spread == "exponential" else mean)
    return {ANSWER!r}
def output_fn(prediction, accept): return json.dumps(prediction), "application/json"
"""
TRUSTED = [f"{each}.amazonaws.com" for each in ("lambda", "sagemaker")]
DIMENSION = {"lambda": "lambda:function:ProvisionedConcurrency", "sagemaker": "sagemaker:variant:DesiredInstanceCount"}


@dataclass(frozen=True)
class Scenario:
    """`load` has pairs of seconds and requests a second. `mean` seconds are what the model takes. `url` False: the
    requests go to the endpoint, without the function."""

    name: str
    load: tuple[tuple[float, float], ...]
    mean: float = 0.1
    spread: str = "fixed"
    url: bool = True
    reserved: int = 20
    provisioned: int = 0
    scaling: Scaling = field(default_factory=lambda: Scaling(1, 1))
    warm: Scaling | None = None
    containers: int = 0

    def arrivals(self) -> np.ndarray:
        """When requests are due: a Poisson process, always the same for a scenario."""
        random, since, times = np.random.default_rng(len(self.name)), 0.0, []
        for seconds, rate in self.load:
            times.append(since + np.sort(random.random(random.poisson(rate * seconds))) * seconds)
            since += seconds
        return np.concatenate(times)


@dataclass(frozen=True)
class Seen:
    """What a scenario brought: answers, and the seconds of instances that were asked for."""

    answers: list[LoadAnswer]
    instance_seconds: float


class Rehearsal(OwnAws):
    """The server, whose clock is SCALE times as fast. Close it."""

    def __init__(self) -> None:
        super().__init__(LOCALAWS_TIME_SCALE=str(SCALE))
        self._names = 0
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def client(self, service: str, **config):
        return super().client(service, **{"s3": {"addressing_style": "path"}, "read_timeout": PATIENCE, **config})

    def run(self, scenario: Scenario) -> Seen:
        """Set a scenario up, let its requests come, and remove it."""
        name = self._endpoint(scenario)
        target = self._function(scenario, name) if scenario.url else self._direct(name)
        try:
            self._scale(scenario, name)
            counts: list[tuple[float, int]] = []
            load, over = Load(target[0], [target[1]], CONNECTIONS), threading.Event()
            began = float(int(time.time()) + 2)  # a minute of the fast clock begins
            watcher = threading.Thread(target=self._watch, args=(name, began, counts, over))
            if not scenario.containers:
                watcher.start()
            answers = _follow(load, (scenario.arrivals() + began - time.time()).tolist())
            seconds = sum(seconds for seconds, _ in scenario.load)
            time.sleep(max(0.0, began + seconds - time.time()))
            over.set()
            if watcher.is_alive():
                watcher.join()
            return Seen(answers, _integral(counts, seconds))
        finally:
            self._remove(name, scenario)

    def measure(self) -> dict[str, object]:
        """Seconds: of single requests to the endpoint and to the URL without the model's, of the start of an instance,
        and of an environment."""
        scenario = Scenario("calibration", (), mean=0.05)
        name = self._endpoint(scenario)
        target = self._function(scenario, name)
        try:
            began = time.perf_counter()
            _follow(Load(target[0], [target[1]], 1), [0.0])
            first = time.perf_counter() - began
            url, direct = self._singles(target), self._singles(self._direct(name))
            starts = []
            for count in (2, 3):
                began = time.perf_counter()
                self.client("sagemaker").update_endpoint_weights_and_capacities(
                    EndpointName=name,
                    DesiredWeightsAndCapacities=[{"VariantName": "main", "DesiredInstanceCount": count}],
                )
                until(lambda: self._endpoint_is(name), "the instance has started")
                starts.append(time.perf_counter() - began)
            return {
                "url": [each - scenario.mean for each in url],
                "direct": [each - scenario.mean for each in direct],
                "instance": statistics.mean(starts),
                "environment": first - statistics.median(url),
            }
        finally:
            self._remove(name, scenario)

    # --- requests ---

    def _singles(self, target: tuple[LoadTarget, bytes]) -> list[float]:
        load = Load(target[0], [target[1]], 1)
        try:
            answers = load.busy(4.0)
        finally:
            load.close()
        return [each.latency for each in answers if each.status == 200][2:]

    def _direct(self, name: str) -> tuple[LoadTarget, bytes]:
        return self._request(f"http://127.0.0.1:{self.port}/endpoints/{name}/invocations", "sagemaker")

    def _request(self, url: str, service: str) -> tuple[LoadTarget, bytes]:
        made = AWSRequest("POST", url, data=IMAGE, headers={"Content-Type": "image/jpeg"})
        SigV4Auth(Credentials("test", "test"), service, "us-east-1").add_auth(made)
        parts = urlsplit(url)
        headers = {"Host": parts.netloc, **dict(made.headers.items())}
        return LoadTarget(self.port), raw_request(parts.path or "/", IMAGE, headers)

    def _watch(self, name: str, began: float, counts: list[tuple[float, int]], over: threading.Event) -> None:
        sagemaker = self.client("sagemaker")
        while not over.wait(0.2):
            (variant,) = sagemaker.describe_endpoint(EndpointName=name)["ProductionVariants"]
            counts.append((time.time() - began, variant["DesiredInstanceCount"]))

    # --- the stack ---

    def _prepare(self) -> None:
        trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": TRUSTED}}
        allow = {
            "Effect": "Allow",
            "Action": ["sagemaker:*", "s3:*", "logs:*", "cloudwatch:*", "ecr:*"],
            "Resource": "*",
        }
        iam = self.client("iam")
        iam.create_role(RoleName="bench", AssumeRolePolicyDocument=_policy(trust))
        iam.put_role_policy(RoleName="bench", PolicyName="bench", PolicyDocument=_policy(allow))
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w:gz") as tar:
            member = tarfile.TarInfo("code/inference.py")
            member.size = len(MODEL)
            tar.addfile(member, io.BytesIO(MODEL.encode()))
        self.client("s3").create_bucket(Bucket="bench")
        self.client("s3").put_object(Bucket="bench", Key="model.tar.gz", Body=archive.getvalue())

    def _endpoint(self, scenario: Scenario) -> str:
        self._names += 1
        name, sagemaker = f"bench-{self._names}", self.client("sagemaker")
        given = {
            "SLEEP": str(scenario.mean),
            "SPREAD": scenario.spread,
            "SAGEMAKER_MODEL_SERVER_WORKERS": "1" if scenario.containers else str(THREADS),
        }
        container = {"Image": "bench", "ModelDataUrl": "s3://bench/model.tar.gz", "Environment": given}
        sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE)
        variant = {"VariantName": "main", "ModelName": name}
        if scenario.containers:
            variant["ServerlessConfig"] = {"MemorySizeInMB": 2048, "MaxConcurrency": scenario.containers}
        else:
            variant |= {"InitialInstanceCount": scenario.scaling.least, "InstanceType": "ml.m5.large"}
        sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
        until(lambda: self._endpoint_is(name), "the endpoint is in service")
        return name

    def _endpoint_is(self, name: str) -> bool:
        status = self.client("sagemaker").describe_endpoint(EndpointName=name)["EndpointStatus"]
        if status == "Failed":
            raise RuntimeError(self.client("sagemaker").describe_endpoint(EndpointName=name)["FailureReason"])
        return status == "InService"

    def _function(self, scenario: Scenario, name: str) -> tuple[LoadTarget, bytes]:
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as package:
            for member, path in payload_members("lambda", only=LAMBDA_MODULES):
                package.write(path, member)
        client, named = self.client("lambda"), {"FunctionName": name}
        client.create_function(
            **named,
            Role=ROLE,
            Runtime="python3.13",
            Handler="handler.handler",
            Code={"ZipFile": archive.getvalue()},
            Environment={"Variables": {"ENDPOINT_NAME": name}},
            Timeout=30,
            Publish=True,
        )
        client.put_function_concurrency(**named, ReservedConcurrentExecutions=scenario.reserved)
        client.create_alias(**named, Name="live", FunctionVersion="1")
        live = {**named, "Qualifier": "live"}
        if scenario.provisioned:
            client.put_provisioned_concurrency_config(**live, ProvisionedConcurrentExecutions=scenario.provisioned)
            until(lambda: client.get_provisioned_concurrency_config(**live)["Status"] == "READY", "it is warm")
        url = client.create_function_url_config(**live, AuthType="AWS_IAM")["FunctionUrl"]
        return self._request(url, "lambda")

    def _scale(self, scenario: Scenario, name: str) -> None:
        client = self.client("application-autoscaling")
        for service, resource, scaling in (
            ("sagemaker", f"endpoint/{name}/variant/main", scenario.scaling),
            ("lambda", f"function:{name}:live", scenario.warm),
        ):
            if scaling is None or not scaling.policies:
                continue
            names = {"ServiceNamespace": service, "ResourceId": resource, "ScalableDimension": DIMENSION[service]}
            client.register_scalable_target(**names, MinCapacity=scaling.least, MaxCapacity=scaling.most)
            for number, policy in enumerate(scaling.policies):
                client.put_scaling_policy(
                    **names,
                    PolicyName=f"policy{number}",
                    PolicyType="TargetTrackingScaling",
                    TargetTrackingScalingPolicyConfiguration=policy,
                )

    def _remove(self, name: str, scenario: Scenario) -> None:
        if scenario.url:
            self.client("lambda").delete_function(FunctionName=name)
        sagemaker = self.client("sagemaker")
        until(lambda: self._endpoint_is(name), "the endpoint has settled")
        sagemaker.delete_endpoint(EndpointName=name)
        listed = lambda: sagemaker.list_endpoints(NameContains=name)["Endpoints"]  # noqa: E731
        until(lambda: not listed(), "the endpoint is gone")


def _follow(load: Load, dues: list[float]) -> list[LoadAnswer]:
    """The answers to requests that are due in so many seconds from now. Closes the load."""
    answers: list[LoadAnswer] = []
    try:
        load.follow(dues, answers.append)
    finally:
        load.close()
    return answers


def _policy(*statements: dict) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _integral(counts: list[tuple[float, int]], seconds: float) -> float:
    """Seconds of instances until `seconds`; a count holds until the next."""
    inside = [(max(0.0, at), count) for at, count in counts if at < seconds]
    if not inside:
        return 0.0
    ends = [at for at, _ in inside[1:]] + [seconds]
    return inside[0][0] * inside[0][1] + sum((end - at) * count for (at, count), end in zip(inside, ends, strict=True))
