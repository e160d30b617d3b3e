"""EC2 instances that `localaws.chaos` interrupts: spot instances are terminated, the others are stopped.

The codes and words are those of StateReason in the EC2 API reference.
"""

from localaws.chaos import losses
from localaws.chaos.losses import Losable
from localaws.services.ec2.api import all_instances


def instances() -> list[Losable]:
    running = [each for each in all_instances() if each.state == "running"]
    return [Losable(each.id, each.id, each.interrupt) for each in running]


def install() -> None:
    losses.of("interrupt-instances", instances)
