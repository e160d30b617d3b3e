"""What the local AWS remembers: moto's backends, pickled to `home/state`, so that a restart loses nothing.

A snapshot is one file, written aside and renamed, a moment after anything changed and at a graceful stop. Object
bytes are not in it (see `localaws.services.s3.api`). It is read back only by the moto version and the format that wrote
it, and only from the state directory, which nobody else may write.

The space for the next snapshot is reserved, so a change that was answered still fits on a disk that has become full.
When no space can be reserved, `trouble()` has the reason, and the server refuses further changes until there is space.
"""

import contextlib
import copyreg
import hashlib
import io
import logging
import pickle
import threading
import time
import weakref
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import moto
from moto.backends import get_backend
from moto.core.base_backend import AccountSpecificBackend, BackendDict

from localaws import files
from localaws.context import context
from localaws.operations import SERVICES

FORMAT = 5  # rises with every move or rename of a class or an attribute that is pickled
DEBOUNCE_SECONDS = 1.0
ATTEMPTS = 20
RESERVED_BYTES = 1 << 20  # for what changes until the next snapshot; larger changes are saved before their answer
TRY_AGAIN_SECONDS = 1.0  # between two attempts to write when the last one failed

log = logging.getLogger(__name__)


class StateError(Exception):
    """The state directory cannot be used; the message names the way out."""


_hooks: dict[str, tuple[Callable[[], None] | None, Callable[[], None] | None]] = {}
_dirty = threading.Event()
_closing = threading.Event()
_write_lock = threading.Lock()
_last_digest: str | None = None
_trouble: OSError | None = None
_tried = 0.0
_before_saving: list[Callable[[], None]] = []


def register(name: str, restore: Callable[[], None] | None = None, stop: Callable[[], None] | None = None) -> None:
    """Have `restore()` called once the backends are loaded at start, and `stop()` before the last snapshot."""
    _hooks[name] = (restore, stop)


def pickle_with(kind: type, reduce: Callable[[Any], tuple]) -> None:
    """Have objects of exactly this type pickled by `reduce`, as in `copyreg`."""
    _StatePickler.dispatch_table[kind] = reduce


def before_saving(bring: Callable[[], None]) -> None:
    """Have `bring()` called before each snapshot: it brings to the disk what the snapshot names. May raise OSError."""
    if bring not in _before_saving:
        _before_saving.append(bring)


def trouble() -> str | None:
    """Why changes cannot be kept at the moment, or None. Tries again first, at most once per second."""
    if _trouble is not None and time.monotonic() >= _tried + TRY_AGAIN_SECONDS:
        with contextlib.suppress(OSError):
            save()
    found = _trouble
    if found is None:
        return None
    return (
        f"The local AWS cannot write its state to {_path().parent} ({found.strerror or found}), so it changes nothing."
    )


def touch() -> None:
    """Say that something changed: a snapshot follows within a second or two."""
    _dirty.set()


def restore_all() -> None:
    """Load the snapshot, if there is one, then let each module restore what runs. Raises StateError."""
    _load(_path())
    for restore, _ in _hooks.values():
        if restore is not None:
            restore()
    with contextlib.suppress(OSError):  # `trouble()` has the reason for everybody who wants to change something
        save()
    threading.Thread(target=_save_when_touched, name="state", daemon=True).start()


def stop_all() -> None:
    """Let each module end what it runs, the last installed first."""
    for name, (_, stop) in reversed(_hooks.items()):
        if stop is not None:
            try:
                stop()
            except Exception:
                log.exception("stopping %s failed; the rest is stopped all the same", name)


def save() -> None:
    """Write a snapshot now, unless nothing differs from the last one. Raises OSError, and `trouble()` then says why."""
    global _trouble, _tried
    with _write_lock:
        _dirty.clear()
        try:
            _save()
        except OSError as error:
            if _trouble is None:
                log.error("the state cannot be written: %s. Changes are refused until it can", error)
            _trouble, _tried = error, time.monotonic()
            _dirty.set()
            raise
        if _trouble is not None:
            log.info("the state can be written again")
        _trouble = None


def _save() -> None:
    global _last_digest
    content = _pickled()
    digest = hashlib.sha256(content).hexdigest()
    path = _path()
    spare = path.with_name("reserved")
    path.parent.mkdir(mode=0o700, exist_ok=True)
    if digest != _last_digest:
        for bring in _before_saving:
            bring()
        try:
            files.write_whole(path, content)
        except OSError:
            if not spare.exists():
                raise
            spare.unlink()
            files.write_whole(path, content)
        _last_digest = digest
    if not _closing.is_set():
        files.reserve(spare, len(content) + RESERVED_BYTES)


def close() -> None:
    """The last snapshot of a graceful stop. Raises OSError."""
    _closing.set()
    _dirty.set()
    save()
    _path().with_name("reserved").unlink(missing_ok=True)


def _path() -> Path:
    return context().home / "state" / "backends.pickle"


def _save_when_touched() -> None:
    pause = DEBOUNCE_SECONDS
    while True:
        _dirty.wait()
        if _closing.wait(pause):
            return
        began = time.monotonic()
        try:
            save()
        except OSError:
            time.sleep(TRY_AGAIN_SECONDS)
        except Exception:
            # A snapshot that fails must not end the snapshots: the next change tries again.
            log.exception("the state could not be written")
        # Nothing else runs in Python while a large state is pickled: at most a tenth of the time goes there.
        pause = max(DEBOUNCE_SECONDS, 10 * (time.monotonic() - began))


def _pickled() -> bytes:
    """The snapshot's bytes. Requests go on meanwhile, so a pickling that one of them disturbs is begun again."""
    for attempt in range(ATTEMPTS):
        buffer = io.BytesIO()
        pickle.dump({"moto": moto.__version__, "format": FORMAT}, buffer)
        try:
            _StatePickler(buffer, protocol=pickle.HIGHEST_PROTOCOL).dump(_backends())
            return buffer.getvalue()
        except RuntimeError as error:
            if "changed size during iteration" not in str(error) or attempt == ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def _backends() -> dict:
    """The backends in use, by service, account and region. Asking for the others would only import them."""
    registries = [registry for registry in BackendDict._instances if registry.service_name in SERVICES]
    tree = {
        registry.service_name: {account: dict(regions) for account, regions in list(registry.items())}
        for registry in registries
    }
    return {"backends": tree, "buckets": dict(get_backend("s3").bucket_accounts)}


def _load(path: Path) -> None:
    if not path.exists():
        return
    empty = f"Begin with an empty local AWS: move {path.parent.parent} away. What was deployed there is then gone."
    try:
        with path.open("rb") as file:
            stamp = pickle.load(file)  # noqa: S301 our own file in our own directory
            if not isinstance(stamp, dict):
                raise pickle.UnpicklingError("it does not begin with the version that wrote it")
            if stamp != {"moto": moto.__version__, "format": FORMAT}:
                raise StateError(
                    f"{path} was written by another version of the local AWS: moto {stamp.get('moto')}, format "
                    f"{stamp.get('format')}; this one reads moto {moto.__version__}, format {FORMAT}. Check out the "
                    f"version that wrote it. {empty}"
                )
            saved = pickle.load(file)  # noqa: S301
            backends, buckets = saved["backends"], saved["buckets"]
    except StateError:
        raise
    except Exception as error:  # what a damaged pickle raises depends on where the damage is
        raise StateError(f"{path} cannot be read ({type(error).__name__}: {error}). {empty}") from error
    for service, accounts in backends.items():
        for account, regions in accounts.items():
            get_backend(service)[account].update(regions)
    get_backend("s3").bucket_accounts.update(buckets)


def _backend_dict(service: str) -> BackendDict:
    return get_backend(service)


def _account_backend(service: str, account: str) -> AccountSpecificBackend:
    return get_backend(service)[account]


def _weak_values(items: dict) -> weakref.WeakValueDictionary:
    return weakref.WeakValueDictionary(items)


def _reduce_defaultdict(mapping: defaultdict) -> tuple:
    """moto makes some of them with a lambda, which no pickle can name: the result identifies it."""
    factory = mapping.default_factory
    if getattr(factory, "__name__", None) == "<lambda>":
        made = factory()
        factory = partial(defaultdict, made.default_factory) if isinstance(made, defaultdict) else type(made)
    return defaultdict, (factory,), None, None, iter(list(mapping.items()))


class _StatePickler(pickle.Pickler):
    """Pickles backends: locks are created again, and the registries that hold all backends stay out of it."""

    dispatch_table = copyreg.dispatch_table.copy()


def _reduce_by_name(registry: BackendDict) -> tuple:
    return _backend_dict, (registry.service_name,)


_lock_types = {type(threading.Lock()): threading.Lock, type(threading.RLock()): threading.RLock}
for _type, _maker in _lock_types.items():
    _StatePickler.dispatch_table[_type] = lambda _lock, maker=_maker: (maker, ())
_StatePickler.dispatch_table[BackendDict] = _reduce_by_name
_StatePickler.dispatch_table[type(get_backend("s3"))] = _reduce_by_name
_StatePickler.dispatch_table[AccountSpecificBackend] = lambda registry: (
    _account_backend,
    (registry.service_name, registry.account_id),
)
_StatePickler.dispatch_table[defaultdict] = _reduce_defaultdict
_StatePickler.dispatch_table[weakref.WeakValueDictionary] = lambda weak: (_weak_values, (dict(weak),))
