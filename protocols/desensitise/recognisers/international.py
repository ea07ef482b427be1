"""Numbers and addresses that are the same everywhere: bank cards, IBAN, telephone, passport, e-mail, network addresses."""

from __future__ import annotations

import ipaddress
import re

from stdnum import luhn
from stdnum.iso7064 import mod_97_10

from protocols.desensitise.recognisers.pattern import (
    NO_ALNUM_AFTER,
    NO_ALNUM_BEFORE,
    NO_DIGIT_AFTER,
    NO_DIGIT_BEFORE,
    Recogniser,
    digits,
)


def is_card(match: re.Match[str]) -> bool:
    """ISO/IEC 7812: 15 to 19 digits by network, and Luhn's check digit."""
    number = digits(match[0])
    long_enough = len(number) == 15 if number[:2] in ("34", "37") else 16 <= len(number) <= 19
    return long_enough and bool(luhn.is_valid(number))


def is_iban(match: re.Match[str]) -> bool:
    """ISO 13616: 15 to 34 characters, and the check digits of ISO 7064 MOD 97-10 with the first four at the end."""
    number = digits(match[0])
    return 15 <= len(number) <= 34 and bool(mod_97_10.is_valid(number[4:] + number[:4]))


def is_phone(match: re.Match[str]) -> bool:
    """ITU E.164: 8 to 15 digits."""
    return 8 <= len(digits(match[0])) <= 15


def is_network_address(match: re.Match[str]) -> bool:
    """An IPv4 or IPv6 address, and not a single colon pair or a time."""
    try:
        ipaddress.ip_address(match[0])
    except ValueError:
        return False
    return any(char in "0123456789abcdefABCDEF" for char in match[0])


def has_digit(match: re.Match[str]) -> bool:
    """A passport number has a digit; a word after "passport" has none."""
    return any(char.isdigit() for char in match["it"])


_NAME = r"[A-Z][a-z]{1,20}"
RECOGNISERS = (
    Recogniser(
        kind="email",
        pattern=re.compile(
            r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}[.]){1,6}[A-Za-z]{2,24}(?![A-Za-z0-9])"
        ),
        needs="@",
    ),
    Recogniser(
        kind="email",  # local parts in Chinese: RFC 6531
        pattern=re.compile(r"[\u3400-\u9fff]{1,20}@(?:[A-Za-z0-9-]{1,63}[.]){1,6}[A-Za-z]{2,24}(?![A-Za-z0-9])"),
        needs="@",
    ),
    Recogniser(
        kind="bank_card",
        pattern=re.compile(rf"{NO_DIGIT_BEFORE}[3-6][0-9]{{3}}(?:[ -]?[0-9]){{11,15}}{NO_DIGIT_AFTER}"),
        accepts=is_card,
    ),
    Recogniser(
        kind="iban",
        pattern=re.compile(
            rf"{NO_ALNUM_BEFORE}[A-Z]{{2}}[0-9]{{2}}(?: ?[A-Z0-9]{{4}}){{2,7}}(?: ?[A-Z0-9]{{1,3}})?{NO_ALNUM_AFTER}"
        ),
        accepts=is_iban,
    ),
    Recogniser(
        kind="phone",
        pattern=re.compile(r"(?<![0-9A-Za-z+])(?:\+|00)[1-9][0-9]{0,2}(?:[ .-]?[(]?[0-9]{2,5}[)]?){2,5}(?![0-9])"),
        accepts=is_phone,
    ),
    Recogniser(
        kind="passport",
        pattern=re.compile(
            r"(?:护照|(?<![0-9A-Za-z_\[])(?:[Pp]assport|PASSPORT))[^0-9A-Za-z\x1e]{0,6}(?:(?:[Nn]o|NO|[Nn]umber|号码)[^0-9A-Za-z\x1e]{0,4})?"
            rf"(?P<it>[A-Z0-9]{{6,9}}){NO_ALNUM_AFTER}"
        ),
        accepts=has_digit,
        needs="护照|[Pp]assport|PASSPORT",
    ),
    Recogniser(
        kind="ip",
        pattern=re.compile(r"(?<![0-9A-Za-z.])(?:[0-9]{1,3}[.]){3}[0-9]{1,3}(?![0-9A-Za-z])(?![.][0-9])"),
        accepts=is_network_address,
        needs=r"[.:][0-9a-fA-F]*[.:]",
    ),
    Recogniser(
        kind="ip",
        pattern=re.compile(
            r"(?<![0-9A-Za-z:.])(?:[0-9A-Fa-f]{0,4}:){2,7}(?:[0-9A-Fa-f]{1,4}|(?:[0-9]{1,3}[.]){3}[0-9]{1,3})?(?![0-9A-Za-z:])"
        ),
        accepts=is_network_address,
        needs=r"[.:][0-9a-fA-F]*[.:]",
    ),
    Recogniser(
        kind="mac",
        pattern=re.compile(
            rf"{NO_ALNUM_BEFORE}(?:[0-9A-Fa-f]{{2}}([:-]))(?:[0-9A-Fa-f]{{2}}\1){{4}}[0-9A-Fa-f]{{2}}{NO_ALNUM_AFTER}"
        ),
        needs=r"[:-][0-9A-Fa-f]{2}[:-]",
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
