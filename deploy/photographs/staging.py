"""A folder `{train,valid,test}/<class>/<image>` of links to photographs, as training reads it.

Names become valid keys: of the folders below a class and the file, joined; without bytes and characters that are not
text; none twice.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from deploy.photographs.found import Photo

LONGEST = 200  # bytes of a name; file systems allow 255, S3 1,024 for the whole key


def stage(photos: Sequence[Photo], root: Path) -> dict[Path, int]:
    """Write the links. Returns the row of the photograph for each link."""
    rows: dict[Path, int] = {}
    for row, photo in enumerate(photos):
        folder = root / str(photo.split) / photo.label
        folder.mkdir(parents=True, exist_ok=True)
        link = folder / _key(photo.name)
        number = 2
        while link in rows:
            link = folder / f"{Path(_key(photo.name)).stem}-{number}{link.suffix}"
            number += 1
        link.symlink_to(photo.path.absolute())
        rows[link] = row
    return rows


def _key(name: str) -> str:
    joined = unicodedata.normalize("NFC", name.replace("/", "_"))
    text = re.sub(r"[\x00-\x1f\x7f\udc80-\udcff]", "_", joined).lstrip(".") or "_"
    if len(text.encode()) <= LONGEST:
        return text
    stem, suffix = Path(text).stem, Path(text).suffix
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:12]
    return stem.encode()[: LONGEST - 40].decode(errors="ignore") + f"-{digest}{suffix}"
