"""Signs that stand for words, in English: keys, arrows, grades, notes, "#", "@", "&", "<" before a number."""

from __future__ import annotations

import re

from agent.text.normalization import Found, Said
from agent.text.normalization.english import numbers
from agent.text.normalization.english.patterns import before, rule
from agent.text.normalization.english.tables import FUNCTION_WORDS

COMPARED = {
    "<": "less than ",
    ">": "more than ",
    "<=": "at most ",
    "≤": "at most ",
    ">=": "at least ",
    "≥": "at least ",
    "≈": "about ",
}
KEY_NAMES = {
    "Ctrl": "Control",
    "Ctl": "Control",
    "Cmd": "Command",
    "Opt": "Option",
    "Win": "Windows",
    "Del": "Delete",
    "Esc": "Escape",
    "Ins": "Insert",
    "PgUp": "Page Up",
    "PgDn": "Page Down",
    "PrtSc": "Print Screen",
    "+": "plus",
    "-": "minus",
    "A": "eh",
    "⌘": "Command ",
    "⌥": "Option ",
    "⌃": "Control ",
    "⇧": "Shift ",
}
BLOOD_TYPE = re.compile(r"\btype (?:is |was |: ?)?$|\bblood: $")
ACCIDENTALS = {"♭": "flat", "♯": "sharp", "♮": "natural"}
MODIFIER = (
    r"(?:Ctrl|Ctl|Control|CTRL|Cmd|CMD|Command|Alt|ALT|AltGr|Opt|Option|Shift|SHIFT|Win|Windows|"
    r"Super|Meta|Fn)"
)
KEY = (
    r"(?:F\d{1,2}|Del|Delete|Esc|Escape|Tab|Enter|Return|Space|Backspace|Insert|Ins|Home|End|Up|Down|Left|Right|"
    r"PgUp|PgDn|PrtSc|[A-Za-z0-9]|[+-])(?![^\W_])"
)


def _keys(found: Found) -> Said:
    """`Ctrl+C`, `Alt+F4`, `Ctrl-Z`."""
    keys: list[str] = re.findall(r"[+-]$|\w+", found[0])
    return " ".join(KEY_NAMES.get(key) or KEY_NAMES.get(key.capitalize()) or key for key in keys)


def _graded(found: Found) -> Said:
    """`type O-`, `AB+ blood`: negative, positive; "a B-" is a mark. "B- and C-levels" are neither."""
    group, sign, rest = found[1], found[2], found.string[found.end() :]
    letter = "eh" if group == "A" else group
    if BLOOD_TYPE.search(before(found)) or re.match(" (?:blood|donor)", rest):
        return f"{letter} {'positive' if sign == '+' else 'negative'}"
    if group not in "ABCDF" or sign == "+" or re.match(r" (?:and|or|to) [A-Z]-\w", rest):
        return None
    return f"{letter} minus"


def _compared(found: Found) -> Said:
    """`>10`, `≈ 20 people`: how many; a relation where something stands before it, "x ≥ 10"."""
    operand = re.search(r"[^\s(.!?:;]+$", before(found).rstrip(" "))
    word = operand[0] if operand else ""
    glued = not found[2] and (len(word.rstrip(",")) > 1 or "," in word)
    counted = word.rstrip(",").isalpha() and (glued or (len(word) > 1 and word.lower() in FUNCTION_WORDS))
    return COMPARED[found[1]] if counted or not word else None


def _colour(found: Found) -> Said:
    """`#FF8800`."""
    return numbers.hexadecimal(found[1])


ARROWS = [
    rule(r"\s{0,3}[→⇒]\s{0,3}", " to "),
    rule(r"[↑▲⬆]\ufe0f?\s?(?=[$€£]?\.?\d)", "up "),
    rule(r"[↓▼⬇]\ufe0f?\s?(?=[$€£]?\.?\d)", "down "),
    rule(r"(?<=[\d%])\s?[↑▲⬆]", " up"),
    rule(r"(?<=[\d%])\s?[↓▼⬇]", " down"),
    rule(r"(?<=\b[A-Ga-g])[♭♯♮]|[♭♯](?=\d)", lambda found: f" {ACCIDENTALS[found[0]]} "),
    rule(r"(?<=\d)\s?[⭐★]\ufe0f?(?![⭐★])", " stars"),
    rule(r"[⌘⌥⌃⇧](?=[⌘⌥⌃⇧]|\+?\w)\+?", lambda found: KEY_NAMES[found[0][0]]),
]
SYMBOLS = [
    rule(r"\b([CFDG])#(?!\w)", lambda found: f"{found[1]} sharp"),
    rule(r"\b([A-Za-z])\+\+(?!\w)", lambda found: f"{found[1]} plus plus"),
    rule(r"\b([A-Za-z])\+\+(?=\d)", lambda found: f"{found[1]} plus plus "),
    rule(rf"\b{MODIFIER}(?: ?\+ ?{MODIFIER}\b){{0,3}} ?\+ ?{KEY}", _keys),
    rule(rf"\b(?:Ctrl|Ctl|CTRL|Cmd|CMD|Alt|ALT)(?:-{MODIFIER}\b){{0,3}}-{KEY}", _keys),
    rule(r"\b(Ctrl|Cmd)\b", lambda found: KEY_NAMES[found[1]]),
    rule(r"(?<![\w+-])(AB|[A-DFO])([-−+])(?=[\s.,;:!?)]|\Z)", _graded),
    rule(r"(?<=[\d%)]) ?@ ?(?=[$€£¥]?\.?\d)|(?<![^\s(])@ ?(?=[$€£¥]?\.?\d)", " at "),
    rule(r"(?i:(?<=copyright )|(?<=copyright: ))© ?", ""),
    rule(r"© ?(?=\w)", "copyright "),
    rule(r"[™®℠]", ""),
    rule(r"~ ?(?=[$€£¥]?\.?\d)", "about "),
    rule(r"(?<![^\s(])(<=|>=|[<>≤≥≈])( ?)(?=[-−$€£¥]?\.?\d)", _compared),
    rule(r"(?<!\w)#(?=\d++(?!\w))", "number "),
    rule(r"(?<!\w)#(?=[a-fA-F]*\d)(?=\d*[a-fA-F])([0-9a-fA-F]{6})(?!\w)", _colour),
    rule(r"(?<!\w)#(?=\d{0,9}[^\W\d_])", "hashtag "),
    rule(r"#(?= of\b)", "number"),
    rule(r"#", " "),
    rule(r"(?<![\w@.])@(?=[A-Za-z_])", "at "),
    rule(r"(?<!\w)([A-Za-z]):\\{1,2}", lambda found: f"{found[1]} "),
    rule(r"(?<!\w)~(?=/)", "home"),
    rule(r"\\+", " "),
    rule(r"(?<=\w)\.(?=(?:[a-z][a-z0-9]|[A-Z]{2}|\dz)\w{0,7}(?!\w))(?<!\.[A-Za-z]\.)", " dot "),
    rule(r"(?<![\w.)\]\"'”’])\.(?=[a-z]{2}|[A-Z]{3}\b)", " dot "),
    rule(r"(?<=[^\W\d_])_(\d{1,9})(?![^\W_]|[.,]\d)", lambda found: f" {numbers.named(found[1])}"),
    rule(r"№ ?(?=\d)", "number "),
    rule(r"¶ ?(?=\d)", "paragraph "),
    rule(r" ?§§ ?", " sections "),
    rule(r" ?§ ?", " section "),
]
