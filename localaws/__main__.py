"""Start and stop the local AWS: `python -m localaws up | down | restart | status | serve | operations | conformance`.

LOCALAWS_PORT (4566) and LOCALAWS_HOME (.local/localaws in the repository) say where. The log is `server.log` there.
"""

import argparse
import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from localaws import images
from localaws.context import ALREADY_RUNNING, REPOSITORY, configured_home, configured_port
from localaws.operations import SERVICES, table
from localaws.supervisor import Supervisor, start_time

START_SECONDS = 60
STOP_SECONDS = 60
POLL_SECONDS = 0.05


def ask(port: int) -> dict | None:
    """What answers on the port says of itself; {} for something else than a local AWS, None for nothing."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/_localaws/health")
        answer = json.loads(connection.getresponse().read())
        return answer if isinstance(answer, dict) and answer.get("service") == "localaws" else {}
    except ConnectionRefusedError:
        return None
    except (OSError, http.client.HTTPException, ValueError):
        return {}
    finally:
        connection.close()


def _running(home: Path) -> dict | None:
    """What the server on `home` has noted of itself, if one runs: pid, port."""
    try:
        record = json.loads((home / "server.json").read_text())
        return record if start_time(record["pid"]) == record["started"] else None
    except (FileNotFoundError, ValueError, TypeError, KeyError):  # none, or a damaged one
        return None


def up(home: Path, port: int) -> str:
    """Start the server if it does not run, and wait until it answers. Raises SystemExit with words."""
    found = ask(port)
    if found is not None:
        if found.get("home") == str(home):
            wanted = os.environ.get("LOCALAWS_ACCOUNT") or found.get("account")
            if wanted != found.get("account"):
                raise SystemExit(
                    f"The local AWS runs with LOCALAWS_ACCOUNT={found.get('account')}. Restart it to have {wanted}: "
                    "python -m localaws restart"
                )
            return f"The local AWS already runs on http://127.0.0.1:{port} (state in {home})."
        who = f"another local AWS, with its state in {found['home']}" if found else "another program"
        raise SystemExit(f"Port {port} is taken by {who}. Set LOCALAWS_PORT to a free port, or stop that program.")
    running = _running(home)
    if running is not None and running["port"] != port:
        raise SystemExit(
            f"A local AWS runs on {home}, but on port {running['port']}: stop it first, or set LOCALAWS_PORT to that."
        )
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = home / "server.log"
    with log.open("ab") as output:
        begin = output.tell()
        process = subprocess.Popen(
            [sys.executable, "-m", "localaws", "serve"],
            cwd=REPOSITORY,
            env={**os.environ, "LOCALAWS_HOME": str(home), "LOCALAWS_PORT": str(port)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if (found := ask(port)) and found.get("home") == str(home):
            return f"The local AWS answers on http://127.0.0.1:{port} (state in {home})."
        # One that found another server on the same state, not answering yet, leaves the waiting to this loop.
        if found is None and process.poll() not in (None, ALREADY_RUNNING):
            with log.open("rb") as text:
                text.seek(begin)
                said = text.read().decode(errors="replace").strip().splitlines()
            raise SystemExit(
                f"The local AWS did not start: {said[-1] if said else 'it printed no reason'}\n(log: {log})"
            )
        time.sleep(POLL_SECONDS)
    raise SystemExit(f"The local AWS did not answer within {START_SECONDS} s (log: {log}).")


def down(home: Path) -> str:
    """Stop the server and all that it started, in order if it still answers, by force if not."""
    running = _running(home)
    if running is not None:
        pid, started = running["pid"], running["started"]
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while start_time(pid) == started:
            if time.monotonic() > deadline:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(POLL_SECONDS)
    left = Supervisor(home).reap_leftovers() if home.exists() else []
    in_order = not (home / "server.json").exists()  # the server removes it after its last snapshot
    (home / "server.json").unlink(missing_ok=True)
    if running is not None and not in_order:
        raise SystemExit(_lost(home))
    if running is not None:
        return "The local AWS is stopped; its state is kept."
    return f"Ended what a crash had left: {', '.join(left)}." if left else "The local AWS does not run."


def _lost(home: Path) -> str:
    """What is left of the state when the server could not write its last snapshot."""
    try:
        saved = time.localtime((home / "state" / "backends.pickle").stat().st_mtime)
        kept = f"The state of {time.strftime('%Y-%m-%d %H:%M:%S', saved)} is kept."
    except OSError:
        kept = "No earlier state was saved."
    full = " The disk is full." if shutil.disk_usage(home).free < 1 << 20 else ""
    return f"The local AWS is stopped, but its last changes are lost.{full} {kept} (log: {home / 'server.log'})"


def status(home: Path, port: int) -> str:
    found = ask(port)
    if found and found.get("home") == str(home):
        first = f"The local AWS runs on http://127.0.0.1:{port} (process {found['pid']}, state in {home}), "
        first += f"with the limits of {found.get('account')} accounts."
        first += f" {found['trouble']}" if found.get("trouble") else ""
    else:
        first = f"The local AWS does not run (state in {home})."
    return "\n".join([first, *(f"Image {name}: {words}" for name, words in images.summary().items())])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m localaws", description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=["up", "down", "restart", "status", "serve", "operations", "conformance"])
    parser.add_argument("--target", choices=["local", "aws"], default="local", help="conformance: what is asked")
    only = "conformance --target aws: only this service"
    parser.add_argument("--service", action="append", default=[], choices=SERVICES, help=only)
    parser.add_argument("--record", type=Path, default=Path("aws-answers.jsonl"), help="where its answers are written")
    arguments = parser.parse_args()
    command = arguments.command
    home, port = configured_home(), configured_port()
    if command == "serve":
        from localaws.server import serve  # imports moto, which the other commands do not need

        serve()
        return
    if command == "operations":
        print(table())
    if command == "conformance":
        from localaws.conformance import against, run

        to_aws = arguments.target == "aws"
        print(against.report(arguments.record, arguments.service) if to_aws else run.report())
    if command in ("down", "restart"):
        print(down(home))
    if command in ("up", "restart"):
        print(up(home, port))
    if command == "status":
        print(status(home, port))


if __name__ == "__main__":
    main()
