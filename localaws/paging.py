"""Listings in pages: what part of a listing an answer holds, and the token of the next part."""

import base64
import binascii
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

_MARK = b"localaws:"


class InvalidToken(Exception):
    """A token that no listing has given. Each service has its own error for it."""


def page(items: Sequence[T], token: str | None, size: int) -> tuple[Sequence[T], str | None]:
    """At most `size` items from where `token` says (None: from the beginning), and the token of the next page.

    The second value is None on the last page. Raises InvalidToken.
    """
    first = 0 if token is None else _position(token)
    end = first + size
    following = base64.urlsafe_b64encode(_MARK + str(end).encode()).decode() if end < len(items) else None
    return items[first:end], following


def _position(token: str) -> int:
    try:
        said = base64.urlsafe_b64decode(token.encode())
    except (binascii.Error, ValueError):
        raise InvalidToken from None
    number = said.removeprefix(_MARK)
    if not said.startswith(_MARK) or not number.isdigit():
        raise InvalidToken
    return int(number)
