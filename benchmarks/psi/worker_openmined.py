"""openmined-psi as a contender: ECDH over P-256 in C++, both sides in one process, every message through bytes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent.parent))

import private_set_intersection.python as openmined
import serving

FALSE_POSITIVES = 1e-9  # not used by RAW, which compares whole points, as ours does


def _items(first: int, count: int) -> list[str]:
    return [f"item {number}" for number in range(first, first + count)]


def _intersect(left: list[str], right: list[str]) -> list[int]:
    client, server = openmined.client.CreateWithNewKey(True), openmined.server.CreateWithNewKey(True)
    setup = server.CreateSetupMessage(FALSE_POSITIVES, len(left), right, openmined.DataStructure.RAW).SerializeToString()
    request = openmined.Request()
    request.ParseFromString(client.CreateRequest(left).SerializeToString())
    response = openmined.Response()
    response.ParseFromString(server.ProcessRequest(request).SerializeToString())
    received = openmined.ServerSetup()
    received.ParseFromString(setup)
    found: list[int] = client.GetIntersection(received, response)
    return found


class OpenMined(serving.Contender):
    """Fresh keys for each run, as ours has fresh scalars."""

    def prepare(self, key_bits: int) -> dict[str, Any]:
        assert sorted(_intersect(_items(0, 100), _items(50, 100))) == list(range(50, 100))
        return {}

    def intersect(self, count: int) -> Callable[[], object]:
        left, right = _items(0, count), _items(count // 2, count)
        return lambda: _intersect(left, right)


if __name__ == "__main__":
    serving.serve(OpenMined())
