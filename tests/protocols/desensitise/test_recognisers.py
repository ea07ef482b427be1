"""Recognisers: a generated corpus with stated thresholds, single forms, places in the text, hostile text."""

from __future__ import annotations

import itertools
import random
import re
import time
import uuid
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.identifier_corpus import corpus, figures

from protocols.desensitise.recognisers import KINDS, Found, find, scan, whole_names
from protocols.desensitise.recognisers.international import IBAN_LENGTHS
from protocols.errors import ParameterError

PRECISION, RECALL = 0.9, 0.95


def test_precision_and_recall_on_the_corpus() -> None:
    found = figures(1500, seed=2)
    assert {"cn_id", "cn_uscc", "cn_mobile", "bank_card", "iban", "email", "name", "address", "cn_plate", "ip"} <= set(found)
    for kind, (total, precision, recall) in found.items():
        assert total >= 100, kind
        assert precision >= PRECISION, kind
        assert recall >= RECALL, kind


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("身份证11010519491231002X号", "cn_id", "11010519491231002X"),
        ("身份证11010519491231002x", "cn_id", "11010519491231002x"),
        ("号１１０１０５１９４９１２３１００２Ｘ。", "cn_id", "１１０１０５１９４９１２３１００２Ｘ"),
        ("110105 19491231 002X", "cn_id", "110105 19491231 002X"),
        ("号码11010519491\n231002X完", "cn_id", "11010519491\n231002X"),
        ("号码11010519491\r\n  231002X完", "cn_id", "11010519491\r\n  231002X"),
        ("1101051949\u200b1231002X", "cn_id", "1101051949\u200b1231002X"),
        ("旧号110105491231002。", "cn_id", "110105491231002"),
        ("身份证号：110105194912310021", "cn_id", "110105194912310021"),  # a wrong check digit, but it says what it is
        ("代码91110000600037341L，", "cn_uscc", "91110000600037341L"),
        ("打13812345678找我", "cn_mobile", "13812345678"),
        ("tel13812345678", "cn_mobile", "13812345678"),
        ("+86-138-1234-5678", "cn_mobile", "+86-138-1234-5678"),
        ("(010)62345678转123", "cn_landline", "(010)62345678转123"),
        ("卡6222 0212 3456 7890 12 ", "bank_card", "6222 0212 3456 7890 12"),
        ("card 4111-1111-1111-1111.", "bank_card", "4111-1111-1111-1111"),
        ("378282246310005", "bank_card", "378282246310005"),
        ("护照E12345678号", "cn_passport", "E12345678"),
        ("Passport No. X1234567", "passport", "X1234567"),
        ("车牌京A·12345", "cn_plate", "京A·12345"),
        ("新能源粤BD12345停", "cn_plate", "粤BD12345"),
        ("邮箱：li.lei@example.com。", "email", "li.lei@example.com"),
        ("邮箱ｌｉ＠ｅｘａｍｐｌｅ．ｃｏｍ", "email", "ｌｉ＠ｅｘａｍｐｌｅ．ｃｏｍ"),
        ("张三@例.com 李四@example.cn", "email", "李四@example.cn"),
        ("从10.0.0.255登录", "ip", "10.0.0.255"),
        ("addr 2001:db8::1 ok", "ip", "2001:db8::1"),
        ("IBAN GB82 WEST 1234 5698 7654 32", "iban", "GB82 WEST 1234 5698 7654 32"),
        ("ring +1 (415) 555-2671", "phone", "+1 (415) 555-2671"),
        ("00:1a:2b:3c:4d:5e", "mac", "00:1a:2b:3c:4d:5e"),
        ("患者张三丰今日入院", "name", "张三丰"),
        ("姓名：欧阳娜娜 性别", "name", "欧阳娜娜"),
        ("请王医生会诊", "name", "王"),
        ("买买提·艾力到诊", "name", "买买提·艾力"),
        ("Mr. John Smith", "name", "John Smith"),
        ("现住浙江省杭州市西湖区文三路123号4幢501室", "address", "浙江省杭州市西湖区文三路123号4幢501室"),
        ("12 Baker Street", "address", "12 Baker Street"),
    ],
)
def test_a_form_is_found_where_it_stands(text: str, kind: str, value: str) -> None:
    start = text.index(value)
    assert any(hit.kind == kind and hit.start <= start and hit.end >= start + len(value) for hit in find(text))
    assert any(text[hit.start : hit.end] == value for hit in find(text, [kind])) or kind == "name"


@pytest.mark.parametrize(
    "text",
    [
        "110105194912310021",  # check digit
        "110105194902300028",  # 30 February
        "16010519491231002X",  # no such province
        "91110000600037342L",
        "12812345678",
        "1381234567",
        "138123456789",
        "0.13812345678",
        "4111 1111 1111 1112",
        "2024-05-06 12:30:45",
        "版本1.2.3",
        "999.1.1.1",
        "DE89370400440532013001",
        "高血压病史十年，周一复诊，白细胞升高",
        "a@b",
        "第3号楼",
        "",
    ],
)
def test_what_only_looks_like_one_is_left_alone(text: str) -> None:
    assert find(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "1.<11010519491231002X>",  # a list, not a decimal number
        "1.<13812345678> 2.<13912345678>",
        "1.<4111111111111111>\n2.<6222021234567894>",
        "<13812345678>.0",  # a column of numbers beside missing values, written as text
        "<1101 0519 4912 3100 2X>",
        "<110105 1949 1231 002X>",
        "<110105-1949-12-31-002X>",
        "<110105.19491231.002X>",
        "<110105_19491231_002x>",
        "<110105  19491231  002X>",
        "<110105\t19491231\t002X>",
        "<1 1 0 1 0 5 1 9 4 9 1 2 3 1 0 0 2 X>",
        "3\n<110105\n19491231002X>",
        "<11010519491231002×>，<11010519491231002Х>，<11010519491231002Ⅹ>",  # multiplication sign, Cyrillic, Roman numeral
        "sfz<110105491231002>号",
        "ID<110105491231002>",
        "<110105 491231 002>",
        "身份证号：<1101 0519 4912 3100 21>",
        "卡<6222 0212 3456 7890 128> 100元",  # digits of something else behind, before
        "卡<6222021234567894> 13812345678",
        "5 <4111111111111111>",
        "3000 <4111111111111111> 5",
        "<9558801234567890128>",  # not all cards start with 3 to 6
        "<2221001234567896>",
        "<30569309025904>",
        "<4111.1111.1111.1111>，<4111_1111_1111_1111>，<4111/1111/1111/1111>",
        "<4111  1111  1111  1111>，<4111\t1111\t1111\t1111>",
        "<de89370400440532013000>",
        "IBAN<DE89370400440532013000>",
        "<BE68 5390 0754 7034> EUR 100",
        "<BE68539007547034> ABCD",
        "<DE89-3704-0044-0532-0130-00>",
        "<e12345678>，<E 12345678>，<H1234567800>，<W12345678>，<L12345678>",
        "passport number: <x1234567>",
        "<京a12345>，<京 A12345>，<京A 123 45>，<使014578>，<WJ京12345>，<粤Z1234港>",
        "ip<192.168.1.1>abc",
        "ID：<2001:db8::8a2e:370:7334>！",
        "[<2001:db8::1>]:80，<fe80::1>%eth0，<::ffff:10.1.2.3>.",
        "<张三@例子.中国>，<li@xn--fsqu00a.xn--fiqs8s>，<иван@почта.рф>",
        "<müller@web.de>，<o'brien@example.ie>，<li @ example.com>，<li(at)example.com>",
        "<138.1234.5678>，<138_1234_5678>，<138  1234  5678>，<138·1234·5678>，<13812 345678>，<1 3 8 1 2 3 4 5 6 7 8>",
        "+86(<138)12345678>",
        "<一三八一二三四五六七八>，<幺三八 幺二三四 五六七八>",
        "<①③⑧①②③④⑤⑥⑦⑧>，<¹³⁸¹²³⁴⁵⁶⁷⁸>，<১৩৮১২৩৪৫৬৭৮>，<𝟭𝟯𝟴𝟭𝟮𝟯𝟰𝟱𝟲𝟳𝟴>",
        "<1\ufe0f\u20e33\ufe0f\u20e38\ufe0f\u20e31\ufe0f\u20e32\ufe0f\u20e33\ufe0f\u20e34\ufe0f\u20e35\ufe0f\u20e36\ufe0f\u20e37\ufe0f\u20e38>",
        "86-10-<62345678>，<010 - 62345678>",
        "联系电话：<8234567>",
        "<+44 20 7946 0958> 12345678",
        "<(415) 555-2671>，<415-555-2671>",
        "<001a.2b3c.4d5e>，mac<00:1a:2b:3c:4d:5e>",
        "USCC<91110000600037341L>，<91110000 600037341L>",
    ],
)
def test_no_way_of_writing_hides_a_number(text: str) -> None:
    """Between < and > stands what must be found, from end to end; the marks themselves are taken out."""
    plain, wanted = "", []
    for part in re.split("(<[^<>]*>)", text):
        if part.startswith("<"):
            wanted.append(range(len(plain), len(plain) + len(part) - 2))
        plain += part.strip("<>")
    covered = {at for hit in find(plain) for at in range(hit.start, hit.end)}
    assert all(covered >= set(each) for each in wanted)


NUMBERS = {
    "cn_id": "11010519491231002X",
    "cn_mobile": "13812345678",
    "bank_card": "6222021234567894",
    "iban": "DE89370400440532013000",
}


@given(st.sampled_from(sorted(NUMBERS)), st.data())
@settings(max_examples=150, deadline=None)
def test_one_gap_throughout_hides_no_number(kind: str, data: st.DataObject) -> None:
    """Groups of four, with any one thing between them that people write, in any width, between texts without digits."""
    number = NUMBERS[kind]
    gaps = ["", " ", "-", "\u3000", "－", "\u2011", "\u00a0", "\u200b", "\n"] + (
        ["_", ".", "/", "\t"] if kind != "iban" else []
    )
    sizes = [3, 4, 4] if kind == "cn_mobile" else [4] * ((len(number) + 3) // 4)
    cuts = [sum(sizes[:at]) for at in range(len(sizes) + 1)]
    written = data.draw(st.sampled_from(gaps)).join(number[a:b] for a, b in itertools.pairwise(cuts))
    if data.draw(st.booleans()):
        written = "".join(chr(ord(char) + 0xFEE0) if "0" <= char <= "9" else char for char in written)
    before, after = (data.draw(st.text(alphabet="号，：。的a( \n", max_size=4)) for _ in range(2))
    if kind == "iban":
        before, after = before.replace("a", ""), after.replace("a", "")
    start, text = len(before), before + written + after
    covered = {at for hit in find(text, [kind]) for at in range(hit.start, hit.end)}
    assert covered >= set(range(start, start + len(written)))


@pytest.mark.parametrize(
    ("make", "share"),
    [
        (lambda source: repr(source.gauss(0, 3)), 0.003),
        (lambda source: f"{source.uniform(18, 53)}, {source.uniform(73, 135)}", 0.003),
        (lambda source: " ".join(f"{source.gauss(50, 20):.2f}" for _ in range(6)), 0.001),
        (lambda source: " ".join(str(source.randrange(10 ** source.randrange(1, 5))) for _ in range(8)), 0.02),
        (lambda source: f"{source.randrange(10**11):,}.{source.randrange(100):02}", 0.001),
        (lambda source: " ".join(f"{source.randrange(1990, 2026)}-{source.randrange(1, 13):02}-11" for _ in range(3)), 0.001),
        (lambda source: ":".join(f"{source.randrange(24):02}" for _ in range(3)), 0.0),
        (lambda source: source.randbytes(32).hex(), 0.02),
        (lambda source: str(uuid.UUID(bytes=source.randbytes(16))), 0.01),
        (lambda source: f"978-7-{source.randrange(100, 999)}-{source.randrange(10**4, 10**5)}-1", 0.0),
        (lambda source: f"std::{source.choice(['dead', 'beef', 'cafe'])}, ab::cd", 0.0),
    ],
    ids=["float", "place", "measurements", "integers", "amount", "dates", "time", "digest", "uuid", "isbn", "c++"],
)
def test_ordinary_values_are_rarely_taken_for_identifiers(make: Callable[[random.Random], str], share: float) -> None:
    source = random.Random(5)
    texts = [make(source) for _ in range(3000)]
    assert len({hit.row for hit in scan(texts)}) <= share * len(texts)


def test_lengths_of_ibans_are_the_registry_s() -> None:
    """python-stdnum carries SWIFT's registry as a file; its check knows the length of each country's numbers."""
    from stdnum import iban as oracle
    from stdnum.exceptions import ValidationError

    for country, length in IBAN_LENGTHS.items():
        allowed = set()
        for size in range(12, 32):
            structure = oracle._ibandb.info(country + "00" + "0" * size)[0][1]
            allowed.add(oracle._struct_to_re(structure["bban"]).pattern)
        (pattern,) = allowed
        assert 4 + sum(int(count) for count in re.findall(r"\{(\d+)\}", pattern)) == length, country
    with pytest.raises(ValidationError):
        oracle.validate("DE89370400440532013001")


@pytest.mark.parametrize("around", ["号{}号", "a{}", "，{}。", "{}", "\n{}\n", "“{}”", "0x{}z", "、{}、"])
@pytest.mark.parametrize("value", ["13812345678", "11010519491231002X", "4111111111111111"])
def test_text_beside_a_number_does_not_hide_it(around: str, value: str) -> None:
    if around == "0x{}z" and value.endswith("X"):
        return
    text = around.format(value)
    assert any(text[hit.start : hit.end] == value for hit in find(text))


def test_a_list_of_numbers_by_line_is_found_number_by_number() -> None:
    numbers = ["13812345678", "13912345678", "11010519491231002X"]
    text = "\n".join(numbers)
    assert set(numbers) <= {text[hit.start : hit.end] for hit in find(text)}


@given(st.lists(st.one_of(st.none(), st.text(max_size=40)), max_size=8), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_rows_do_not_run_into_each_other(around: list[str | None], seed: int) -> None:
    """Scanning many rows at once finds in each what scanning it alone finds."""
    rows = [*around, *(each.text for each in corpus(3, seed)), "138", "12345678"]
    alone = [
        Found(row=row, start=hit.start, end=hit.end, kind=hit.kind) for row, text in enumerate(rows) for hit in find(text or "")
    ]
    assert scan(rows) == sorted(alone)
    assert all(0 <= hit.start < hit.end <= len(rows[hit.row] or "") for hit in alone)


@pytest.mark.parametrize(
    "text",
    ["1" * 50_000, "a@" * 20_000, "::" * 20_000, "路" * 20_000, "王" * 20_000, "1 " * 30_000, "A" * 50_000, "路1号" * 5_000],
)
def test_hostile_text_takes_no_long_time(text: str) -> None:
    start = time.perf_counter()
    find(text)
    assert time.perf_counter() - start < 5


def test_columns_of_names() -> None:
    people = [f"{surname}{given}" for surname in "王李张刘陈" for given in ("伟", "秀英", "敏", "静", "建国")]
    assert whole_names(people)
    assert not whole_names(["高血压", "糖尿病", "白血病", "冠心病"] * 30)
    assert not whole_names(["王伟"] * 500)
    assert not whole_names([None, ""])


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ParameterError, match="cn_id"):
        scan(["x"], ["telepathy"])
    assert len(KINDS) == len(set(KINDS))
