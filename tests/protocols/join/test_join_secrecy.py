"""Nothing that a provider holds shows anywhere: canaries in every frame, repr, error and object of the others; hops that
cannot be linked; and the README's table of who learns what is the one that policies read."""

from __future__ import annotations

import dataclasses
import gc
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from support.families import join_params, join_roles_of, join_rows, provider_spec

from protocols import join
from protocols.errors import ProtocolError
from protocols.join.messages import ListChunk
from protocols.join.prepare import check_declared, merge
from protocols.local import run_local
from protocols.psi.keys import KeyDomain
from protocols.psi.sealing import SealSecret, open_sealed
from protocols.wire import decode_frame

TEXT = KeyDomain(name="citizen", types=("text",))
BOUND = 10**18
MEASURE = join.MeasureSpec(bound=BOUND, sums=True, squares=True, signed=True, dominance=True)
SPECS = (
    provider_spec("a", carries=True, measures=(MEASURE,)),
    provider_spec("b", unique=True, measures=(MEASURE,)),
    provider_spec("c"),
)
PRODUCTS = (join.ProductSpec(left=(0, 0), right=(1, 0), nulls=True, dominance=True),)


@dataclasses.dataclass(frozen=True)
class Canaries:
    """What one provider holds and nobody else may see."""

    keys: list[str]
    labels: tuple[bytes, ...]
    values: list[int]

    def needles(self) -> list[bytes]:
        """Every form in which a key, a label or a value could show."""
        found = [key.encode() for key in self.keys] + list(self.labels)
        for value in self.values:
            found += [str(value).encode(), f"{value:x}".encode()]
            for number in (value, -value, value * value):
                size = 8 if abs(number) < 2**62 else 16
                found += [number.to_bytes(size, order, signed=True) for order in ("little", "big")]  # type: ignore[arg-type]
        return found


def canaries(name: str, seed: int, *, shared: int = 12) -> Canaries:
    random = np.random.default_rng(seed)
    keys = [f"CANARY-KEY-SHARED-{at:04}" for at in range(shared)] + [f"CANARY-KEY-{name}-{at:04}" for at in range(6)]
    values = [int(value) for value in random.integers(10**17, BOUND, size=len(keys))]
    return Canaries(keys=keys, labels=(f"CANARY-LABEL-{name}-0".encode(), f"CANARY-LABEL-{name}-1".encode()), values=values)


HELD = {name: canaries(name, seed) for seed, name in enumerate("abc")}


def canary_roles(seed: Any = "canary") -> dict[str, Any]:
    params = join_params(SPECS, key_domain=TEXT, min_keys=2, chunk_rows=7, products=PRODUCTS)
    rows = {}
    for name, held in HELD.items():
        count = 0 if name == "c" else 1
        raw = [(key, at % 2, (held.values[at],)[:count]) for at, key in enumerate(held.keys)]
        rows[name] = join_rows(raw, count, labels=held.labels, domain=TEXT)
    return join_roles_of(params, rows, seed=seed)


def own_needles(name: str) -> list[bytes]:
    """A provider's canaries without the keys that others hold too."""
    shared = {b"CANARY-KEY-SHARED-%04d" % at for at in range(12)}
    return [needle for needle in HELD[name].needles() if needle not in shared]


ALL_NEEDLES = sorted({needle for held in HELD.values() for needle in held.needles()})


def hits(data: bytes, needles: list[bytes]) -> list[bytes]:
    return [needle for needle in needles if needle in data]


@pytest.fixture(scope="module")
def run() -> tuple[dict[str, Any], list[bytes], dict[str, Any]]:
    """One run: roles, frames, outputs."""
    roles = canary_roles()
    frames: list[bytes] = []
    outputs = run_local(roles, on_frame=lambda _, __, frame: frames.append(frame))
    assert len(outputs["gate"].cells) > 0
    return roles, frames, outputs


def reachable(root: Any) -> Iterator[Any]:
    """Every object that can be reached from one, modules, classes and globals of functions aside."""
    seen = {id(root)}
    queue = [root]
    while queue:
        item = queue.pop()
        yield item
        children = list(gc.get_referents(item))
        if isinstance(item, types.FunctionType):
            children = [*(item.__closure__ or ()), *(item.__defaults__ or ()), *(item.__kwdefaults__ or {}).values()]
        if isinstance(item, np.ndarray):
            children = [item.base, *(item.ravel().tolist() if item.dtype == object else ())]
            if item.dtype in (np.int64, np.uint64):
                children += item.astype(np.int64).ravel().tolist()
        if isinstance(item, pa.Array):
            children = [bytes(buffer) for buffer in item.buffers() if buffer is not None]
        for child in children:
            if isinstance(child, types.ModuleType | type) or id(child) in seen:
                continue
            seen.add(id(child))
            queue.append(child)


def shown_by(root: Any, needles: list[bytes]) -> list[bytes]:
    """The canaries that objects reachable from `root` hold."""
    values = {value for held in HELD.values() for value in held.values}
    wanted = {number for value in values for number in (value, -value, value * value)}
    found: list[bytes] = []
    for item in reachable(root):
        if isinstance(item, bytes | bytearray | memoryview):
            found += hits(bytes(item), needles)
        elif isinstance(item, str):
            found += hits(item.encode("utf-8", "replace"), needles)
        elif isinstance(item, np.ndarray) and item.dtype != object:
            found += hits(item.tobytes(), needles)
        elif isinstance(item, int) and item in wanted:
            found += [number for number in (str(abs(item)).encode(),) if number in needles]
    return found


def test_the_search_finds_what_is_there(run: Any) -> None:
    roles, _, outputs = run
    for name in "ab":
        found = shown_by(roles[name], own_needles(name))
        for sample in (HELD[name].keys[-1].encode(), HELD[name].labels[0], str(HELD[name].values[0]).encode()):
            assert sample in found
    assert HELD["a"].labels[0] in shown_by(outputs["gate"], own_needles("a"))


def test_no_frame_shows_a_key_a_label_or_a_value(run: Any) -> None:
    _, frames, _ = run
    for frame in frames:
        assert hits(frame, ALL_NEEDLES) == []
        _, message = decode_frame(frame)
        for field in dataclasses.fields(message):  # type: ignore[arg-type]
            value = getattr(message, field.name)
            assert hits(value if isinstance(value, bytes) else str(value).encode(), ALL_NEEDLES) == []


def test_no_repr_shows_a_key_a_label_or_a_value(run: Any) -> None:
    roles, frames, outputs = run
    secret_holders = [*roles.values(), *outputs.values()]
    for role in roles.values():
        secret_holders += [value for value in vars(role).values() if dataclasses.is_dataclass(value)]
        secret_holders += [value for value in vars(role).values() if hasattr(value, "__struct_fields__")]
    secret_holders += [*roles["gate"]._books.values(), *outputs["gate"].cells, *outputs["gate"].books]
    secret_holders += [moments for cell in outputs["gate"].cells for part in cell.moments for moments in part]
    secret_holders += [moments for cell in outputs["gate"].cells for moments in cell.products]
    secret_holders += [roles["gate"]._products]
    secret_holders += [roles["a"]._own, roles["a"]._own.rows.measures]
    secret_holders += [roles["gate"]._private_key, roles["operator"]._seal_secret]
    for holder in secret_holders:
        for text in (repr(holder), str(holder), f"{[holder]}"):
            assert hits(text.encode(), ALL_NEEDLES) == []
    for frame in frames:
        assert hits(repr(decode_frame(frame)[1]).encode(), ALL_NEEDLES) == []


def test_no_repr_shows_a_secret(run: Any) -> None:
    roles, _, _ = run
    secrets = [*roles["gate"]._private_key.primes, roles["gate"]._box_secret.scalar, roles["operator"]._seal_secret.scalar]
    for role in roles.values():
        for value in (role, *vars(role).values()):
            text = repr(value)
            assert not any((str(secret) if isinstance(secret, int) else repr(secret)[2:-1]) in text for secret in secrets)


def test_the_operator_holds_no_key_no_label_and_no_value_after_the_run(run: Any) -> None:
    roles, _, outputs = run
    assert shown_by([roles["operator"], outputs["operator"]], ALL_NEEDLES) == []


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_a_provider_holds_nothing_of_the_others_after_the_run(run: Any, name: str) -> None:
    roles, _, outputs = run
    for other in set(HELD) - {name}:
        assert shown_by([roles[name], outputs[name]], own_needles(other)) == []


def test_the_gate_holds_labels_and_sums_but_no_key_and_no_single_value(run: Any) -> None:
    roles, _, outputs = run
    labels = {label for held in HELD.values() for label in held.labels}
    found = set(shown_by([roles["gate"], outputs["gate"]], ALL_NEEDLES))
    assert found <= labels


def test_no_error_shows_a_key_a_label_or_a_value() -> None:
    held = HELD["a"]
    raw: list[Any] = [(key, at % 2, (held.values[at],)) for at, key in enumerate(held.keys)]
    table = join_rows(raw, 1, labels=held.labels, domain=TEXT)
    narrow = join.MeasureSpec(bound=10, sums=True, squares=True, signed=False, dominance=True)
    measures = table.measures
    twice = join_rows([*raw, (held.keys[0], 1, (held.values[0],))], 1, labels=held.labels, domain=TEXT)
    broken: list[Any] = [
        lambda: check_declared(table, provider_spec("a", carries=True, measures=(narrow,))),
        lambda: check_declared(merge(twice), provider_spec("a", unique=True, carries=True, measures=(MEASURE,))),
        lambda: dataclasses.replace(table, labels=held.labels[:1]),
        lambda: dataclasses.replace(table, keys=table.keys[1:]),
        lambda: check_declared(
            dataclasses.replace(table, multiplicities=table.multiplicities + 2**20),
            provider_spec("a", carries=True, measures=(MEASURE,)),
        ),
        lambda: check_declared(dataclasses.replace(table, measures=measures * 2), SPECS[0]),
        lambda: join.JoinProvider("a", join_params(SPECS, key_domain=TEXT, min_list=100), table),
    ]
    for fails in broken:
        with pytest.raises(ProtocolError) as caught:
            fails()
        error: BaseException | None = caught.value
        while error is not None:
            assert hits(f"{error} {error!r} {error.args}".encode(), ALL_NEEDLES) == []
            error = error.__cause__


# Hops.

HOP_ROWS = 200


@pytest.fixture(scope="module")
def hops() -> tuple[list[ListChunk], SealSecret]:
    """The list of p0 as it leaves p0, p1 and p2; every row in a group of its own, so that its tag names it."""
    measure = join.MeasureSpec(bound=10, sums=True, squares=False, signed=False, dominance=False)
    params = join_params(
        (
            provider_spec("p0", unique=True, carries=True, measures=(measure,)),
            provider_spec("p1", unique=True),
            provider_spec("p2", unique=True),
        ),
        chunk_rows=HOP_ROWS,
    )
    own = join_rows([(key, key, (1,)) for key in range(HOP_ROWS)], 1, labels=tuple(b"%d" % at for at in range(HOP_ROWS)))
    others = {name: join_rows([(key, 0, ()) for key in range(3)], 0) for name in ("p1", "p2")}
    roles = join_roles_of(params, {"p0": own, **others}, seed="hops")
    chunks: list[ListChunk] = []

    def note(_: str, __: str, frame: bytes) -> None:
        message = decode_frame(frame)[1]
        if isinstance(message, ListChunk) and message.owner == "p0":
            chunks.append(message)

    run_local(roles, on_frame=note)
    assert len(chunks) == 3
    return chunks, roles["operator"]._seal_secret


def test_no_byte_row_survives_a_hop(hops: Any) -> None:
    chunks, _ = hops
    for field, width in (("points", 32), ("tags", 32), ("ciphertexts", 128)):
        rows = [{bytes(part) for row in getattr(chunk, field) for part in row.reshape(-1, width)} for chunk in chunks]
        per_row = chunks[0].points.shape[1] // 32 if field != "ciphertexts" else chunks[0].ciphertexts.shape[1] // width
        assert all(len(parts) == HOP_ROWS * per_row for parts in rows)  # nothing repeats within a hop
        assert not rows[0] & rows[1]
        assert not rows[1] & rows[2]
        assert not rows[0] & rows[2]


def test_every_hop_shuffles_afresh(hops: Any) -> None:
    chunks, secret = hops
    tags = [[bytes(tag) for tag in open_sealed(chunk.tags, secret)] for chunk in chunks]
    assert {frozenset(part) for part in tags} == {frozenset(tags[0])}
    assert len(set(tags[0])) == HOP_ROWS
    places = [np.array([part.index(tag) for tag in tags[0]]) for part in tags]
    for first, second in ((0, 1), (1, 2), (0, 2)):
        correlation = np.corrcoef(places[first], places[second])[0, 1]
        assert abs(correlation) < 0.25  # 3.5 standard deviations of 200 independent places
        assert int((places[first] == places[second]).sum()) < 8  # one on average


def test_opened_points_change_at_every_hop_and_bytes_look_uniform(hops: Any) -> None:
    chunks, secret = hops
    points = [{bytes(point) for point in open_sealed(chunk.points, secret)} for chunk in chunks]
    assert all(len(part) == HOP_ROWS for part in points)
    assert not points[0] & points[1]
    assert not points[1] & points[2]
    for chunk in chunks:
        low = chunk.ciphertexts[:, :100].astype(np.float64)  # the high bytes depend on n²
        assert abs(low.mean() - 127.5) < 3


def test_two_runs_of_the_same_input_share_no_row() -> None:
    def rows(seed: str) -> set[bytes]:
        found: set[bytes] = set()

        def note(_: str, __: str, frame: bytes) -> None:
            message = decode_frame(frame)[1]
            if isinstance(message, ListChunk):
                for field in ("points", "tags"):
                    found.update(bytes(row) for row in getattr(message, field))
                found.update(bytes(row) for row in message.ciphertexts if len(row) > 1)

        run_local(canary_roles(seed), on_frame=note)
        return found

    assert not rows("first") & rows("second")


# The document.


def test_the_readme_states_exactly_the_facts_of_the_disclosure() -> None:
    readme = Path(join.__file__).with_name("README.md").read_text(encoding="utf-8")
    section = readme.split("## Who learns what", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    table = {tuple(cell.strip().strip("`") for cell in line.strip("|").split("|"))[:3] for line in lines[1:]}
    table = {row for row in table if not set(row[0]) <= {"-"}}
    specs = (provider_spec("a", carries=True, measures=(MEASURE,)), provider_spec("b", measures=(MEASURE,)))
    product = join.ProductSpec(left=(0, 0), right=(1, 0), nulls=False, dominance=False)
    without, params = join_params(specs), join_params(specs, products=(product,))
    assert set(join.disclosure(params).learned) - set(join.disclosure(without).learned) == {
        item for item in join.disclosure(params).learned if item.fact == "masked_value"
    }
    visible = {"by_design": "by design", "under_collusion": "under collusion"}
    facts = {(item.who, item.fact, visible[item.visibility]) for item in join.disclosure(params).learned}
    assert table == facts


def test_the_disclosure_names_who_opens_multiplicities() -> None:
    def pattern(*specs: join.ProviderSpec) -> str:
        learned = join.disclosure(join_params(specs)).of("operator")
        return next(item.about for item in learned if item.fact == "blinded_pattern")

    opened = pattern(provider_spec("a", carries=True), provider_spec("b", opens_multiplicity=True))
    assert opened.endswith("how many rows it stands for at a, b")
    unique = pattern(provider_spec("a", unique=True, carries=True), provider_spec("b", unique=True))
    assert "rows it stands for" not in unique
