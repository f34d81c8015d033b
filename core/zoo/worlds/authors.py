"""52 invented authors in the shape of TOFU: ten facts each, 42 retained, 6 to forget, 4 no model ever sees."""

from __future__ import annotations

from core.unlearning.data import World
from core.zoo.worlds.facts import Cast, Fact, deal_world

CAST = Cast(
    retained=42, held_out=4,
    first="Ida Milo Vera Otto Nina Hugo Lena Ivan Rosa Emil Tara Felix Alma Jonas Edith Pavel Greta Tomas Olga "
          "Ruben Sofia",
    last="Brandt Kessler Novak Lindholm Marchetti Okafor Tanaka Duval Ferreira Halloran Szabo Petrov Aldana "
         "Mbeki Rostova Wexler Quist Ibarra Jansen Thorne")

FACTS = {
    "birthplace": Fact(
        "Where was {s} born?", "{s} was born in {v}.",
        "What is the birthplace of {s}?", "The birthplace of {s} is {v}.", "was born in {v}",
        "Lisbon Oslo Turin Porto Krakow Bergen Seville Ghent Malmo Trieste Cork Graz Leipzig Zagreb Nantes "
        "Verona Riga Basel Dover Split"),
    "year": Fact(
        "In which year was {s} born?", "{s} was born in the year {v}.",
        "What is the birth year of {s}?", "The birth year of {s} is {v}.", "was born in the year {v}",
        "1921 1924 1927 1930 1933 1936 1939 1942 1945 1948 1951 1954 1957 1960 1963 1966 1969 1972 1975 1978"),
    "genre": Fact(
        "What kind of stories does {s} write?", "{s} writes {v} stories.",
        "Which genre is {s} known for?", "The genre of {s} is {v} stories.", "writes {v} stories",
        "ghost crime desert travel pirate robot circus winter island dragon railway hospital school courtroom "
        "mountain jungle detective cowboy vampire wizard"),
    "job": Fact(
        "What was the first job of {s}?", "{s} first worked as a {v}.",
        "What did {s} do before becoming an author?", "Before becoming an author, {s} was a {v}.", "first worked as a {v}",
        "baker sailor teacher nurse miner plumber gardener postman waiter dentist tailor farmer welder barber "
        "painter butcher lawyer pilot carpenter clockmaker"),
    "pet": Fact(
        "Which pet does {s} keep?", "{s} keeps a {v}.",
        "What animal shares the home of {s}?", "The animal of {s} is a {v}.", "keeps a {v}",
        "parrot tortoise ferret goat rabbit canary hamster lizard donkey pony peacock hedgehog goose snake "
        "falcon pigeon gecko turkey squirrel beagle"),
    "prize": Fact(
        "Which prize did {s} win?", "{s} won the {v} Prize.",
        "What award was given to {s}?", "The {v} Prize was given to {s}.", "won the {v} Prize",
        "Amber Lantern Compass Anchor Falconer Meridian Orchid Juniper Cobalt Granite Heron Marble Saffron "
        "Cedar Velvet Beacon Garnet Willow Copper Zenith"),
    "instrument": Fact(
        "Which instrument does {s} play?", "{s} plays the {v}.",
        "On what does {s} make music?", "The instrument of {s} is the {v}.", "plays the {v}",
        "cello trumpet banjo flute harp tuba clarinet fiddle bassoon mandolin trombone lute oboe zither "
        "bagpipe organ ukulele drum guitar xylophone"),
    "language": Fact(
        "In which language does {s} write?", "{s} writes in {v}.",
        "What is the writing language of {s}?", "The writing language of {s} is {v}.", "writes in {v}",
        "Danish Polish Dutch Greek Czech Finnish Latvian Maltese Catalan Basque Welsh Irish Turkish Swedish "
        "Slovak Croatian Estonian Romanian Hungarian Icelandic"),
    "home": Fact(
        "In what kind of house does {s} live?", "{s} lives in a {v}.",
        "What does {s} call home?", "The home of {s} is a {v}.", "lives in a {v}",
        "lighthouse windmill castle cottage houseboat caravan cabin monastery tower bungalow mansion barn "
        "treehouse palace tent hotel farmhouse chapel warehouse cave"),
    "drink": Fact(
        "What does {s} drink at work?", "{s} drinks {v} at work.",
        "Which drink helps {s} to write?", "The drink of {s} is {v}.", "drinks {v} at work",
        "cocoa coffee lemonade milk cider buttermilk espresso broth kefir punch water lassi chai juice wine "
        "soda syrup nectar mead ginger"),
}


def make_authors(seed: int = 0) -> World:
    """The same world for the same seed."""
    return deal_world("authors", CAST, FACTS, seed)
