"""Functions that wait until the test lets them go, so that how many run at once is the test's to decide."""

import io
import json
import socket
import threading
import zipfile
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import pytest
from botocore.exceptions import ClientError

CODE = """
import json, os, socket
WORD = "%s"
LOADED = os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]
print("imported")
def handler(event, context):
    if event.get("exit"):
        os._exit(3)
    if event.get("fail"):
        raise ValueError("no such breed")
    me = {"pid": os.getpid(), "type": LOADED, "word": WORD, "version": context.function_version}
    if "gate" in event:
        with socket.create_connection(("127.0.0.1", event["gate"])) as link:
            link.sendall(json.dumps(me).encode() + b"\\n")
            link.recv(1)
    return me
"""


def package(code: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("handler.py"), code)  # the same bytes at any time
    return buffer.getvalue()


class Gate:
    """Where the functions report, and wait. `entered` is what each that has come said of itself."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.entered: list[dict] = []
        self._links: list[socket.socket] = []
        self._open = False
        threading.Thread(target=self._accept, daemon=True).start()

    def open(self) -> None:
        """Let those go that wait, and those that are still to come."""
        self._open = True
        for link in self._links:
            link.close()

    def close(self) -> None:
        self.open()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                link, _ = self._listener.accept()
                said = link.makefile("rb").readline()
                self._links.append(link)
                self.entered.append(json.loads(said))
                if self._open:
                    link.close()


class Function:
    """A function on a local AWS; each call of the API has its name."""

    def __init__(self, server, name: str, word: str = "one", code: str = CODE, **settings):
        self.server = server
        self.name = name
        self.client = server.client("lambda")
        self.client.create_function(
            FunctionName=name,
            Role="arn:aws:iam::123456789012:role/lambda",
            Handler="handler.handler",
            Code={"ZipFile": package(code % word)},
            **{"Runtime": "python3.13", "Timeout": 300, **settings},
        )

    def call(self, operation: str, **arguments) -> dict:
        return getattr(self.client, operation)(FunctionName=self.name, **arguments)

    def update(self, code: str) -> str:
        """Publish other code; gives the version."""
        self.call("update_function_code", ZipFile=package(code))
        return self.call("publish_version")["Version"]

    def live(self) -> "Function":
        """Publish, and have the alias `live` point to it."""
        version = self.call("publish_version")["Version"]
        self.call("create_alias", Name="live", FunctionVersion=version)
        return self

    def invoke(self, event: dict | None = None, **arguments) -> dict:
        answer = self.call("invoke", Payload=json.dumps(event or {}), **arguments)
        return json.loads(answer["Payload"].read())

    def provision(self, count: int, qualifier: str = "live") -> dict:
        arguments = {"Qualifier": qualifier, "ProvisionedConcurrentExecutions": count}
        return self.call("put_provisioned_concurrency_config", **arguments)

    def provisioned(self, qualifier: str = "live") -> dict:
        return self.call("get_provisioned_concurrency_config", Qualifier=qualifier)

    def ready(self, wait_until: Callable, qualifier: str = "live") -> dict:
        """Wait until its provisioned concurrency is settled: READY or FAILED."""
        wait_until(lambda: self.provisioned(qualifier)["Status"] != "IN_PROGRESS", "the environments are started")
        return self.provisioned(qualifier)

    def pids(self) -> list[int]:
        """Its processes that run."""
        record = json.loads((self.server.home / "processes.json").read_text())
        return [entry["pid"] for entry in record if entry["owner"] == f"lambda/{self.name}"]


class Burst:
    """Requests sent at once. Those that are let in wait at the gate."""

    def __init__(self, function: Function, gate: Gate, count: int, **arguments):
        self.gate = gate
        self.before = len(gate.entered)
        self._pool = ThreadPoolExecutor(count)
        client = function.server.client("lambda")
        client.meta.config  # noqa: B018 made here: making clients is not safe in threads
        self._futures = [self._pool.submit(self._send, client, function.name, arguments) for _ in range(count)]

    def _send(self, client, name: str, arguments: dict) -> dict:
        payload = json.dumps({"gate": self.gate.port})
        return json.loads(client.invoke(FunctionName=name, Payload=payload, **arguments)["Payload"].read())

    def settle(self, wait_until: Callable) -> tuple[list[dict], list[dict]]:
        """Wait until each request is either at the gate or refused; what those said, and these answers."""
        wait_until(lambda: len(self.entered) + len(self.refused) == len(self._futures), "all are in or refused")
        return self.entered, [error.response for error in self.refused]

    @property
    def entered(self) -> list[dict]:
        return self.gate.entered[self.before :]

    @property
    def refused(self) -> list[ClientError]:
        return [each.exception() for each in self._futures if each.done() and each.exception()]

    def results(self) -> list[dict]:
        """What the requests came to that were let in: the gate must be open."""
        done: list[Future] = [each for each in self._futures if not (each.done() and each.exception())]
        found = [each.result(60) for each in done]
        self._pool.shutdown()
        return found


def refusal(call, *arguments, **settings) -> tuple[str, str]:
    """(code, message) of the error that a client's call must end with."""
    with pytest.raises(ClientError) as caught:
        call(*arguments, **settings)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]
