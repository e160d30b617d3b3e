"""`make snapshots`: list the snapshots of this machine, or show what a file is without running anything of it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from deploy import console, environment
from deploy.console import Failure
from deploy.environment import Environment
from deploy.snapshots import manifest, store
from deploy.snapshots.manifest import shown


def row(env: Environment, path: Path) -> tuple[str, ...]:
    """Name, size, date and details of one file."""
    found = path.stat()
    size, name = f"{found.st_size / 1e6:,.1f} MB", path.name.removesuffix(store.SUFFIX)
    try:
        described, own = manifest.read(path, store.folder(env))
    except Failure as failure:
        changed = datetime.fromtimestamp(found.st_mtime, UTC)
        return name, size, f"{changed:%Y-%m-%d %H:%M:%S}", escape(shown(failure))
    wrote = described.state or {}
    details = [
        described.environment,
        described.summary,
        f"{len(described.files):,} files",
        f"moto {wrote.get('moto')}, format {wrote.get('format')}, commit {described.commit}",
        "" if own else "not made on this machine, or changed: it is not restored",
    ]
    return name, size, shown(described.created), "; ".join(escape(shown(each)) for each in details if each)


def main() -> None:
    parser = console.Parser(prog="snapshots")
    parser.add_argument("--name", help="show one snapshot only: its name, or a file")
    name = parser.parse_args().name
    env = environment.current()
    env.require_rehearsal("has no snapshots")
    paths = [store.file_of(env, name)] if name else store.listed(env)
    if name and not paths[0].exists():
        raise Failure(f"There is no snapshot {paths[0]}. To list them: {console.make('snapshots')}")
    if not paths:
        console.done(f"There are no snapshots. Take one: {console.make('snapshot NAME=first')}")
        return
    table = Table("name", "size", "date (UTC)", title=f"Snapshots in {store.folder(env)}", title_justify="left")
    table.add_column("details", overflow="fold")
    for path in paths:
        table.add_row(*row(env, path))
    console.show(table)


if __name__ == "__main__":
    console.run(main)
