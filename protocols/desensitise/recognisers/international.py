"""Numbers and addresses that are the same everywhere: bank cards, IBAN, telephone, passport, e-mail, network addresses."""

from __future__ import annotations

import ipaddress
import re

from stdnum import luhn
from stdnum.iso7064 import mod_97_10

from protocols.desensitise.recognisers.pattern import (
    GAP,
    NO_ALNUM_AFTER,
    NO_ALNUM_BEFORE,
    NO_DIGIT_AFTER,
    NO_DIGIT_BEFORE,
    Recogniser,
    digits,
    ends_number,
    gaps,
    groups,
    is_fraction,
    prefixes,
)

Span = tuple[int, int]
_LENGTHS = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 "
    "ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 "
    "LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 "
    "PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 "
    "YE30 "
)
IBAN_LENGTHS = {each[:2]: int(each[2:]) for each in _LENGTHS.split()}
"""Characters of an IBAN by country: SWIFT's registry."""
CARD_LENGTHS = range(14, 20)
SHORTEST_GROUP = 4


def card(match: re.Match[str]) -> Span | None:
    """ISO/IEC 7812: the longest run of 14 to 19 digits, of a network and with Luhn's check digit, that no digit follows."""
    text, start = match.string, match.start()
    for end, count in prefixes(match):
        number = digits(text[start:end])
        if _is_network(number) and ends_number(text, end) and _is_grouped(text[start:end]) and luhn.is_valid(number):
            return None if is_fraction(text, start, end) else (start, end)
        if count == CARD_LENGTHS[0]:
            break
    return None


def _is_network(number: str) -> bool:
    """Diners Club has 14 digits, American Express 15, others 16 to 19; UnionPay also 81 and, at ICBC, 9558."""
    if len(number) == 14:
        return "300" <= number[:3] <= "305" or number[:2] in ("36", "38", "39")
    if len(number) == 15:
        return number[:2] in ("34", "37")
    return number[0] in "3456" or "2221" <= number[:4] <= "2720" or number[:2] == "81" or number[:4] == "9558"


def _is_grouped(text: str) -> bool:
    """Whether groups of digits look like one number: digit by digit, or by four or more, the same gap throughout."""
    sizes, between = groups(text), gaps(text)
    if len(between) > 1 or (len(sizes) == 2 and "." in between):
        return False
    return set(sizes) == {1} or min(sizes[:-1], default=SHORTEST_GROUP) >= SHORTEST_GROUP


def iban(match: re.Match[str]) -> Span | None:
    """ISO 13616: as many characters as its country says, and the check digits of ISO 7064 MOD 97-10."""
    text, start = match.string, match.start()
    wanted = IBAN_LENGTHS.get(match[0][:2].upper())
    end = next((end for end, count in prefixes(match, "[0-9A-Za-z]") if count == wanted), None)
    if end is None or _is_alnum(text[end : end + 1]):
        return None
    number = digits(text[start:end])
    return (start, end) if mod_97_10.is_valid(number[4:] + number[:4]) else None


def phone(match: re.Match[str]) -> Span | None:
    """ITU E.164: 8 to 15 digits; what stands behind a blank may be another number."""
    text, start = match.string, match.start()
    for end, count in prefixes(match):
        if 8 <= count <= 15 and ends_number(text, end):
            return None if is_fraction(text, start, end) else (start, end + text.startswith(")", end))
    return None


def is_network_address(match: re.Match[str]) -> bool:
    """An IPv4 address."""
    return _is_address(match[0])


def network_address(match: re.Match[str]) -> Span | None:
    """The longest IPv6 address in a run of hexadecimal digits, colons and points: "ID:2001:db8::1." has one."""
    text, run = match.string, match[0]
    if "::" not in run and run.count(":") < 7:
        return None
    cuts = [at for at in range(len(run) + 1) if at in (0, len(run)) or not (run[at - 1].isalnum() and run[at].isalnum())]
    for length, first in sorted(((last - first, first) for first in cuts for last in cuts if last - first > 2), reverse=True):
        start, end = match.start() + first, match.start() + first + length
        part = text[start:end]
        beside = (text[start - 1 : start] if part[0].isalpha() else ""), text[end : end + 1]
        if not any(_is_alnum(each) for each in beside) and any(char.isdigit() for char in part) and _is_address(part):
            return start, end
    return None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_alnum(char: str) -> bool:
    return char.isascii() and char.isalnum()


def has_digit(match: re.Match[str]) -> bool:
    """A passport number has a digit; a word after "passport" has none."""
    return any(char.isdigit() for char in match["it"])


def has_hex_digit(match: re.Match[str]) -> bool:
    """Three words of four letters a to f are no address; three decimal numbers are none either."""
    return any(char.isdigit() for char in match[0]) and any(char.isalpha() for char in match[0])


_NAME = r"[A-Z][a-z]{1,20}"
_NEEDS_AT = r"@|[(\[]at[)\]]"
_LATIN = r"A-Za-z\u00c0-\u052f"
_AT = r"(?:[ ]?@[ ]?|[ ]?[(\[]at[)\]][ ]?)"
_HOST = (
    rf"(?:[{_LATIN}0-9\u3400-\u9fff-]{{1,63}}[.]){{1,6}}"
    rf"(?:[Xx][Nn]--[A-Za-z0-9-]{{2,59}}|[{_LATIN}]{{2,24}}|[\u3400-\u9fff]{{2,6}})"
)
RECOGNISERS = (
    Recogniser(
        kind="email",
        pattern=re.compile(rf"(?<![{_LATIN}0-9._%+'-])[{_LATIN}0-9._%+'-]{{1,64}}{_AT}{_HOST}"),
        needs=_NEEDS_AT,
    ),
    Recogniser(
        kind="email",  # local parts in Chinese, or in quotes: RFC 6531, RFC 5321
        pattern=re.compile(rf"(?:[\u3400-\u9fff]{{1,20}}|\"[^\"\x1e\r\n]{{1,64}}\"){_AT}{_HOST}"),
        needs=_NEEDS_AT,
    ),
    Recogniser(
        kind="bank_card",
        pattern=re.compile(rf"{NO_DIGIT_BEFORE}(?=[0-9]{{4}}|[0-9][^0-9]{{1,3}}[0-9][^0-9])[2-689](?:{GAP}[0-9]){{13,18}}"),
        reach=card,
    ),
    Recogniser(
        kind="iban",
        pattern=re.compile(r"(?<![0-9])[A-Za-z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]){11,29}"),
        reach=iban,
    ),
    Recogniser(
        kind="phone",
        pattern=re.compile(r"(?<![0-9A-Za-z+])(?:\+|00)[1-9][0-9]{0,2}(?:[ .-]?[(]?[0-9]{2,5}[)]?){2,5}(?![0-9])"),
        reach=phone,
    ),
    Recogniser(
        kind="phone",  # North America, as it is written there
        pattern=re.compile(
            rf"{NO_DIGIT_BEFORE}(?<![0-9][.-])(?:[(][2-9][0-9]{{2}}[)] ?|[2-9][0-9]{{2}}[.-])[2-9][0-9]{{2}}[ .-][0-9]{{4}}"
            rf"{NO_DIGIT_AFTER}(?![.-][0-9])"
        ),
    ),
    Recogniser(
        kind="passport",
        pattern=re.compile(
            r"(?:护照|通行证|台胞证|回乡证|(?<![0-9A-Za-z_\[])(?:[Pp]assport|PASSPORT))[^0-9A-Za-z\x1e]{0,6}"
            r"(?:(?:[Nn]o|NO|[Nn]umber|号码)[^0-9A-Za-z\x1e]{0,4})?"
            rf"(?P<it>[A-Za-z0-9]{{6,9}}){NO_ALNUM_AFTER}"
        ),
        accepts=has_digit,
        needs="护照|通行证|台胞证|回乡证|[Pp]assport|PASSPORT",
    ),
    Recogniser(
        kind="ip",
        pattern=re.compile(
            rf"{NO_DIGIT_BEFORE}(?<![0-9][.])(?<![vV])(?:[0-9]{{1,3}}[.]){{3}}[0-9]{{1,3}}{NO_DIGIT_AFTER}(?![.][0-9])"
        ),
        accepts=is_network_address,
        needs=r"[.:][0-9a-fA-F]*[.:]",
    ),
    Recogniser(
        kind="ip",
        pattern=re.compile(r"(?<![0-9A-Fa-f:.])(?=[0-9A-Fa-f]{0,4}:)[0-9A-Fa-f:.]{3,64}"),
        reach=network_address,
        needs=r"[.:][0-9a-fA-F]*[.:]",
    ),
    Recogniser(
        kind="mac",
        pattern=re.compile(
            r"(?<![0-9A-Fa-f]{2}[:-])[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\1){4,6}[0-9A-Fa-f]{2}(?![:-][0-9A-Fa-f])"
        ),
        needs=r"[:-][0-9A-Fa-f]{2}[:-]",
    ),
    Recogniser(
        kind="mac",
        pattern=re.compile(rf"{NO_ALNUM_BEFORE}[0-9A-Fa-f]{{4}}[.][0-9A-Fa-f]{{4}}[.][0-9A-Fa-f]{{4}}{NO_ALNUM_AFTER}"),
        accepts=has_hex_digit,
        needs=r"[0-9A-Fa-f]{4}[.][0-9A-Fa-f]{4}[.]",
    ),
    Recogniser(
        kind="name",
        pattern=re.compile(
            rf"{NO_ALNUM_BEFORE}(?:Mr|Mrs|Ms|Miss|Dr|Prof)[.]? (?P<it>{_NAME}(?:[ -]{_NAME}){{0,3}}){NO_ALNUM_AFTER}"
        ),
        needs="(?:Mr|Mrs|Ms|Miss|Dr|Prof)[.]? ",
    ),
    Recogniser(
        kind="address",
        pattern=re.compile(
            rf"{NO_ALNUM_BEFORE}[0-9]{{1,5}} (?:{_NAME} ){{1,4}}"
            rf"(?:Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr|Boulevard|Blvd|Square){NO_ALNUM_AFTER}"
        ),
        needs="[0-9] [A-Z][a-z]",
    ),
)
