"""Fetch the report of a training run: the last run's, or that of the run that is named.

A run's report.html lies in its output.tar.gz, beside model.tar.gz. Only that file is taken out of the archive, to
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
MAX_BYTES = 20 * 1024**2  # ten times what a report needs
MAX_MEMBERS = 10_000  # that are looked at for it


def fetch(deployment: Deployment, run: str) -> Path:
    """The run's report as a file of this machine. Raises Failure where it left none, or something else."""
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
            f"{run} left no {REPORT}: it ended before it was judged, or an older version trained it. "
            f"Another run's: {console.make('report JOB=…')}"
        )
    path = deployment.env.home / "reports" / f"{run}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_bytes(page)
    partial.replace(path)
    return path


def extract(archive) -> bytes | None:
    """The report in a .tar.gz that is read as a stream, None where it has none. Nothing is written.

    Each host of a job may have a folder of its own in there, so the name alone counts. Raises TarError for a report
    that is too large or no regular file, and what tarfile raises.
    """
    with tarfile.open(fileobj=archive, mode="r|gz") as tar:
        for number, member in enumerate(tar):
            if number >= MAX_MEMBERS:
                return None
            if PurePosixPath(member.name).name == REPORT:
                if not member.isfile() or member.size > MAX_BYTES:
                    raise tarfile.TarError(f"its {REPORT} is no regular file of less than {MAX_BYTES >> 20} MiB")
                content = tar.extractfile(member)
                return content.read() if content else None
    return None
