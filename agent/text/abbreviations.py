"""Which words a full stop belongs to, and which open a clause, by language. Knows no marks and no streams.

Those of English are here; other languages have theirs in `text.toml`, and one without it is cut as English.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from agent import languages


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
ORDINAL = re.compile(r"\d{1,3}|[IVX]{1,6}")
TIME_OPENING = re.compile(
    r"(?:at|by|on|around|before|after|until|from|since|about)\s+[\d:]+\s*[ap]\.m\.", re.I
)


JOINT = re.compile(
    r"(?:(?P<CLAUSE>and|but|or|because|which|while|although)|(?P<PHRASE>who|that|when|where|since|if|as|with|"
    r"from|in|on|at|for|by|into|over|through|like|than|about|is|are|was|were|has|have|had|can|could|will|"
    r"would|should|may|might|must))(?P<known>\s|\Z)"
)


@dataclass(frozen=True, slots=True)
class Writing:
    """How one language writes its sentences. Words are in lower case, but for those of `named_days`.

    titles: before a name; leading: these too, before whatever goes on; references: before a number;
    trailing: may end a sentence, which the next word tells; named_days: abbreviations only when so written;
    short: words of a few letters that are no abbreviations; starters: begin a sentence. joint: what opens a
    clause or a phrase. ordinal_stops: a full stop makes a number an ordinal ("3. Oktober").
    """

    titles: frozenset[str]
    leading: frozenset[str]
    references: frozenset[str]
    trailing: frozenset[str]
    named_days: frozenset[str]
    short: frozenset[str]
    starters: frozenset[str]
    joint: re.Pattern[str]
    ordinal_stops: bool = False

    def ordinary(self, word: str) -> bool:
        """Whether `word` is a plain word, for sure no abbreviation, initial, number, address or file name."""
        letters = re.sub(r"['’-]", "", word)
        if not (letters.isalpha() and letters[1:].islower()):
            return False
        if (
            letters in self.named_days
            or letters.lower() in ADDRESSES | self.leading | self.references | self.trailing
        ):
            return False
        return (
            len(letters) >= (4 if letters[0].isupper() else 3)
            or letters.lower() in self.short | self.starters
        )

    def certain_stop(self, word: str, marks: str) -> bool:
        """Whether `marks` after `word` end a sentence whatever follows but a closing quote or more marks."""
        if "?" in marks or "!" in marks:
            if word[-1:].isdigit() and marks == "!":  # "5! = 120"
                return False
            return word[-1:].isalnum() and not re.search(r"[/@:.<&=]", word) and word not in BANG_NAMES
        return marks == "." and self.ordinary(word)

    def stop_ends(self, word: str, following: str, sentence: str, *, complete: bool) -> bool | None:
        """Whether one full stop after `word` ends `sentence`, where a capital or a digit follows.

        `following` is the next word, which may still grow where it is not `complete`; None: its end must
        tell.
        """
        key = word.lower()
        if key in self.leading:
            return False
        if key in self.references:
            return not following[0].isdigit()
        initial = len(word) == 1 and word.isalpha()
        ordinal = self.ordinal_stops and ORDINAL.fullmatch(word)
        if not (
            ordinal or key in self.trailing or word in self.named_days or initial or DOTTED.fullmatch(word)
        ):
            return True
        if not complete:
            return None
        if TIME_OPENING.fullmatch(sentence):
            return False
        follower = following.lower().replace("’", "'").rstrip(",;:!?\"'”)")
        return follower in self.starters or follower.rstrip(".") in self.titles


ENGLISH = Writing(TITLES, LEADING, REFERENCES, TRAILING, NAMED_DAYS, SHORT, STARTERS, JOINT)


@cache
def writing(name: str) -> Writing:
    """That of a language by its code, as "es" or "pt-br"; English where it has none of its own."""
    from agent.text.normalization.file import tables

    file = tables(name) if languages.code(name) != "en" else None
    if file is None:
        return ENGLISH
    own = file.sentences
    titles = frozenset(own.titles)
    clause, phrase = ("|".join(map(re.escape, words)) or r"(?!)" for words in (own.clause, own.phrase))
    return Writing(
        titles=titles,
        leading=titles | frozenset(own.leading),
        references=frozenset(own.references),
        trailing=frozenset(own.trailing),
        named_days=frozenset(),
        short=frozenset(own.short),
        starters=frozenset(own.starters),
        joint=re.compile(rf"(?:(?P<CLAUSE>{clause})|(?P<PHRASE>{phrase}))(?P<known>\s|\Z)"),
        ordinal_stops="." in file.ordinals.marks,
    )
