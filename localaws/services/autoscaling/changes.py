"""The changes of capacity in one region: asked for, followed until the resource has made them, and written down."""

import threading
import time
from typing import Any

from localaws import clock, state
from localaws.services.autoscaling import activities, decision, scalable
from localaws.services.autoscaling.activities import ScalableResource, ScalingActivity
from localaws.services.autoscaling.decision import CapacityLimits, NotScaled, ScalingHistory

KEPT_ACTIVITIES = 200
Key = tuple[str, str]  # a target's dimension and resource


class ScalingChanges:
    """`activities` has the newest first. What needs several steps is done under `lock`: requests and the clock of the
    alarms change capacities."""

    def __init__(self, region: str):
        self.activities: list[ScalingActivity] = []
        self._region = region
        self._histories: dict[Key, ScalingHistory] = {}
        self._late: set[Key] = set()  # targets that could not be brought into their limits yet
        self._seen: set[Key] = set()  # targets whose resource existed
        self.lock = threading.RLock()

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key != "lock"}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        vars(self).update(kept, lock=threading.RLock())

    def history(self, of: Any) -> ScalingHistory:
        """The history of a target, or of a policy's target."""
        return self._histories.setdefault((of.scalable_dimension, of.resource_id), ScalingHistory())

    def forget(self, key: Key) -> None:
        """A target was deregistered. Its activities stay."""
        self._histories.pop(key, None)
        self._late.discard(key)
        self._seen.discard(key)

    # --- limits ---

    def keep_limits(self, target: Any) -> None:
        """Bring a target that is outside its limits back into them: now, or once its resource can be changed."""
        with self.lock:
            resource = scalable.look(self._region, target.resource_id)
            wanted = decision.outside(resource.capacity, limits_of(target)) if resource else None
            self._late.discard(_key(target))
            if wanted is None:
                return
            if not resource.scalable:
                self._late.add(_key(target))
                return
            limit = "minimum" if wanted > resource.capacity else "maximum"
            self.change(target, wanted, activities.limited(limit, wanted))

    def keep_late_limits(self, target: Any) -> None:
        if _key(target) in self._late:
            self.keep_limits(target)

    def has_gone(self, target: Any) -> bool:
        """Whether a target's resource existed and does not any more."""
        if scalable.look(self._region, target.resource_id) is not None:
            self._seen.add(_key(target))
            return False
        return target.service_namespace == "sagemaker" and _key(target) in self._seen

    # --- activities ---

    def change(self, target: Any, wanted: int, cause: str, policy: str | None = None) -> bool:
        """Ask for a capacity, and write down what the resource said to that. `policy` is the ARN of who asks."""
        self.observe()  # what has ended by now was not overridden by this
        now = time.time()
        activity = activities.begun(resource_of(target), wanted, cause, now, policy)
        refusal = scalable.set_capacity(self._region, target.resource_id, wanted)
        self.insert(activity if refusal is None else activity.failed(refusal, now))
        return refusal is None

    def note(self, target: Any, reason: NotScaled, cause: str) -> None:
        """Write down that nothing was done, unless that is the last thing that was written of this resource."""
        resource = resource_of(target)
        last = next((each for each in self.activities if each.resource == resource), None)
        if last is None or last.not_scaled is None or last.not_scaled.code != reason.code:
            self.insert(activities.not_scaled(resource, reason, cause, time.time()))

    def insert(self, activity: ScalingActivity) -> None:
        with self.lock:
            self.activities.insert(0, activity)
            del self.activities[KEPT_ACTIVITIES:]
        state.touch()

    def observe(self) -> None:
        """Find out what has become of the changes that are in progress."""
        with self.lock:
            for number, each in enumerate(self.activities):
                ended = self._outcome(each) if each.status == activities.IN_PROGRESS else None
                if ended is None:
                    continue
                self.activities[number] = ended
                history = self._histories.get((each.resource.dimension, each.resource.id))
                if history is not None and each.policy is not None:
                    history.end(each.policy, ended.status == activities.SUCCESSFUL, clock.now())
                state.touch()

    def _outcome(self, activity: ScalingActivity) -> ScalingActivity | None:
        """What an activity has become, or None while it is still in progress."""
        resource, now = scalable.look(self._region, activity.resource.id), time.time()
        if resource is None:
            return activity.failed("The resource does not exist.", now)
        if not resource.settled:
            return None
        if resource.failure is not None:
            return activity.failed(resource.failure, now)
        if resource.capacity != activity.wanted:
            return activity.overridden(resource.capacity, now)
        return activity.succeeded(now)


def resource_of(target: Any) -> ScalableResource:
    return ScalableResource(target.service_namespace, target.resource_id, target.scalable_dimension)


def limits_of(target: Any) -> CapacityLimits:
    return CapacityLimits(int(target.min_capacity), int(target.max_capacity))


def _key(target: Any) -> Key:
    return target.scalable_dimension, target.resource_id
