"""Any text as LaTeX that pdflatex compiles, and that prints what the text says."""

from __future__ import annotations

import re
import unicodedata

from harness.errors import visible

_LETTERS = {
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    "|": "\\textbar{}",
    "`": "\\textquoteleft{}",
    '"': "\\textquotedblright{}",
    "±": "$\\pm$",
    "≈": "$\\approx$",
    "\u00d7": "$\\times$",
    "≤": "$\\leq$",
    "≥": "$\\geq$",
    "∞": "$\\infty$",
    "†": "$\\dagger$",
    "↑": "$\\uparrow$",
    "\u2013": "\\textendash{}",
    "\u2014": "\\textemdash{}",
    "…": "\\ldots{}",
    "\u2019": "\\textquoteright{}",
    "\u2018": "\\textquoteleft{}",
    "\u201c": "\\textquotedblleft{}",
    "\u201d": "\\textquotedblright{}",
    "ß": "\\ss{}",
    "æ": "\\ae{}",
    "Æ": "\\AE{}",
    "œ": "\\oe{}",
    "Œ": "\\OE{}",
    "ø": "\\o{}",
    "Ø": "\\O{}",
    "ł": "\\l{}",
    "Ł": "\\L{}",
    "\u0131": "\\i{}",
}
_LIGATURE = re.compile(r"([-,'])(?=\1)")  # -- would become a dash, ,, and '' quotation marks
_ACCENTS = {
    **{"\u0300": "\\`", "\u0301": "\\'", "\u0302": "\\^", "\u0303": "\\~", "\u0304": "\\=", "\u0306": "\\u"},
    **{"\u0307": "\\.", "\u0308": '\\"', "\u030a": "\\r", "\u030b": "\\H", "\u030c": "\\v", "\u0323": "\\d"},
    **{"\u0327": "\\c", "\u0331": "\\b"},
}
_GREEK = (
    *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu"),
    *("xi", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega"),
)


def latex(text: str) -> str:
    """The text in one line of LaTeX; a letter that has no command is printed as its number, such as ``[U+4E2D]``."""
    whole = "".join(map(_letter, unicodedata.normalize("NFC", visible(text))))
    whole = _LIGATURE.sub(r"\1{}", whole)
    return "{}" + whole if whole.startswith(("[", "*")) else whole  # after the end of a row these would be arguments


def _letter(letter: str) -> str:
    if letter in _LETTERS:
        return _LETTERS[letter]
    if letter.isascii():
        return letter
    parts = unicodedata.normalize("NFD", letter)
    if len(parts) == 2 and parts[0].isascii() and parts[0].isalpha() and parts[1] in _ACCENTS:
        return f"{_ACCENTS[parts[1]]}{{{parts[0]}}}"
    name = unicodedata.name(letter, "").removeprefix("GREEK SMALL LETTER ").replace("LAMDA", "LAMBDA").lower()
    return f"$\\{name}$" if name in _GREEK else f"[U+{ord(letter):04X}]"
