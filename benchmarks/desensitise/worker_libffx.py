"""libffx as a contender: one call a text, one cipher object for all of them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent.parent))

import serving
from desensitise.inputs import ALPHABETS, KEY, LENGTHS, TWEAK, texts
from ffx import FF1


class LibFfx(serving.Contender):
    """Lists of str in and out."""

    def prepare(self, key_bits: int) -> dict[str, Any]:
        self.ciphers = {name: FF1(KEY, alphabet=alphabet) for name, alphabet in ALPHABETS.items()}
        for name, cipher in self.ciphers.items():
            assert all(cipher.decrypt(cipher.encrypt(text, tweak=TWEAK), tweak=TWEAK) == text for text in texts(name, 100))
        return {"input": "list of str"}


def _operation(name: str, *, decrypting: bool) -> Callable[[LibFfx, int], Callable[[], object]]:
    def make(worker: LibFfx, count: int) -> Callable[[], object]:
        given, cipher = texts(name, count), worker.ciphers[name]
        call = cipher.decrypt if decrypting else cipher.encrypt
        return lambda: [call(text, tweak=TWEAK) for text in given]

    return make


for _name in LENGTHS:
    setattr(LibFfx, f"encrypt_{_name}", _operation(_name, decrypting=False))
    setattr(LibFfx, f"decrypt_{_name}", _operation(_name, decrypting=True))
    setattr(LibFfx, f"list_{_name}", _operation(_name, decrypting=False))


if __name__ == "__main__":
    serving.serve(LibFfx())
