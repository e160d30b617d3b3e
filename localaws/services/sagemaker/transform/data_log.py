"""The log of a transform job's requests: a stream for each instance, in AWS's form.

Source of the form: aws/sagemaker-tensorflow-serving-container #93 and aws/amazon-sagemaker-examples #1620.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from localaws import logs
from localaws.services.iam.service_roles import ServiceRole

LOG_GROUP = "/aws/sagemaker/TransformJobs"


@dataclass(frozen=True)
class DataLog:
    """The log of one job. `suffix` follows the name of an instance in the names of streams."""

    job: str
    suffix: str
    role: ServiceRole

    def say(self, instance: str, *lines: str) -> None:
        """Write lines to the stream of an instance."""
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3]
        stamped = [f"{now}:[sagemaker logs]: {line}" for line in lines]
        logs.append(
            LOG_GROUP, f"{self.job}/{instance}{self.suffix}/data-log", stamped, self.role.region, role=self.role
        )

    def failed(self, instance: str, place: str, what: str, message: str) -> None:
        """Write the failure of one object, with what the container or S3 said."""
        said = [f"{place}: {line}" for line in message.splitlines()]
        self.say(instance, f"{place}: {what}", f"{place}: ", f"{place}: Message:", *said)
