"""Stop this SageMaker notebook instance once nothing has run in it for a while.

    stop_when_idle.py NOTEBOOK REGION MINUTES

Asks the Jupyter server of the instance for its kernels and terminals. A busy kernel keeps the instance running, and so
does one, or a terminal, whose last activity is younger than MINUTES; with neither, the time since the instance started
counts. A server that does not answer runs nothing; one that answers with an error is not understood, so nothing is
stopped. Runs under the platform's own Python, which may be as old as 3.7, with its standard library only.
"""

import calendar
import http.client
import json
import ssl
import subprocess
import sys
import time
from pathlib import Path

SERVER = ("localhost", 8443)


def ask(path):
    """The JSON that the Jupyter server answers to a GET of `path`, or an empty list where no server listens."""
    # The server's certificate is its own and names no host; the connection does not leave the instance.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPSConnection(*SERVER, timeout=10, context=context)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
    except OSError:
        return []
    finally:
        connection.close()
    if response.status != 200:
        sys.exit(f"Jupyter answered {response.status} to {path}: not known whether the notebook is idle.")
    return json.loads(body)


def idle_seconds(kernels, terminals, uptime, now):
    """Seconds since anything last ran, 0 while a kernel is busy. `now` is Unix time, `uptime` is in seconds."""
    if any(kernel["execution_state"] == "busy" for kernel in kernels):
        return 0.0
    last = [
        calendar.timegm(time.strptime(one["last_activity"], "%Y-%m-%dT%H:%M:%S.%fZ")) for one in kernels + terminals
    ]
    return now - max([*last, now - uptime])


def main(notebook, region, minutes):
    """Stop the instance through SageMaker if it has been idle for `minutes`."""
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    idle = idle_seconds(ask("/api/kernels"), ask("/api/terminals"), uptime, time.time())
    if idle >= 60 * float(minutes):
        print(f"Idle for {idle / 60:.0f} minutes: stopping {notebook}.")
        command = ["aws", "sagemaker", "stop-notebook-instance", "--region", region]
        subprocess.run([*command, "--notebook-instance-name", notebook], check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
