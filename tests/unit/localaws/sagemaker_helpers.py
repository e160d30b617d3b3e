"""Small models and programs for the local SageMaker: real archives, real processes, ten lines of Python each."""

import io
import json
import tarfile
import uuid
from typing import Any

ROLE = "arn:aws:iam::123456789012:role/pawprint"
TRAINING_LOGS = "/aws/sagemaker/TrainingJobs"

MODEL = """
import json, os

def model_fn(folder):
    return {answer!r}

def input_fn(body, content_type, context):
    return body

def predict_fn(body, model):
    return {{"answer": model, "bytes": len(body), "process": os.getpid()}}

def output_fn(prediction, accept):
    return json.dumps(prediction), "application/json"
"""


# Takes memory in steps, without end: SageMaker's smallest types have 2 GiB for endpoints and 4 GiB for training.
TAKES_TOO_MUCH = """
import time
taken = []
while True:
    taken.append(b"x" * (64 << 20))
    time.sleep(0.03)
"""


def unique(name: str) -> str:
    return f"{name}-{uuid.uuid4().hex[:8]}"


def tar_gz(files: dict[str, str]) -> bytes:
    """A tar.gz archive of text files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


class SageMaker:
    """A bucket, and the calls that tests make again and again, on one server."""

    def __init__(self, server: Any, until: Any):
        self.server = server
        self.until = until
        self.bucket = unique("bucket")
        server.client("s3").create_bucket(Bucket=self.bucket)

    @property
    def api(self) -> Any:
        return self.server.client("sagemaker")

    def put(self, key: str, body: bytes | str) -> str:
        self.server.client("s3").put_object(Bucket=self.bucket, Key=key, Body=body)
        return f"s3://{self.bucket}/{key}"

    # --- endpoints ---

    def config(self, code: str, count: int = 1, isolated: bool = False, **variant: Any) -> str:
        """A model with this code, and a configuration of the same name that has `count` instances of it."""
        name = unique("model")
        url = self.put(f"models/{name}.tar.gz", tar_gz({"code/inference.py": code}))
        container = {"Image": "serving:1", "ModelDataUrl": url}
        self.api.create_model(
            ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE, EnableNetworkIsolation=isolated
        )
        instances = {"InitialInstanceCount": count, "InstanceType": "ml.m7i.large"}
        asked = {**({} if "ServerlessConfig" in variant else instances), **variant}
        self.api.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=[{"VariantName": "main", "ModelName": name, **asked}]
        )
        return name

    def endpoint(self, code: str, count: int = 1, **config: Any) -> str:
        """An endpoint in service with this code. Fails the test where it does not come into service."""
        name = unique("endpoint")
        self.api.create_endpoint(EndpointName=name, EndpointConfigName=self.config(code, count, **config))
        described = self.settled(name)
        assert described["EndpointStatus"] == "InService", described.get("FailureReason")
        return name

    def settled(self, name: str) -> dict[str, Any]:
        """The endpoint's description once its change is over."""

        def described() -> dict[str, Any] | None:
            found = self.api.describe_endpoint(EndpointName=name)
            return found if found["EndpointStatus"] not in ("Creating", "Updating") else None

        return self.until(described, f"{name} settles")

    def rolled_back(self, name: str, alarm: str) -> dict[str, Any]:
        """The endpoint's description after this alarm has taken an update back."""
        cloudwatch = self.server.client("cloudwatch")

        def described() -> dict[str, Any] | None:
            # Again and again, because an evaluation of the alarm ends the state.
            cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="too many errors")
            found = self.api.describe_endpoint(EndpointName=name)
            return found if found["EndpointStatus"] == "InService" else None

        return self.until(described, f"{alarm} takes the update of {name} back")

    def ask(self, name: str, body: bytes = b"x", **arguments: Any) -> dict[str, Any]:
        given = {"ContentType": "application/octet-stream", **arguments}
        answer = self.server.client("sagemaker-runtime").invoke_endpoint(EndpointName=name, Body=body, **given)
        return json.loads(answer["Body"].read())

    # --- training jobs ---

    def job(self, program: str, hyperparameters: dict[str, str] | None = None, **request: Any) -> str:
        """Start a training job that runs `program` as train.py; `request` replaces parts of the request."""
        name = unique("job")
        files = {"train.py": program, **request.pop("files", {})}
        own = {
            "sagemaker_program": "train.py",
            "sagemaker_submit_directory": self.put(f"code/{name}.tar.gz", tar_gz(files)),
        }
        parts = {
            "AlgorithmSpecification": {"TrainingImage": "training:1", "TrainingInputMode": "File"},
            "HyperParameters": {**own, **(hyperparameters or {})},
            "OutputDataConfig": {"S3OutputPath": f"s3://{self.bucket}/out"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 900},
            "RoleArn": ROLE,
        }
        self.api.create_training_job(TrainingJobName=name, **{**parts, **request})
        return name

    def channel(self, name: str, uri: str, **source: Any) -> dict[str, Any]:
        return {
            "ChannelName": name,
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri, **source}},
        }

    def finished(self, name: str) -> dict[str, Any]:
        """The job's description once it has ended."""

        def described() -> dict[str, Any] | None:
            found = self.api.describe_training_job(TrainingJobName=name)
            return found if found["TrainingJobStatus"] not in ("InProgress", "Stopping") else None

        return self.until(described, f"{name} ends")

    # --- transform jobs ---

    def transform(self, code: str, objects: dict[str, bytes | str], **request: Any) -> str:
        """Start a transform job of a model with this code over objects below `in/`; `request` replaces parts."""
        name = unique("transform")
        url = self.put(f"models/{name}.tar.gz", tar_gz({"code/inference.py": code}))
        container = {"Image": "serving:1", "ModelDataUrl": url}
        role = request.pop("role", ROLE)
        self.api.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=role)
        for key, body in objects.items():
            self.put(f"in/{name}/{key}", body)
        source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{self.bucket}/in/{name}/"}
        parts = {
            "ModelName": name,
            "TransformInput": {"DataSource": {"S3DataSource": source}, "ContentType": "text/plain"},
            "TransformOutput": {"S3OutputPath": f"s3://{self.bucket}/out/{name}"},
            "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        }
        for member, value in request.items():
            parts[member] = {**parts[member], **value} if isinstance(parts.get(member), dict) else value
        self.api.create_transform_job(TransformJobName=name, **parts)
        return name

    def transformed(self, name: str) -> dict[str, Any]:
        """The transform job's description once it has ended."""

        def described() -> dict[str, Any] | None:
            found = self.api.describe_transform_job(TransformJobName=name)
            return found if found["TransformJobStatus"] not in ("InProgress", "Stopping") else None

        return self.until(described, f"{name} ends")

    def outputs(self, name: str) -> dict[str, str]:
        """The outputs of a transform job, by their names below its output path."""
        s3, prefix = self.server.client("s3"), f"out/{name}/"
        keys = [each["Key"] for each in s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", [])]
        return {
            key.removeprefix(prefix): s3.get_object(Bucket=self.bucket, Key=key)["Body"].read().decode() for key in keys
        }

    def log(self, group: str, prefix: str) -> list[str]:
        """All lines of the group's streams whose names begin with `prefix`; none if the group does not exist yet."""
        logs = self.server.client("logs")
        try:
            streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=prefix)["logStreams"]
        except logs.exceptions.ResourceNotFoundException:
            return []
        events = [
            logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True)
            for stream in streams
        ]
        return [event["message"] for answer in events for event in answer["events"]]

    def files(self, key: str) -> dict[str, str]:
        """The text files of a tar.gz in the bucket."""
        body = self.server.client("s3").get_object(Bucket=self.bucket, Key=key)["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            return {member.name: tar.extractfile(member).read().decode() for member in tar if member.isfile()}
