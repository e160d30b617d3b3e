"""`make backend`: create the bucket of the shared Terraform state, and move this machine's state into it."""

from __future__ import annotations

from deploy import backend, console, environment
from deploy.terraform import Stack


def main() -> None:
    env = environment.current()
    wanted = backend.require(env)
    env.require_access()
    identity = env.client("sts", wanted.region).get_caller_identity()
    partition = identity["Arn"].split(":")[1]
    backend.create_bucket(env.client("s3", wanted.region), wanted, identity["Account"], partition)
    Stack(env).migrate()
    console.done(
        f"The state of {env} is s3://{wanted.bucket}/{wanted.key}. Commit {env.tfvars.name}, so that all use it."
    )


if __name__ == "__main__":
    console.run(main)
