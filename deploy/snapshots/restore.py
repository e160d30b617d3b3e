"""Bring back a snapshot: check every byte of it, then put its folders in the place of those that are there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from deploy import console, environment, rehearsal_files
from deploy.console import Failure
from deploy.environment import Environment
from deploy.snapshots import contents, manifest, store, swap
from deploy.snapshots.manifest import Manifest
from deploy.snapshots.swap import Replacement
from localaws.__main__ import ask
from localaws.archives import ArchiveError, unpack_tar

UNPACKED, OLD = ".restored.part", ".replaced-{}.part"


def restore(env: Environment, name: str) -> Manifest:
    """Bring back a snapshot, with a confirmation if there is a state. Raises Failure, and changes nothing then."""
    described = require(env, store.file_of(env, name))
    unpacked = store.folder(env) / UNPACKED
    try:
        unpack(store.file_of(env, name), described, unpacked)
        if rehearsal_files.doomed(env):
            rehearsal_files.confirm(
                env,
                rehearsal_files.doomed(env),
                f"restore NAME={name}",
                f"puts the snapshot {described.name} in its place",
            )
        _put_in_place(env, unpacked)
    finally:
        if not (store.folder(env) / swap.JOURNAL).exists():
            shutil.rmtree(unpacked, ignore_errors=True)
    return described


def require(env: Environment, path: Path) -> Manifest:
    """The manifest of a snapshot that may be restored here. Raises Failure for any other."""
    if not path.exists():
        raise Failure(f"There is no snapshot {path}. To list those of this machine: {console.make('snapshots')}")
    described, own = manifest.read(path, store.folder(env))
    if not own:
        raise Failure(
            f"{path} was not made on this machine, or it was changed. A restored state runs programs as you, so it is "
            f"refused. To see what it is, without running anything: {console.make(f'snapshots NAME={path}')}\n"
            f"A snapshot of another machine of yours: copy the key of that machine ({store.folder(env) / 'key'}) here."
        )
    if described.place != store.place(env):
        raise Failure(f"{described.name} is a snapshot of {described.environment}. Restore it there, not in {env}.")
    manifest.require_readable(described)
    if described.port != environment.local_port():
        console.warn(
            f"The snapshot was made on port {described.port}, and addresses in it name that port. Restore it with "
            f"LOCALAWS_PORT={described.port}, or run {console.make('apply')} afterwards."
        )
    return described


def unpack(path: Path, described: Manifest, target: Path) -> None:
    """Unpack a snapshot whose signature is valid, and compare each file with the manifest. Raises Failure."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(mode=0o700)
    try:
        unpack_tar(path, target)
    except (ArchiveError, OSError) as error:
        raise Failure(f"{path} cannot be unpacked: {error}. Nothing was changed.") from None
    for name in (manifest.MANIFEST, manifest.SIGNATURE):
        (target / name).unlink()
    # Only what the signed manifest names: a folder more in the archive would take the place of one that is kept.
    there = {str(each.relative_to(target)): each for each in target.rglob("*")}
    folders = {name for name, each in there.items() if each.is_dir() and not each.is_symlink()}
    found = {name for name, each in there.items() if each.is_file() and not each.is_symlink()}
    differing = (
        (found ^ described.files.keys()) | (there.keys() - found - folders) | (folders - described.folders.keys())
    )
    for name, (size, mode, digest) in described.files.items():
        file = target / name
        if name in found and (file.stat().st_size != size or contents.digest(file) != digest):
            differing.add(name)
        elif name in found:
            file.chmod(mode)
    if differing:
        raise Failure(f"{path} is damaged ({sorted(differing)[0]} differs). Nothing was changed.")
    for name, mode in described.folders.items():
        (target / name).mkdir(parents=True, exist_ok=True)
        (target / name).chmod(mode | 0o700)
    for name, link in described.links.items():
        (target / name).symlink_to(link)


def _put_in_place(env: Environment, unpacked: Path) -> None:
    home, port = os.environ["LOCALAWS_HOME"], str(environment.local_port())
    ran = (ask(int(port)) or {}).get("home") == home
    replacements = [
        Replacement(str(place), str(new), str(unpacked.parent / OLD.format(place.name)))
        for place, new in _places(env, unpacked).items()
    ]
    with contents.terraform_locked(env):
        swap.stop_local_aws(home, port)
        swap.replace(unpacked.parent, replacements, home, port)
    if ran:
        swap.start_local_aws(home, port)


def _places(env: Environment, unpacked: Path) -> dict[Path, Path]:
    """What takes the place of each folder. A home that the snapshot does not have is empty afterwards: its stack is not
    in the local AWS that comes back."""
    names = set(contents.homes(env)) | {f"homes/{home.name}" for home in (unpacked / "homes").glob("*")}
    places = {env.home.parent / Path(name).name: unpacked / name for name in sorted(names)}
    local_aws, new = contents.local_aws(), unpacked / contents.LOCAL_AWS
    for folder in (new, *places.values()):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if local_aws.parent in places:  # that of the dress rehearsals is in one of the homes
        new.rename(places[local_aws.parent] / local_aws.name)
    else:
        places[local_aws] = new
    return places
