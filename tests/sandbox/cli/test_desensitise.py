"""`sandbox desensitise`: the output, the report, and everything that must leave nothing behind."""

from __future__ import annotations

import csv
import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from support.identifier_corpus import full_name, id_18

from protocols.desensitise import identities
from sandbox.cli import tables
from sandbox.cli.main import main

KEY = bytes(range(32))
RULES = """
purpose = "teaching"
recipient = "city university"
identifiers = ["name"]
quasi = ["age"]
sensitive = ["diagnosis"]
k = 3
[keys]
people = "people.key"
[columns]
name = { rule = "drop" }
id = { rule = "encrypt_id", key = "people" }
phone = { rule = "mask", keep_start = 3, keep_end = 4 }
age = { rule = "interval", width = 50 }
income = { rule = "rank_swap", window = 5 }
note = { rule = "redact", also = ["name"] }
diagnosis = { rule = "keep" }
"""


def rows(count: int = 60) -> list[dict[str, Any]]:
    source = Random(5)
    found = []
    for _ in range(count):
        name, phone = full_name(source), f"13{source.randrange(10**9):09}"
        found.append(
            {
                "name": name,
                "id": id_18(source),
                "phone": phone,
                "age": source.randrange(100),
                "income": source.randrange(10**5),
                "note": f"{name}电话{phone}，\n复诊",
                "diagnosis": source.choice(["高血压", "糖尿病"]),
            }
        )
    return found


class Desk:
    """A folder with rules, a key and a table."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rules = folder / "rules.toml"
        self.rules.write_text(RULES, encoding="utf-8")
        self.key = folder / "people.key"
        self.key.write_bytes(KEY)
        self.key.chmod(0o600)
        self.given = folder / "people.csv"
        self.write(rows())
        self.out = folder / "out.csv"
        self.before: set[Path] = set()

    def write(self, table: list[dict[str, Any]]) -> None:
        with self.given.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(table[0]))
            writer.writeheader()
            writer.writerows(table)

    def run(self, *more: str, given: Path | None = None, out: Path | None = None) -> int:
        self.before = set(self.folder.iterdir())
        found = [str(given or self.given), "--rules", str(self.rules), "--out", str(out or self.out)]
        return main(["desensitise", *found, *more])

    def left_nothing(self) -> bool:
        return set(self.folder.iterdir()) == self.before


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def table_of(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        found: list[dict[str, Any]] = pa.parquet.read_table(path).to_pylist()
        return found
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_file_comes_out_without_anybody_in_it(desk: Desk, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    given = desk.given
    if kind == "parquet":
        given = desk.folder / "people.parquet"
        pa.parquet.write_table(pa.Table.from_pylist(rows()), given, row_group_size=7)
    out = desk.folder / f"out.{kind}"
    assert desk.run("--json", given=given, out=out) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["rows"] == 60
    assert "de-identified" in document["label"]
    assert document["risk"]["k"] >= 3
    assert {each["attack"] for each in document["risk"]["attacks"]} == {"linkage", "homogeneity"}
    assert [each["column"] for each in document["columns"]] == list(rows(1)[0])
    found, whole = table_of(out), out.read_bytes()
    assert list(found[0]) == ["id", "phone", "age", "income", "note", "diagnosis"]
    for person, row in zip(rows(), found, strict=True):
        assert row["note"] == "[name]电话[cn_mobile]，\n复诊"
        assert row["diagnosis"] == person["diagnosis"]
        assert row["phone"] == person["phone"][:3] + "****" + person["phone"][7:]
        for secret in (person["name"], person["id"], person["phone"]):
            assert secret not in str(row)
            assert kind == "parquet" or secret.encode() not in whole or secret == person["name"]
    assert sorted(int(row["income"]) for row in found) == sorted(person["income"] for person in rows())


def test_the_report_is_one_page_that_asks_nobody(desk: Desk) -> None:
    report = desk.folder / "report.html"
    desk.rules.write_text(RULES.replace("teaching", "<script>alert(1)</script>"), encoding="utf-8")
    assert desk.run("--report", str(report)) == 0
    text = report.read_text(encoding="utf-8")
    page = _Page()
    page.feed(text)
    page.close()
    assert not {"script", "img", "link", "iframe", "object"} & set(page.tags)
    assert not re.search(r"https?://|url\(|@import|src=|href=", text)
    assert "&lt;script&gt;" in text
    for expected in (
        "encrypt_id",
        "key holder",
        "de-identified",
        "smallest class",
        "linkage",
        "homogeneity",
        "rows to suppress",
        "<svg",
    ):
        assert expected in text
    for person in rows():
        assert person["id"] not in text
        assert person["phone"] not in text
    assert page.open == []


def test_names_of_columns_cannot_write_on_the_page_or_the_terminal(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    given, report = desk.folder / "names.parquet", desk.folder / "report.html"
    for name, code in (("<img src=x>", 0), ("a\x1b[31mb", 6), ("a\nb", 6), ("", 6)):
        pa.parquet.write_table(pa.table({name: ["a", "b"]}), given)
        text = f'purpose = "a"\nrecipient = "b"\n[columns]\n{json.dumps(name)} = {{ rule = "keep" }}\n'
        desk.rules.write_text(text, encoding="utf-8")
        assert desk.run("--report", str(report), given=given) == code
        captured = capsys.readouterr()
        assert "\x1b" not in captured.out + captured.err
    assert "<img" not in report.read_text(encoding="utf-8")
    assert "&lt;img src=x&gt;" in report.read_text(encoding="utf-8")


def test_what_cannot_be_measured_is_said(desk: Desk) -> None:
    report = desk.folder / "report.html"
    desk.rules.write_text(RULES.replace('quasi = ["age"]', ""), encoding="utf-8")
    assert desk.run("--report", str(report)) == 0
    assert "Not measured: the rule file names no quasi-identifiers" in report.read_text(encoding="utf-8")


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_an_identifier_in_the_output_blocks_all_of_it(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.rules.write_text(re.sub(r"phone = .*", 'phone = { rule = "keep" }', RULES), encoding="utf-8")
    report = desk.folder / "report.html"
    assert desk.run("--json", "--report", str(report)) == 4
    assert desk.left_nothing()
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert any("cn_mobile" in each["message"] and each["subject"] == "phone" for each in document["error"]["findings"])
    assert not any(person["phone"] in captured.out + captured.err for person in rows())


Change = Callable[[Desk], object]


def _text(text: str | bytes) -> Change:
    return lambda desk: desk.given.write_bytes(text if isinstance(text, bytes) else text.encode())


def _replace(old: str, new: str) -> Change:
    return lambda desk: desk.rules.write_text(RULES.replace(old, new), encoding="utf-8")


HEADER = ",".join(rows(1)[0])
LINE = "张三,11010519491231002X,13812345678,30,100,无,高血压"


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (_text(""), 6, "empty"),
        (_text(HEADER + "\n"), 6, "no rows"),
        (_text(f"{HEADER}\n{LINE}\n{LINE},extra\n"), 6, "line 3"),
        (_text(f'{HEADER}\n{LINE}\n"open'), 6, "line 3"),
        (_text(f"{HEADER}\n{LINE}\0\n"), 6, "NUL"),
        (_text(f"{HEADER}\n{LINE}\n".encode("utf-16-le")[:-1]), 6, "utf-16-le"),
        (_text("\ufeff" + f"{HEADER}\n{LINE.replace(',30,', ',abc,')}\n"), 6, "'age': 1 of 1 rows"),
        (_text(f"{HEADER}\n{LINE.replace('002X', '0021')}\n"), 6, "column 'id'"),
        (_text(f"{HEADER},extra\n{LINE},x\n"), 2, "'extra'"),
        (_text(f"{HEADER.replace('name,', '')}\n{LINE.replace('张三,', '')}\n"), 2, "no column 'name'"),
        (_text(f"{HEADER},name\n{LINE},x\n"), 6, "same name"),
        (_replace('"mask", keep_start = 3', '"mask", keep_strt = 3'), 2, "line 13, columns.phone.keep_strt"),
        (_replace("people.key", "none.key"), 2, "none.key"),
        (_replace("[columns]", "[columns"), 2, "TOML"),
        (lambda desk: desk.key.chmod(0o644), 2, "chmod 600"),
        (lambda desk: desk.key.write_bytes(b"short"), 2, "5 bytes"),
        (lambda desk: desk.rules.write_bytes(b"\xff\xfe"), 2, "UTF-8"),
        (lambda desk: desk.rules.unlink(), 2, "cannot be read"),
        (lambda desk: desk.given.unlink(), 6, "no such file"),
        (lambda desk: (desk.given.unlink(), desk.given.mkdir()), 6, "directory"),
        (lambda desk: (desk.given.unlink(), os.mkfifo(desk.given)), 6, "regular"),
        (lambda desk: desk.out.write_text("mine"), 1, "exists and stays"),
        (lambda desk: desk.out.symlink_to("elsewhere"), 1, "exists and stays"),
    ],
)
def test_what_cannot_be_done_is_said_and_leaves_nothing(
    desk: Desk, change: Change, code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    change(desk)
    assert desk.run() == code
    shown = capsys.readouterr().err
    assert message in shown
    assert "Traceback" not in shown
    assert "13812345678" not in shown
    assert desk.left_nothing()
    assert not desk.out.is_file() or desk.out.read_text() == "mine"


@pytest.mark.parametrize("cut", [0, 4, 100, -1])
def test_a_parquet_file_that_is_cut_is_refused(desk: Desk, cut: int, capsys: pytest.CaptureFixture[str]) -> None:
    given = desk.folder / "people.parquet"
    pa.parquet.write_table(pa.Table.from_pylist(rows()), given)
    given.write_bytes(given.read_bytes()[:cut])
    assert desk.run(given=given) == 6
    assert "Parquet" in capsys.readouterr().err
    assert desk.left_nothing()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030", "utf-16"])
def test_encodings(desk: Desk, encoding: str) -> None:
    desk.given.write_text(f"{HEADER}\n{LINE}\n", encoding=encoding)
    assert desk.run() == 0
    assert table_of(desk.out)[0]["diagnosis"] == "高血压"


def test_leading_zeros_full_width_digits_and_missing_values_pass_as_they_are(desk: Desk) -> None:
    desk.rules.write_text(
        'purpose = "a"\nrecipient = "b"\n[keys]\np = "people.key"\n[columns]\n'
        'zip = { rule = "prefix", keep = 3 }\nid = { rule = "encrypt_id", key = "p" }\n'
        'n = { rule = "round", to = 10 }\nv = { rule = "keep" }\n',
        encoding="utf-8",
    )
    desk.given.write_text("zip,id,n,v\n007123,１１０１０５１９４９１２３１００２Ｘ,-14,1.50\n,,,\n", encoding="utf-8")
    assert desk.run() == 0
    first, second = table_of(desk.out)
    assert (first["zip"], first["n"], first["v"]) == ("007***", "-10", "1.50")
    assert len(first["id"]) == 18
    assert int(first["id"][:2]) in identities.NO_PROVINCES
    assert set(second.values()) == {""}


def test_the_same_key_serves_two_recipients_who_cannot_join(desk: Desk) -> None:
    assert desk.run() == 0
    desk.rules.write_text(RULES.replace("city university", "bank"), encoding="utf-8")
    other = desk.folder / "other.csv"
    assert desk.run(out=other) == 0
    assert not {row["id"] for row in table_of(desk.out)} & {row["id"] for row in table_of(other)}


@pytest.mark.parametrize("call", ["fsync", "link", "write"])
def test_a_full_disk_leaves_nothing(
    desk: Desk, call: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    report = desk.folder / "report.html"
    if call == "write":
        monkeypatch.setattr(tables, "writer", lambda *_: type("W", (), {"write_batch": fails})())
    else:
        monkeypatch.setattr(tables.os, call, fails)
    assert desk.run("--report", str(report)) == 1
    assert "No space left" in capsys.readouterr().err
    assert desk.left_nothing()


def test_a_file_without_nameless_files_is_removed_too(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    assert desk.run() == 0
    assert len(table_of(desk.out)) == 60
    desk.out.unlink()
    desk.rules.write_text(re.sub(r"phone = .*", 'phone = { rule = "keep" }', RULES), encoding="utf-8")
    assert desk.run() == 4
    assert desk.left_nothing()


def test_a_file_that_changes_while_it_is_read_is_refused(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    original = tables.InputTable._csv

    def slow(self: tables.InputTable) -> Any:
        yield from original(self)
        with desk.given.open("a", encoding="utf-8") as file:
            file.write(LINE + "\n")

    monkeypatch.setattr(tables.InputTable, "_csv", slow)
    assert desk.run() == 6
    assert "changed while it was read" in capsys.readouterr().err
    assert desk.left_nothing()


def test_no_permission(desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    allowed = os.access
    monkeypatch.setattr(tables.os, "access", lambda path, *more: path != desk.given and allowed(path, *more))
    assert desk.run() == 6
    assert "permission" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="this system has no nameless files")
def test_a_killed_run_leaves_nothing(desk: Desk) -> None:
    desk.write(rows(20_000))
    before = set(desk.folder.iterdir())
    command = [
        sys.executable,
        "-m",
        "sandbox.cli.main",
        "desensitise",
        str(desk.given),
        "--rules",
        str(desk.rules),
        "--out",
        str(desk.out),
    ]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not _has_nameless(process.pid) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert set(desk.folder.iterdir()) == before


def _has_nameless(pid: int) -> bool:
    """Whether the process has an open file without a name: the output is under way."""
    try:
        return any("(deleted)" in str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False
