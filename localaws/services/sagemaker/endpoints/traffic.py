"""Which fleet answers a request: one in service or, during an update, a new one with its share of the requests."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from localaws.services.sagemaker.endpoints.fleet import InstanceFleet
from localaws.services.sagemaker.endpoints.serverless import ServerlessFleet

Fleet = InstanceFleet | ServerlessFleet


@dataclass(frozen=True)
class Traffic:
    """The fleets by variant, those in service and those of an update, and the share of requests that the latter get."""

    fleets: Mapping[str, Fleet] = field(default_factory=dict)
    incoming: Mapping[str, Fleet] = field(default_factory=dict)
    share: float = 0.0

    def choose(self, target: str | None) -> Fleet | None:
        """The fleet for one request: the variant asked for, or one by weight. None if no variant serves."""
        fleets = self.incoming if self.incoming and random.random() < self.share else self.fleets  # noqa: S311
        if target is not None:
            return fleets.get(target)
        weights = [fleet.variant.weight for fleet in fleets.values()]
        return random.choices(list(fleets.values()), weights)[0] if sum(weights) > 0 else None  # noqa: S311

    def serving(self) -> Iterator[tuple[str, Fleet]]:
        """Every fleet that requests may reach, with its variant."""
        if self.share < 1:
            yield from self.fleets.items()
        if self.share > 0:
            yield from self.incoming.items()

    def all(self) -> list[Fleet]:
        """Every fleet, whatever its share."""
        return [*self.fleets.values(), *self.incoming.values()]

    def holds(self, fleet: Fleet | None) -> bool:
        """Whether requests may still reach a fleet."""
        return any(each is fleet for _, each in self.serving())
