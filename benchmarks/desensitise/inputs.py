"""What both sides of the FF1 benchmark encrypt. Standard library only."""

from __future__ import annotations

import random
import string

KEY = bytes(range(16))
TWEAK = b"benchmark"
LENGTHS = {"mobile": 11, "card": 16, "long": 24, "code": 12}
ALPHABETS = dict.fromkeys(LENGTHS, string.digits) | {"code": string.digits + string.ascii_lowercase}


def texts(name: str, count: int) -> list[str]:
    """Return random texts of one kind, the same in every process."""
    source = random.Random(name)
    return ["".join(source.choices(ALPHABETS[name], k=LENGTHS[name])) for _ in range(count)]
