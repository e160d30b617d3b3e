"""The command line options for every bench."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    part: str | None = None  # None: the whole bench
    repeats: int | None = None  # None: the default of the comparison
    quick: bool = False  # small and rough, to test the bench

    def wants(self, part: str) -> bool:
        return self.part in (None, part)

    def rounds(self, usual: int) -> int:
        return self.repeats or (1 if self.quick else usual)
