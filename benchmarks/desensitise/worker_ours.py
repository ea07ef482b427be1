"""This project's FF1 as a contender: an Arrow column in, an Arrow column out."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent.parent))

import pyarrow as pa
import serving
from desensitise.inputs import ALPHABETS, KEY, LENGTHS, TWEAK, texts

from protocols.desensitise import ff1


class Ours(serving.Contender):
    """Whole columns."""

    def prepare(self, key_bits: int) -> dict[str, Any]:
        for name, alphabet in ALPHABETS.items():
            given = pa.array(texts(name, 100))
            made = ff1.encrypt(given, key=KEY, tweak=TWEAK, alphabet=alphabet)
            assert ff1.decrypt(made, key=KEY, tweak=TWEAK, alphabet=alphabet).equals(given)
        return {"input": "Arrow column of strings"}


def _operation(name: str, *, decrypting: bool, as_list: bool) -> Callable[[Ours, int], Callable[[], object]]:
    def make(_: Ours, count: int) -> Callable[[], object]:
        given: Any = texts(name, count)
        given = given if as_list else pa.array(given)
        call = ff1.decrypt if decrypting else ff1.encrypt
        return lambda: call(given, key=KEY, tweak=TWEAK, alphabet=ALPHABETS[name])

    return make


for _name in LENGTHS:
    setattr(Ours, f"encrypt_{_name}", _operation(_name, decrypting=False, as_list=False))
    setattr(Ours, f"decrypt_{_name}", _operation(_name, decrypting=True, as_list=False))
    setattr(Ours, f"list_{_name}", _operation(_name, decrypting=False, as_list=True))


if __name__ == "__main__":
    serving.serve(Ours())
