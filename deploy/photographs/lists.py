"""Photographs from a list of paths and labels.

    CSV, TSV     with a header (path, label and perhaps split, under their usual names), or path,label without one
    .lst         SageMaker's: number, label, path, divided by tabs
    JSON lines   the same names; SageMaker's augmented manifest and Ground Truth's output ("source-ref", and the class
                 in "<job>-metadata": {"class-name": …})

A path is absolute, relative to the list, or s3://bucket/key, which is downloaded.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.console import Failure
from deploy.photographs.found import Collection, Photo, label_of, printable, some
from deploy.photographs.layouts import SPLIT_NAMES, is_image_name

if TYPE_CHECKING:
    from deploy.photographs.sources import Scratch

SUFFIXES = (".csv", ".tsv", ".lst", ".jsonl", ".ndjson", ".manifest", ".json")
PATHS = ("path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path", "image_file", "img",
         "uri", "url", "source-ref", "source_ref", "s3_uri")  # fmt: skip
LABELS = ("label", "labels", "class", "class_name", "classname", "category", "target", "tag", "breed", "species", "y")
SPLITS = ("split", "set", "subset", "partition", "fold", "usage")


def read(path: Path, scratch: Scratch) -> Collection:
    """The photographs that the list names. Raises Failure, which names the line that is wrong."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise Failure(f"{path} is not UTF-8. Save it as UTF-8. Nothing was uploaded.") from None
    suffix = path.suffix.lower()
    rows = list(_json_rows(path, text) if suffix in (".jsonl", ".ndjson", ".manifest", ".json") else _csv(path, text))
    if not rows:
        raise Failure(f"{path} has no line with a path and a label. Nothing was uploaded.")
    found, missing = Collection(), []
    labels: dict[Path, tuple[str, int]] = {}
    places = _places(path, [place for _, place, _, _ in rows], scratch)
    for (line, place, name, split), file in zip(rows, places, strict=True):
        label = label_of(name, f"line {line} of {path}")
        if not label or "/" in label or label.startswith("."):
            raise Failure(f"Line {line} of {path}: {printable(name)!r} cannot be a class. Nothing was uploaded.")
        key = file.resolve()
        if labels.setdefault(key, (label, line))[0] != label:
            raise Failure(
                f"{path}: {printable(place)} is {labels[key][0]} in line {labels[key][1]} and {label} in line {line}. "
                "Nothing was uploaded."
            )
        if labels[key][1] != line:
            found.leave_out("named more than once", place)
        elif not file.is_file():
            missing.append(place)
        else:
            found.photos.append(Photo(file, label, _split(split, line, path), _name(place)))
    if missing:
        if not found.photos or not os.environ.get("SKIP_BROKEN"):
            raise Failure(
                f"{len(missing):,} of the {len(rows):,} files in {path} do not exist: {some(missing)}. "
                "Nothing was uploaded. Go on without them: SKIP_BROKEN=1."
            )
        found.unused["do not exist"] = missing
    return found


def _name(place: str) -> str:
    """The folders of a path may hold the class or the date, so files of one name in two folders stay two."""
    return "/".join(part for part in Path(place.removeprefix("s3://")).parts[-3:] if part not in ("/", "..", "."))


def _split(name: str | None, line: int, path: Path) -> str | None:
    if not name:
        return None
    if name.strip().lower() not in SPLIT_NAMES:
        raise Failure(f"Line {line} of {path}: {printable(name)!r} is not a split; use train, valid or test.")
    return SPLIT_NAMES[name.strip().lower()]


Row = tuple[int, str, str, str | None]


def _csv(path: Path, text: str) -> Iterator[Row]:
    first = text.split("\n", 1)[0]
    tabs = path.suffix.lower() in (".tsv", ".lst") or ("\t" in first and "," not in first)
    delimiter = "\t" if tabs else ";" if ";" in first and "," not in first else ","
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    columns: tuple[int, int, int | None] | None = (2, 1, None) if path.suffix.lower() == ".lst" else None
    for fields in lines:
        if not any(field.strip() for field in fields):
            continue
        if columns is None:
            columns, is_header = _columns(fields, path)
            if is_header:
                continue
        place, label, split = columns
        if len(fields) <= max(place, label, split or 0):
            raise Failure(f"Line {lines.line_num} of {path} has only {len(fields)} fields. Nothing was uploaded.")
        yield lines.line_num, fields[place].strip(), fields[label].strip(), fields[split] if split is not None else None


def _columns(header: list[str], path: Path) -> tuple[tuple[int, int, int | None], bool]:
    """The columns of path, label and split, and whether the first line is a header."""
    names = [name.strip().lower() for name in header]
    place, label, split = (next((names.index(n) for n in known if n in names), None) for known in
                           (PATHS, LABELS, SPLITS))  # fmt: skip
    if place is not None and label is not None:
        return (place, label, split), True
    if len(header) == 2 and is_image_name(header[0].strip()):
        return (0, 1, None), False
    raise Failure(
        f"{path} starts with {printable(', '.join(header[:8]))}. Its first line must name a column of paths "
        f"({', '.join(PATHS[:5])} …) and one of classes ({', '.join(LABELS[:4])} …). Nothing was uploaded."
    )


def _json_rows(path: Path, text: str) -> Iterator[Row]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except ValueError:
            raise Failure(f"Line {number} of {path} is not JSON: one object a line. Nothing was uploaded.") from None
        if not isinstance(entry, dict):
            raise Failure(f"Line {number} of {path} is not a JSON object, so it has no label. Nothing was uploaded.")
        lower = {str(name).lower(): value for name, value in entry.items()}
        place = next((lower[name] for name in PATHS if isinstance(lower.get(name), str)), None)
        label = _json_label(entry, lower)
        if place is None or label is None:
            raise Failure(f"Line {number} of {path} has no path or no class. Nothing was uploaded.")
        split = next((str(lower[name]) for name in SPLITS if lower.get(name)), None)
        yield number, place, label, split


def _json_label(entry: dict, lower: dict) -> str | None:
    """Ground Truth numbers the classes and has their names in the metadata."""
    for name, value in entry.items():
        if name.endswith("-metadata") and isinstance(value, dict) and isinstance(value.get("class-name"), str):
            return value["class-name"]
    named = next((lower[name] for name in LABELS if isinstance(lower.get(name), str | int)), None)
    if named is None:
        others = [value for name, value in entry.items() if name != "source-ref" and isinstance(value, str | int)]
        named = others[0] if "source-ref" in entry and len(others) == 1 else None
    return None if named is None else str(named)


def _places(path: Path, places: list[str], scratch: Scratch) -> list[Path]:
    """The file of each path. Objects of S3 are downloaded, all at once."""
    from deploy.photographs import sources

    remote = [place for place in places if place.startswith("s3://")]
    local = sources.download_objects(remote, scratch) if remote else {}
    return [local.get(place) or path.parent / Path(place).expanduser() for place in places]
