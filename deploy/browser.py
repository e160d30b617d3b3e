"""Open an address in the browser of this machine."""

from __future__ import annotations

import os
import subprocess
import sys


def open_in_browser(address: str) -> bool:
    """Open an address in a graphical browser. Returns whether the system has one.

    The browser runs in its own process: this program neither waits for it nor fails with it.
    """
    graphical = sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if not graphical and not os.environ.get("BROWSER"):  # webbrowser would open a text browser in this terminal
        return False
    subprocess.Popen(
        [sys.executable, "-m", "webbrowser", address],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    return True
