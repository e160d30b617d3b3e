"""What the served graph computes besides probabilities: the distance to the training photographs, and a heat map.

Both use what the graph has anyway: they add some small products. docs/TRUST.md has their cost.

    distance float32 [N]          see classifier.learning.references; absent without references
    heat float32 [N, rows, cols]  where the features of the predicted class are; absent if the network has no such map

The heat map is the class activation map: the weights of the class on the feature map before the pooling (B. Zhou et
al., "Learning Deep Features for Discriminative Localization", CVPR 2016). It uses the weights minus their mean over the
classes: a number added to the weights of all classes changes no probability, and so must not change the map.
"""

from typing import TYPE_CHECKING

import numpy as np

from classifier.network.graph import DISTANCE, HEAT
from classifier.network.runtime import ops, ov

if TYPE_CHECKING:
    from classifier.learning.references import References

# The operations between the pooling and the features. torch.export turns a mean that keeps its axes into a view by
# strides, which the converter makes a Gather of all elements in their order.
_SHAPES = ("Reshape", "Squeeze", "Unsqueeze", "Convert", "Gather")
_POOLS = ("ReduceMean", "AvgPool", "AdaptiveAvgPool")


def distance(features: ov.Output, probabilities: ov.Output, references: "References") -> ov.Output:
    """float32 [N], for `features` [N, width] and `probabilities` [N, classes]."""
    rows = references.rows.astype(np.float32)
    unit = ops.normalize_l2(features, np.array([1], np.int64), 1e-12, "max")
    centred = ops.subtract(unit, references.mean[np.newaxis])
    points = ops.matmul(centred, _single(references.projection), False, False)
    own = ops.reduce_sum(ops.multiply(centred, centred), np.array([1], np.int64), True)
    products = ops.matmul(points, _single(references.rows * np.float16(-2)), False, True)
    squares = ops.add(ops.add(products, (rows**2).sum(axis=1)[np.newaxis]), own)
    nearest = ops.topk(squares, np.int64(references.neighbours), 1, "min", "value").output(0)
    last = ops.reduce_max(nearest, np.array([1], np.int64), False)
    length = ops.sqrt(ops.maximum(last, np.float32(0)))
    if references.class_limits is None:
        return _named(ops.multiply(length, np.float32(1 / references.limit)), DISTANCE)
    inverse = ops.gather(1 / references.class_limits, _best(probabilities), np.int64(0))  # [N, 1]
    return _named(ops.multiply(length, ops.squeeze(inverse, np.array([1], np.int64))), DISTANCE)


def heat(features: ov.Output, probabilities: ov.Output, weight: np.ndarray) -> ov.Output | None:
    """float32 [N, rows, columns]: the part of each place in the logit of the most probable class.

    `weight` is the head's, [classes, width]. None if the features are not the means of a map with several places.
    """
    found = feature_map(features)
    if found is None:
        return None
    _, width, rows, columns = (int(side.get_length()) if side.is_static else 0 for side in found.get_partial_shape())
    centred = weight - weight.mean(axis=0)
    chosen = ops.gather(centred, _best(probabilities), np.int64(0))  # [N, 1, width]
    places = ops.reshape(found, np.array([0, width, rows * columns], np.int64), True)  # 0 keeps N
    product = ops.matmul(chosen, places, False, False)
    return _named(ops.reshape(product, np.array([0, rows, columns], np.int64), True), HEAT)


def feature_map(features: ov.Output) -> ov.Output | None:
    """The map [N, width, rows, columns] whose mean over rows and columns is `features` [N, width]."""
    width, node = features.get_partial_shape()[1], features
    while node.get_node().get_type_name() in _SHAPES:
        node = node.get_node().input_value(0)
    if node.get_node().get_type_name() not in _POOLS:
        return None
    pooled, found = node.get_partial_shape(), node.get_node().input_value(0)
    shape = found.get_partial_shape()
    if shape.rank.get_length() != 4 or shape[1] != width or any(side.is_dynamic for side in list(shape)[1:]):
        return None
    places = shape[2].get_length() * shape[3].get_length()
    left = [side.get_length() for side in list(pooled)[1:] if side.is_static]  # all but the images
    return found if places > 1 and int(np.prod(left)) == width.get_length() else None


def _best(probabilities: ov.Output) -> ov.Output:
    """The most probable class, [N, 1]."""
    return ops.topk(probabilities, np.int64(1), 1, "max", "value").output(1)


def _single(half: np.ndarray) -> ov.Node:
    """float32 of a constant that is float16 in the file."""
    return ops.convert(ops.constant(half), "f32")


def _named(node: ov.Node, name: str) -> ov.Output:
    node.output(0).set_names({name})
    return node.output(0)
