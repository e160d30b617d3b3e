"""What of SageMaker can be lost by `localaws.chaos`: instances of endpoints, and the capacity of spot training jobs."""

from localaws.chaos import losses
from localaws.chaos.losses import Losable
from localaws.services.sagemaker.endpoints import api as endpoints
from localaws.services.sagemaker.endpoints.fleet import InstanceFleet
from localaws.services.sagemaker.jobs import all_jobs


def endpoint_instances() -> list[Losable]:
    """The healthy instances of all endpoints. Their fleets replace those that end."""
    fleets = [
        (endpoint.name, fleet)
        for endpoint in endpoints.all_endpoints()
        for fleet in list(endpoint.fleets.values())
        if isinstance(fleet, InstanceFleet)
    ]
    return [Losable(name, each.id, each.kill) for name, fleet in fleets for each in fleet.healthy_instances()]


def spot_jobs() -> list[Losable]:
    """The training jobs on spot instances whose program runs."""
    return [Losable(job.name, job.name, job.take_capacity) for job in all_jobs("training-job") if job.runs_on_spot]


def install() -> None:
    losses.of("lose-instances", endpoint_instances)
    losses.of("take-spot", spot_jobs)
