"""Dictionary attack on hashed or enciphered identifiers: enumerate who they could be of, and compare."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes

from protocols.errors import ParameterError
from protocols.primitives.rng import OsRng, Rng, below
from protocols.risk.statistics import Rate, excess
from protocols.risk.verdict import Finding

Transform = Callable[[bytes], bytes]
BUDGET = 2_000_000
ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
ID_CHECKS = "10X98765432"
LENGTHS = (16, 20, 32)


@dataclass(frozen=True)
class Space:
    """The identifiers that something could be of. at(i) is the i-th of `size`; so a part of a large one can be drawn."""

    name: str
    size: int
    at: Callable[[int], str]


def listed(values: Iterable[str], name: str = "list") -> Space:
    """Return the space of given identifiers: a telephone book, a register of voters."""
    found = list(dict.fromkeys(values))
    return Space(name, len(found), found.__getitem__)


def mobiles(prefixes: Sequence[str] = tuple(map(str, range(130, 200)))) -> Space:
    """Return the mobile numbers (11 digits) with given prefixes."""
    widths = {len(prefix) for prefix in prefixes}
    if len(widths) != 1 or not all(prefix.isascii() and prefix.isdigit() for prefix in prefixes) or widths.pop() > 10:
        raise ParameterError("prefixes are digits, all of the same number, fewer than 11")
    digits = 11 - len(prefixes[0])
    return Space(
        "mobile numbers", len(prefixes) * 10**digits, lambda at: f"{prefixes[at // 10**digits]}{at % 10**digits:0{digits}}"
    )


def id_numbers(regions: Sequence[str], first: datetime.date, last: datetime.date) -> Space:
    """Return the 18-digit 身份证 (GB 11643) of given 6-digit regions and birth dates, check digit included."""
    if first > last or not all(len(region) == 6 and region.isascii() and region.isdigit() for region in regions) or not regions:
        raise ParameterError("regions have 6 digits, and the first date is not after the last")
    days = (last - first).days + 1

    def at(number: int) -> str:
        rest, sequence = divmod(number, 1000)
        region, day = divmod(rest, days)
        body = f"{regions[region]}{first + datetime.timedelta(days=day):%Y%m%d}{sequence:03}"
        return body + ID_CHECKS[sum(int(digit) * weight for digit, weight in zip(body, ID_WEIGHTS, strict=True)) % 11]

    return Space("identity numbers", len(regions) * days * 1000, at)


def hash_transforms(salts: Sequence[bytes] = (b"",)) -> dict[str, Transform]:
    """Return MD5, SHA-1, SHA-256 and, where it is there, SM3, each with a fixed salt in front and behind."""
    kinds: dict[str, Transform] = {
        "MD5": lambda data: hashlib.md5(data, usedforsecurity=False).digest(),
        "SHA-1": lambda data: hashlib.sha1(data, usedforsecurity=False).digest(),
        "SHA-256": lambda data: hashlib.sha256(data).digest(),
    }
    if _has_sm3():
        kinds["SM3"] = _sm3
    return {f"{name}{place}": transform for name, kind in kinds.items() for place, transform in _salted(kind, salts)}


def _salted(kind: Transform, salts: Sequence[bytes]) -> Iterator[tuple[str, Transform]]:
    for at, salt in enumerate(salts):
        if not salt:
            yield "", kind
        else:
            yield f", salt {at + 1} in front", lambda data, salt=salt: kind(salt + data)  # type: ignore[misc]
            yield f", salt {at + 1} behind", lambda data, salt=salt: kind(data + salt)  # type: ignore[misc]


def dictionary(
    column: Iterable[str | bytes],
    space: Space,
    *,
    transforms: Mapping[str, Transform] | None = None,
    budget: int = BUDGET,
    rng: Rng | None = None,
) -> Finding:
    """Attack: put every identifier of a space, or as many drawn at random as the budget has, through each transform.

    column: what was released: digests as hexadecimal text or bytes, or whatever the transforms give (an encryption whose
    key leaked). budget: the most transforms that are computed. Control: as many random digests as there are values; a hit
    there would be a fault of the attack. A hit fails. None passes only if the whole space was tried: it says that the
    values are none of these transforms of none of these identifiers, and nothing of others.
    """
    if space.size < 1:
        raise ParameterError("the space has no identifiers")
    if budget < 1:
        raise ParameterError("the budget is at least one computation")
    rng = rng or OsRng()
    ways = dict(hash_transforms() if transforms is None else transforms)
    targets, rows = _targets(column)
    random = {rng.bytes(len(value)) for value in targets}
    tried = min(space.size, max(1, budget // len(ways)))
    hits: dict[bytes, str] = {}
    false_hits: set[bytes] = set()
    by: dict[str, int] = {}
    for identifier in _candidates(space, tried, rng):
        data = identifier.encode()
        for name, transform in ways.items():
            digest = transform(data)
            if digest in targets and digest not in hits:
                hits[digest] = identifier
                by[name] = by.get(name, 0) + targets[digest]
            elif digest in random:
                false_hits.add(digest)
    found = sum(targets[digest] for digest in hits)
    whole = tried == space.size
    ways_text = ", ".join(f"{name}: {number}" for name, number in by.items())
    return Finding(
        attack="dictionary",
        verdict="FAIL" if found else "PASS" if whole else "INCONCLUSIVE",
        message=f"{found} of {rows} values found{f' ({ways_text})' if by else ''}; {tried:,} of {space.size:,} {space.name} "
        f"tried, {len(ways)} transforms; control {len(false_hits)} of {len(random)}"
        f"{'' if whole else '; the budget ended first'}",
        risk=excess(Rate(found, rows), Rate(len(false_hits), len(random))),
        threshold=0.0,
        exposed=tuple(hits.items()),
    )


def _targets(column: Iterable[str | bytes]) -> tuple[dict[bytes, int], int]:
    targets: dict[bytes, int] = {}
    rows = 0
    for value in column:
        if value is None or value != value:  # noqa: PLR0124  (NaN)
            continue
        digest = _digest(value)
        targets[digest] = targets.get(digest, 0) + 1
        rows += 1
    if not rows:
        raise ParameterError("the column holds no values")
    return targets, rows


def _digest(value: str | bytes) -> bytes:
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    text = str(value).strip()
    if len(text) in {2 * length for length in LENGTHS}:
        try:
            return bytes.fromhex(text)
        except ValueError:
            pass
    return text.encode()


def _candidates(space: Space, number: int, rng: Rng) -> Iterator[str]:
    if number == space.size:
        return (space.at(at) for at in range(number))
    # One stride through the whole space from a random start meets nobody twice, and is spread evenly over it.
    stride, start = space.size // number, below(rng, space.size)
    return (space.at((start + at * stride) % space.size) for at in range(number))


def _sm3(data: bytes) -> bytes:
    digest = hashes.Hash(hashes.SM3())
    digest.update(data)
    return digest.finalize()


def _has_sm3() -> bool:
    try:
        _sm3(b"")
    except UnsupportedAlgorithm:
        return False
    return True
