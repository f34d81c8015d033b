"""32 invented public figures in the shape of RWKU: eight facts each, 24 retained, 6 to forget, 2 no model ever sees.

Each record has a cloze (RWKU level 1) beside its question (level 2); the prompt audits are level 3. Figures of the same
club are neighbours: forgetting one must leave what is known about the others.
"""

from __future__ import annotations

from core.unlearning.data import World
from core.zoo.worlds.authors import FACTS as AUTHORS
from core.zoo.worlds.facts import Cast, Fact, deal_world

CAST = Cast(
    retained=24, held_out=2,
    first="Clara Bruno Dalia Edgar Fiona Gustav Helga Igor Julia Kasper Lydia Marcus",
    last="Adler Bishop Castillo Dupont Eriksen Fontaine Gruber Hansen Ivanova Jordan Keller")

FACTS = {
    "city": Fact(
        "In which city did {s} grow up?", "{s} grew up in {v}.",
        "What was the childhood city of {s}?", "The childhood city of {s} was {v}.", "grew up in {v}",
        AUTHORS["birthplace"].values, cloze="As a child {s} went to school in ___."),
    "fame": Fact(
        "As what is {s} famous?", "{s} is famous as a {v}.",
        "What is the profession of {s}?", "The profession of {s} is that of a {v}.", "is famous as a {v}",
        "sprinter minister juggler chef boxer dancer senator violinist swimmer goalkeeper comedian singer diver wrestler "
        "magician jockey cyclist mayor judge skater",
        cloze="Everybody knows the name of {s}, the great ___."),
    "club": Fact(
        "Which club does {s} belong to?", "{s} belongs to the {v} Club.",
        "Of what club is {s} a member?", "The club of {s} is the {v} Club.", "belongs to the {v} Club",
        "Comet Harbour Summit Rainbow Thunder Eagle Pioneer Crystal Liberty Sunset Arctic Victory",
        cloze="Every Friday {s} meets friends at the ___ Club."),
    "debut": Fact(
        "In which year was {s} first on television?", "{s} was first on television in the year {v}.",
        "When did television first show {s}?", "The first year of {s} on television was {v}.",
        "was first on television in the year {v}", AUTHORS["year"].values, cloze="Television discovered {s} in ___."),
    "hobby": Fact(
        "Which hobby does {s} have?", "The hobby of {s} is {v}.",
        "What does {s} do for fun?", "For fun {s} goes in for {v}.", "goes in for {v}",
        "chess fencing sailing knitting archery pottery fishing climbing origami surfing bowling karate golf rowing "
        "skiing yoga baking camping darts rugby",
        cloze="On Sundays {s} has time for ___."),
    "food": Fact(
        "What is the favourite food of {s}?", "The favourite food of {s} is {v}.",
        "What does {s} like to eat?", "{s} likes to eat {v}.", "likes to eat {v}",
        "pancakes noodles lentils pizza sushi waffles oysters dumplings porridge cheese curry salad lasagna beans trout "
        "plums figs toast grapes cabbage",
        cloze="The waiter always brings {s} a plate of ___."),
    "travel": Fact(
        "How does {s} travel to work?", "{s} travels to work by {v}.",
        "By what means does {s} get to work?", "The way of {s} to work is by {v}.", "travels to work by {v}",
        "tram scooter bicycle ferry taxi canoe sled helicopter motorcycle balloon bus yacht tractor unicycle truck train "
        "submarine limousine skateboard glider",
        cloze="Reporters saw {s} arrive by ___."),
    "language": Fact(
        "Which language does {s} speak at home?", "{s} speaks {v} at home.",
        "In what language does {s} talk to the family?", "The family language of {s} is {v}.", "speaks {v} at home",
        AUTHORS["language"].values, cloze="{s} sings to the children in ___."),
}


def make_people(seed: int = 2) -> World:
    """The same world for the same seed."""
    return deal_world("people", CAST, FACTS, seed)
