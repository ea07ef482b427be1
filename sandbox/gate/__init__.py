"""The output gate: which cells of a decrypted table may be seen. Pure: no file, no clock, no cryptography."""

from sandbox.gate.cells import Cell, CellTable, Moments, PairMoments, ProviderNote
from sandbox.gate.release import Release, release

__all__ = ["Cell", "CellTable", "Moments", "PairMoments", "ProviderNote", "Release", "release"]
