"""`make url`: print the function URL."""

from __future__ import annotations

from deploy import console, environment
from deploy.terraform import Stack


def main() -> None:
    print(Stack(environment.current()).require_deployment().function_url)


if __name__ == "__main__":
    console.run(main)
