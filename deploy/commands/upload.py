"""`make upload`: upload the packaged payloads to the artifacts bucket."""

from __future__ import annotations

from deploy import console, environment
from deploy.build.upload import upload
from deploy.terraform import Stack


def main() -> None:
    for payload, uri in upload(Stack(environment.current()).require_deployment()).items():
        console.out.print(f"  {payload:<10} {uri}")


if __name__ == "__main__":
    console.run(main)
