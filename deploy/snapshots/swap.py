"""Put other folders in the place of those of a rehearsal: all of them, or none.

A journal on the disk names the renames before the first one. Each of them can be done again, so a restore that was
killed in the middle is finished by the next command that works on snapshots.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from deploy import console
from deploy.console import Failure
from deploy.snapshots import contents
from localaws import files

JOURNAL = "restoring.json"


@dataclass(frozen=True)
class Replacement:
    """A folder, what takes its place, and where it is until it is deleted."""

    place: str
    new: str
    old: str


def replace(folder: Path, replacements: list[Replacement], home: str, port: str) -> None:
    """Put the new folders in their places and delete the old ones. The local AWS of `home` must be stopped."""
    journal = {"home": home, "port": port, "replacements": [asdict(each) for each in replacements]}
    files.write_whole(folder / JOURNAL, json.dumps(journal))
    _finish(folder, replacements)


def recover(folder: Path) -> None:
    """Finish a restore that was interrupted. Raises Failure if the local AWS cannot be stopped for it."""
    try:
        journal = json.loads((folder / JOURNAL).read_text())
    except FileNotFoundError:
        return
    console.warn("A restore was interrupted. It is finished first.")
    stop_local_aws(journal["home"], journal["port"])
    _finish(folder, [Replacement(**each) for each in journal["replacements"]])


def _finish(folder: Path, replacements: list[Replacement]) -> None:
    for each in replacements:
        place, new, old = Path(each.place), Path(each.new), Path(each.old)
        if new.exists():
            if place.exists():
                place.rename(old)
            new.rename(place)
        for name in contents.KEPT:
            if (old / name).exists() and not (place / name).exists():
                (old / name).rename(place / name)
    (folder / JOURNAL).unlink()
    for each in replacements:
        shutil.rmtree(each.old, ignore_errors=True)


def stop_local_aws(home: str, port: str) -> None:
    """Stop the local AWS of a home, if it runs. Raises Failure."""
    environment = {"LOCALAWS_HOME": home, "LOCALAWS_PORT": port}
    _local_aws("down", environment, "The local AWS could not be stopped. Nothing was changed.")


def start_local_aws(home: str, port: str) -> None:
    """Start the local AWS of a home. Raises Failure."""
    environment = {"LOCALAWS_HOME": home, "LOCALAWS_PORT": port}
    _local_aws("up", environment, f"The local AWS could not be started. To try again: {console.make('local-up')}.")


def _local_aws(command: str, variables: dict[str, str], problem: str) -> None:
    argv = [sys.executable, "-m", "localaws", command]
    ran = subprocess.run(argv, env={**os.environ, **variables}, capture_output=True, text=True)
    if ran.returncode:
        raise Failure(f"{problem} {ran.stderr[-500:]}".strip())
