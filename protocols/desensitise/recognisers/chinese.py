"""Chinese numbers: 身份证, 统一社会信用代码, telephone, passport and permits, plates."""

from __future__ import annotations

import datetime
import re

from protocols.desensitise.identities import PROVINCES
from protocols.desensitise.recognisers.pattern import (
    GAP,
    GAP_OR_LINE,
    NO_ALNUM_AFTER,
    NO_ALNUM_BEFORE,
    NO_DIGIT_AFTER,
    NO_DIGIT_BEFORE,
    Recogniser,
    digits,
    gaps,
    groups,
    is_fraction,
)

WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
USCC_LETTERS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
USCC_WEIGHTS = tuple(pow(3, at, 31) for at in range(17))
_DAY = r"(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
_USCC = "[0-9A-HJ-NPQRTUWXYa-hj-npqrtuwxy]"
_ID_18 = GAP_OR_LINE.join(
    ("[1-9]", *["[0-9]"] * 5, "[12]", "[089]", "[0-9]", "[0-9]", "[01]", "[0-9]", "[0-3]", *["[0-9]"] * 4)
)
_PLACE = "[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼]"
_PLATE = "[A-HJ-NP-Za-hj-np-z0-9]"
_AREA = "(?:10|2[0-9]|[3-9][0-9]{2})"
_MOBILE_GROUPS = {
    *((11,), (3, 4, 4), (4, 4, 3), (3, 3, 5), (3, 8), (7, 4), (5, 6), (6, 5)),
    (1,) * 11,
}
_POINTED = {(3, 4, 4), (4, 4, 3), (1,) * 11}


def is_id_18(match: re.Match[str]) -> bool:
    """GB 11643: a province in use, a date, and the check character of ISO 7064 MOD 11-2."""
    number = digits(match[0])
    total = sum(int(digit) * weight for digit, weight in zip(number, WEIGHTS, strict=False))
    is_checked = "10X98765432"[total % 11] == number[17] and len(gaps(match[0].rstrip("Xx"))) <= 1
    return is_checked and _is_person(number[:2], number[6:14])


def is_id_15(match: re.Match[str]) -> bool:
    """The form until 1999: province and date of the twentieth century, no check character."""
    number = digits(match[0])
    return _is_person(number[:2], "19" + number[6:12]) and not is_fraction(match.string, *match.span())


def is_mobile(match: re.Match[str]) -> bool:
    """Eleven digits in groups that people write, the same gap throughout; one point in it makes it an amount."""
    number, between = match["it"], gaps(match["it"])
    shapes = _POINTED if "." in between else _MOBILE_GROUPS
    return len(between) <= 1 and groups(number) in shapes and not is_fraction(match.string, match.start())


def is_landline(match: re.Match[str]) -> bool:
    """An area code in front is enough, but not in the decimals of a number."""
    return not is_fraction(match.string, match.start())


def _is_person(province: str, date: str) -> bool:
    try:
        datetime.date(int(date[:4]), int(date[4:6]), int(date[6:]))
    except ValueError:
        return False
    return int(province) in PROVINCES


def is_uscc(match: re.Match[str]) -> bool:
    """GB 32100, with its check character; a date in the right place makes it a person's number, not a company's."""
    number, between = digits(match[0]), set(re.findall("[^0-9A-Za-z]+", match[0]))
    if (between and number.isdigit()) or is_fraction(match.string, match.start()):
        return False
    total = sum(USCC_LETTERS.index(char) * weight for char, weight in zip(number, USCC_WEIGHTS, strict=False))
    return USCC_LETTERS[-total % 31] == number[17]


def has_digit(match: re.Match[str]) -> bool:
    """Some plates could be words otherwise."""
    return any(char.isdigit() for char in match[0][2:])


RECOGNISERS = (
    Recogniser(
        kind="cn_id",
        pattern=re.compile(rf"{NO_DIGIT_BEFORE}{_ID_18}{GAP_OR_LINE}[0-9Xx]{NO_DIGIT_AFTER}"),
        accepts=is_id_18,
    ),
    Recogniser(
        kind="cn_id",  # whatever its check digit, where the text says what it is
        pattern=re.compile(
            r"(?:身份证|公民身份号码|证件号)[^0-9A-Za-z\x1e]{0,8}"
            rf"(?P<it>[0-9](?:{GAP}[0-9]){{16}}{GAP}[0-9Xx]|[0-9](?:{GAP}[0-9]){{14}}){NO_ALNUM_AFTER}"
        ),
    ),
    Recogniser(
        kind="cn_id",
        pattern=re.compile(
            rf"{NO_DIGIT_BEFORE}[1-9][0-9]{{5}}(?P<gap>[ -]?)[0-9]{{2}}{_DAY}(?P=gap)[0-9]{{3}}{NO_DIGIT_AFTER}"
        ),
        accepts=is_id_15,
    ),
    Recogniser(
        kind="cn_uscc",
        pattern=re.compile(rf"{NO_DIGIT_BEFORE}{_USCC}[ ]?{_USCC}(?:[ ]?[0-9]){{6}}(?:[ ]?{_USCC}){{10}}{NO_ALNUM_AFTER}"),
        accepts=is_uscc,
    ),
    Recogniser(
        kind="cn_mobile",
        pattern=re.compile(
            rf"{NO_DIGIT_BEFORE}(?:[(]?(?:\+|00)?86[ ()-]{{0,2}})?(?P<it>1{GAP}[3-9](?:{GAP}[0-9]){{9}}){NO_DIGIT_AFTER}"
        ),
        accepts=is_mobile,
        reach=re.Match.span,
    ),
    Recogniser(
        kind="cn_landline",
        pattern=re.compile(
            rf"{NO_DIGIT_BEFORE}(?:(?:\+|00)86[ -]{{0,3}}[(]?0?{_AREA}|86[ -]{{0,3}}[(]?0?(?:10|2[0-9])|[(]?0{_AREA})[)]?"
            rf"[ -]{{0,3}}"
            rf"[2-9][0-9]{{2,3}}[ -]?[0-9]{{4}}(?:(?:转|-| ext[.]? ?)[0-9]{{1,5}})?{NO_DIGIT_AFTER}"
        ),
        accepts=is_landline,
    ),
    Recogniser(
        kind="cn_landline",  # without an area code, where the text says what it is
        pattern=re.compile(
            r"(?:电话|座机|传真|手机|联系方式|(?:[Tt]el|TEL|[Pp]hone|[Ff]ax|FAX))[^0-9A-Za-z\x1e]{0,6}"
            rf"(?P<it>[2-9][0-9]{{2,3}}[ -]?[0-9]{{4}}){NO_DIGIT_AFTER}(?![年/.-][0-9])"
        ),
    ),
    Recogniser(
        kind="cn_passport",  # passports, and permits to and from Hong Kong, Macao and Taiwan
        pattern=re.compile(
            rf"{NO_ALNUM_BEFORE}(?:[DEGPSHMCLTWdegpshmcltw][ -]?[0-9]{{8}}|[HMhm][0-9]{{10}}|[Ee][A-HJ-NP-Za-hj-np-z][0-9]{{7}}"
            rf"|[Cc][A-Za-z][0-9]{{7}}){NO_ALNUM_AFTER}"
        ),
    ),
    Recogniser(
        kind="cn_plate",
        pattern=re.compile(
            rf"{_PLACE}[ ]?[A-HJ-Za-hj-z][·•. -]?"
            rf"(?:(?:{_PLATE}[ ]?){{5}}{_PLATE}|(?:{_PLATE}[ ]?){{4}}(?:{_PLATE}|[挂学警港澳领]))"
            rf"{NO_DIGIT_AFTER}|WJ{_PLACE}?[0-9]{{4}}[0-9A-Z]{NO_ALNUM_AFTER}|使[0-9]{{6}}{NO_DIGIT_AFTER}"
        ),
        accepts=has_digit,
        needs="(?s)[A-HJ-Za-hj-z].*[0-9]|使[0-9]",
    ),
)
