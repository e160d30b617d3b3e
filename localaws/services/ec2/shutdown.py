"""`shutdown` on a local instance: asks the local AWS to stop the instance, now or in some minutes.

Called by the shim in the instance's `sbin` with the address to ask, then with `shutdown`'s own arguments:
`-h` (the default), `-P`, `-H`; `now` or `+MINUTES` (default +1); `-c` to cancel. Standard library only.
"""

import re
import sys
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta


def parse(arguments: list[str]) -> float | None:
    """Minutes until the instance stops; None to cancel. Raises ValueError for what is not supported here."""
    options = {argument for argument in arguments if argument.startswith("-")}
    if unknown := sorted(options - {"-c", "-h", "-P", "-H"}):
        raise ValueError(f"{unknown[0]} is not supported on a local instance, only -h, -P, -H and -c")
    if "-c" in options:
        return None
    when = next((argument for argument in arguments if argument not in options), "+1")
    if when == "now":
        return 0.0
    if not re.fullmatch(r"\+?\d+", when):
        raise ValueError(f"{when!r} is not a time that a local instance knows: now or +MINUTES")
    return float(when)


def main(address: str, arguments: list[str]) -> int:
    try:
        minutes = parse(arguments)
    except ValueError as error:
        print(f"shutdown: {error}", file=sys.stderr)
        return 1
    body = b"cancel" if minutes is None else str(minutes).encode()
    request = urllib.request.Request(address, body, {"Content-Type": "text/plain"})  # noqa: S310 the local AWS
    try:
        urllib.request.urlopen(request, timeout=30).close()  # noqa: S310
    except (urllib.error.URLError, ConnectionError) as error:
        print(f"shutdown: the local AWS does not answer on {address}: {error}", file=sys.stderr)
        return 1
    if minutes:
        moment = datetime.now(UTC) + timedelta(minutes=minutes)
        print(
            f"Shutdown scheduled for {moment:%a %Y-%m-%d %H:%M:%S} UTC, use 'shutdown -c' to cancel.", file=sys.stderr
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
