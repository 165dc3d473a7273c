"""LaTeX as it is read out in English. Works on the text as it was written, before its marks are taken out."""

from __future__ import annotations

import re

from agent.text.normalization import Found, Said
from agent.text.normalization.english.patterns import rule

GREEK = [
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "zeta",
    "eta",
    "theta",
    "iota",
    "kappa",
    "lambda",
    "mu",
    "nu",
    "xi",
    "pi",
    "rho",
    "sigma",
    "tau",
    "upsilon",
    "phi",
    "chi",
    "psi",
    "omega",
    "Gamma",
    "Delta",
    "Theta",
    "Lambda",
    "Xi",
    "Pi",
    "Sigma",
    "Phi",
    "Psi",
    "Omega",
]
COMMANDS = {
    "times": "times",
    "cdot": "times",
    "ast": "times",
    "div": "divided by",
    "pm": "plus or minus",
    "mp": "minus or plus",
    "leq": "is less than or equal to",
    "le": "is less than or equal to",
    "leqslant": "is less than or equal to",
    "geq": "is greater than or equal to",
    "ge": "is greater than or equal to",
    "geqslant": "is greater than or equal to",
    "lt": "is less than",
    "gt": "is greater than",
    "ll": "is much less than",
    "gg": "is much greater than",
    "neq": "is not equal to",
    "ne": "is not equal to",
    "approx": "is approximately",
    "sim": "is similar to",
    "simeq": "is approximately",
    "cong": "is congruent to",
    "equiv": "is equivalent to",
    "propto": "is proportional to",
    "infty": "infinity",
    "sum": "the sum of",
    "prod": "the product of",
    "int": "the integral of",
    "oint": "the contour integral of",
    "lim": "the limit",
    "partial": "partial",
    "nabla": "nabla",
    "to": "to",
    "rightarrow": "to",
    "longrightarrow": "to",
    "mapsto": "maps to",
    "Rightarrow": "implies",
    "implies": "implies",
    "iff": "if and only if",
    "Leftrightarrow": "if and only if",
    "leftarrow": "from",
    "in": "in",
    "notin": "not in",
    "subset": "is a subset of",
    "subseteq": "is a subset of",
    "cup": "union",
    "cap": "intersection",
    "emptyset": "the empty set",
    "forall": "for all",
    "exists": "there exists",
    "land": "and",
    "wedge": "and",
    "lor": "or",
    "vee": "or",
    "neg": "not",
    "lnot": "not",
    "therefore": "therefore",
    "because": "because",
    "degree": "degrees",
    "circ": "degrees",
    "angle": "angle",
    "perp": "is perpendicular to",
    "parallel": "is parallel to",
    "prime": "prime",
    "hbar": "h bar",
    "ell": "l",
    "varepsilon": "epsilon",
    "varphi": "phi",
    "vartheta": "theta",
    "dots": "and so on",
    "ldots": "and so on",
    "cdots": "and so on",
    "sin": "sine",
    "cos": "cosine",
    "tan": "tangent",
    "cot": "cotangent",
    "sec": "secant",
    "csc": "cosecant",
    "arcsin": "arc sine",
    "arccos": "arc cosine",
    "arctan": "arc tangent",
    "log": "log",
    "ln": "natural log",
    "exp": "exp",
    "max": "max",
    "min": "min",
    "det": "determinant",
    "gcd": "G C D",
    "mod": "mod",
    "bmod": "mod",
    "Re": "the real part of",
    "Im": "the imaginary part of",
    "mid": "given",
} | {name: name.lower() for name in GREEK}
WRAPPERS = (
    "text|textbf|textit|textrm|texttt|mathrm|mathbf|mathit|mathsf|mathbb|mathcal|operatorname|boxed|underline|emph|"
    "mbox|boldsymbol|bm|left|right"
)
LETTERS = re.compile(r"(?<![\\A-Za-z{])[a-z]{2,3}(?![A-Za-z])")
SUBSCRIPT = re.compile(r"(?<=[A-Za-z])_(?:\{(\w{1,12})\}|(\w))")
LONE_A = re.compile(r"(?<![\\A-Za-z])[aA](?![A-Za-z])")
INNER = r"\{((?:[^{}\\]|\\[ ,;!%])*)\}"
"""A group in braces without another, or a command, inside."""
NAME = r"(?<!\\)\\{name}(?![A-Za-z])\s?"


def _inner(name: str, count: int = 1) -> str:
    return rf"(?<!\\)\\{name}\s?" + r"\s?".join([INNER] * count)


def _formula(found: Found) -> Said:
    """The inside of a formula, where a dash is a minus and every letter a name."""
    inside = found[1].strip().replace("-", "−")
    inside = SUBSCRIPT.sub(lambda below: f" {below[1] or below[2]}", inside)
    inside = LETTERS.sub(lambda run: run[0] if run[0] in COMMANDS else " ".join(run[0]), inside)
    return LONE_A.sub("eh", inside) + ("" if found[0][1] != "[" and found[0][:2] != "$$" else " ")


def _inline(found: Found) -> Said:
    """`$x^2$`, but not what stands between two prices."""
    return None if re.fullmatch(r"[\d.,]+(?:[-–/ ][\w.,]*)*", found[1]) else _formula(found)


def _over(found: Found) -> Said:
    top, bottom = found[1].strip(), found[2].strip()
    if top.isdigit() and bottom.isdigit():
        return f" {top}/{bottom} "
    if top in ("d", "dy", "\\partial") or not (top and bottom):
        return f" {top} {bottom} "
    return f" {top} over {bottom} "


def _root(found: Found) -> Said:
    names = {None: "square", "2": "square", "3": "cube", "4": "fourth", "n": "nth"}
    return f" the {names.get(found[1], f'{found[1]}-th')} root of {found[2]} "


def _bounds(found: Found) -> Said:
    """`_{i=1}^{n}` of a sum, a product or an integral."""
    what = COMMANDS[found[1]].removesuffix(" of")
    low, high = (part.strip("{} ") for part in (found[2] or "", found[3] or ""))
    if found[1] == "lim":
        return f" {what} as {low} of "
    return f" {what}{f' from {low}' if low else ''}{f' to {high}' if high else ''} of "


def _command(found: Found) -> Said:
    return f" {COMMANDS[found[1]]} "


_ARGUMENT = r"(\{[^{}]{1,60}\}|[^\s{}\\^_])"
_NAMED = "|".join(sorted(COMMANDS, key=len, reverse=True))
_BY_DEPTH = [
    rule(rf"(?<!\\)\\(?:{WRAPPERS})\s?{INNER}", lambda found: found[1]),
    rule(r"(?<!\\)\\sqrt(?:\[(\w)\])?\s?" + INNER, _root),
    rule(_inner("[dtc]?frac", 2), _over),
    rule(_inner("[dt]?binom", 2), lambda found: f" {found[1]} choose {found[2]} "),
    rule(
        _inner("(?:vec|hat|bar|tilde|dot|overline)").replace(r"(?:vec", r"(?:vec"),
        lambda found: f" {found[1]} ",
    ),
]
FORMULAS = [
    # `$...$` is a formula where it reads as one; "$5 and $6" is money.
    rule(r"\$\$([^$]{1,2000})\$\$", _formula),
    rule(r"\\\(((?:[^\\]|\\(?![()])){1,2000})\\\)", _formula),
    rule(r"\\\[((?:[^\\]|\\(?![\[\]])){1,2000})\\\]", _formula),
    rule(
        r"(?<![\w$\\])\$(?=[^\s$])(?=[A-Za-z]\$|[^$\n]{0,400}?[\\^_={}<>+*/])([^$\n]{1,400}?)(?<=[^\s\\])\$(?![\d$\w])",
        _inline,
    ),
    rule(r"(?<!\\)\\[\[\]()](?=.)|(?<!\\)\\[\])]", lambda found: " " if found[0] in ("\\[", "\\]") else ""),
    rule(
        r"(?<!\\)\\(?:begin|end)\{[a-zA-Z]+\*?\}|(?<!\\)\\(?:displaystyle|limits|nolimits|quad|qquad|[,;:!>])(?![A-Za-z])|(?<!\\)\\(?:left|right|[bB]igg?[lr]?)(?=[^A-Za-z])\.?",
        " ",
    ),
    rule(rf"(?<!\\)\\(sum|prod|int|lim)(?![A-Za-z])\s?(?:_{_ARGUMENT})?(?:\^{_ARGUMENT})?(?=\s?\S)", _bounds),
    rule(r"\^\s?(?:\{\s?\\circ\s?\}|\\circ\b)", "°"),
    rule(r"(?<!\\)\\([dt]?frac)(\d)(\d)", lambda found: f"{found[2]}/{found[3]}"),
    rule(r"(?<!\\)\\sqrt\s?(\w)", lambda found: f" the square root of {found[1]} "),
    rule(rf"(?<!\\)\\({_NAMED})(?![A-Za-z])", _command),
    *(_BY_DEPTH * 4),
]
