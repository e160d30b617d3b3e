"""`make snapshot`: save the state of the rehearsal, with its files and its Terraform state, under a name."""

from __future__ import annotations

from deploy import console, environment
from deploy.snapshots import store


def main() -> None:
    parser = console.Parser(prog="snapshot")
    parser.add_argument("--name", required=True, help="the name of the snapshot")
    name = parser.parse_args().name
    env = environment.current()
    env.require_rehearsal("cannot be saved in a file")
    with store.exclusive(env):
        path = store.take(env, name)
    console.done(
        f"{path} ({path.stat().st_size / 1e6:,.1f} MB). It has your photographs, models and logs: think of that before "
        f"you send it to somebody.\n  Bring it back: {console.make(f'restore NAME={name}')}"
    )


if __name__ == "__main__":
    console.run(main)
