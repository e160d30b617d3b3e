"""`make status`: one screen about the deployment, with what to do next."""

from __future__ import annotations

from deploy import console, environment
from deploy.console import Failure
from deploy.environment import Environment
from deploy.terraform import Stack
from deploy.watching import screen
from localaws import images


def image_lines(env: Environment) -> list[str]:
    """In a rehearsal, the local replacement of each of AWS's images; on AWS, nothing."""
    if not env.rehearsed:
        return []
    return [f"{name}: {words}" for name, words in images.summary().items()]


def chaos_lines(env: Environment) -> list[str]:
    """In a rehearsal, the rules by which the local AWS makes faults, and the way out."""
    if not env.rehearsed:
        return []
    rules = environment.ask_local_aws("health").get("chaos", [])
    return [f"Chaos is on: {'; '.join(rules)}. To end it: {console.make('chaos CLEAR=1')}"] if rules else []


def main() -> None:
    env = environment.current()
    deployment = Stack(env).deployment()
    if not deployment.has("name", "region"):
        raise Failure(f"Nothing is deployed in {env}. Deploy it first: {console.make('apply')}")
    env.require_own_local_aws()
    console.show(screen.table(screen.look(deployment)))
    for line in image_lines(env):
        console.out.print(f"  image    {line}", markup=False)
    for line in chaos_lines(env):
        console.warn(line)


if __name__ == "__main__":
    console.run(main)
