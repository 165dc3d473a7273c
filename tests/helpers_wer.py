"""Word error rate between what was said and what was understood. Knows no engine and no test framework."""

from __future__ import annotations

import re

from agent.text.normalization import normalized

ONES = [
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
ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
SHORT = {
    "mr": "mister",
    "mrs": "missus",
    "dr": "doctor",
    "prof": "professor",
    "st": "saint",
    "vs": "versus",
    "etc": "et cetera",
    "ok": "okay",
    "alright": "all right",
    "km": "kilometers",
    "kg": "kilograms",
    "cm": "centimeters",
    "mt": "mount",
}


def words_of(number: int) -> str:
    """A whole number from 0 below a thousand billions, in words, without "and" or hyphens."""
    if number < 20:
        return ONES[number]
    if number < 100:
        return TENS[number // 10] + (f" {ONES[number % 10]}" if number % 10 else "")
    for size, name in ((10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred")):
        if number >= size:
            rest = f" {words_of(number % size)}" if number % size else ""
            return f"{words_of(number // size)} {name}{rest}"
    raise AssertionError


def year(number: int) -> str:
    """1815 as it is said: "eighteen fifteen"; 1905 "nineteen oh five"; 1900 "nineteen hundred"."""
    high, low = divmod(number, 100)
    tail = "hundred" if low == 0 else f"oh {ONES[low]}" if low < 10 else words_of(low)
    return f"{words_of(high)} {tail}"


def ordinal(number: int) -> str:
    *front, last = words_of(number).split()
    ended = ORDINALS.get(last) or (last[:-1] + "ieth" if last.endswith("y") else last + "th")
    return " ".join([*front, ended])


def _digits(match: re.Match[str]) -> str:
    whole, fraction = match["whole"].replace(",", ""), match["fraction"]
    if len(whole) > 12:
        said = " ".join(ONES[int(d)] for d in whole)
    elif len(whole) == 4 and whole == match["whole"] and 1100 <= int(whole) < 2000 and not fraction:
        said = year(int(whole))
    else:
        said = words_of(int(whole))
    if fraction:
        said += " point " + " ".join(ONES[int(d)] for d in fraction)
    if match["money"]:
        said += {"$": " dollars", "£": " pounds", "€": " euros"}[match["money"]]
    return f" {said} " + ("percent " if match["percent"] else "")


def normalise(text: str) -> str:
    """`text` as plain lower-case words: figures said in words, abbreviations in full, no punctuation."""
    text = text.casefold().replace("’", "'")
    text = re.sub(r"\b(\d{1,2}):00\b", r"\1 o'clock", text)
    text = re.sub(r"\b(\d{1,2}):(\d{2})\b", r"\1 \2", text)
    text = re.sub(r"\b([ap])\.\s?m\b\.?", r" \1m", text)
    text = re.sub(r"\b(\d+)(?:st|nd|rd|th)\b", lambda m: ordinal(int(m[1])), text)
    text = re.sub(
        r"(?P<money>[$£€])?(?P<whole>\d{1,3}(?:,\d{3})+|\d+)(?:\.(?P<fraction>\d+))?\s?(?P<percent>%)?",
        _digits,
        text,
    )
    text = text.replace("&", " and ").replace("'", "").replace("per cent", "percent")
    words = re.findall(r"\w+", text)
    return " ".join(SHORT.get(w, w) for w in words)


def wer(ref: str, hyp: str) -> float:
    """Word error rate of `hyp` against `ref`, both normalised: edits per word of `ref`.

    An empty `ref` gives 0 for an empty `hyp`, else the number of words made up.
    """
    said, heard = normalise(ref).split(), normalise(hyp).split()
    return edits(said, heard) / max(1, len(said))


def edits(said: list[str], heard: list[str]) -> int:
    """Fewest insertions, deletions and substitutions of words from one list to the other (Levenshtein)."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(said, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (word != other))
    return row[-1]


def cer(ref: str, hyp: str, language: str) -> float:
    """Character error rate: edits per letter of `ref`, with numbers in words and without blanks."""
    said, heard = ([c for c in normalized(text.lower(), language) if c.isalnum()] for text in (ref, hyp))
    return edits(said, heard) / max(1, len(said))
