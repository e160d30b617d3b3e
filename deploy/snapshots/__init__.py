"""Named states of the rehearsal: `make snapshot`, `snapshots`, `restore` and `snapshot-delete`. See docs/adr/0029."""
