"""Flower's SecAgg+ client as a contender: its own functions for the four stages, with 48 neighbours."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).parent.parent))

import serving
from flwr.common import ndarrays_to_parameters
from flwr.common.secure_aggregation.crypto.shamir import create_shares
from flwr.common.secure_aggregation.crypto.symmetric_encryption import encrypt, generate_shared_key
from flwr.common.secure_aggregation.ndarrays_arithmetic import parameters_addition, parameters_mod
from flwr.common.secure_aggregation.secaggplus_constants import Key
from flwr.common.secure_aggregation.secaggplus_utils import pseudo_rand_gen, share_keys_plaintext_concat
from flwr.supercore.primitives.asymmetric import bytes_to_private_key, bytes_to_public_key

# The package has a function of the module's name, which hides the module from `import`.
mod: Any = importlib.import_module("flwr.client.mod.secure_aggregation.secaggplus_mod")

NEIGHBOURS, THRESHOLD = 48, 27
MOD_RANGE = 1 << 32
SETUP = {
    Key.SAMPLE_NUMBER: NEIGHBOURS + 1,
    Key.SHARE_NUMBER: NEIGHBOURS + 1,
    Key.THRESHOLD: THRESHOLD,
    Key.CLIPPING_RANGE: 8.0,
    Key.TARGET_RANGE: 1 << 22,
    Key.MOD_RANGE: MOD_RANGE,
    Key.MAX_WEIGHT: 1000.0,
}
US = 0


def _state(nid: int) -> Any:
    state = mod.SecAggPlusState()
    state.nid = nid
    mod._setup(state, dict(SETUP))
    return state


class Flower(serving.Contender):
    """Masks alone, and a client's whole round; floats are quantised in the latter, as it does."""

    def prepare(self, key_bits: int) -> dict[str, Any]:
        self.us = _state(US)
        others = [_state(nid) for nid in range(1, NEIGHBOURS + 1)]
        self.keys = {str(state.nid): (state.pk1, state.pk2) for state in (self.us, *others)}
        self.boxes = []
        for other in others:
            shared = generate_shared_key(bytes_to_private_key(other.sk2), bytes_to_public_key(self.us.pk2))
            shares = [create_shares(secret, THRESHOLD, NEIGHBOURS + 1)[US] for secret in (os.urandom(32), other.sk1)]
            self.boxes.append(encrypt(shared, share_keys_plaintext_concat(other.nid, US, *shares)))
        return {}

    def mask(self, count: int) -> Callable[[], object]:
        seeds = [os.urandom(32) for _ in range(NEIGHBOURS + 1)]

        def work() -> object:
            vector = [np.zeros(count, dtype=np.int32)]
            for seed in seeds:
                vector = parameters_addition(vector, pseudo_rand_gen(seed, MOD_RANGE, [(count,)]))
            return parameters_mod(vector, MOD_RANGE)

        return work

    def client(self, count: int) -> Callable[[], object]:
        parameters = ndarrays_to_parameters([np.linspace(-1, 1, count, dtype=np.float32)])

        def work() -> object:
            state = _state(US)
            state.sk1, state.pk1, state.sk2, state.pk2 = self.us.sk1, self.us.pk1, self.us.sk2, self.us.pk2
            mod._share_keys(state, dict(self.keys))
            boxes = {Key.CIPHERTEXT_LIST: self.boxes, Key.SOURCE_LIST: list(range(1, NEIGHBOURS + 1))}
            masked = mod._collect_masked_vectors(state, boxes, 1, parameters)
            mod._unmask(state, {Key.ACTIVE_NODE_ID_LIST: list(range(NEIGHBOURS + 1)), Key.DEAD_NODE_ID_LIST: []})
            return masked

        return work

    def framed(self, count: int) -> Callable[[], object]:
        return self.client(count)


if __name__ == "__main__":
    serving.serve(Flower())
