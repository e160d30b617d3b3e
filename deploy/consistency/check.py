"""Refuse a plan whose settings contradict each other, unless the setting `accept` names the contradiction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deploy import console
from deploy.consistency import rules
from deploy.consistency.measured import MeasuredInstance
from deploy.console import Failure


def require(settings: dict[str, Any], measured: MeasuredInstance | None, file: Path) -> None:
    """Raise Failure for contradictions that fail and are not accepted; warn of the others.

    `settings` are those of `deploy.settings.effective`, and `file` has them. An accepted contradiction that would only
    warn is not mentioned.
    """
    found = list(rules.contradictions(settings, measured))
    accepted = settings["accept"]
    for each in found:
        if each.fails and each.name in accepted:
            console.warn(f"{each.what}. Accepted: {each.name}")
        elif not each.fails and each.name not in accepted:
            console.warn(f"{each.what}. To mend it, {each.fix}. To accept it: accept = [{each.name!r}]")
    refused = [each for each in found if each.fails and each.name not in accepted]
    if refused:
        lines = "".join(f"\n  - {each.what}.\n    To mend it, {each.fix}." for each in refused)
        names = ", ".join(f'"{name}"' for name in dict.fromkeys([*accepted, *(each.name for each in refused)]))
        raise Failure(
            f"Settings contradict each other. Nothing was changed.{lines}\n"
            f"Or keep them, with accept = [{names}]. The settings: {file}"
        )
