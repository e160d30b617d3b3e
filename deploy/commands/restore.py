"""`make restore`: replace the state of the rehearsal by a snapshot of this machine."""

from __future__ import annotations

from deploy import console, environment
from deploy.snapshots import restore, store


def main() -> None:
    parser = console.Parser(prog="restore")
    parser.add_argument("--name", required=True, help="the name of the snapshot, or its file")
    name = parser.parse_args().name
    env = environment.current()
    env.require_rehearsal("cannot be restored")
    with store.exclusive(env):
        described = restore.restore(env, name)
    console.done(
        f"The rehearsal is as it was at {described.created} UTC. Its containers start now. "
        f"Its parts: {console.make('status')}"
    )


if __name__ == "__main__":
    console.run(main)
