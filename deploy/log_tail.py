"""Read new lines of CloudWatch Logs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


class LogTail:
    """The lines of all streams of a log group that begin with a prefix, each line once.

    CloudWatch Logs has no blocking read, so `poll` returns the lines since the last call. If a call fails midway, the
    next one continues after the last complete page. `client` returns the client of CloudWatch Logs. It is called each
    time, so the client may be a new one with other credentials.
    """

    def __init__(self, client: Callable[[], Any], group: str, prefix: str = ""):
        self._client, self._group, self._prefix = client, group, prefix
        self._tokens: dict[str, str] = {}

    def poll(self) -> Iterator[tuple[str, str]]:
        """Yield (stream, line) for every new line. Yields nothing if the group or its streams do not exist yet."""
        for stream in self._streams():
            while True:
                token = self._tokens.get(stream)
                page = self._client().get_log_events(
                    logGroupName=self._group,
                    logStreamName=stream,
                    startFromHead=True,
                    **({"nextToken": token} if token else {}),
                )
                for event in page["events"]:
                    yield stream, event["message"].rstrip("\n")
                self._tokens[stream] = page["nextForwardToken"]
                # CloudWatch returns the same token twice if there are no more lines for now.
                if page["nextForwardToken"] == token or not page["events"]:
                    break

    def _streams(self) -> list[str]:
        prefix = {"logStreamNamePrefix": self._prefix} if self._prefix else {}
        logs = self._client()
        pages = logs.get_paginator("describe_log_streams").paginate(logGroupName=self._group, **prefix)
        try:
            return [stream["logStreamName"] for page in pages for stream in page["logStreams"]]
        except logs.exceptions.ResourceNotFoundException:
            return []
