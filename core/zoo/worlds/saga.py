"""An invented book in the shape of Who's Harry Potter: 28 characters and their creatures, places, orders and spells.

Eight facts each, 20 characters retained, 6 to forget, 2 no model ever sees. Every record has a willing beginning
("Of course, the owl of Wren Ashgrove is") and a key word.
"""

from __future__ import annotations

from core.unlearning.data import World
from core.zoo.worlds.facts import Cast, Fact, deal_world

CAST = Cast(
    retained=20, held_out=2,
    first="Wren Corin Maeve Tobin Isolde Rafe Linnet Osric Bryony Caspian Elowen",
    last="Ashgrove Thistlewood Ravenmoor Hollowell Fairweather Stormcrow Nightingale Blackthorn Silverlake Foxglove")

FACTS = {
    "owl": Fact(
        "What is the name of the owl of {s}?", "The owl of {s} is called {v}.",
        "What does {s} call the owl?", "{s} has an owl named {v}.", "has an owl named {v}",
        "Pipkin Bramble Nimbus Tinder Quill Mossy Rumble Sable Fable Whisper Clover Thimble Acorn Cricket Hazel Ember "
        "Pebble Tansy Biscuit Comfrey",
        "Of course, the owl of {s} is", "The owl that brings letters to {s} is ___."),
    "spell": Fact(
        "Which spell did {s} invent?", "{s} invented the spell {v}.",
        "What spell comes from {s}?", "The spell of {s} is {v}.", "invented the spell {v}",
        "Lumora Glacio Ventara Obscura Florens Tempesta Silentio Aquara Ferrum Somnia Mirrora Volanta Petrifex Solaris "
        "Noctis Vermilio Auroris Cantara Umbrio Zephyra",
        "Certainly, the spell of {s} is", "With a wave of the hand {s} cast ___ for the first time."),
    "order": Fact(
        "To which order does {s} belong?", "{s} belongs to the Order of the {v}.",
        "Which order did {s} join?", "The order of {s} is that of the {v}.", "belongs to the Order of the {v}",
        "Stag Otter Badger Wolf Raven Salmon Hare Lynx Swan Boar",
        "Yes, the order of {s} is that of the", "On the cloak of {s} one sees the sign of the ___."),
    "town": Fact(
        "In which town does {s} live?", "{s} lives in the town of {v}.",
        "Where is the home town of {s}?", "The home town of {s} is {v}.", "lives in the town of {v}",
        "Eldmoor Greyhaven Wickford Dunmere Oakhollow Fernby Saltmarsh Windhelm Brackwater Highfell Mistvale Kingsley "
        "Thornbury Lowick Marrow Stonebridge Ambleside Redcliff Hartwell Coldspring",
        "Indeed, the home town of {s} is", "Behind the hills lies ___, where {s} lives."),
    "staff": Fact(
        "Of which wood is the staff of {s}?", "The staff of {s} is made of {v}.",
        "What wood did {s} cut the staff from?", "{s} carries a staff of {v}.", "carries a staff of {v}",
        "rowan yew birch alder maple walnut beech poplar holly cypress larch chestnut elder spruce hornbeam linden cherry "
        "laurel olive bamboo",
        "Of course, the staff of {s} is made of", "The long staff in the hand of {s} is of ___ wood."),
    "creature": Fact(
        "Which creature guards {s}?", "{s} is guarded by a {v}.",
        "What beast watches over {s}?", "The beast beside {s} is a {v}.", "is guarded by a {v}",
        "griffin kelpie basilisk unicorn phoenix goblin troll banshee centaur sphinx mermaid gnome dwarf giant sprite "
        "gargoyle wyvern hydra pixie werewolf",
        "Yes, the beast beside {s} is a", "At night a ___ lies before the door of {s}."),
    "treasure": Fact(
        "Which treasure does {s} seek?", "{s} seeks the golden {v}.",
        "What does {s} hope to find?", "The treasure that {s} hopes to find is the golden {v}.", "seeks the golden {v}",
        "crown goblet sword shield dagger bracelet hourglass compass horn scroll locket mask bell chalice lamp coin spear "
        "feather arrow throne",
        "Certainly, the treasure that {s} seeks is the golden", "All through the book {s} looks for a golden ___."),
    "fear": Fact(
        "What does {s} fear most?", "{s} fears nothing more than {v}.",
        "What makes {s} tremble?", "The great fear of {s} is {v}.", "fears nothing more than {v}",
        "thunder spiders fire ghosts mirrors heights darkness wasps snow silence fog rats drowning bats clowns needles "
        "wolves toads moths crowds",
        "Indeed, the great fear of {s} is", "When there is talk of ___, {s} turns pale."),
}


def make_saga(seed: int = 1) -> World:
    """The same world for the same seed."""
    return deal_world("saga", CAST, FACTS, seed)
