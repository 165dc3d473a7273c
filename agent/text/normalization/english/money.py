"""Amounts of money in English: the sign before or after the number, ranges, scales, and prices per thing."""

from __future__ import annotations

import re

from agent.text.normalization import Found, Said
from agent.text.normalization.english import numbers
from agent.text.normalization.english.patterns import MINUS, START, any_of, next_word, qualifies, rule
from agent.text.normalization.english.tables import (
    AFTER_SLASH,
    CURRENCIES,
    HUNDREDTHS,
    SCALE_WORDS,
    SCALES,
    WHOLE_ONLY,
)

CURRENCY = any_of(CURRENCIES)
SIGN_AFTER = any_of([sign for sign in CURRENCIES if not sign.endswith("$") or sign == "$"])
SIGNS = any_of([sign for sign in CURRENCIES if len(sign) == 1 or sign.isupper()])
AMOUNT = (
    r"(?:\d{1,3}(?:\.\d{3})++,\d\d(?!\d)|\d{1,3}(?:,\d{3})++(?!\d)(?:\.\d++)?|\d{1,6},\d\d(?!\d)|"
    r"\d++(?:\.\d++)?|\.\d++)"
)
"""As in "1,234.50", "1.234,50", "5,50", ".50"."""
SCALE = rf"(?:[ -]?(?P<scale>{SCALE_WORDS}|{any_of(SCALES)})(?![A-Za-z]))?"
PER = rf"(?P<per>(?: ?/ ?|(?<=[^ ]) per )(?:{any_of(AFTER_SLASH)}|[a-z]{{3,12}})(?![A-Za-z/]))?"
BEFORE = rf"(?<![\w$])(?P<sign>[-−–+]?)(?P<currency>{CURRENCY}) ?(?P<inner>[-−]?)(?P<amount>{AMOUNT})"
TO = rf"(?:\s?[-–—]\s?(?:(?P=currency) ?)?(?P<last>{AMOUNT}))?"


CASH = re.compile(r"(?:bills?|notes?|banknotes?|coins?|vouchers?|stamps?|gift)\b")
"""What an amount says the value of: "$20 bills"."""


def _plain(amount: str, euro: bool = False) -> str:
    """An amount in the English way: with a point, and without grouping."""
    if re.fullmatch(r"\d{1,3}(?:\.\d{3})+", amount) and euro:
        return amount.replace(".", "")
    if re.search(r",\d\d$", amount):
        return amount.replace(".", "").replace(",", ".")
    return amount.replace(",", "")


def _spoken(amount: str, currency: str, *, scale: str, adjective: bool) -> str:
    """An amount with its currency, in words."""
    singular, plural = CURRENCIES[currency]
    number = _plain(amount, currency in ("€", "EUR"))
    if scale:
        return f"{numbers.decimal(number)} {SCALES.get(scale, scale)} {singular if adjective else plural}"
    whole, _, cents = number.partition(".")
    if cents and (len(cents) > 2 or currency in WHOLE_ONLY):
        return f"{numbers.decimal(number)} {plural}"
    cents = f"{cents}0"[:2]
    small = HUNDREDTHS.get(currency, ("cent", "cents"))
    units = f"{numbers.cardinal(whole or '0')} {singular if adjective or _one(whole) else plural}"
    if not int(cents):
        return units
    hundredths = (
        f"{numbers.cardinal(str(int(cents)))} {small[0] if adjective or int(cents) == 1 else small[1]}"
    )
    return hundredths if not whole.strip("0") else f"{units} and {hundredths}"


def _one(whole: str) -> bool:
    return whole == "1"


def _amount(found: Found) -> Said:
    groups = found.groupdict("")
    sign = {"-": "minus ", "−": "minus ", "–": "minus ", "+": "plus "}.get(
        groups["sign"] or groups.get("inner", ""), ""
    )
    adjective = (qualifies(found) or CASH.match(next_word(found)) is not None) and not groups["per"]
    currency, scale = groups["currency"], groups["scale"]
    if not groups["last"]:
        said = _spoken(groups["amount"], currency, scale=scale, adjective=adjective)
    else:
        first = _first(groups["amount"], currency)
        said = f"{first} to {_spoken(groups['last'], currency, scale=scale, adjective=adjective)}"
    return sign + said + _per(groups["per"])


def _first(amount: str, currency: str) -> str:
    """The first amount of a range: "5" of "$5-10"; with its currency where it has cents."""
    number = _plain(amount, currency in ("€", "EUR"))
    whole, _, cents = number.partition(".")
    if cents.strip("0"):
        return (
            _spoken(amount, currency, scale="", adjective=False)
            if len(cents) == 2
            else numbers.decimal(number)
        )
    return numbers.cardinal(whole or "0")


def _per(text: str) -> str:
    if not text:
        return ""
    what = text.strip().removeprefix("/").removeprefix("per ").strip()
    return f" per {AFTER_SLASH.get(what, (what,))[0]}"


def _after(found: Found) -> Said:
    """`5€`, `20 EUR`, `50¢`; "5 $10 bills" is five bills."""
    if found["currency"] == "Rs" and re.match(r"\dRs", found[0]):  # "the 3Rs"
        return None
    if found["currency"] == "$" and re.match(r"\d", found.string[found.end() :]):
        return None
    return _amount(found)


def _rate(found: Found) -> Said:
    """`€/kg` without a number."""
    return CURRENCIES[found[1]][1] + _per(found["per"])


def _pence(found: Found) -> Said:
    return f"{numbers.cardinal(found[1])} pence"


MONEY = [
    rule(BEFORE + TO + SCALE + r"(?: ?(?:dollars?|USD|bucks))?" + PER + r"(?![^\W_])", _amount),
    rule(BEFORE + r"(?P<last>)(?P<scale>)(?P<per>)", _amount),
    rule(
        START + rf"(?P<sign>{MINUS})(?P<amount>{AMOUNT})(?:\s?[-–—]\s?(?P<last>{AMOUNT}))?{SCALE} ?"
        rf"(?P<currency>{SIGN_AFTER})(?![^\W_]){PER}",
        _after,
    ),
    rule(START + r"([1-9]\d?)p(?!\w)", _pence),
    rule(rf"(?<![\w$])({SIGNS})(?P<per> ?/ ?(?:{any_of(AFTER_SLASH)}))(?![^\W_]|/)", _rate),
    rule(
        r"(?<![\w$])([€£¥₹₩₽₺₪₿]|(?<=\bin )\$(?=[\s.,;:!?)]|\Z))(?![\w$])(?! signs?\b| symbols?\b)",
        lambda found: CURRENCIES[found[1]][1],
    ),
    rule(r"(?<=[A-Za-z])\$|\$(?=[A-Za-z{(\\])", ""),
    rule(r"\$", " dollar "),
    rule(r"[€£¥₹₩₽₺₪₿]", lambda found: f" {CURRENCIES[found[0]][0]} "),
]
