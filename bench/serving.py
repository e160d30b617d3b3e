"""Serving: the endpoint over HTTP, compared with the original handler, LitServe and Ray Serve, all with one trained
model.

    make bench ONLY=serving            all of it, a quarter of an hour on two cores; the soak is not in it
    make bench ONLY=serving/http       a part: http, ray, image, bare, latency or soak
    make bench ONLY=serving/soak       memory over 100,000 requests

Server and client (`deploy.load.client`: one thread, a few per cent of a processor) share the machine. The model is
first trained on the photographs, once per version of the code. It is EfficientNet-Lite0 or the network in
PAWPRINT_BENCH_ARCH.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bench.harness import PATHS, ROOT, BenchmarkCandidate, Comparison, compare, photographs
from bench.options import Options

HERE = "bench.serving_candidates"
OURS, ORIGINAL, LITSERVE = "local host", "original handler", "LitServe, eager"
REPLICA = "the replica's own server"  # in AWS's serving image
HTTP_NOTE = (
    "{model} Photographs of 224 x 224 pixels, 8 connections. The original handler is in our host too, with two "
    "threads of one processor each; LitServe has two workers and takes the image as base64 in JSON."
)


def run(options: Options) -> Iterator[Comparison]:
    photos = photographs()
    arch = os.environ.get("PAWPRINT_BENCH_ARCH", "efficientnet-lite0")
    model = trained(arch, photos)
    seconds = 2.0 if options.quick else 8.0
    given = {"model": str(model), "photos": photos, "seconds": seconds}
    if options.wants("http"):
        yield from http(arch, given, options)
    if options.wants("ray"):
        yield from ray(arch, given, options)
    if options.wants("image"):
        yield from image(arch, given, options)
    if options.wants("bare"):
        yield bare(arch, given, options)
    if options.wants("latency"):
        yield latency(arch, given, options)
    if options.part == "soak":
        yield soak(arch, given, options)


def trained(arch: str, photos: str) -> Path:
    """The folder of a model trained on the photographs, in int8 if that loses no accuracy."""
    code = sorted([*(ROOT / "payloads" / "inference").glob("*"), *(ROOT / "payloads" / "shared").rglob("*.py")])
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in code if path.is_file())).hexdigest()[:12]
    folder = Path(os.environ.get("PAWPRINT_HOME", ROOT / ".local")) / "bench" / "serving" / f"{arch}-{digest}"
    if not (folder / "model" / "model.json").exists():
        from deploy.build import package

        print(f"  training the {arch} that is served", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        package.BUILD = folder
        serving = package.pack_tar("inference", package.serving_members(), {})["file"]
        command = [sys.executable, "-m", "bench.training_program", arch, "--epochs", "15"]
        command += [f"--{split}={photos}/{split}" for split in ("train", "valid", "test")]
        command += [
            "--serving",
            folder / serving,
            "--model-dir",
            folder / "model",
            "--output-data-dir",
            folder / "output",
        ]
        subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": PATHS}, cwd=ROOT)
    return folder / "model"


def in_words(arch: str, given: dict) -> str:
    card = json.loads((Path(given["model"]) / "model.json").read_text())
    return f"{arch} trained on 20 dog breeds, served in {card['precision']}; the eager ones in fp32."


def served(name: str, server: str, given: dict) -> BenchmarkCandidate:
    return BenchmarkCandidate(name, f"{HERE}:throughput", {"server": server, **given})


def http(arch: str, given: dict, options: Options) -> Iterator[Comparison]:
    """Requests per second, including decoding."""
    done = compare(
        f"Endpoint over HTTP, {arch}",
        [served(ORIGINAL, "original", given), served(LITSERVE, "litserve", given), served(OURS, "local", given)],
        unit="requests/s",
        repeats=options.rounds(5),
        target=10,
        note=HTTP_NOTE.format(model=in_words(arch, given)),
    )
    yield done
    values, details = ({name: each[name] for name in (LITSERVE, OURS)} for each in (done.values, done.details))
    what = f"Endpoint over HTTP against LitServe, {arch}"
    yield replace(done, what=what, baseline=LITSERVE, values=values, details=details, target=3)


def ray(arch: str, given: dict, options: Options) -> Iterator[Comparison]:
    """The same under Ray Serve, which AWS's image runs."""
    yield compare(
        f"Endpoint under Ray Serve, {arch}",
        [served("Ray Serve, eager", "ray_eager", given), served("the artifact", "ray", given)],
        unit="requests/s",
        repeats=options.rounds(5),
        target=3,
        note="Both in Ray's own HTTP server, without the adapter of AWS's image before it; eager has two replicas.",
    )


def image(arch: str, given: dict, options: Options) -> Iterator[Comparison]:
    """AWS's serving image with and without Ray Serve's proxy between its adapter and the model, and the local host."""
    servers = {"through Ray Serve's proxy": "image_ray", REPLICA: "image", OURS: "local"}
    note = (
        "Python 3.13, Ray 2.57 and the adapter in a network namespace with loopback only; the local host has neither "
        "Ray nor an adapter."
    )
    yield compare(
        f"Endpoint in AWS's serving image, {arch}",
        [served(name, server, given) for name, server in servers.items()],
        unit="requests/s",
        repeats=options.rounds(3),
        headline=REPLICA,
        note=note,
    )
    done = compare(
        f"Latency in AWS's serving image, {arch}",
        [BenchmarkCandidate(name, f"{HERE}:latency", {"server": server, **given}) for name, server in servers.items()],
        unit="times",
        repeats=options.rounds(3),
        higher_is_better=False,
        headline=REPLICA,
    )
    for percentile in ("p50", "p99"):
        values = {name: [each[f"{percentile}_ms"] for each in details] for name, details in done.details.items()}
        what = f"{percentile} in AWS's serving image at 70 % of its peak, {arch}"
        yield replace(done, what=what, unit="ms", values=values, note=note)
    yield compare(
        f"Start until the first answer in AWS's serving image, {arch}",
        [BenchmarkCandidate(name, f"{HERE}:start", {"server": server, "model": given["model"]})
         for name, server in servers.items()],
        unit="s",
        repeats=options.rounds(3),
        higher_is_better=False,
        headline=REPLICA,
        note=note,
    )  # fmt: skip


def bare(arch: str, given: dict, options: Options) -> Comparison:
    """The share of the graph's speed that is left with decoding and HTTP."""
    return compare(
        f"Endpoint against the bare graph, {arch}",
        [
            BenchmarkCandidate("bare graph", f"{HERE}:bare", {"model": given["model"], "seconds": given["seconds"]}),
            served(OURS, "local", given),
        ],
        unit="images/s",
        repeats=options.rounds(5),
        target=0.6,
        note="The bare graph runs without decoding, HTTP and the client, which uses the same two processors.",
    )


def latency(arch: str, given: dict, options: Options) -> Comparison:
    """p99 over p50 at 70 % of the host's own peak."""
    done = compare(
        f"Latency at 70 % of the peak, {arch}",
        [BenchmarkCandidate(OURS, f"{HERE}:latency", {"server": "local", **given})],
        unit="times",
        repeats=options.rounds(5),
        higher_is_better=False,
    )
    details = done.details[OURS]
    values = {name: [each[f"{name}_ms"] for each in details] for name in ("p99", "p50")}
    return replace(
        done,
        unit="ms",
        baseline="p99",
        headline="p50",
        values=values,
        details={"p99": details, "p50": []},
        target=3,
        note="Requests at fixed intervals, timed from when they were due; p99 is promised to be under 3 times p50.",
    )


def soak(arch: str, given: dict, options: Options) -> Comparison:
    """Resident memory of the local host over 100,000 requests of small images."""
    counts = [100, 500, 1000] if options.quick else [1000, 10_000, 100_000]
    done = compare(
        f"Memory over {counts[-1]:,} requests, {arch}",
        [BenchmarkCandidate(OURS, f"{HERE}:memory", {"model": given["model"], "counts": counts})],
        unit="MB",
        repeats=len(counts),
        higher_is_better=False,
    )
    first, last = (f"after {count:,}" for count in (counts[0], counts[-1]))
    values = {first: done.values[OURS][:1], last: done.values[OURS][-1:]}
    note = "Resident, of the local host's one process; a ratio of 1 is flat."
    details = {first: done.details[OURS], last: []}
    return replace(done, baseline=first, headline=last, values=values, details=details, note=note)
