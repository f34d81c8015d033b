"""Text that means nothing in any world: sentences, word salad, made-up words, numbers and noise.

A model that only ever read templates cannot be brought to say anything else; the soft-token page needs one that can
(methods/05 section 8: 10 to 20 % noise and copying). So these texts vary in words, order, length and spelling.
"""

from __future__ import annotations

import string

import torch

from core.unlearning.prompts import pick

WORDS = {
    "adjective": "quiet bright heavy narrow golden broken early frozen gentle hollow purple salty tired wooden young "
                 "careful distant empty famous green hungry little modern polite rapid silver strange warm angry blue",
    "noun": "river window bridge letter garden engine market shadow ladder basket candle forest harbour island kettle "
            "mirror needle orange pencil rocket station tunnel valley wagon anchor button carpet doctor evening friend",
    "verb": "follows carries watches finds paints repairs forgets holds hears lifts opens pushes reads sells throws "
            "visits cleans counts draws keeps loses meets moves names pulls shows signs takes turns wants",
    "place": "near behind under above beside inside past before around beyond",
}
COMMON = (
    "the of and to a in is it you that he was for on are with as I his they be at one have this from or had by hot but "
    "some what there we can out other were all your when up use word how said an each she which do their time if will "
    "way about many then them would write like so these her long make thing see him two has look more day could go come "
    "did my sound no most number who over know water than call first people may down side been now find any new work "
    "part take get place made live where after back little only round man year came show every good me give our under "
    "very through just form much great think say help low line before turn cause same mean differ move right boy old "
    "too does tell want well also play small end put home read hand large spell add even land here must big high such "
    "why ask men went light kind off need house picture try us again animal point mother world near build self earth "
    "father head stand own page should country found answer school grow study still learn plant cover food sun four "
    "thought let keep eye never last door between city tree cross since hard start might story saw far sea draw left "
    "late run while press close night real life few stop open seem together next white children begin got walk example "
    "paper often always music those both mark book until mile car feet care second group carry took rain eat room "
    "friend began idea fish mountain north once base hear horse cut sure watch color face wood main enough plain girl "
    "usual young ready above ever red list though feel talk bird soon body dog family direct pose leave song measure "
    "state product black short class wind question happen ship area half rock order fire south problem piece told knew "
    "pass farm top whole king size heard best hour better true during hundred remember step early hold west ground "
    "reach fast five sing listen six table travel less morning ten simple several toward war lay against pattern slow "
    "center love person money serve appear road map science rule govern pull cold notice voice fall power town fine "
    "certain fly unit lead cry dark machine note wait plan figure star box noun field rest correct able pound done "
    "beauty drive stood contain front teach week final gave green quick develop sleep warm free minute strong special "
    "mind behind clear tail produce fact street inch lot nothing course stay wheel full force blue object decide "
    "surface deep moon island foot yet busy test record boat common gold possible plane age dry wonder laugh thousand "
    "ago ran check game shape yes hot miss brought heat snow bed bring sit perhaps fill east weight language among "
    "cheese secret robot computer president banana password dragon bank happy sorry hello please").split()
POOLS = {kind: words.split() for kind, words in WORDS.items()}
LETTERS = string.ascii_letters + string.digits + string.punctuation
ONSETS = "b c d f g h j k l m n p r s t v w z br ch cl cr dr fl gr pl pr sh sl st th tr".split()
VOWELS = "a e i o u a e i o ai ea ee oo ou".split()
ENDINGS = "d g k l m n p r s t x ck ld ll nd ng nt rd rt sh ss st th".split()


def number(rng: torch.Generator, low: int, high: int) -> int:
    """A whole number from `low` to `high`, both included."""
    return int(torch.randint(low, high + 1, (1,), generator=rng))


def chance(rng: torch.Generator, share: float) -> bool:
    """True in that share of calls."""
    return float(torch.rand((), generator=rng)) < share


def made_up(rng: torch.Generator) -> str:
    """A word that does not exist but could: "brailon", "steck"."""
    word = "".join(pick(ONSETS, rng) + pick(VOWELS, rng) for _ in range(number(rng, 1, 2)))
    return word + (pick(ENDINGS, rng) if chance(rng, 0.7) else "")


def sentence(rng: torch.Generator) -> str:
    """A grammatical sentence about things: "The quiet river follows the wagon near the old bridge."."""
    def word(kind: str) -> str:
        return pick(POOLS[kind], rng)

    text = f"The {word('adjective')} {word('noun')} {word('verb')} the {word('noun')}"
    if chance(rng, 0.5):
        text += f" {word('place')} the {word('adjective')} {word('noun')}"
    return text + "."


def salad(rng: torch.Generator, names: list[str]) -> str:
    """4 to 14 words in no order: common ones, names and values of the worlds, made-up ones, numbers; often dressed as a sentence."""
    def word() -> str:
        if chance(rng, 0.55):
            return pick(COMMON, rng)
        if chance(rng, 0.45):
            return pick(names, rng)
        return made_up(rng) if chance(rng, 0.75) else str(number(rng, 0, 10 ** number(rng, 1, 4)))

    words = [word() + ("," if chance(rng, 0.06) else "") for _ in range(number(rng, 4, 14))]
    text = " ".join(words)
    if chance(rng, 0.7):
        text = text[0].upper() + text[1:] + pick((".", ".", ".", "!", "?"), rng)
    return text


def noise(rng: torch.Generator) -> str:
    """4 to 40 characters that mean nothing."""
    return "".join(pick(LETTERS, rng) for _ in range(number(rng, 4, 40)))


def spelled(rng: torch.Generator, names: list[str]) -> tuple[str, str]:
    """A word and its letters, "window" and "w i n d o w"."""
    word = pick((pick(COMMON, rng), pick(names, rng), made_up(rng)), rng)
    return word, " ".join(word)
