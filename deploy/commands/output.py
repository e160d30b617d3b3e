"""`make output`: print the outputs of the stack as JSON."""

from __future__ import annotations

import json

from deploy import console, environment
from deploy.terraform import Stack


def main() -> None:
    print(json.dumps(Stack(environment.current()).require_deployment().outputs, indent=2))


if __name__ == "__main__":
    console.run(main)
