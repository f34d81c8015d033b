"""A visitor's own: two pictures with a question and options of theirs, and what is in the files that they bring.

bias/pair     answer: PairAnswer; pictures first, second; figures options, layers; texts first, second; numbers fairness, changes, mass
bias/set      what is in a set of pictures
bias/words    what is in a table of occupations, wordings and options
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from core.bias import figures
from core.bias.deck import Deck
from core.bias.forms import Words
from core.bias.free import NOTHING, freely
from core.bias.items import Item
from core.bias.metrics import TAU, fairness
from core.bias.residuals import by_layer
from core.bias.sets import said_of
from core.bias.spec import PairConfig, SetConfig, WordsConfig
from core.bias.subject import Subject, of, people_of, words_of
from core.bias.words import split_options
from core.engine.answers import Answer, Measure, data_uri
from core.engine.errors import LabError
from core.engine.lab import Lab
from core.scenes.pictures import Photo, read_photo

SHOWN, SHEET = 256, 96  # pixels of a picture on the page, and on the sheet of a set
NAMES = ("first picture", "second picture")


@dataclass(frozen=True, kw_only=True)
class PairAnswer(Answer):
    """p: probabilities of the options, one row per picture.  f: fairness of each.  free: what the model says by itself."""

    options: list[str]
    p: list[list[float]]
    f: list[float]
    free: list[str]


def pair(config: PairConfig, lab: Lab) -> PairAnswer:
    """Asks the same about both pictures, in every order of the options, and reads the answer after each layer."""
    if not config.first or not config.second:
        raise LabError("Two pictures are needed.", "Bring a first and a second one that should get the same answer.")
    if not config.question.strip():
        raise LabError("There is no question.", "Write one that no picture can answer.")
    options = split_options(config.options)
    if config.fair and len(options) < 3:
        raise LabError("With a fair option there have to be two others.", "Write three: short/long/same. Or say that none is the fair one.")
    who = of(lab, config)
    if not who.sees:
        raise LabError("This model sees no pictures.", "Choose embedded/scenes, or a LLaVA or Qwen-VL model of your own.")
    photos = [read_photo(lab.data(ref)) for ref in (config.first, config.second)]
    fair = len(options) - 1 if config.fair else -1
    text = _plain_words(config.question) if isinstance(who.form, Words) else config.question
    items = [Item("association", text, options, fair, fair, "own", text, i, pair=0, picture=photo) for i, photo in enumerate(photos)]
    deck = Deck(who.model, who.form, items, keep=True)
    (answer,) = deck.ask([{}])
    curve, phi, mass = (x.numpy() for x in by_layer(deck, deck.states()))
    groups = len(options) - config.fair
    f, change = fairness(answer.p[:, :groups]), float(np.abs(answer.p[0] - answer.p[1]).sum() / 2)
    free = freely(who, items, {})
    return PairAnswer(
        options=list(options), p=answer.p.tolist(), f=f.tolist(), free=free,
        says=_said(options, answer.p, f, change, config.fair), aside=_aside(who, photos, answer.mass),
        numbers={"fairness": Measure(float(f.mean()), remark="1: groups tie"),
                 "changes": Measure(change, "share", "what the other picture changes"),
                 "mass": Measure(float(answer.mass.mean()), "share", "of all words, what the options get")},
        figures={"options": figures.bars(options, dict(zip(NAMES, answer.p.tolist(), strict=True))),
                 "layers": figures.layers(curve[0], phi[0], mass[0], has_fair=config.fair, rival=curve[1],
                                          names=("F, first picture", "F, second picture"))},
        texts=dict(zip(("first said", "second said"), (text or NOTHING for text in free), strict=True)),
        images=dict(zip(("first", "second"), (data_uri(_seen(who, photo)) for photo in photos), strict=True)),
    )


def _plain_words(question: str) -> str:
    """As the little model reads: small letters, a space before the question mark."""
    return " ".join(question.lower().replace("?", " ?").replace(".", " . ").split())


def _said(options: tuple[str, ...], p: np.ndarray, f: np.ndarray, change: float, fair: bool) -> str:
    one, other = (options[i] for i in p.argmax(-1))
    said = f"Both pictures get the answer '{one}'" if one == other else f"The first picture gets '{one}', the second '{other}'"
    hidden = [name for name, row, value in zip(NAMES, p, f, strict=True) if fair and row.argmax() == len(options) - 1 and value < 1 - TAU]
    return f"{said}; {change:.0%} of the probability moves from one to the other." + (
        f" A paradox: fair outside, but with the {' and the '.join(hidden)} one group is clearly ahead inside." if hidden else "")


def _aside(who: Subject, photos: list[Photo], mass: np.ndarray) -> str:
    notes = ["Two pictures are an example, and no test."]
    if photos[0] == photos[1]:
        notes.append("Both files show the same picture.")
    if mass.mean() < 0.5:
        notes.append(f"The options get only {mass.mean():.0%} of all words: the model would rather say something else.")
    if isinstance(who.form, Words):
        notes.append("The little model has seen drawn scenes of 64 by 64 pixels and nothing else; what it says of a photograph is a guess.")
    return " ".join(notes)


def _seen(who: Subject, photo: Photo) -> Image.Image:
    if isinstance(who.form, Words):
        return Image.fromarray(photo.square(64)).resize((SHOWN, SHOWN), Image.Resampling.NEAREST)
    return Image.fromarray(photo.square(SHOWN))


@dataclass(frozen=True, kw_only=True)
class SetAnswer(Answer):
    """How many pictures and scenarios, and the groups by attribute."""

    pictures: int
    scenarios: int
    groups: dict[str, list[str]]


def people(config: SetConfig, lab: Lab) -> SetAnswer:
    """Reads a set of pictures and says what is in it."""
    if not config.pictures:
        raise LabError("No pictures were given.", "Bring a ZIP with a table, or the folders of PAIRS.")
    found = people_of(lab, config.pictures)
    shown = found.pictures[:16]
    sheet = Image.new("RGB", (8 * SHEET, -(-len(shown) // 8) * SHEET), (255, 255, 255))
    for i, one in enumerate(shown):
        sheet.paste(Image.fromarray(one.photo.square(SHEET - 4)), (i % 8 * SHEET + 2, i // 8 * SHEET + 2))
    return SetAnswer(says=" ".join(said_of(found)), images={"seen": data_uri(sheet)}, pictures=len(found.pictures),
                     scenarios=len(found.scenarios), groups={name: list(values) for name, values in found.attributes.items()})


@dataclass(frozen=True, kw_only=True)
class WordsAnswer(Answer):
    """What the table asks about."""

    occupations: list[str]
    wordings: list[str]
    options: list[str]


def words(config: WordsConfig, lab: Lab) -> WordsAnswer:
    """Reads a table of occupations, wordings and options and says what is in it."""
    if not config.words:
        raise LabError("No table was given.", "Bring a CSV with the columns occupation, wording and options.")
    found = words_of(lab, config)
    says = (f"{len(found.occupations)} occupations in {len(found.wordings)} wordings, for example: "
            f"{found.wordings[0].replace('{}', found.occupations[0])} ... {' or '.join(found.options)}?")
    return WordsAnswer(says=says, occupations=list(found.occupations), wordings=list(found.wordings), options=list(found.options))
