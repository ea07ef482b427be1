"""Chinese numbers: 身份证, 统一社会信用代码, telephone, passport and permits, plates."""

from __future__ import annotations

import datetime
import re

from protocols.desensitise.identities import PROVINCES
from protocols.desensitise.recognisers.pattern import (
    NO_ALNUM_AFTER,
    NO_ALNUM_BEFORE,
    NO_DIGIT_AFTER,
    NO_DIGIT_BEFORE,
    Recogniser,
    digits,
)

WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
USCC_LETTERS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
USCC_WEIGHTS = tuple(pow(3, at, 31) for at in range(17))
_DAY = r"(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
_USCC = "[0-9A-HJ-NPQRTUWXYa-hj-npqrtuwxy]"


def is_id_18(match: re.Match[str]) -> bool:
    """GB 11643: a province in use, a date, and the check character of ISO 7064 MOD 11-2."""
    number = digits(match[0])
    total = sum(int(digit) * weight for digit, weight in zip(number, WEIGHTS, strict=False))
    return "10X98765432"[total % 11] == number[17] and _is_person(number[:2], number[6:14])


def is_id_15(match: re.Match[str]) -> bool:
    """The form until 1999: province and date of the twentieth century, no check character."""
    number = digits(match[0])
    return _is_person(number[:2], "19" + number[6:12])


def _is_person(province: str, date: str) -> bool:
    try:
        datetime.date(int(date[:4]), int(date[4:6]), int(date[6:]))
    except ValueError:
        return False
    return int(province) in PROVINCES


def is_uscc(match: re.Match[str]) -> bool:
    """GB 32100, with its check character; a date in the right place makes it a person's number, not a company's."""
    number = digits(match[0])
    total = sum(USCC_LETTERS.index(char) * weight for char, weight in zip(number, USCC_WEIGHTS, strict=False))
    return USCC_LETTERS[-total % 31] == number[17]


def has_digit(match: re.Match[str]) -> bool:
    """Some plates could be words otherwise."""
    return any(char.isdigit() for char in match[0][2:])


RECOGNISERS = (
    Recogniser(
        kind="cn_id",
        pattern=re.compile(
            rf"{NO_DIGIT_BEFORE}[1-9][0-9]{{5}}[ -]?(?:18|19|20)[0-9]{{2}}{_DAY}[ -]?[0-9]{{3}}[0-9Xx]{NO_DIGIT_AFTER}"
        ),
        accepts=is_id_18,
    ),
    Recogniser(
        kind="cn_id",  # whatever its check digit, where the text says what it is
        pattern=re.compile(
            rf"(?:身份证|公民身份号码|证件号)[^0-9A-Za-z\x1e]{{0,8}}(?P<it>[0-9]{{17}}[0-9Xx]|[0-9]{{15}}){NO_ALNUM_AFTER}"
        ),
    ),
    Recogniser(
        kind="cn_id",
        pattern=re.compile(rf"{NO_ALNUM_BEFORE}[1-9][0-9]{{7}}{_DAY}[0-9]{{3}}{NO_ALNUM_AFTER}"),
        accepts=is_id_15,
    ),
    Recogniser(
        kind="cn_uscc",
        pattern=re.compile(rf"{NO_ALNUM_BEFORE}{_USCC}{{2}}[0-9]{{6}}{_USCC}{{10}}{NO_ALNUM_AFTER}"),
        accepts=is_uscc,
    ),
    Recogniser(
        kind="cn_mobile",
        pattern=re.compile(
            rf"{NO_DIGIT_BEFORE}(?:(?:\+|00)?86[ -]?)?1[3-9][0-9][ -]?[0-9]{{4}}[ -]?[0-9]{{4}}{NO_DIGIT_AFTER}(?![.][0-9])"
        ),
    ),
    Recogniser(
        kind="cn_landline",
        pattern=re.compile(
            rf"{NO_DIGIT_BEFORE}(?:(?:\+|00)86[ -]?)?"
            r"(?:[(]?0(?:10|2[0-9]|[3-9][0-9]{2})[)]?[ -]?|(?<=86)[ -]?(?:10|2[0-9])[ -]?)"
            rf"[2-9][0-9]{{2,3}}[ -]?[0-9]{{4}}(?:(?:转|-| ext[.]? ?)[0-9]{{1,5}})?{NO_DIGIT_AFTER}"
        ),
    ),
    Recogniser(
        kind="cn_passport",
        pattern=re.compile(
            rf"{NO_ALNUM_BEFORE}(?:[DEGPS][0-9]{{8}}|E[A-HJ-NP-Z][0-9]{{7}}|[HMC][0-9]{{8}}|C[A-Z][0-9]{{7}}){NO_ALNUM_AFTER}"
        ),
    ),
    Recogniser(
        kind="cn_plate",
        pattern=re.compile(
            r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-HJ-Z][·•. -]?"
            rf"(?:[A-HJ-NP-Z0-9]{{6}}|[A-HJ-NP-Z0-9]{{4}}[A-HJ-NP-Z0-9挂学警港澳领]){NO_ALNUM_AFTER}"
        ),
        accepts=has_digit,
        needs="(?s)[A-HJ-Z].*[0-9]",
    ),
)
