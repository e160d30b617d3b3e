"""The head on features: training, folded scaling, and interruptions."""

import numpy as np
import pytest
import torch
from classifier.learning.features import Features
from classifier.learning.head import HeadLearner, train_head
from classifier.learning.training import Checkpoint, TrainingError
from classifier.settings import Settings


def clouds(per_class: int, seed: int, offset: float = 5.0, scale: float = 0.01) -> Features:
    """Three clusters of features, far from zero and close together, like real ones."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(3, 20))
    targets = np.repeat(np.arange(3), per_class)
    values = offset + scale * (centres[targets] + 0.3 * random.normal(size=(len(targets), 20)))
    return Features(values.astype(np.float32), targets)


def test_it_learns_and_the_best_head_classifies_new_features():
    head, history = train_head(clouds(40, 1), clouds(20, 2), 3, Settings(epochs=20))
    assert head.evaluate(clouds(20, 3)).accuracy == 1.0
    assert history[-1].train_loss < history[0].train_loss


def test_the_head_for_unscaled_features_gives_the_answers_of_the_trained_one():
    train, valid = clouds(40, 1), clouds(20, 2)
    learner = HeadLearner(train, valid, 3, Settings())
    learner.train_epoch(1)
    trained, folded = learner.validate(), learner.head().evaluate(valid)
    assert folded.loss == pytest.approx(trained.loss, abs=1e-3)
    assert torch.equal(folded.predicted, trained.predicted)


def test_the_same_seed_gives_the_same_head_and_another_does_not():
    def weight(seed: int) -> torch.Tensor:
        head, _ = train_head(clouds(40, 1), clouds(20, 2), 3, Settings(epochs=2, seed=seed))
        return head.weight

    assert torch.equal(weight(1), weight(1))
    assert not torch.equal(weight(1), weight(2))


def test_constant_features_do_no_harm():
    dead = Features(np.ones((6, 4), dtype=np.float32), np.array([0, 0, 0, 1, 1, 1]))
    head, _ = train_head(dead, dead, 2, Settings(epochs=2))
    assert torch.isfinite(head.weight).all()


def test_a_resumed_run_gives_the_same_head(tmp_path):
    train, valid = clouds(40, 1), clouds(20, 2)
    whole, _ = train_head(train, valid, 3, Settings(epochs=6))
    train_head(train, valid, 3, Settings(epochs=3), Checkpoint(tmp_path, {}))
    resumed, history = train_head(train, valid, 3, Settings(epochs=6), Checkpoint(tmp_path, {}))
    assert len(history) == 6
    assert torch.equal(resumed.weight, whole.weight)


def test_a_learning_rate_that_is_too_large_is_named():
    with pytest.raises(TrainingError, match="smaller --lr"):
        train_head(clouds(40, 1), clouds(20, 2), 3, Settings(lr=1e30))


def test_the_threads_of_the_caller_are_restored():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        train_head(clouds(5, 1), clouds(5, 2), 3, Settings(epochs=1))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
