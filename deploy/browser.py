"""Open an address in the browser of this machine."""

from __future__ import annotations

import os
import subprocess
import sys


def open_in_browser(address: str) -> bool:
    """Hand an address to the system's browser, if it has one that would open a window; whether it was handed over.

    The browser runs in a process of its own: nothing here waits for it or fails with it.
    """
    graphical = sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if not graphical and not os.environ.get("BROWSER"):  # webbrowser would take a text browser, and this terminal
        return False
    subprocess.Popen(
        [sys.executable, "-m", "webbrowser", address],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    return True
