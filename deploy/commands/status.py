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


def main() -> None:
    env = environment.current()
    deployment = Stack(env).deployment()
    if not deployment.has("name", "region"):
        raise Failure(f"Nothing is deployed in {env}. Deploy it first: {console.make('apply')}")
    env.require_own_local_aws()
    console.show(screen.table(screen.look(deployment)))
    for line in image_lines(env):
        console.out.print(f"  image    {line}", markup=False)


if __name__ == "__main__":
    console.run(main)
