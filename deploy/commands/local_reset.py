"""`make local-reset`: stop the local AWS and delete the rehearsal's state, datasets and models included."""

from __future__ import annotations

import shutil
import subprocess
import sys

from deploy import console, environment
from deploy.console import Failure
from deploy.rehearsal_files import confirm, doomed


def main() -> None:
    env = environment.current()
    env.require_rehearsal(f"has no local state. To delete the deployment: {console.make('destroy')}")
    paths = doomed(env)
    if not paths:
        console.done(f"There is nothing to delete for {env}.")
        return
    confirm(env, paths, "local-reset")
    down = subprocess.run([sys.executable, "-m", "localaws", "down"], capture_output=True, text=True)
    if down.returncode:
        raise Failure(f"The local AWS could not be stopped. Nothing was deleted. {down.stderr[-500:]}".strip())
    for path in paths:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
    console.done(f"The rehearsal is empty. Start again: {console.make('up')}")


if __name__ == "__main__":
    console.run(main)
