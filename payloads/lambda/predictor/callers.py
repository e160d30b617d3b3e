"""Who may ask, and how often: the API key of a public address, and a limit for each caller.

The function knows the SHA-256 of the key and not the key, which is in SSM Parameter Store. The key has 256 random bits,
so the hash does not help to find it. Two hashes are compared in constant time.

The limit counts the requests of an address (sourceIp) in this environment of the function only. Lambda runs one request
at a time in an environment, and starts environments as they are needed: with N of them, a caller may have N times the
limit. `predictor.reserved` bounds N.
"""

import hashlib
import hmac
import math
import time
from collections import OrderedDict
from collections.abc import Callable

from classifier.contract import ApiError

HEADER = "x-api-key"
MOST_CALLERS = 10_000  # that are remembered; the one that has not asked for the longest time is forgotten first


class KeyCheck:
    """The API key of the address, by its SHA-256 in hexadecimal digits. Raises ValueError if it is not one."""

    def __init__(self, sha256: str):
        if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
            raise ValueError("API_KEY_SHA256 is not a SHA-256: 64 hexadecimal digits")
        self._expected = sha256

    def require(self, headers: dict[str, str]) -> None:
        """Raise ApiError 401 unless the request has the key."""
        given = hashlib.sha256(headers.get(HEADER, "").encode("utf-8", "replace")).hexdigest()
        if not hmac.compare_digest(given, self._expected):
            raise ApiError("unauthorized", f"The address needs an API key. Send it in the header {HEADER}.")


class CallerLimit:
    """At most `per_minute` requests a minute for each caller, which may all come at once (a token bucket)."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic):
        self._per_minute, self._clock = per_minute, clock
        self._callers: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, and when they were counted

    def require(self, caller: str) -> None:
        """Take a token of the caller. Raises ApiError 429 if there is none."""
        now = self._clock()
        tokens, then = self._callers.pop(caller, (float(self._per_minute), now))
        tokens = min(float(self._per_minute), tokens + (now - then) * self._per_minute / 60)
        self._callers[caller] = (tokens - 1 if tokens >= 1 else tokens, now)
        if len(self._callers) > MOST_CALLERS:
            self._callers.popitem(last=False)
        if tokens < 1:
            wait = math.ceil((1 - tokens) * 60 / self._per_minute)
            words = f"More than {self._per_minute} requests a minute. Try again in {wait} s."
            raise ApiError("too_many_requests", words, retry_after=wait)
