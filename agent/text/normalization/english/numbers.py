"""Numbers as English words: cardinals, ordinals, decimals, years, digits. Knows no text around them."""

from __future__ import annotations

SMALL = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
TENS = ["_", "_", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
SCALES = [
    "_",
    "thousand",
    "million",
    "billion",
    "trillion",
    "quadrillion",
    "quintillion",
    "sextillion",
    "septillion",
    "octillion",
    "nonillion",
    "decillion",
]
IRREGULAR = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
LONGEST = 15
"""Digits of a number that is said by its value: beyond trillions nobody follows, and each digit is said."""


def digits(text: str) -> str:
    """Each digit by itself: "0042" is "zero zero four two". What is no digit is left out."""
    return " ".join(SMALL[int(char)] for char in text if char in "0123456789")


def hexadecimal(text: str) -> str:
    """Each digit and each letter by itself: "8a" is "eight eh"; a lone "A" is an article to the voices."""
    return " ".join(SMALL[int(c)] if c.isdigit() else "eh" if c in "aA" else c.upper() for c in text)


def cardinal(text: str) -> str:
    """A whole number of any length, with or without commas in it.

    One that begins with zeros, or is too long to be followed, is said digit by digit; a long one that its
    writer has grouped, or that ends in zeros, keeps its name up to 10^36.
    """
    plain = text.replace(",", "")
    round_number = "," in text or (len(plain) > 3 and not plain.rstrip("0")[3:])
    longest = 3 * len(SCALES) if round_number else LONGEST
    if len(plain) > longest or (len(plain) > 1 and plain[0] == "0"):
        return digits(plain)
    return _value(int(plain))


def _value(value: int) -> str:
    if value < 20:
        return SMALL[value]
    if value < 100:
        return _joined(TENS[value // 10], value % 10)
    if value < 1000:
        return _joined(f"{SMALL[value // 100]} hundred", value % 100)
    scale = (len(str(value)) - 1) // 3
    head, rest = divmod(value, 1000**scale)
    return _joined(f"{_value(head)} {SCALES[scale]}", rest)


def _joined(head: str, rest: int) -> str:
    return f"{head} {_value(rest)}" if rest else head


def ordinal(text: str) -> str:
    """The ordinal of a whole number: "21" is "twenty first"."""
    return as_ordinal(cardinal(text))


def as_ordinal(words: str) -> str:
    """The ordinal of a cardinal that is in words."""
    head, _, last = words.rpartition(" ")
    regular = f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th"
    return f"{head} {IRREGULAR.get(last, regular)}".lstrip()


def plural(words: str) -> str:
    """The plural of the last word: "nineteen ninety" is "nineteen nineties"."""
    if words.endswith("y"):
        return f"{words[:-1]}ies"
    return words + ("es" if words.endswith(("x", "s")) else "s")


def decimal(text: str) -> str:
    """A number as it is written in English, "1,234.50" or ".5", with every digit after the point."""
    whole, point, after = text.partition(".")
    words = cardinal(whole) if whole else ""
    return f"{words} point {digits(after)}".lstrip() if point and after else words


def year(text: str) -> str:
    """A year of three or four digits: "1984", "1905", "2000", "2007", "2024", "476"."""
    if len(text) == 3:
        return house(text)
    century, rest = text[:2], int(text[2:])
    if text[1:3] == "00":
        return _value(int(text))
    if rest == 0:
        return f"{_value(int(century))} hundred"
    return f"{_value(int(century))} {_after_hundreds(rest)}"


def house(text: str) -> str:
    """A number that names a house, a room, a road or a machine: "747" is "seven forty seven"."""
    if text[0] == "0" or len(text) > 4:
        return digits(text)
    head, rest = text[:-2], int(text[-2:])
    if not head:
        return _value(rest)
    if rest == 0:
        return _value(int(text)) if text.endswith("000") else f"{_value(int(head))} hundred"
    return f"{_value(int(head))} {_after_hundreds(rest)}"


def named(text: str) -> str:
    """A number beside letters, part of a name: "380" is "three eighty", "2041" digits, "2024" a year."""
    if "." in text:
        return decimal(text)
    short = len(text) < 4 or (len(text) == 4 and (text.endswith("00") or "1900" < text < "2100"))
    return house(text) if short else digits(text)


def _after_hundreds(rest: int) -> str:
    return f"oh {SMALL[rest]}" if rest < 10 else _value(rest)


def roman(text: str) -> int:
    """The value of a roman numeral in capitals, 0 where it is not well formed."""
    values = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
    total = 0
    for char, following in zip(text, [*text[1:], "I"], strict=True):
        total += -values[char] if values[char] < values[following] else values[char]
    return total if to_roman(total) == text else 0


def to_roman(value: int) -> str:
    """A number up to 3999 as a roman numeral."""
    written = ""
    for size, mark in (
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ):
        count, value = divmod(value, size)
        written += mark * count
    return written
