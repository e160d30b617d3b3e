"""New lines of CloudWatch Logs as they come."""

from __future__ import annotations

from collections.abc import Iterator


class LogTail:
    """The lines of all streams of a log group that begin with a prefix, each line once.

    CloudWatch Logs has no blocking read: `poll` returns what has come since the last call. Where that fails midway, the
    next one goes on behind the last page that came whole; `after` is the tail that another one, with a client of its
    own, goes on from.
    """

    def __init__(self, logs, group: str, prefix: str = "", after: LogTail | None = None):
        self._logs, self._group, self._prefix = logs, group, prefix
        self._tokens: dict[str, str] = dict(after._tokens) if after else {}

    def poll(self) -> Iterator[tuple[str, str]]:
        """Yield (stream, line) for every new line; nothing while the group or its streams do not exist yet."""
        for stream in self._streams():
            while True:
                token = self._tokens.get(stream)
                page = self._logs.get_log_events(
                    logGroupName=self._group,
                    logStreamName=stream,
                    startFromHead=True,
                    **({"nextToken": token} if token else {}),
                )
                for event in page["events"]:
                    yield stream, event["message"].rstrip("\n")
                self._tokens[stream] = page["nextForwardToken"]
                # The same token twice is CloudWatch's way to say that there is no more for now.
                if page["nextForwardToken"] == token or not page["events"]:
                    break

    def _streams(self) -> list[str]:
        prefix = {"logStreamNamePrefix": self._prefix} if self._prefix else {}
        pages = self._logs.get_paginator("describe_log_streams").paginate(logGroupName=self._group, **prefix)
        try:
            return [stream["logStreamName"] for page in pages for stream in page["logStreams"]]
        except self._logs.exceptions.ResourceNotFoundException:
            return []
