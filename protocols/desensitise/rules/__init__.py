"""The rules, by family (ISO/IEC 20889). `AnyRule` is what a rule file may name."""

from __future__ import annotations

from protocols.desensitise.rules.base import Context, Rule, Spec, WholeColumn
from protocols.desensitise.rules.generalising import Clip, DateRule, IntervalRule, PrefixRule, TreeRule
from protocols.desensitise.rules.perturbing import MicroAggregate, Noise, RankSwap, Round
from protocols.desensitise.rules.pseudonyms import Encrypt, EncryptId, EncryptMobile, Pseudonym, Token
from protocols.desensitise.rules.redacting import Redact
from protocols.desensitise.rules.simple import Drop, Keep, Mask, MaskPattern, Suppress

AnyRule = (
    *(Keep, Drop, Suppress, Mask, MaskPattern),
    *(IntervalRule, DateRule, PrefixRule, TreeRule, Clip),
    *(Pseudonym, Encrypt, EncryptId, EncryptMobile, Token),
    *(Round, Noise, RankSwap, MicroAggregate, Redact),
)
RULES: dict[str, type[Spec]] = {str(each.__struct_config__.tag): each for each in AnyRule}

__all__ = ["RULES", "Context", "Rule", "Spec", "WholeColumn"]
