"""Prune the disk of the training instance: finished runs, and cached images that no run needs.

    runs/<run>/   checkpoint, archives, and hard links to the run's images; `finished` marks an uploaded run
    cache/<ETag>  the images, so that each is downloaded once

An unfinished run can be resumed. It is kept for 30 days, because Systems Manager keeps its command for 30 days.
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
    """Mark the run as running, even if it was finished once, so that it is not pruned."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FINISHED).unlink(missing_ok=True)
    folder.touch()


def finish(folder: Path) -> None:
    """Mark the run as finished: its results are in S3. Delete its links, so that the cached images can be pruned."""
    shutil.rmtree(folder / "data", ignore_errors=True)
    (folder / FINISHED).touch()


def prune(home: Path, *, cache_bytes: int | None = None, now: float | None = None) -> None:
    """Remove old runs, then the least recently used images until the cache is below `cache_bytes` (None: half of the
    disk). Images that a run links to stay, because removing them frees no space."""
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
    """Remove unused images and return the freed bytes. An image with one hard link is in the cache only."""
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
