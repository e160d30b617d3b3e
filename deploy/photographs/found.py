"""The photographs that a source has, and the files that are not used, with the reason."""

from __future__ import annotations

import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from deploy.console import Failure

NAMED = 5  # examples in a message


@dataclass(frozen=True)
class Photo:
    """A photograph with its class. `split` is None if the source does not say it. `name` has the folders below its
    class."""

    path: Path
    label: str
    split: str | None
    name: str


@dataclass
class Collection:
    """`unused` has the files that are left out, by the reason."""

    photos: list[Photo] = field(default_factory=list)
    unused: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def leave_out(self, reason: str, name: str) -> None:
        self.unused.setdefault(reason, []).append(name)

    def report(self) -> list[str]:
        """A line for each reason: the number, some names, and for unsupported formats their kinds and the way out."""
        lines = []
        for reason, names in self.unused.items():
            kinds = Counter(Path(name).suffix.lower() for name in names)
            shown = f" ({', '.join(f'{count} {kind}' for kind, count in sorted(kinds.items()))})" * (reason == FORMAT)
            hint = FORMAT_HINT.format(min(kinds)) if reason == FORMAT else ""
            count = f"{len(names):,} files are" if len(names) > 1 else "1 file is"
            lines.append(f"{count} not used: {reason}{shown}: {some(names)}{hint}")
        return [*self.notes, *lines]


HIDDEN = "hidden"
DANGLING = "links to a file that does not exist"
FORMAT = "photographs in an unsupported format"
FORMAT_HINT = ". Convert them to JPEG, PNG or WebP, for example: magick mogrify -format jpg *{}"
OUTSIDE = "not in the folder of a class"
NO_SPLIT = "in a folder that is not one of the splits"
OTHER = "not images"


def some(names: list[str]) -> str:
    rest = len(names) - NAMED
    return ", ".join([*map(printable, names[:NAMED]), *([f"and {rest:,} more"] if rest > 0 else [])])


def printable(text: str) -> str:
    """A name for a message, with every byte and character that cannot be printed as an escape."""
    return "".join(
        each
        if each.isprintable()
        else each.encode("unicode_escape", "backslashreplace").decode()
        if not "\udc80" <= each <= "\udcff"
        else f"\\x{ord(each) - 0xDC00:02x}"
        for each in text
    )


def label_of(name: str, where: str) -> str:
    """The class that a folder or a list names, in Unicode's composed form (NFC). Raises Failure if it is not text."""
    if not name.isprintable():
        what = (
            "bytes that are not UTF-8" if any("\udc80" <= each <= "\udcff" for each in name) else "control characters"
        )
        hint = " (convmv -r -f latin1 -t utf8 --notest renames a tree)" if "UTF-8" in what else ""
        raise Failure(
            f"The class {printable(name)} in {printable(where)} has {what} in its name. Rename it{hint}. "
            "Nothing was uploaded."
        )
    return unicodedata.normalize("NFC", name).strip()


def check_labels(photos: list[Photo]) -> None:
    """Raise Failure if two classes differ only in upper and lower case."""
    by_fold: dict[str, set[str]] = {}
    for photo in photos:
        by_fold.setdefault(photo.label.casefold(), set()).add(photo.label)
    same = [" and ".join(sorted(labels)) for labels in by_fold.values() if len(labels) > 1]
    if same:
        raise Failure(
            f"These classes differ only in upper and lower case: {some(same)}. Give them one name. "
            "Nothing was uploaded."
        )
