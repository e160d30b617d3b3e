"""`make plan`: show what `make apply` would change."""

from __future__ import annotations

from deploy import console, environment, settings
from deploy.build import package
from deploy.terraform import Stack


def main() -> int:
    env = environment.current()
    env.require_access()
    package.build(settings.endpoint_kind(env.tfvars))
    return Stack(env).plan()


if __name__ == "__main__":
    console.run(main)
