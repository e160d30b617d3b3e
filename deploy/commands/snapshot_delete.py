"""`make snapshot-delete`: delete a snapshot."""

from __future__ import annotations

from deploy import console, environment
from deploy.snapshots import store


def main() -> None:
    parser = console.Parser(prog="snapshot-delete")
    parser.add_argument("--name", required=True, help="the name of the snapshot")
    name = parser.parse_args().name
    env = environment.current()
    env.require_rehearsal("has no snapshots")
    with store.exclusive(env):
        store.delete(env, name)
    console.done(f"The snapshot {name} is deleted.")


if __name__ == "__main__":
    console.run(main)
