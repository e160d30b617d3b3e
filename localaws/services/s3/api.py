"""S3's bytes on disk: each object's content in a file named by its hash, moto's key holding only the name.

moto keeps small objects in memory, larger ones in temporary files, and pickles all of them. Here the state names
each content, memory does not grow with the bucket, and equal contents are kept once.
"""

import hashlib
import io
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from moto.core.responses import ActionResult
from moto.s3 import models, responses
from moto.s3.models import s3_backends
from moto.s3.utils import _VersionedKeyStore

from localaws import files, state
from localaws.context import ACCOUNT_ID, context

_unsynced: set[Path] = set()  # written, but perhaps not on the disk yet
_writing = threading.Lock()  # two requests may store the same content at once


class StoredKey(models.FakeKey):
    """An object, or a part of one, whose bytes are in `home/s3`."""

    @property
    def path(self) -> Path:
        return _path_of(self._digest)

    @property
    def value(self) -> bytes:
        return self.path.read_bytes()

    @value.setter
    def value(self, content: bytes | str) -> None:
        content = content.encode() if isinstance(content, str) else content
        self._digest = hashlib.sha256(content).hexdigest()
        self.contentsize = len(content)
        if self._etag is None:
            self._etag = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if not self.path.exists() or self.path.stat().st_size != len(content):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with _writing:
                files.write_whole(self.path, content, sync=False)
            _unsynced.add(self.path)

    @property
    def _value_buffer(self) -> io.BytesIO:
        """moto closes its buffer when a key is disposed of; the bytes here stay until the next start."""
        return io.BytesIO()

    @_value_buffer.setter
    def _value_buffer(self, _buffer: Any) -> None:
        pass

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "lock"}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        self.__dict__.update(kept)
        self.lock = threading.Lock()


def objects(bucket: str, prefix: str) -> Iterator[StoredKey]:
    """The current objects under a prefix, in the order of their names. Raises KeyError for an unknown bucket."""
    backend = s3_backends[ACCOUNT_ID]["aws"]
    for name, key in sorted(backend.buckets[bucket].keys.items()):
        if name.startswith(prefix) and isinstance(key, StoredKey):
            yield key


def fetch(key: StoredKey, target: Path) -> None:
    """Copy an object to a file, as a container's download would, without passing through the server."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(key.path, target)


def _bring_to_disk() -> None:
    """The contents first, then the snapshot that names them."""
    while _unsynced:
        path = _unsynced.pop()
        try:
            files.sync_to_disk(path)
            files.sync_to_disk(path.parent)
        except FileNotFoundError:
            continue
        except OSError:
            _unsynced.add(path)
            raise


def _path_of(digest: str) -> Path:
    return context().home / "s3" / digest[:2] / digest


def _sweep() -> None:
    """Remove the files that no object of the restored state names: deleted objects, and uploads never completed."""
    wanted = set()
    for backend in s3_backends[ACCOUNT_ID].values():
        for bucket in backend.buckets.values():
            keys = [key for _, versions in bucket.keys.lists() for key in versions]
            parts = [part for upload in bucket.multiparts.values() for part in upload.parts.values()]
            parts += [part for key in keys if getattr(key, "multipart", None) for part in key.multipart.parts.values()]
            wanted |= {key._digest for key in [*keys, *parts] if isinstance(key, StoredKey)}
    for file in (context().home / "s3").glob("??/*"):
        if file.name not in wanted:
            file.unlink()


def _all_versions(store: _VersionedKeyStore) -> tuple:
    """How a bucket's keys are pickled: with every version, of which moto's own `items` shows only the last."""
    return _restored_store, (dict(store.lists()),)


def _restored_store(versions: dict[str, list]) -> _VersionedKeyStore:
    store = _VersionedKeyStore()
    for name, keys in versions.items():
        store.setlist(name, keys)
    return store


def _dispose(_marker: models.FakeDeleteMarker, *_given: Any) -> None:
    """A delete marker has no bytes. moto forgets that it may stand among the versions that it disposes of."""


_serialized = responses.S3Response.serialized


def _serialized_with_encoded_names(response: responses.S3Response, answer: ActionResult) -> Any:
    """Encode the names in a listing of versions where the client asked for that; moto does it for the others only.

    Without it a client that decodes them, as Terraform's provider does to empty a bucket, gets other names.
    """
    encoding = response.querystring.get("encoding-type", [None])[0]
    listing = answer.result
    if isinstance(listing, dict) and response.data.get("Action") == "ListObjectVersions" and encoding == "url":
        for entries, name in (("Versions", "Key"), ("DeleteMarkers", "Key"), ("CommonPrefixes", "Prefix")):
            for entry in listing.get(entries, []):
                entry[name] = quote(entry[name])
        for name in ("Prefix", "Delimiter", "KeyMarker", "NextKeyMarker"):
            if listing.get(name):
                listing[name] = quote(listing[name])
        listing["EncodingType"] = encoding
    return _serialized(response, answer)


def install() -> None:
    responses.S3Response.serialized = _serialized_with_encoded_names
    models.FakeDeleteMarker.dispose = _dispose
    state.pickle_with(_VersionedKeyStore, _all_versions)
    models.FakeKey = responses.FakeKey = StoredKey
    state.register("s3", restore=_sweep)
    state.before_saving(_bring_to_disk)
