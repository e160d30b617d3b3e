"""Download the report of a training run: the named run, or the last one.

report.html and data.csv are in the run's output.tar.gz, which is in the same folder as model.tar.gz. Only these files
are extracted, to `.local/<env>/reports/<run>.html` and `<run>-data.csv`.
"""

from __future__ import annotations

import tarfile
import zlib
from pathlib import Path, PurePosixPath

from deploy import console, runs
from deploy.console import Failure
from deploy.deployment import Deployment

ARCHIVE = "output.tar.gz"
REPORT = "report.html"
LISTING = "data.csv"  # older runs have none
# Ten times the size of a report, and the list of a million photographs.
MAX_BYTES = {REPORT: 20 * 1024**2, LISTING: 200 * 1024**2}
MAX_MEMBERS = 10_000  # that are searched for the report


def fetch(deployment: Deployment, run: str) -> tuple[Path, Path | None]:
    """Download the run's report and its list of photographs, and return their paths. Raises Failure if the archive has
    no report or not a regular file."""
    s3 = deployment.client("s3")
    body = s3.get_object(Bucket=deployment.artifacts_bucket, Key=f"models/{run}/output/{ARCHIVE}")["Body"]
    try:
        found = extract(body)
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise Failure(f"{runs.address(deployment, run, ARCHIVE)} cannot be read: {error}") from error
    finally:
        body.close()
    if REPORT not in found:
        raise Failure(
            f"{run} has no {REPORT}: it ended before the test, or an older version trained it. "
            f"To get another run's: {console.make('report JOB=…')}"
        )
    folder = deployment.env.home / "reports"
    folder.mkdir(parents=True, exist_ok=True)
    report = _write(folder / f"{run}.html", found[REPORT])
    return report, _write(folder / f"{run}-{LISTING}", found[LISTING]) if LISTING in found else None


def _write(path: Path, content: bytes) -> Path:
    partial = path.with_name(f"{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)
    return path


def extract(archive) -> dict[str, bytes]:
    """The report and the list in a .tar.gz, by name, which is read as a stream. Nothing is written to disk.

    Only the file name is compared, because each host of a job may have its own folder in the archive. Raises TarError
    if one is too large or not a regular file, or if tarfile raises it.
    """
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=archive, mode="r|gz") as tar:
        for number, member in enumerate(tar):
            name = PurePosixPath(member.name).name
            if number >= MAX_MEMBERS or len(found) == len(MAX_BYTES):
                break
            if name in MAX_BYTES and name not in found:
                if not member.isfile() or member.size > MAX_BYTES[name]:
                    raise tarfile.TarError(f"its {name} is not a regular file of less than {MAX_BYTES[name] >> 20} MiB")
                content = tar.extractfile(member)
                found[name] = content.read() if content else b""
    return found
