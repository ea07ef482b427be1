"""What is put into raw data is found nowhere it may not be; neither is any secret."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support import agencies, canaries

import sandbox
from protocols import join, paillier
from sandbox.audit.verify import verify
from sandbox.embedded import Embedded
from sandbox.errors import SandboxError
from sandbox.node.provider import ProviderNode
from sandbox.tasks.product import Product

ROWS = 130
KEYS = [7_313_131_000_000_017 + 104_729 * row for row in range(ROWS)]
LAB_KEYS = [*KEYS[5:], 8_424_242_000_000_039]
VALUES = [512_345_678_901 + 7_919 * row * row for row in range(ROWS)]
RATES = [0.123456789012345 + row / 977 for row in range(ROWS)]
SHOWN = ("canary-east-gate", "canary-west-gate")
HIDDEN = "canary-filtered-gate"
SECRET_NOTES = [f"canary-note-{row * 7919:06d}-喵" for row in range(ROWS)]
PHONES = [86_139_000_000_000 + 15_485_863 * row for row in range(ROWS)]
QUESTION = """
SELECT p.district, COUNT(*) AS n, SUM(t.amount) AS total, AVG(t.rate) AS mean
FROM registry.people p JOIN lab.tests t ON t.id = p.id
WHERE p.district <> 'canary-question-literal' AND p.ward < 50
GROUP BY p.district
"""
RAW = {
    "registry": [*KEYS, HIDDEN, *SECRET_NOTES, *PHONES],
    "lab": [*LAB_KEYS, *VALUES, *(round(rate, 12) for rate in RATES), *(note.upper() for note in SECRET_NOTES)],
}
EVERYTHING = [*RAW["registry"], *RAW["lab"]]


def tables() -> dict[str, dict[str, Any]]:
    people = pd.DataFrame(
        {
            "id": KEYS,
            "district": [HIDDEN if row in (40, 41) else SHOWN[row % 2] for row in range(ROWS)],
            "ward": [60 if row in (40, 41) else row % 40 for row in range(ROWS)],
            "note": SECRET_NOTES,
            "phone": PHONES,
        }
    )
    tests = pd.DataFrame(
        {
            "id": LAB_KEYS,
            "amount": [VALUES[row % ROWS] for row in range(len(LAB_KEYS))],
            "rate": [round(RATES[row % ROWS], 12) for row in range(len(LAB_KEYS))],
            "note": [SECRET_NOTES[row % ROWS].upper() for row in range(len(LAB_KEYS))],
        }
    )
    return {
        "registry": {
            "people": sandbox.table(
                people,
                key="id",
                key_domain="person",
                unique=True,
                roles={"district": "quasi_identifier", "phone": "direct_identifier"},
                bounds={"ward": (0, 99)},
            )
        },
        "lab": {
            "tests": sandbox.table(
                tests,
                key="id",
                key_domain="person",
                bounds={"amount": (0, 10**12), "rate": (0, 2)},
                scales={"rate": 1000},
            )
        },
    }


@dataclass
class Story:
    """One run with all that it left behind."""

    network: Embedded
    product: Product
    root: Path
    texts: list[str] = field(default_factory=list)
    frames: list[tuple[str, str, bytes]] = field(default_factory=list)
    roles: dict[str, Any] = field(default_factory=dict)
    seeds: list[bytes] = field(default_factory=list)

    def node(self, name: str) -> Path:
        return self.root / "workspace" / "nodes" / name


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    root = tmp_path_factory.mktemp("canary")
    frames: list[tuple[str, str, bytes]] = []
    roles: dict[str, Any] = {}
    seeds: list[bytes] = []
    contributions: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        for kind in (join.JoinOperator, join.JoinGate, join.JoinProvider):
            patch.setattr(kind, "__init__", remembering(kind.__init__, roles))
        contribute = ProviderNode.contribute

        def kept(node: ProviderNode, *arguments: Any, **options: Any) -> Any:
            found = contribute(node, *arguments, **options)
            seeds.append(found.seed)
            contributions.append(found)
            return found

        patch.setattr(ProviderNode, "contribute", kept)
        with agencies.make(root / "workspace", tables()) as network:
            explanation = agencies.ask(network, QUESTION)
            grant = network.approve(explanation, calls=5)
            product = network.run(explanation, grant=grant, on_frame=lambda *frame: frames.append(frame))
            product.bundle(root / "bundle")
            network.write_trust(root / "trust.toml")
            errors = list(refusals(network))
            texts = [canaries.chain(error) for error in errors]
            texts += [explanation.text(), explanation._repr_html_()]
            shown = (network, network.manager, network.workspace, explanation, grant, product, *network._nodes.values())
            texts += [repr(item) for item in (*shown, *roles.values(), *contributions)]
            texts += [repr(item.local) + repr(item.local.rows) for item in contributions]
            texts += [repr(signed) for signed in network.manager.logbook.events()]
            texts += [repr(item) for item in network.manager.assets().values()]
            yield Story(network=network, product=product, root=root, texts=texts, frames=frames, roles=roles, seeds=seeds)


def remembering(original: Any, roles: dict[str, Any]) -> Any:
    def init(role: Any, name: str, *arguments: Any, **options: Any) -> None:
        original(role, name, *arguments, **options)
        roles.setdefault(name, role)

    return init


def refusals(network: Embedded) -> Iterator[BaseException]:
    """Errors that data cause: values beyond what is declared, keys that repeat, cells that are too small."""
    beyond = tables()["lab"]["tests"]
    wrong = {
        "beyond": sandbox.table(beyond.data, key="id", key_domain="person", bounds={"amount": (0, 10)}),
        "texts": sandbox.table(beyond.data, key="id", key_domain="person", types={"note": "integer"}),
        "doubled": sandbox.table(
            pd.concat([beyond.data, beyond.data]),
            key="id",
            key_domain="person",
            unique=True,
            bounds={"amount": (0, 10**12), "rate": (0, 2)},
            scales={"rate": 1000},
        ),
        "mixed": sandbox.table(
            beyond.data.assign(amount=[*beyond.data["note"][:-1], 5]), key="id", key_domain="person", bounds={"amount": (0, 9)}
        ),
    }
    for name, definition in wrong.items():
        try:
            network.add_table("lab", name, definition)
            agencies.answer(network, QUESTION.replace("lab.tests", f"lab.{name}").replace(", AVG(t.rate) AS mean", ""))
        except SandboxError as error:
            yield error
        else:
            pytest.fail(f"{name} was accepted")
    narrow = QUESTION.replace("p.ward < 50", "p.ward >= 0").replace("p.district,", "p.district, p.ward,")
    narrow = narrow.replace("GROUP BY p.district", "GROUP BY p.district, p.ward")
    for sql, options in ((QUESTION, {"purpose": "advertising"}), (narrow, {})):
        try:
            agencies.answer(network, sql, **options)
        except Exception as error:
            yield error


def test_the_run_released_what_it_should(story: Story) -> None:
    rows = story.product.rows()
    assert [row[0] for row in rows] == sorted(SHOWN)
    joined = [row for row in range(5, ROWS) if row not in (40, 41)]
    for row in rows:
        mine = [number for number in joined if SHOWN[number % 2] == row[0]]
        assert row[1] == len(mine)
        assert row[2] == sum(VALUES[number - 5] for number in mine)
    assert verify(story.root / "bundle", story.root / "trust.toml").task == story.product.id
    assert len(story.texts) > 20


def test_no_frame_carries_a_raw_value_or_a_label(story: Story) -> None:
    assert {sender for sender, _, _ in story.frames} == {"registry", "lab", "operator", "manager"}
    for sender, recipient, frame in story.frames:
        assert canaries.found_in(frame, (*EVERYTHING, *SHOWN)) == [], (sender, recipient)


def test_no_error_repr_log_entry_or_page_shows_a_raw_value(story: Story) -> None:
    for text in story.texts:
        assert canaries.found_in(text.encode(), EVERYTHING) == [], text[:300]
    for signed in story.network.manager.logbook.events():
        assert canaries.found_in(signed.leaf(), (*EVERYTHING, *SHOWN)) == []
    page = story.product._repr_html_() + repr(story.product) + str(story.product.rendered())
    assert canaries.found_in(page.encode(), EVERYTHING) == []
    assert canaries.found_in(page.encode(), SHOWN) == list(SHOWN)


def test_no_file_of_any_node_holds_a_raw_value(story: Story) -> None:
    names = set()
    for path, data in canaries.files_below(story.root):
        names.add(path.name)
        assert canaries.found_in(data, EVERYTHING) == [], path
    assert {"state.sqlite", "bundle.json", "product.arrow", "trust.toml", "network.json", "checkpoint"} <= names


def test_labels_stand_at_the_gate_where_they_are_released_and_nowhere_else(story: Story) -> None:
    manager = story.node("manager")
    allowed = {manager / "state.sqlite", *(manager / "products").rglob("*"), *(story.root / "bundle").iterdir()}
    holders = {path for path, data in canaries.files_below(story.root) if canaries.found_in(data, SHOWN)}
    assert holders <= allowed
    assert manager / "state.sqlite" in holders


def test_the_operators_memory_of_a_run_holds_no_label_and_no_plain_value(story: Story) -> None:
    totals = [row[2] for row in story.product.rows()]
    operator = story.roles["operator"]
    assert sum(1 for _ in canaries.reachable(operator)) > 100
    assert canaries.held(operator, (*EVERYTHING, *SHOWN, *map(int, totals))) == []


def test_the_gates_memory_of_a_run_holds_no_row(story: Story) -> None:
    assert canaries.held(story.roles["manager"], EVERYTHING) == []


def test_a_providers_memory_of_a_run_holds_nothing_of_the_other(story: Story) -> None:
    assert canaries.held(story.roles["registry"], [*VALUES, LAB_KEYS[-1]]) == []
    assert canaries.held(story.roles["lab"], [*KEYS[:5], *SHOWN, *PHONES]) == []


def test_the_search_would_find_what_it_searches_for(story: Story, tmp_path: Path) -> None:
    (tmp_path / "leak").write_bytes(b"..." + KEYS[3].to_bytes(8, "little"))
    ((_, data),) = canaries.files_below(tmp_path)
    assert canaries.found_in(data, EVERYTHING) == [KEYS[3]]
    story.roles["operator"].leak = {"deep": [(VALUES[7], SHOWN[0])]}
    try:
        assert len(canaries.held(story.roles["operator"], (*EVERYTHING, *SHOWN))) == 2
    finally:
        del story.roles["operator"].leak


# Secrets


def secrets_of(story: Story) -> dict[str, bytes]:
    """Every secret of the network as bytes."""
    found = {str(path): path.read_bytes() for path in story.node("").rglob("*.key") if not path.name.startswith("commitment")}
    for number, seed in enumerate(story.seeds):
        found[f"seed {number}"] = seed
    (gate,) = story.node("manager").glob("gate-*.key")
    key = paillier.PrivateKey.from_secret_bytes(gate.read_bytes())
    for name, prime in zip("pq", map(int, key.primes), strict=True):
        found[f"prime {name}"] = prime.to_bytes((prime.bit_length() + 7) // 8, "big")
    return found


def as_written(secret: bytes) -> list[bytes]:
    number = int.from_bytes(secret, "big")
    plain = [secret, secret[::-1], secret.hex().encode(), base64.b64encode(secret).rstrip(b"="), str(number).encode()]
    return [text for text in plain if len(text) >= 16]


def test_secrets_stand_in_no_frame_text_log_or_bundle_and_only_in_their_own_files(story: Story) -> None:
    secrets = secrets_of(story)
    assert len(secrets) >= 4 + 2 + 1 + 1 + 2 + 2
    places = {f"frame {number}": frame for number, (_, _, frame) in enumerate(story.frames)}
    places |= {f"text {number}": text.encode() for number, text in enumerate(story.texts)}
    places |= {str(path): data for path, data in canaries.files_below(story.root)}
    for name, secret in secrets.items():
        for place, data in places.items():
            own = place == name or (name.startswith("prime") and "gate-" in place)
            assert own or not any(text in data for text in as_written(secret)), (name, place)


def test_secret_files_are_their_owners_alone(story: Story) -> None:
    secret = [*story.node("").rglob("*.key"), *story.node("").rglob("*.seed")]
    assert len(secret) >= 10
    assert {oct(path.stat().st_mode & 0o777) for path in secret} == {"0o600"}


def test_the_refusals_were_of_the_kinds_that_were_meant(story: Story) -> None:
    kinds = [text.split("\n")[1].split("(", maxsplit=1)[0] for text in story.texts[:6]]
    assert kinds[:4] == ["SourceError", "SourceFault", "SourceError", "SourceFault"]
    assert kinds[4] == "Denied"
    events = agencies.kinds(story.network)
    assert events["task.aborted"] >= 1
    assert events["request.denied"] == 1
