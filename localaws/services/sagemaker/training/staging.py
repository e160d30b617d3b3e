"""What a training job takes from S3 before it runs, and brings there during and after its run."""

import contextlib
import tarfile
import threading
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import ClientError

from localaws.archives import ArchiveError, unpack_tar
from localaws.services.iam.service_roles import CannotAssume, ServiceDenied, ServiceRole
from localaws.services.s3 import api as s3
from localaws.services.sagemaker.training import container
from localaws.services.sagemaker.training.container import Host

CHECKPOINT_SECONDS = 2.0
SUPPORTED = (
    "The local AWS fetches whole objects: InputMode File or FastFile, S3DataType S3Prefix, no compression, no records."
)


class JobFailed(Exception):
    """The job cannot go on; the message is its FailureReason."""


def channel_config(channel: dict[str, Any], mode: str) -> dict[str, str]:
    """A channel as inputdataconfig.json shows it. `mode` is the job's input mode, for a channel without its own."""
    source = channel["DataSource"]["S3DataSource"]
    config = {
        "TrainingInputMode": channel.get("InputMode") or mode,
        "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
        "RecordWrapperType": "None",
    }
    return {**config, **({"ContentType": channel["ContentType"]} if channel.get("ContentType") else {})}


def unsupported_in(channel: dict[str, Any]) -> str | None:
    """What a channel asks for that is not done here, or None."""
    source = (channel.get("DataSource") or {}).get("S3DataSource")
    supported = (
        source is not None
        and source.get("S3DataType", "S3Prefix") == "S3Prefix"
        and channel.get("CompressionType", "None") == "None"
        and channel.get("RecordWrapperType", "None") == "None"
        and channel.get("InputMode", "File") in ("File", "FastFile")
    )
    return None if supported else f"The channel {channel.get('ChannelName')} cannot be fetched. {SUPPORTED}"


def fetch(host: Host, request: dict[str, Any], role: ServiceRole, abandoned: threading.Event) -> None:
    """A host's channels, source directory and checkpoints, as far as the role may read them.

    Ends early once `abandoned` is set. Raises JobFailed.
    """
    for channel in request.get("InputDataConfig") or []:
        source = channel["DataSource"]["S3DataSource"]
        found = list(_under(source["S3Uri"], role))
        if not found:
            raise JobFailed(
                f'ClientError: Data download failed: no S3 objects found under S3 URL "{source["S3Uri"]}" '
                f"given in the channel {channel['ChannelName']}."
            )
        if source.get("S3DataDistributionType") == "ShardedByS3Key":
            found = found[host.names.index(host.name) :: len(host.names)]
        _copy(found, host.channel(channel["ChannelName"]), role, abandoned)
    submitted = container.split_hyperparameters(request.get("HyperParameters") or {})[0]
    if location := submitted.get(container.SUBMIT_DIRECTORY):
        _fetch_code(host, str(location), role)
    if checkpoints := request.get("CheckpointConfig"):
        host.checkpoints.mkdir(exist_ok=True)
        _copy(_under(checkpoints["S3Uri"], role), host.checkpoints, role, abandoned)


def _under(uri: str, role: ServiceRole) -> Iterator[tuple[str, s3.StoredKey]]:
    """The objects an S3 prefix names, with the path that each gets in its folder. Raises JobFailed."""
    parts = urlparse(uri)
    prefix = parts.path.lstrip("/")
    _require(role, "s3:ListBucket", f"arn:aws:s3:::{parts.netloc}", {"s3:prefix": prefix})
    folder = prefix if prefix.endswith("/") or not prefix else f"{prefix}/"
    try:
        for key in s3.objects(parts.netloc, prefix):
            beneath = key.name.removeprefix(folder) if key.name.startswith(folder) else key.name.rpartition("/")[2]
            if beneath and not beneath.endswith("/"):  # an empty object that a console makes to show a folder
                yield beneath, key
    except KeyError:
        raise JobFailed(
            f"ClientError: Data download failed: NoSuchBucket: The specified bucket does not exist ({parts.netloc})."
        ) from None


def _require(role: ServiceRole, action: str, resource: str, facts: dict[str, str] | None = None) -> None:
    """Raise JobFailed unless the role allows it."""
    try:
        role.require([(action, resource)], facts)
    except ServiceDenied as error:
        raise JobFailed(f"ClientError: Data download failed:{error}") from error


def _copy(
    found: Iterable[tuple[str, s3.StoredKey]], folder: Path, role: ServiceRole, abandoned: threading.Event
) -> None:
    for name, key in found:
        if abandoned.is_set():
            return
        path = (folder / name).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise JobFailed(f"ClientError: the key {key.name!r} leads out of its channel's folder.")
        _require(role, "s3:GetObject", f"arn:aws:s3:::{key.bucket_name}/{key.name}")
        s3.fetch(key, path)


def _fetch_code(host: Host, location: str, role: ServiceRole) -> None:
    """Fetch and unpack the source directory. Raises JobFailed."""
    archives = [key for name, key in _under(location, role) if location.endswith(name)]
    if not archives:
        raise JobFailed(f"ClientError: the source directory {location} is not there.")
    _require(role, "s3:GetObject", f"arn:aws:s3:::{archives[0].bucket_name}/{archives[0].name}")
    try:
        unpack_tar(archives[0].path, host.code)
    except ArchiveError as error:
        raise JobFailed(f"ClientError: the source directory {location} cannot be unpacked: {error}.") from error
    except OSError as error:
        raise JobFailed(f"InternalServerError: the source directory {location} cannot be written: {error}.") from error


@contextlib.contextmanager
def synchronised_checkpoints(host: Host, role: ServiceRole, config: dict[str, Any] | None) -> Generator[None]:
    """While the program runs, and once more after it, bring what it writes to its checkpoints to S3.

    Raises JobFailed at the end if the role may not write there.
    """
    if not config:
        yield
        return
    over = threading.Event()
    failures: list[Exception] = []

    def synchronise() -> None:
        uploaded: dict[Path, tuple[int, int]] = {}
        last = False
        while not last:
            last = over.wait(CHECKPOINT_SECONDS)
            failures.clear()
            try:
                _upload_changed(host.checkpoints, role, config["S3Uri"], uploaded)
            except (ClientError, S3UploadFailedError, CannotAssume) as error:
                failures.append(error)

    thread = threading.Thread(target=synchronise, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    if failures:
        raise JobFailed(f"ClientError: The checkpoints cannot be uploaded to {config['S3Uri']}: {failures[0]}")


def _upload_changed(folder: Path, role: ServiceRole, uri: str, uploaded: dict[Path, tuple[int, int]]) -> None:
    target = urlparse(uri)
    client = None
    for path in sorted(folder.rglob("*")):
        with contextlib.suppress(FileNotFoundError):  # the program may have replaced it meanwhile
            stamp = (path.stat().st_mtime_ns, path.stat().st_size)
            if path.is_file() and uploaded.get(path) != stamp:
                key = f"{target.path.strip('/')}/{path.relative_to(folder)}".lstrip("/")
                client = client or role.client("s3")
                client.upload_file(str(path), target.netloc, key)
                uploaded[path] = stamp


def upload_artifacts(job: str, hosts: list[Host], folder: Path, role: ServiceRole, uri: str) -> str:
    """Upload model.tar.gz, and output.tar.gz if there is output; gives the model's URI. Raises JobFailed.

    Each holds what all hosts wrote; where names clash, the first host's file counts.
    """
    target = urlparse(uri)
    prefix = f"{target.path.strip('/')}/{job}/output".lstrip("/")
    client = role.client("s3")
    folders = {"model": [host.model for host in hosts], "output": [host.output / "data" for host in hosts]}
    for name, sources in folders.items():
        files = {path.relative_to(source): path for source in reversed(sources) for path in source.rglob("*")}
        if not files and name == "output":
            continue
        archive = folder / f"{name}.tar.gz"
        with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
            for relative, path in sorted(files.items()):
                tar.add(path, str(relative), recursive=False)
        try:
            client.upload_file(str(archive), target.netloc, f"{prefix}/{name}.tar.gz")
        except (ClientError, S3UploadFailedError) as error:
            raise JobFailed(f"ClientError: {name}.tar.gz cannot be uploaded to {uri}: {error}") from error
    return f"s3://{target.netloc}/{prefix}/model.tar.gz"
