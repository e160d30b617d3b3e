"""How good a trained head is: its scores on the validation and test splits, and how far they can be trusted."""

from dataclasses import dataclass

from classifier.examination import of_run
from classifier.learning import references
from classifier.learning.calibration import calibrated
from classifier.learning.features import Features
from classifier.learning.head import Head
from classifier.learning.references import References
from classifier.learning.training import Score
from classifier.network.saving import Clock
from classifier.results import evaluation, trusting
from classifier.results.trusting import Trust
from classifier.task import Trained


@dataclass(frozen=True)
class CalibratedHead:
    """The head that is served, calibrated, with what was measured of it."""

    head: Head
    known: References | None
    test: Score
    trust: Trust
    metrics: dict[str, float]


def measure(trained: Trained, test: Features, clock: Clock, limited: tuple[str, ...] = ()) -> CalibratedHead:
    """Calibrate the head on the validation split and measure it on the test split. Only the writer can call this.

    `limited` are the names of all classes if each has its own limit of what is known, and else empty."""
    raw, valid, train = trained.head, trained.valid, trained.train
    # They are not None on the writer.
    assert raw is not None and valid is not None and train is not None
    head, temperature = calibrated(raw, valid)
    known = references.learn(train, valid, len(limited))
    clock.lap("calibrate")
    valid_score = head.evaluate(valid)
    # SageMaker uses the last value of each metric in the log. It must be that of the model, not of the last epoch.
    print(f"kept valid_loss={valid_score.loss:.4f} valid_accuracy={valid_score.accuracy:.4f}", flush=True)
    test_score = head.evaluate(test)
    trust = trusting.measure(raw.evaluate(test), test_score, test, temperature, known, limited)
    clock.lap("test")
    low, high = evaluation.interval(test_score.accuracy, len(test.targets))
    print(
        f"test_accuracy={test_score.accuracy:.4f} test_loss={test_score.loss:.4f} epochs={len(trained.history)}",
        flush=True,
    )
    print(
        f"95 % interval of the test accuracy, for {len(test.targets):,} images: "
        f"test_accuracy_low={low:.4f} test_accuracy_high={high:.4f}",
        flush=True,
    )
    metrics = {
        "test_accuracy": test_score.accuracy,
        "test_accuracy_low": low,
        "test_accuracy_high": high,
        "test_loss": test_score.loss,
        "valid_accuracy": valid_score.accuracy,
        "valid_loss": valid_score.loss,
        **of_run.cross_validated(trained),
    }
    return CalibratedHead(head, known, test_score, trust, metrics)
