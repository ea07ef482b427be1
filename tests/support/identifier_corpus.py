"""A generated corpus of sentences with identifiers in Chinese and English text, and where they are.

Made without the recognisers: numbers from the standards' own formulas, names from surnames and given characters. Beside each
identifier stand numbers that look like one and are none: orders, amounts, dates, numbers with a wrong check digit.
`python tests/support/identifier_corpus.py` prints precision and recall by kind.
"""

from __future__ import annotations

import datetime
import random
from dataclasses import dataclass

USCC_LETTERS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
USCC_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
AREAS = ("110105", "310115", "440305", "510107", "330106", "420111", "610113", "320102", "650102", "810000")
SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰飞红梅建文博雨欣子轩梓涵"
CITIES = (
    "北京市海淀区",
    "上海市浦东新区",
    "广东省深圳市南山区",
    "浙江省杭州市西湖区",
    "四川省成都市武侯区",
    "武汉市洪山区",
    "",
)
ROADS = ("中关村大街", "世纪大道", "科技路", "文三路", "天府街", "珞瑜路", "人民南路", "建设一巷")
BEFORE = ("号码", "登记为", "电话", "请联系", "系统记录：", "他说，", "资料", "，", "备注", "(", "ID", "#", "、")
AFTER = ("。", "，谢谢", "已核对", "等", "；其余不变", ")", "\n", "的记录", "", "！", "年内有效")
FILLER = (
    "今天天气很好，",
    "患者自述头痛三天。",
    "血压130/85，",
    "复查结果正常；",
    "订单已发货，",
    "请于2024-05-06前提交。",
    "体重65.5公斤，",
    "",
)


@dataclass(frozen=True)
class Sentence:
    """A text, and the (start, end, kind) of the identifiers in it."""

    text: str
    spans: tuple[tuple[int, int, str], ...]


def id_18(source: random.Random) -> str:
    day = datetime.date(1930, 1, 1) + datetime.timedelta(days=source.randrange(33_000))
    body = f"{source.choice(AREAS)}{day:%Y%m%d}{source.randrange(1000):03}"
    total = sum(int(digit) * (2 ** (17 - at) % 11) for at, digit in enumerate(body))
    return body + "10X98765432"[total % 11]


def id_15(source: random.Random) -> str:
    return (number := id_18(source))[:6] + "55" + number[10:17]


def luhn(body: str) -> str:
    total = sum(int(digit) if at % 2 else sum(divmod(2 * int(digit), 10)) for at, digit in enumerate(reversed(body)))
    return body + str(-total % 10)


def card(source: random.Random) -> str:
    number = luhn(
        source.choice(["622202", "621700", "431940", "558360"]) + f"{source.randrange(10**9):09}" + source.choice(["", "123"])
    )
    return number if source.random() < 0.5 else " ".join(number[at : at + 4] for at in range(0, len(number), 4))


def uscc(source: random.Random) -> str:
    body = "91" + source.choice(AREAS) + "".join(source.choices(USCC_LETTERS, k=9))
    total = sum(USCC_LETTERS.index(char) * weight for char, weight in zip(body, USCC_WEIGHTS, strict=True))
    return body + USCC_LETTERS[-total % 31]


def mobile(source: random.Random) -> str:
    number = f"1{source.choice('3456789')}{source.randrange(10**9):09}"
    shape = source.randrange(4)
    if shape == 0:
        return number
    if shape == 1:
        return f"{number[:3]}-{number[3:7]}-{number[7:]}"
    return f"+86 {number}" if shape == 2 else f"{number[:3]} {number[3:7]} {number[7:]}"


def iban(source: random.Random) -> str:
    body = f"{source.randrange(10**18):018}"
    check = 98 - int(body + "131400") % 97
    number = f"DE{check:02}{body}"
    return number if source.random() < 0.5 else " ".join(number[at : at + 4] for at in range(0, len(number), 4))


def full_name(source: random.Random) -> str:
    return source.choice(SURNAMES) + "".join(source.choices(GIVEN, k=source.choice([1, 2, 2])))


def address(source: random.Random) -> str:
    return f"{source.choice(CITIES)}{source.choice(ROADS)}{source.randrange(1, 999)}号" + source.choice(
        ["", "3号楼2单元501室", "12栋1203", "5幢"]
    )


def plate(source: random.Random) -> str:
    tail = "".join(source.choices("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789", k=4)) + str(source.randrange(10))
    return source.choice("京沪粤浙川") + source.choice("ABCD") + source.choice(["", "·"]) + tail


def email(source: random.Random) -> str:
    return "".join(source.choices("abcdefghij.kl_mn09", k=8)).strip(".") + source.choice(
        ["@qq.com", "@example.com.cn", "@mail.gov.cn"]
    )


MAKERS = {
    "cn_id": lambda source: id_18(source) if source.random() < 0.8 else id_15(source),
    "cn_uscc": uscc,
    "cn_mobile": mobile,
    "cn_landline": lambda source: f"{source.choice(['010', '021', '0755', '0571'])}-{source.randrange(2 * 10**7, 9 * 10**7)}",
    "bank_card": card,
    "iban": iban,
    "cn_passport": lambda source: f"{source.choice('EGP')}{source.randrange(10**8):08}",
    "cn_plate": plate,
    "email": email,
    "ip": lambda source: (
        ".".join(str(source.randrange(1, 255)) for _ in range(4)) if source.random() < 0.7 else "2001:db8::8a2e:370:7334"
    ),
    "phone": lambda source: f"+44 20 7946 {source.randrange(1000, 9999)}",
    "mac": lambda source: ":".join(f"{source.randrange(256):02x}" for _ in range(6)),
}


def _wrong_check(number: str) -> str:
    return number[:-1] + str((int(number[-1]) + 3) % 10) if number[-1] != "X" else number[:-1] + "5"


def decoy(source: random.Random) -> str:
    """Something that is no identifier."""
    return source.choice(
        (
            lambda: f"订单{source.randrange(10**13):013}",
            lambda: f"金额{source.randrange(10**7)}.{source.randrange(100):02}元",
            lambda: f"{source.randrange(1990, 2030)}年{source.randrange(1, 13)}月{source.randrange(1, 29)}日",
            lambda: f"时间{source.randrange(24):02}:{source.randrange(60):02}:{source.randrange(60):02}",
            lambda: f"编号{_wrong_check(id_18(source))}",
            lambda: f"卡{_wrong_check(luhn('622202' + f'{source.randrange(10**9):09}'))}",
            lambda: f"流水{source.randrange(10**21, 10**22)}",
            lambda: f"数值{source.randrange(10)}.1{source.choice('3578')}{source.randrange(10**9):09}",
            lambda: f"12{source.randrange(10**9):09}",
            lambda: source.choice(
                ("高血压病史十年", "黄疸消退", "白细胞升高", "周一复诊", "何时出院", "路上堵车", "王牌产品", "马上处理")
            ),
        )
    )()


def _wide(text: str) -> str:
    return "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in text)


def sentence(source: random.Random) -> Sentence:
    """One to three identifiers, between text and decoys; some in full-width characters, some broken by a line end."""
    text, spans = "", []
    for _ in range(source.randrange(1, 4)):
        text += source.choice(FILLER) + (decoy(source) + source.choice("，。； ") if source.random() < 0.7 else "")
        kind = source.choice([*MAKERS, "name", "address"])
        if kind == "name":
            before, it, after = source.choice(
                [
                    ("患者", full_name(source), "，"),
                    ("姓名：", full_name(source), " "),
                    ("", full_name(source), "先生"),
                    ("联系人", full_name(source), "的"),
                ]
            )
            before = ("。" if text else "") + before
        elif kind == "address":
            before, it, after = source.choice(["住址：", "现住", "寄往"]), address(source), source.choice("。，")
        else:
            before, it, after = source.choice(BEFORE), MAKERS[kind](source), source.choice(AFTER)
            if kind in ("cn_uscc", "cn_passport", "iban", "mac", "ip", "email", "phone"):
                before += "：" if before[-1:].isalnum() and before[-1:].isascii() else ""
            if kind in ("cn_id", "cn_mobile", "bank_card", "email") and source.random() < 0.2:
                it = _wide(it)
            elif kind in ("cn_id", "bank_card") and source.random() < 0.15 and " " not in it:
                it = it[:9] + "\n" + it[9:]
        text += before
        spans.append((len(text), len(text) + len(it), kind))
        text += it + after
        if not after or after[-1:].isalnum():
            text += "。"
    return Sentence(text=text, spans=tuple(spans))


def corpus(count: int, seed: int = 1) -> list[Sentence]:
    source = random.Random(seed)
    return [sentence(source) for _ in range(count)]


def figures(count: int = 4000, seed: int = 1) -> dict[str, tuple[int, float, float]]:
    """Return for each kind: identifiers, precision, recall.

    Recall: the share of identifiers that are covered from end to end, by whatever kinds. Precision: the share of findings of
    a kind that touch an identifier.
    """
    from protocols.desensitise.recognisers import scan

    sentences = corpus(count, seed)
    found = scan([each.text for each in sentences])
    covered: dict[int, set[int]] = {}
    for hit in found:
        covered.setdefault(hit.row, set()).update(range(hit.start, hit.end))
    counts: dict[str, list[int]] = {}
    for row, each in enumerate(sentences):
        for start, end, kind in each.spans:
            count_of = counts.setdefault(kind, [0, 0, 0, 0])
            count_of[0] += 1
            count_of[1] += set(range(start, end)) <= covered.get(row, set())
    for hit in found:
        count_of = counts.setdefault(hit.kind, [0, 0, 0, 0])
        count_of[2] += 1
        count_of[3] += any(start < hit.end and hit.start < end for start, end, _ in sentences[hit.row].spans)
    return {
        kind: (total, right / max(1, hits), caught / max(1, total))
        for kind, (total, caught, hits, right) in sorted(counts.items())
    }


if __name__ == "__main__":
    print("| kind | identifiers | precision | recall |\n| --- | --- | --- | --- |")
    for kind, (total, precision, recall) in figures().items():
        print(f"| `{kind}` | {total} | {precision:.3f} | {recall:.3f} |")
