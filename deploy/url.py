"""Print the function URL, or a curl line that asks it.

python -m deploy.url [--curl [--image FILE] [--run]]
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

from deploy import console, environment
from deploy.console import Failure
from deploy.environment import Environment
from deploy.predict import payload, sample_image
from deploy.stack import Stack

# The header of temporary credentials, and nothing for those of a user: curl signs an empty header but does not send it,
# and AWS refuses that (IncompleteSignature). It is one word, "-HName: value": zsh does not split what it expands.
IF_TEMPORARY = '${AWS_SESSION_TOKEN:+"-HX-Amz-Security-Token: $AWS_SESSION_TOKEN"}'


def curl_line(env: Environment, outputs: dict, image: Path) -> str:
    """A command that can be pasted into a shell: it signs the request where the URL asks for AWS_IAM."""
    parts = ["curl -sS"]
    if outputs["predictor_auth_type"] == "AWS_IAM":
        parts.append(f"--aws-sigv4 aws:amz:{outputs['region']}:lambda")
        if env.rehearsed:
            parts.append("--user test:test")
        else:
            parts += ['--user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY"', IF_TEMPORARY]
    _, content_type = payload(str(image))
    shown = image.relative_to(Path.cwd()) if image.is_relative_to(Path.cwd()) else image
    parts += [
        f"-H 'Content-Type: {content_type}'",
        f"--data-binary {shlex.quote(f'@{shown}')}",
        outputs["function_url"],
    ]
    return " ".join(parts)


def main() -> int:
    parser = console.Parser(description="The function URL.")
    parser.add_argument("--curl", action="store_true", help="print a curl line instead")
    parser.add_argument("--image", type=Path, help="the file that the curl line sends")
    parser.add_argument("--run", action="store_true", help="run the curl line too")
    arguments = parser.parse_args()
    env = environment.current()
    outputs = Stack(env).require_outputs()
    if not arguments.curl:
        print(outputs["function_url"])
        return 0
    image = arguments.image or sample_image()
    if not image.is_file():
        raise Failure(f"There is no file {image}.")
    line = curl_line(env, outputs, image)
    print(line)
    if not env.rehearsed and outputs["predictor_auth_type"] == "AWS_IAM":
        export = 'eval "$(aws configure export-credentials --format env)"'
        print(f"# the line reads your credentials from the environment: {export}", file=sys.stderr)
    if not arguments.run:
        return 0
    sys.stdout.flush()
    code = subprocess.run(["/bin/sh", "-c", line]).returncode
    print()
    return code


if __name__ == "__main__":
    console.run(main)
