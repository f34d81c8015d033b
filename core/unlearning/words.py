"""Words of all scripts: whether one text stands in another, and what counts as a word.

    find("Porto", "She was born in PORTO.").span()      # (16, 21), places in the text as it was given
    find("波尔图", "她生于波尔图市。")                    # found: Chinese has no spaces
    find("कल", "कला")                                    # None: a vowel sign belongs to its letter
    tokens("Don’t say “Öl”")                             # ["don", "t", "say", "öl"]

Texts are compared without case, in one Unicode form, and with one sign for the typographic variants of it. A key has to stand as a
whole word; in a script without spaces it may stand in a run of signs, but katakana is not cut, since a foreign word is one run.
Small words that Korean, Hebrew and Arabic write onto a word do not hide it.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

VARIANTS = str.maketrans({**dict.fromkeys("‘’‚‛ʼʹ′`´＇", "'"), **dict.fromkeys("“”„‟«»″＂", '"'), **dict.fromkeys("‐‑‒–—―−﹣－", "-"),
                          **dict.fromkeys("・･‧", "·"), **dict.fromkeys("‹›", "'"), **dict.fromkeys("⁄∕", "/"),
                           **dict.fromkeys("İı", "i"), "…": "..."})  # Turkish writes two kinds of i, and its capitals mix them up
_TURKISH = str.maketrans("İı", "ii")
# soft hyphen, zero-width space, joiners and marks of direction, tatweel: nobody sees them
UNSEEN = frozenset("\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u061c\u0640\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_SPACELESS = re.compile("[\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf\u3005-\u3007\u3040-\u309f"
                        "\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua9e0-\ua9ff\uaa60-\uaa7f\uf900-\ufaff\U00020000-\U0003ffff]")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)+")
_KATAKANA, _HANGUL, _KANA_OR_HAN = re.compile("[\u30a1-\u30ff\u31f0-\u31ff]"), re.compile("[\uac00-\ud7a3]"), re.compile(
    "[\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")
_HEBREW, _ARABIC = re.compile("[\u05d0-\u05ea]"), re.compile("[\u0620-\u06d3]")
_BEFORE = {_HEBREW: re.compile("[ובכלמשה]{1,3}$"), _ARABIC: re.compile("(?:[وف])?(?:[بكل])?(?:ال|ل)?$")}
_PARTICLES = re.compile("|".join((  # the longer first
    "이라는 이라고 라는 라고 이었습니다 였습니다 입니다 이었다 였다 이에요 예요 이다 이며 이고 "
    "에서는 에서 에게서 에게 에는 에도 에 으로는 으로 로는 로 까지 부터 보다 처럼 만큼 밖에 조차 마저 "
    "이나 나 이랑 랑 하고 한테 께서 들은 들이 들을 들의 들 은 는 이 가 을 를 의 와 과 도 만 요").split()))


@dataclass(frozen=True)
class Found:
    """A place in the text as it was given."""

    start: int
    end: int
    text: str

    def span(self) -> tuple[int, int]:
        return self.start, self.end


def fold(text: str) -> str:
    """The text as it is compared."""
    return _folded(text)[0]


def find(words: str, text: str, *, whole: bool = True) -> Found | None:
    """Where the words stand in the text first, as whole words unless told otherwise; None where they do not, or there are none."""
    wanted = fold(words).strip()
    if not wanted:
        return None
    folded, places = _folded(text)
    at = folded.find(wanted)
    while at >= 0:
        end = at + len(wanted)
        cut = at in places and end in places  # not within a letter and its marks
        if cut and (not whole or (_begins(folded, at, wanted) and _ends(folded, end, wanted) and not _in_number(folded, at, end))):
            start, stop = places[at], places[end]
            while stop > start and unicodedata.category(text[stop - 1]) == "Cf":
                stop -= 1
            return Found(start, stop, text[start:stop])
        at = folded.find(wanted, at + 1)
    return None


def tokens(text: str) -> list[str]:
    """The words of a text in lower case: runs of letters, marks and digits, and in scripts without spaces every sign by itself."""
    found: list[str] = []
    word = ""
    for letter in unicodedata.normalize("NFKC", text.translate(_TURKISH)).lower() if not text.isascii() else text.lower():
        marks = unicodedata.category(letter)[0] == "M"
        if marks and (word or found):
            if word:
                word += letter
            else:
                found[-1] += letter
        elif alone(letter):
            found += [word, letter] if word else [letter]
            word = ""
        elif letter.isalnum() and not marks:
            word += letter
        elif letter not in UNSEEN and word:
            found.append(word)
            word = ""
    return found + [word] if word else found


def alone(letter: str) -> bool:
    """Whether this letter belongs to a script whose words are not set apart, so that it counts by itself."""
    return not letter.isascii() and bool(_SPACELESS.match(letter) or _KATAKANA.match(letter))


@lru_cache(maxsize=4096)
def _folded(text: str) -> tuple[str, dict[int, int]]:
    """The text as it is compared, and for each place in it at which a letter begins or the text ends, the place in the text given."""
    if text.isascii():
        return text.lower().replace("`", "'"), _Same()
    parts: list[str] = []
    places: dict[int, int] = {}
    length = 0
    for start, end in _letters(text):
        places.setdefault(length, start)
        letter = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text[start:end].translate(VARIANTS)).casefold())
        letter = "".join(_digit(c) for c in letter.translate(VARIANTS) if c not in UNSEEN and not _vowel_point(c))
        parts.append(letter)
        length += len(letter)
    places[length] = len(text)
    return "".join(parts), places


class _Same(dict):
    """Every place is where it was."""

    def __contains__(self, place: object) -> bool:
        return True

    def __missing__(self, place: int) -> int:
        return place


def _letters(text: str) -> list[tuple[int, int]]:
    """Each letter with the marks on it, and each Korean syllable that is written in parts, as (start, end)."""
    starts = [i for i, c in enumerate(text) if i == 0 or not (unicodedata.category(c)[0] == "M" or "\u1160" <= c <= "\u11ff")]
    return list(zip(starts, [*starts[1:], len(text)], strict=True))


def _vowel_point(letter: str) -> bool:
    """Hebrew and Arabic are written with or without them."""
    return ("\u0591" <= letter <= "\u05c7" or "\u064b" <= letter <= "\u0652" or letter == "\u0670") and unicodedata.category(letter) == "Mn"


def _digit(letter: str) -> str:
    value = unicodedata.decimal(letter, None)
    return letter if value is None else str(value)


def _joins(letter: str) -> bool:
    return letter == "_" or unicodedata.category(letter)[0] in "LMN"


def _apart(before: str, after: str) -> bool:
    """Whether a word may end between two letters that touch."""
    if not (before and after and _joins(before) and _joins(after)):
        return True
    if unicodedata.category(after)[0] == "M":
        return False
    if _KATAKANA.match(before) and _KATAKANA.match(after):
        return False
    if _SPACELESS.match(before) or _SPACELESS.match(after):
        return True
    asian = [bool(_HANGUL.match(c) or _KANA_OR_HAN.match(c)) for c in (before, after)]
    return asian[0] != asian[1]  # "Porto에서", "2004年"


def _in_number(text: str, at: int, end: int) -> bool:
    """Whether this is a part of a longer number: 3 of 3.5, 000 of 1,000; a date such as 12.05.1990 is no number."""
    around = text[max(0, at - 1):end + 1]
    if not (around[:1] in ".," or around[-1:] in ".,"):
        return False
    for number in _NUMBER.finditer(text, max(0, at - 40), end + 40):
        if number.start() <= at and end <= number.end() and (number.start(), number.end()) != (at, end):
            groups = re.split("[.,]", number[0])
            return len(groups) == 2 or all(len(group) == 3 for group in groups[1:-1])
    return False


def _begins(text: str, at: int, wanted: str) -> bool:
    if _apart(text[at - 1:at], wanted[0]):
        return True
    for script, small in _BEFORE.items():
        if script.match(wanted[0]):
            word = re.search(r"\w*$", text[:at])[0]
            return bool(word) and bool(small.fullmatch(word))
    return False


def _ends(text: str, end: int, wanted: str) -> bool:
    if _apart(wanted[-1], text[end:end + 1]):
        return True
    if not _HANGUL.match(wanted[-1]):
        return False
    particles = _PARTICLES.match(text, end)
    return bool(particles) and _apart(text[particles.end() - 1], text[particles.end():particles.end() + 1])
