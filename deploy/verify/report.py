"""The report of `make verify` in Markdown, to send to the project."""

from __future__ import annotations

import platform
from collections import Counter
from datetime import UTC, datetime

from deploy.deployment import Deployment
from deploy.verify.assumption import Assumption, Observation

WORDS = {True: "holds", False: "does not hold", None: "not seen"}


def report(deployment: Deployment, asked: str, observed: list[tuple[Assumption, Observation]]) -> str:
    """The report. The account's number is replaced, because a report is meant for others."""
    counts = Counter(WORDS[seen.holds] for _, seen in observed)
    summary = ", ".join(f"{counts[word]} {word}" for word in WORDS.values())
    lines = [
        f"# Verification of {deployment.env}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "",
        f"Asked: **{asked}**. Region {deployment.region}, Python {platform.python_version()}. Result: {summary}.",
        "",
        "| assumption | result | seen |",
        "|---|---|---|",
    ]
    for each, seen in observed:
        cell = " ".join(seen.seen.replace("|", "\\|").split())
        lines.append(f"| `{each.name}`: {each.sentence} | **{WORDS[seen.holds]}** | {cell} |")
    lines += ["", "## The same by hand", ""]
    lines += [f"- `{each.name}`: `{each.shown_command(deployment)}`" for each, _ in observed]
    return "\n".join(lines) + "\n"


def without_account(text: str, account: str) -> str:
    return text.replace(account, "<account>")
