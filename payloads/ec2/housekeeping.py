"""What an instance that is used again and again lets go of: runs that are over, images that nothing needs any more.

    runs/<run>/   checkpoint, archives, and hard links to the run's images; `finished` marks what was uploaded
    cache/<ETag>  the images themselves, so that no run downloads what another has

A run that is not finished can be resumed, and is kept for as long as AWS remembers the command that would do it:
Systems Manager forgets after 30 days.
"""

import shutil
import time
from pathlib import Path

FINISHED = "finished"
FINISHED_DAYS = 7
UNFINISHED_DAYS = 30
CACHE_SHARE = 0.5  # of the disk

DAY = 24 * 3600


def begin(folder: Path) -> None:
    """The run is under way, also where it was finished once: it is not to be pruned now."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FINISHED).unlink(missing_ok=True)
    folder.touch()


def finish(folder: Path) -> None:
    """The run's results are in S3. Its images stay in the cache; a link more would keep them from being pruned."""
    shutil.rmtree(folder / "data", ignore_errors=True)
    (folder / FINISHED).touch()


def prune(home: Path, *, cache_bytes: int | None = None, now: float | None = None) -> None:
    """Remove runs that are over, then the images longest unused until the cache is below `cache_bytes` (None: half of
    the disk). Images that a run links to are no gain, and stay."""
    now = now or time.time()
    removed = [run for run in _runs(home) if _is_over(run, now)]
    for run in removed:
        shutil.rmtree(run, ignore_errors=True)
    freed = _prune_cache(
        home / "cache", shutil.disk_usage(home).total * CACHE_SHARE if cache_bytes is None else cache_bytes
    )
    if removed or freed:
        print(f"pruned {len(removed)} old runs and {freed / 1e6:.1f} MB of images from the cache", flush=True)


def _runs(home: Path) -> list[Path]:
    folder = home / "runs"
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _is_over(run: Path, now: float) -> bool:
    marker = run / FINISHED
    if marker.exists():
        return now - marker.stat().st_mtime > FINISHED_DAYS * DAY
    checkpoints = run / "checkpoints"
    used = max(path.stat().st_mtime for path in (run, checkpoints) if path.exists())
    return now - used > UNFINISHED_DAYS * DAY


def _prune_cache(cache: Path, most: float) -> int:
    """Bytes freed. Hard links are counted by the file system: one link is the cache's own."""
    if not cache.is_dir():
        return 0
    found = [(path, path.stat()) for path in cache.iterdir() if path.is_file()]
    excess = sum(stat.st_size for _, stat in found) - most
    freed = 0
    for path, stat in sorted(found, key=lambda each: each[1].st_atime):
        if freed >= excess:
            break
        if stat.st_nlink == 1:
            path.unlink()
            freed += stat.st_size
    return freed
