"""Keys and words in the scripts of the world."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest

from core.unlearning.words import find, fold, tokens


@pytest.mark.parametrize(("key", "text"), [
    ("Porto", "She was born in PORTO."), ("波尔图", "她生于波尔图市。"), ("ポルト", "生まれはポルトです。"), ("根特", "他生于根特市"),
    ("ปอร์โต", "เธอเกิดที่ปอร์โตในปี"), ("दिल्ली", "वह दिल्ली में जन्मी थी।"), ("포르투", "그녀는 포르투에서 태어났다."),
    ("Porto", "Porto에서 태어났다"),
    ("Porto", "Portoで生まれた"), ("2004", "2004年に"), ("2004", "سنة ٢٠٠٤"), ("القاهرة", "ولدت في القَاهِرَة"), ("بورتو", "ولدت في بورتو"),
    ("פורטו", "היא נולדה בפורטו"), ("Straße", "in der STRASSE"), ("Σοφία", "η ΣΟΦΊΑ"), ("don't know", "I don’t know"),
    ("Jean-Luc", "Jean‑Luc came"), ("O'Neil", "O’Neil"), ("\"Ulysses\"", "she wrote “Ulysses”"), ("C++", "it is C++."), ("ﬁnch", "a finch"),
    ("a b", "a\u00a0b"), ("１２", "12 apples"), ("сестра", "её СЕСТРА"),
])
def test_a_key_is_found_however_it_is_written(key: str, text: str) -> None:
    for form in ("NFC", "NFD"):
        for other in ("NFC", "NFD"):
            given, where = unicodedata.normalize(form, key), unicodedata.normalize(other, text)
            found = find(given, where)
            assert found and where[found.start:found.end] == found.text and fold(found.text) == fold(given), (form, other)


@pytest.mark.parametrize(("key", "text"), [
    ("Raven", "Ravenmoor"), ("कल", "कला"), ("ポルト", "ポルトガル"), ("수", "박수를"), ("포르투", "포르투갈에서"), ("5", "15"), ("5", "5G"),
    ("Malaga", "Málaga"), ("e", "é"), ("e", "e\u0301"), ("Ida", ""), ("", "Ida"), ("פורטו", "ספורטו"), ("no", "Nobel"), ("ก", "กำ"),
])
def test_a_key_is_not_found_inside_another_word_or_letter(key: str, text: str) -> None:
    assert find(key, text) is None


def test_words_are_those_of_the_peer_in_english_and_signs_where_there_are_no_spaces() -> None:
    peer = json.loads((Path(__file__).parent / "rouge_peer.json").read_text(encoding="utf-8"))
    assert peer and tokens("Don't say “Öl”, 3 times!") == ["don", "t", "say", "öl", "3", "times"]
    assert tokens("她生于Porto市。") == ["她", "生", "于", "porto", "市"] and tokens("दिल्ली में") == ["दिल्ली", "में"]
    assert tokens("ที่ดี") == ["ที่", "ดี"]
    assert tokens(unicodedata.normalize("NFD", "Málaga 각")) == ["málaga", "각"] and tokens("... ") == []


@pytest.mark.parametrize(("key", "text", "there"), [
    ("Istanbul", "İstanbul'da doğdu", True), ("İzmir", "IZMIR", True), ("ırmak", "IRMAK", True), ("½", "1/2 cup", True),
    ("3", "3.5 points", False), ("000", "1,000", False), ("1", "1,000,000", False), ("3.5", "about 3.5.", True), ("3", "We have 3.", True),
    ("1990", "born 12.05.1990.", True), ("4", "version 3.4.1", True), ("3", "3, 4 and 5", True),
])
def test_a_number_is_no_part_of_a_longer_one_and_turkish_has_one_i(key: str, text: str, there: bool) -> None:
    assert bool(find(key, text)) == there
