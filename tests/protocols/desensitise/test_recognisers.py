"""Recognisers: a generated corpus with stated thresholds, single forms, places in the text, hostile text."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.identifier_corpus import corpus, figures

from protocols.desensitise.recognisers import KINDS, Found, find, scan, whole_names
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
