"""Control a headless Chromium with its DevTools protocol: pages, files, keys and the content of the screen."""

import base64
import http.client
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import websocket

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WAIT = 120.0


def find() -> str | None:
    """The browser's program, from $CHROMIUM or the PATH."""
    return os.environ.get("CHROMIUM") or next((path for name in NAMES if (path := shutil.which(name))), None)


def until(condition: Callable[[], object], what: str) -> object:
    deadline = time.monotonic() + WAIT
    while not (value := condition()):
        assert time.monotonic() < deadline, f"after {WAIT:.0f} s, not yet: {what}"
        time.sleep(0.02)
    return value


class Browser:
    """The process. Its pages are isolated from each other."""

    def __init__(self, program: str, profile: Path):
        argv = [program, "--headless=new", "--remote-debugging-port=0", f"--user-data-dir={profile}"]
        argv += ["--no-sandbox", "--no-first-run", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
        argv += [
            "--disable-background-networking",
            "--disable-component-update",
            "--host-resolver-rules=MAP * 127.0.0.1",
        ]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen([*argv, "about:blank"], **quiet)
        port_file = profile / "DevToolsActivePort"
        until(lambda: port_file.exists() and port_file.read_text().count("\n"), "the browser listens")
        self._port = int(port_file.read_text().split()[0])

    def page(self, address: str, width: int = 1100, height: int = 850, mobile: bool = False) -> "Page":
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=WAIT)
        connection.request("PUT", "/json/new?about:blank")
        socket = json.loads(connection.getresponse().read())["webSocketDebuggerUrl"]
        connection.close()
        page = Page(socket)
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
        page.call("Emulation.setDeviceMetricsOverride", **metrics)
        if mobile:
            page.call("Emulation.setTouchEmulationEnabled", enabled=True)
        page.open(address)
        return page

    def close(self) -> None:
        self._process.kill()  # a normal end sometimes takes half a minute
        self._process.wait(WAIT)


class Page:
    """One tab. `complaints` has its exceptions, violations of its policy and error messages."""

    def __init__(self, address: str):
        self._socket = websocket.create_connection(address, timeout=WAIT, suppress_origin=True)
        self._number = 0
        self._events: list[dict] = []
        self.complaints: list[str] = []
        for domain in ("Page", "Runtime", "Log", "DOM"):
            self.call(f"{domain}.enable")
        self.call("Page.setLifecycleEventsEnabled", enabled=True)

    def call(self, method: str, **parameters) -> dict:
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            said = self._receive()
            if said.get("id") == self._number:
                assert "error" not in said, f"{method}: {said['error']}"
                return said["result"]

    def event(self, method: str) -> dict:
        """The next event of a kind, including earlier events."""
        while True:
            for each in self._events:
                if each["method"] == method:
                    self._events.remove(each)
                    return each["params"]
            self._receive()

    def open(self, address: str) -> None:
        loader = self.call("Page.navigate", url=address)["loaderId"]
        while (seen := self.event("Page.lifecycleEvent"))["loaderId"] != loader or seen["name"] != "load":
            pass  # the load event of the empty page may come this late

    def js(self, expression: str) -> object:
        """The value of an expression as JSON."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, expression: str) -> object:
        return until(lambda: self.js(expression), expression)

    def click(self, selector: str) -> None:
        x, y = self.middle(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str) -> None:
        """Press Tab, Enter or Space."""
        code, number, text = {"Tab": ("Tab", 9, ""), "Enter": ("Enter", 13, "\r"), "Space": ("Space", 32, " ")}[key]
        key_event = {"key": " " if key == "Space" else key, "code": code, "windowsVirtualKeyCode": number}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **key_event)
        self.call("Input.dispatchKeyEvent", type="keyUp", **key_event)

    def choosing(self, open_chooser: Callable[[], None], file: Path) -> None:
        """Choose a file in the dialog that `open_chooser` opens."""
        self.call("Page.setInterceptFileChooserDialog", enabled=True)
        open_chooser()
        node = self.event("Page.fileChooserOpened")["backendNodeId"]
        self.call("DOM.setFileInputFiles", files=[str(file)], backendNodeId=node)

    def drop(self, file: Path, selector: str) -> None:
        x, y = self.middle(selector)
        data = {"items": [], "files": [str(file)], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.call("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)

    def middle(self, selector: str) -> tuple[float, float]:
        """The middle of an element on the screen. Scrolls to it if necessary."""
        found = f"document.querySelector({json.dumps(selector)})"
        self.js(f"{found}.scrollIntoView({{block: 'nearest'}})")
        x, y = self.js(f"(r => [r.x + r.width / 2, r.y + r.height / 2])({found}.getBoundingClientRect())")
        return x, y

    def screenshot(self, path: Path, whole: bool = True) -> None:
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))

    def close(self) -> None:
        self._socket.close()

    def _receive(self) -> dict:
        said = json.loads(self._socket.recv())
        match said.get("method"):
            case None:
                return said
            case "Runtime.exceptionThrown":
                self.complaints.append(said["params"]["exceptionDetails"]["text"])
            case "Log.entryAdded" if said["params"]["entry"]["level"] == "error":
                self.complaints.append(said["params"]["entry"]["text"])
        self._events.append(said)
        return said
