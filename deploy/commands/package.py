"""`make package`: package the payloads into build/."""

from __future__ import annotations

from deploy import console
from deploy.build.package import build
from deploy.environment import BUILD


def main() -> int:
    manifest = build()
    for payload, made in sorted(manifest.items()):
        size = (BUILD / made["file"]).stat().st_size
        console.out.print(f"  {payload:<10} {size / 1e6:8.2f} MB  build/{made['file']:<17} {made['sha256'][:16]}")
    return 0


if __name__ == "__main__":
    console.run(main)
