"""Which words a full stop belongs to. Knows English abbreviations; nothing of text, marks or streams."""

from __future__ import annotations

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Before a name or an example: the sentence always goes on.
TITLES = _words("mr mrs ms dr prof gen rep sen gov capt lt col sgt rev hon pres messrs mme mlle")
LEADING = TITLES | _words("vs cf viz approx e.g i.e eg ie ca")
# Before a number the sentence goes on; otherwise the word is ordinary ("No.", "I like fig.").
REFERENCES = _words(
    "no nos nr n° nº p pg pp ver rs vol vols fig figs ch chap sec eq art ed op kr apt ste bldg rm hwy "
    "exod lev deut josh judg kgs chron ps prov eccl isa jer ezek mk lk jn cor eph thess heb jas"
)
# May or may not end the sentence; the next word tells.
TRAILING = _words(
    "co inc ltd corp bros jr sr st mt ft ave blvd rd etc al dept univ est esp gal tel ext min max avg "
    "jan feb apr jun jul aug sept oct nov dec tues thurs calif mass penn phd bsc msc esq ph.d"
)
# Abbreviations only when capitalised: "Sun. 5 May", but "in the sun."
NAMED_DAYS = _words("Sun Mon Tue Wed Thu Fri Sat Mar Sep Fla Ill Ariz Wash Ore")
ADDRESSES = _words("www")
SHORT = _words("it me us so up do go on is be we he by to ok hi oh of at as if ok of or was")
BANG_NAMES = _words("Yahoo Jeopardy Yum Joomla")
STARTERS = _words(
    "the a an he she it they we you i this that these those there here how what why when where who which "
    "whose but and so or if in on at for from with by as to my his her our your its their do does did is "
    "are was were can could would will shall should may might must let have has had no yes not now then "
    "next please after before once since until while although though however maybe perhaps some many most "
    "all both each every one also another because thank thanks well oh it's that's there's i'm you're he's "
    "she's we're they're what's let's don't"
)
DOTTED = re.compile(r"(?:[^\W\d_]{1,2}\.)+[^\W\d_]{1,2}")
TIME_OPENING = re.compile(
    r"(?:at|by|on|around|before|after|until|from|since|about)\s+[\d:]+\s*[ap]\.m\.", re.I
)


def ordinary(word: str) -> bool:
    """Whether `word` is a plain word, for sure no abbreviation, initial, number, address or file name."""
    letters = re.sub(r"['’-]", "", word)
    if not (letters.isalpha() and letters[1:].islower()):
        return False
    if letters in NAMED_DAYS or letters.lower() in ADDRESSES | TITLES | LEADING | REFERENCES | TRAILING:
        return False
    return len(letters) >= (4 if letters[0].isupper() else 3) or letters.lower() in SHORT | STARTERS


def certain_stop(word: str, marks: str) -> bool:
    """Whether `marks` after `word` end a sentence whatever follows but a closing quote or more marks."""
    if "?" in marks or "!" in marks:
        if word[-1:].isdigit() and marks == "!":  # "5! = 120"
            return False
        return word[-1:].isalnum() and not re.search(r"[/@:.<&=]", word) and word not in BANG_NAMES
    return marks == "." and ordinary(word)


def stop_ends(word: str, following: str, sentence: str, *, complete: bool) -> bool | None:
    """Whether one full stop after `word` ends `sentence`, where a capital or a digit follows.

    `following` is the next word, which may still grow where it is not `complete`; None: its end must tell.
    """
    key = word.lower()
    if key in LEADING:
        return False
    if key in REFERENCES:
        return not following[0].isdigit()
    initial = len(word) == 1 and word.isalpha()
    if not (key in TRAILING or word in NAMED_DAYS or initial or DOTTED.fullmatch(word)):
        return True
    if not complete:
        return None
    if TIME_OPENING.fullmatch(sentence):
        return False
    follower = following.lower().replace("’", "'").rstrip(",;:!?\"'”)")
    return follower in STARTERS or follower.rstrip(".") in TITLES
