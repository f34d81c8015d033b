"""In which letters a text of an older system is written: nothing says so, so it is read in every way, and the best one counts.

    code_page([b"\\xaa\\xae\\xe2/1.png"])      # "cp866": кот, and not ¬«Γ
    CODE_PAGES["cp866"]                       # "Russian"

A way of reading is good when it gives letters of one script, common ones, with capitals at the beginning of words; it is bad when it gives
lines for drawing boxes, or letters of two scripts in one word. With a name or two of two signs each this is a guess, so whoever asks
says aloud what was guessed.
"""

from __future__ import annotations

import contextlib
import math
import re
import unicodedata
from collections.abc import Sequence

# for whom each is; the first of equally good ones counts: those of today's systems' ZIP programs, then those of their older ones
CODE_PAGES = {
    "cp437": "Western", "cp850": "Western European", "cp1252": "Western European (Windows)", "cp866": "Russian", "gbk": "Chinese",
    "cp932": "Japanese", "cp949": "Korean", "big5": "Chinese, traditional", "cp852": "Central European",
    "cp1250": "Central European (Windows)", "cp1251": "Russian (Windows)", "koi8-r": "Russian (Unix)", "cp737": "Greek",
    "cp1253": "Greek (Windows)", "cp862": "Hebrew", "cp1255": "Hebrew (Windows)", "cp857": "Turkish", "cp1254": "Turkish (Windows)",
    "cp720": "Arabic", "cp1256": "Arabic (Windows)",
    "mac-roman": "Western European (Macintosh)",
}  # fmt: skip
# the letters of each script that make up most of a text; of the Latin ones, those with marks
_COMMON = {"LATIN": "éäöüèáíóñçàßåãêâôłąęśżćšžčěřøæőűğışúìù", "CYRILLIC": "оеаинтсрвлкмдпуяыь", "GREEK": "αοιετσνηυρκλπςάίόέήύ",
           "HEBREW": "יוהלאמרתבשםנ", "ARABIC": "اليمنورتبةعدسفه",
           "HANGUL": "이다는에의을고가로하한지사리어자기나은도그대를인시라수서여아만있들보정과것해일부제장오상주전개면니스성게조구연유"
                     "선동미원생소방마물신모무안경말중용양강산새토끼비람공"}
LOOKED_AT = 2000  # different words
_GREEK_ACCENTS = "άέήίόύώΆΈΉΊΌΎΏ"
_SIGNS = "–—‘’“”„…·№°´`ー々〆、。・（）「」　"


def code_page(texts: Sequence[bytes], usual: str = "cp437") -> str:
    """The best of CODE_PAGES for these texts; utf-8 where they are that, which hardly happens by chance. `usual`: of equally good ones."""
    text = b"\n".join(texts)
    with contextlib.suppress(UnicodeDecodeError):
        text.decode("utf-8")
        return "utf-8"
    words = dict.fromkeys(re.split(rb"[ \t\r\n,;\"/]+", text))  # none of these is the second half of a sign
    told = b"\n".join([word for word in words if not word.isascii()][:LOOKED_AT])
    scores = {page: _score(told, page) for page in CODE_PAGES}
    return max(scores, key=lambda page: (scores[page], page == usual))


def _score(raw: bytes, page: str) -> float:
    """How much like words it reads; per byte beyond ASCII, so that two bytes for a sign are no advantage."""
    try:
        text = raw.decode(page)
    except UnicodeDecodeError:
        return -math.inf
    return sum(_word(word, page) for word in re.split(r"[\s/\\._\-()\d]+", text) if not word.isascii())


def _word(word: str, page: str) -> float:
    score, before, script_before = 0.0, "", ""
    for place, sign in enumerate(word):
        script = _script(sign)
        if not sign.isascii():
            score += _sign(sign, script, page)
            if script == "LATIN" and script_before == "LATIN" and not before.isascii():
                score -= 0.8  # two letters with marks side by side
        if script and script_before and script != script_before and {script, script_before} - {"CJK", "HIRAGANA", "KATAKANA"}:
            score -= 2.0
        if sign.isupper() and (before.islower() or before and not sign.isascii() and word[place + 1:place + 2].islower()):
            score -= 1.0
        if sign == "ς" and place < len(word) - 1:
            score -= 1.0
        before, script_before = sign, script
    score -= 0.5 if len(word) > 2 and word.isupper() else 0.0
    return score - (1.5 if sum(sign in _GREEK_ACCENTS for sign in word) > 1 else 0.0)  # no Greek word has two


def _script(sign: str) -> str:
    return unicodedata.name(sign, "").partition(" ")[0] if sign.isalpha() else ""


def _sign(sign: str, script: str, page: str) -> float:
    if not script:
        return 0.0 if sign in _SIGNS else -2.0
    coded = sign.encode(page)
    if len(coded) == 1:
        if script == "HALFWIDTH":
            return -1.0
        return 1.0 if sign.lower() in _COMMON.get(script, "") else 0.5
    first, second = coded
    if script in ("HIRAGANA", "KATAKANA"):
        return 2.0
    if script == "HANGUL":
        return 2.4 if sign in _COMMON["HANGUL"] else 1.2 if second >= 0xA1 else 0.2
    # the signs of daily use come first in each of these tables
    daily = {"gbk": 0xB0 <= first <= 0xD7 and second >= 0xA1, "big5": 0xA4 <= first <= 0xC6, "cp932": 0x88 <= first <= 0x97}
    common = daily.get(page, False)
    return 1.8 if common else -1.0 if chr(second).isalpha() and chr(second).isascii() else 0.2
