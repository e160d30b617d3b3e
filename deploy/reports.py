"""Download the report of a training run: the named run, or the last one.

report.html is in the run's output.tar.gz, which is in the same folder as model.tar.gz. Only this file is extracted, to
`.local/<env>/reports/<run>.html`.
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
MAX_BYTES = 20 * 1024**2  # ten times the size of a report
MAX_MEMBERS = 10_000  # that are searched for the report


def fetch(deployment: Deployment, run: str) -> Path:
    """Download the run's report and return its path. Raises Failure if the archive has no report or not a regular
    file."""
    s3 = deployment.client("s3")
    body = s3.get_object(Bucket=deployment.artifacts_bucket, Key=f"models/{run}/output/{ARCHIVE}")["Body"]
    try:
        page = extract(body)
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise Failure(f"{runs.address(deployment, run, ARCHIVE)} cannot be read: {error}") from error
    finally:
        body.close()
    if page is None:
        raise Failure(
            f"{run} has no {REPORT}: it ended before the test, or an older version trained it. "
            f"To get another run's: {console.make('report JOB=…')}"
        )
    path = deployment.env.home / "reports" / f"{run}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_bytes(page)
    partial.replace(path)
    return path


def extract(archive) -> bytes | None:
    """The report in a .tar.gz, which is read as a stream. None if it has no report. Nothing is written to disk.

    Only the file name is compared, because each host of a job may have its own folder in the archive. Raises TarError
    if the report is too large or not a regular file, or if tarfile raises it.
    """
    with tarfile.open(fileobj=archive, mode="r|gz") as tar:
        for number, member in enumerate(tar):
            if number >= MAX_MEMBERS:
                return None
            if PurePosixPath(member.name).name == REPORT:
                if not member.isfile() or member.size > MAX_BYTES:
                    raise tarfile.TarError(f"its {REPORT} is not a regular file of less than {MAX_BYTES >> 20} MiB")
                content = tar.extractfile(member)
                return content.read() if content else None
    return None
