"""What the command line says to every bench."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    part: str | None = None  # None: all of it
    repeats: int | None = None  # None: what the comparison finds fitting
    quick: bool = False  # small and rough, to see that it runs

    def wants(self, part: str) -> bool:
        return self.part in (None, part)

    def rounds(self, usual: int) -> int:
        return self.repeats or (1 if self.quick else usual)
