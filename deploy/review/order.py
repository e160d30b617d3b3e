"""The order of a review: first the images whose labels teach the model most."""

from __future__ import annotations

from collections.abc import Sequence

from deploy.review.captures import Captured


def uncertainty(item: Captured) -> float:
    """1 less the margin: the difference of the two largest probabilities. From 0 (sure) to 1 (a tie).

    The margin is that of Scheffer, Decomain and Wrobel (IDA 2001, 309-318). If the caller asked for one prediction
    only, the second probability is at most the rest, and this takes the rest.
    """
    first = item.predictions[0][1]
    second = item.predictions[1][1] if len(item.predictions) > 1 else min(first, 1 - first)
    return 1 - (first - second)


def sorted_for_review(items: Sequence[Captured]) -> list[Captured]:
    """Alternately the most uncertain and the most distant images, so that both kinds come early.

    An image that is in front of both lists comes once. Without distances, only the uncertainty counts.
    """
    uncertain = sorted(items, key=lambda item: (-uncertainty(item), item.id))
    far = sorted(
        (item for item in items if item.distance is not None), key=lambda item: (-(item.distance or 0), item.id)
    )
    places: dict[str, int] = {}
    for kind, ranking in enumerate((far, uncertain)):
        for place, item in enumerate(ranking):
            rank = 2 * place + kind
            places[item.id] = min(rank, places.get(item.id, rank))
    return sorted(items, key=lambda item: (places[item.id], item.id))
