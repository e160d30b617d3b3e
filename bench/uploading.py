"""The way of many small photographs to the bucket: the check of `make data`, and its upload.

    make bench ONLY=uploading               1,000 and 10,000 files, some minutes on two cores
    make bench ONLY=uploading/1000          one number of them: 1000, 10000 or 100000

The bucket is that of a local AWS on the same machine, whose server takes most of the time. AWS's S3 takes many requests
at once, so the times are upper bounds of the client's own work, and not those of an upload to AWS.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.harness import BenchError, BenchmarkCandidate, Comparison, compare
from bench.options import Options

HERE = "bench.uploading_candidates"
COUNTS = (1000, 10_000)
MOST = 100_000  # only if it is asked for, once, without the loop: it takes a quarter of an hour
NOTE = (
    "JPEGs of 32 x 32 pixels (1 kB), to the local AWS on the same processors. Its one server takes most of the time; "
    "an upload to AWS waits for the network instead. The loop sends one PutObject after the other."
)


def run(options: Options) -> Iterator[Comparison]:
    from bench.uploading_candidates import write_files

    if options.part not in (None, *map(str, (*COUNTS, MOST))):
        raise BenchError(f"uploading has no part {options.part}; use 1000, 10000 or 100000.")
    asked = (int(options.part),) if options.part else COUNTS
    for count in (100,) if options.quick else asked:
        with tempfile.TemporaryDirectory() as folder:
            write_files(Path(folder), count)
            yield upload(folder, count, options)
            yield check(folder, count, options)


def upload(folder: str, count: int, options: Options) -> Comparison:
    """Files per second to an empty bucket."""
    ways = {"a loop of PutObject": "loop", "aws s3 sync": "sync", "make data": "data"}
    if count == MOST:
        del ways["a loop of PutObject"]
    return compare(
        f"Upload of {count:,} small photographs",
        [BenchmarkCandidate(name, f"{HERE}:Uploading", {"folder": folder, "way": way}) for name, way in ways.items()],
        unit="files/s",
        repeats=options.rounds(3 if count == COUNTS[0] else 1),
        note=NOTE,
    )


def check(folder: str, count: int, options: Options) -> Comparison:
    """Files per second that are read, decoded and compared before the upload."""
    ways = {"one after the other": "single", "make data": "data"}
    return compare(
        f"Check of {count:,} small photographs",
        [BenchmarkCandidate(name, f"{HERE}:checking", {"folder": folder, "way": way}) for name, way in ways.items()],
        unit="files/s",
        repeats=options.rounds(3 if count == COUNTS[0] else 1),
        note="Hash and thumbnail of each file; one after the other is the same work on one thread.",
    )
