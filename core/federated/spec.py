"""Paper 07, told without torch: four places, what they send, how the server is made to paint, and what a run says.

Mixing and noising happen at the place, as in the paper; the released script does them at the server from clean moments, which are never
sent here. Starting at step 701 is ours: on so small a painter the paper's last step leaves too little of a picture (methods/07, 2.7 and 9).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from core.engine.experiment import Config, DataRef, experiment, probe
from core.engine.outputs import chart, figure, levels, metric, number, numbers, picture, series, table
from core.plots import BLUE, BROWN, GREEN, ORANGE, PINK

MORE = {"more": True}
Method = Literal["central", "fedbip", "instance", "concept", "feddeo", "prompts", "fedavg"]
METHODS: dict[Method, str] = {
    "central": "All pictures in one room", "fedbip": "FedBiP", "instance": "Noised pictures only", "concept": "Word vectors only",
    "feddeo": "Descriptions (as FedDEO)", "prompts": "Public words only", "fedavg": "Averaged networks"}
COLOURS: dict[Method, str] = {"central": GREEN, "fedbip": BLUE, "instance": ORANGE, "concept": PINK, "feddeo": ORANGE, "prompts": BROWN,
                              "fedavg": ORANGE}
PLACE_WORDS = {"post": "Post office", "school": "School", "night": "Night bar", "harbour": "Harbour"}
STYLE_WORDS = {"ink": "ink", "chalk": "chalk", "neon": "neon", "paint": "paint", "scan": "handwriting"}
PlaceName = Literal["post", "school", "night", "harbour"]
StyleName = Literal["ink", "chalk", "neon", "paint", "scan"]
Start = Literal[981, 901, 851, 701]
STARTS: tuple[Start, ...] = (981, 901, 851, 701)
START_WORDS = {"981": "981: as in the paper, nearly all noise", "901": "901", "851": "851",
               "701": "701: more of the picture is left (ours)"}
LEFT_WORDS = {"981": "Step 981, as in the paper: 8 % of the picture's height is left.", "901": "Step 901: 12 % is left.",
              "851": "Step 851: 15 % is left.", "701": "Step 701, where this lab begins: 29 % is left."}
TILTS = {"0": "every place holds every digit", "0.5": "each place has its favourites", "0.1": "few digits at each place",
         "0.01": "nearly one place a digit"}
Mishap = Literal["none", "nan", "loud", "painter", "silent", "labels"]
MISHAPS = {"none": "nothing", "nan": "it sends numbers that are none", "loud": "it sends pictures far too loud",
           "painter": "it used another painter", "silent": "its upload never comes", "labels": "it mixed up its digits"}
FILES = {"files": [".zip"], "reader": "federated/pictures", "sample": "places.zip", "labels": {"": "The four places of the lab"}}


class Sending(Config):
    """What a place does before it sends."""

    t_start: Start = Field(701, title="Noise up to step", json_schema_extra={"labels": START_WORDS},
                           description="How deep a picture is drowned in noise before it leaves. Deeper leaks less.")
    mix: bool = Field(True, title="Mix pictures in pairs", json_schema_extra=MORE,
                      description="Each picture sent is about half one picture and half another of the same digit")
    extra: float = Field(0, ge=0, le=4, title="Extra noise", json_schema_extra=MORE | {"slider": [0, 4, 0.25]},
                         description="Added before the rest, in deviations of a picture; covers the latents, not the word vectors")


class FederatedConfig(Sending):
    """Who holds what, what is tuned, and what is painted."""

    shots: int = Field(4, ge=1, le=32, title="Pictures a digit", description="How many of each digit a place holds")
    rivals: Literal["few", "all"] = Field(
        "few", title="Compare with", json_schema_extra={"labels": {"few": "the three that matter most", "all": "all six rivals"}},
        description="Averaged networks, public words, and all pictures in one room; all: also each half of the method alone, and a "
                    "description of every digit (FedDEO)")
    erase: bool = Field(False, title="Send pure noise instead", json_schema_extra=MORE,
                        description="A control: what a schedule would send that leaves nothing of a picture at its last step")
    out: bool = Field(False, title="Leave each place out in turn", json_schema_extra=MORE,
                      description="Learns once more without each place, to see what it adds, or spoils")
    mishap: Mishap = Field("none", title="What goes wrong at one place", json_schema_extra=MORE | {"labels": MISHAPS},
                           description="The last place. The server looks at every upload before it believes a word of it")
    pictures: DataRef = Field("", title="Your own places", json_schema_extra=MORE | FILES,
                              description="A ZIP with one folder for each place, and in it folders 0 to 9 with pictures of that digit")
    tilt: Literal[0, 0.5, 0.1, 0.01] = Field(0, title="Who holds what", json_schema_extra=MORE | {"labels": TILTS},
                                             description="How unevenly the digits are shared out (a Dirichlet distribution)")
    copies: Literal[1, 5, 10] = Field(1, title="Paintings a picture", json_schema_extra=MORE,
                                      description="How often each upload is painted again; it is sent only once")
    tuning: int = Field(40, ge=0, le=600, title="Tuning steps", json_schema_extra=MORE,
                        description="Steps in which a place looks for its word vectors")
    rate: float = Field(0.02, gt=0, le=1, title="Tuning rate", json_schema_extra=MORE, description="How far one such step goes")
    words: Literal["prompt", "random"] = Field(
        "prompt", title="Word vectors begin as", json_schema_extra=MORE | {"labels": {
            "prompt": "the nearest public words (as released)", "random": "random vectors (as in the paper)"}},
        description="Where the search sets out from")
    spread: float = Field(0.1, ge=0, le=1, title="Shake the style", json_schema_extra=MORE,
                          description="Noise on the style vector for every painting, in units of a word's size")
    guidance: float = Field(2.5, ge=1, le=10, title="Guidance", json_schema_extra=MORE,
                            description="How strongly the words lead the painting; 1 means plainly")
    steps: Literal[5, 10, 25, 50] = Field(10, title="Painting steps", json_schema_extra=MORE, description="Steps from noise to picture")
    learning: int = Field(100, ge=10, le=1000, title="Training steps", json_schema_extra=MORE,
                          description="Batches of 64 pictures that each classifier learns from; of 32 where one place learns alone")
    tests: int = Field(100, ge=20, le=400, title="Test pictures a place", json_schema_extra=MORE,
                       description="New real pictures on which every classifier is tested")


class AttackConfig(FederatedConfig):
    """The same at all four noise levels, with an attacker who sees everything that was sent."""

    t_start: Start = Field(701, title="Shown first", json_schema_extra=MORE | {"labels": START_WORDS},
                           description="All four are computed; the verdict speaks of this one")


class LatentConfig(Sending):
    """One picture on its way out."""

    place: PlaceName = Field("night", title="Place", json_schema_extra={"labels": PLACE_WORDS}, description="Whose picture")
    digit: int = Field(7, ge=0, le=9, title="Digit", json_schema_extra={"slider": [0, 9, 1]}, description="Which digit")
    seed: int = Field(0, ge=0, le=999, title="Another picture", json_schema_extra=MORE, description="Another number, another picture")


class SharesConfig(Config):
    """Who holds what, before anything is run."""

    uneven: int = Field(5, ge=0, le=10, title="How unevenly", json_schema_extra={"slider": [0, 10, 1]},
                        description="0: every place holds every digit; 10: nearly one place a digit")
    shots: int = Field(4, ge=1, le=32, title="Pictures a digit", description="On average, at a place")
    seed: int = Field(0, ge=0, le=999, title="Shared out anew", json_schema_extra=MORE, description="Another number, other favourites")


class PicturesConfig(Config):
    pictures: DataRef = Field("", title="Pictures", json_schema_extra=FILES, description="A ZIP with one folder for each place")


class PaintConfig(Config):
    """What the painter is told, and where it starts."""

    style: StyleName = Field("neon", title="Style", json_schema_extra={"labels": STYLE_WORDS}, description="A word that the painter knows")
    digit: int = Field(7, ge=0, le=9, title="Digit", json_schema_extra={"slider": [0, 9, 1]}, description="Which digit to paint")
    place: Literal["", "post", "school", "night", "harbour"] = Field(
        "", title="Start from a picture of", json_schema_extra={"labels": {"": "nobody: pure noise", **PLACE_WORDS}},
        description="The noised picture of a place instead of pure noise")
    t_start: Start = Field(701, title="Noise up to step", json_schema_extra={"labels": START_WORDS, **MORE},
                           description="How deep the picture is drowned first")
    guidance: float = Field(2.5, ge=1, le=10, title="Guidance", json_schema_extra=MORE, description="How strongly the words lead")
    steps: Literal[5, 10, 25, 50] = Field(10, title="Painting steps", json_schema_extra=MORE, description="Steps from noise to picture")
    seed: int = Field(0, ge=0, le=999, title="Other noise", json_schema_extra=MORE, description="Another number, another painting")


RIGHT = "right answers / new real pictures, mean over the places"
LOOKING = chart("Looking for words", *(series(f"noise loss {name}", PLACE_WORDS[name]) for name in PLACE_WORDS),
                x="tuning step", y="mean squared error of the noise")
RUN_OUTPUTS = (
    picture("journey", "What they hold, what they send, what is painted", main=True, wide=True,
            note="A row for each place. Left: real pictures, which never leave. Middle: what is sent. Right: what the server paints."),
    figure("accuracy", "Who reads new pictures of all places best?", wide=True,
           note="One dot a place, bars are means, lines 95 % intervals. Dotted: before anybody shares. All start "
                "alike and learn equally long. Another seed may crown another: five of them, under Evidence, leave it open."),
    numbers(
        "In numbers",
        number("accuracy fedbip", "FedBiP", unit="share", formula=RIGHT, meaning="Learned from paintings alone."),
        number("accuracy central", "All pictures in one room", unit="share", formula=RIGHT, meaning="What sharing everything would give."),
        number("accuracy start", "Before anybody shares", unit="share", formula=RIGHT, meaning="It has read letters in ink."),
        number("leak latents", "Told from strangers by the uploads", unit="share", formula="AUC of a matched filter on the uploads",
               meaning="0.5: a coin. Above: who sees the uploads can tell whose picture was there."),
        number("bytes fedbip", "Sent by a place", unit="bytes", formula="length of the upload as serialised, mean over the places",
               meaning="Compare with one network, below.")),
    figure("bytes", "What has to be sent, by a place", note="As serialised, on a logarithmic axis. The painter itself is public."),
    figure("leak", "What can an attacker tell?", note="Members against strangers of the same place: 0.5 is coin tossing."),
    figure("features", "Real beside painted, as the network sees them", optional=True,
           note="Each dot a picture, flattened to the two directions in which they differ most."),
    figure("out", "What does each place add, or spoil?", optional=True,
           note="How much better the network reads with a place than without it; thin lines are 95 % intervals."),
    figure("noise", "Does what is sent look like noise?", note="All numbers of the noised latents, beside a normal distribution."),
    figure("holdings", "Who holds what", note="Pictures of each digit at each place."),
    LOOKING,
    table("scores", "Every method at every place", wide=True),
    table("uploads", "The uploads, byte by byte", wide=True,
          note="mu: of the Gaussian mechanism, for one picture. It speaks of the latents alone; the word vectors have no such number."),
    table("payload", "Inside one upload", wide=True,
          note="Of the first place, as it arrived: a safetensors file, in which no program can hide. Nothing else is sent."),
    table("refused", "Left out", optional=True, note="The others go on without it."),
    metric("noise loss {}", "Noise loss at a place of the visitor's", optional=True),
    metric("with {}", "What a place adds", unit="share", formula="right with it - right without it", optional=True),
    metric("accuracy {}", "Right, mean over the places", unit="share", formula=RIGHT, optional=True),
    metric("leak {}", "AUC of an attack", formula="share of member-stranger pairs in which the member scores higher", optional=True),
    metric("bytes {}", "Sent by a place", unit="bytes", optional=True),
)
ATTACK_OUTPUTS = (
    levels("Move the depth of the noise",
           figure("right {}", "What the network reads"), figure("told {}", "What the attacks tell (AUC, 0.5 is a coin)"),
           picture("seen {}", "What an attacker gets to see"), figure("noise {}", "What is sent, beside pure noise"),
           main=True, setting="t_start", words=LEFT_WORDS,
           note="All four depths are recorded, so the slider moves at once. Other settings need Attack. Thin lines are 95 % intervals; an "
                "attack whose line stays right of 0.5 tells members from strangers better than a coin."),
    figure("trade", "Deeper noise: what is learned, what is told?", wide=True,
           note="Blue: how well the network reads. Red: how well an attacker tells members from strangers. Both against the noise."),
    numbers(
        "In numbers",
        number("accuracy", "Right at the depth shown first", unit="share", formula=RIGHT),
        number("leak", "Told from strangers there", unit="share", formula="AUC of a matched filter on the uploads", meaning="0.5: a coin."),
        number("leak clean", "If clean latents were sent", unit="share", formula="the same attack on latents without noise and mixing",
               meaning="What the file format of the released script would tell.")),
    table("levels", "All levels", wide=True),
    LOOKING,
    metric("noise loss {}", "Noise loss at a place of the visitor's", optional=True),
    metric("accuracy {}", "Right at a level", unit="share", formula=RIGHT, optional=True),
    metric("leak {}", "AUC at a level", optional=True),
)
RUN = experiment("federated/run", title="Can they share without showing?", paper="07", revision=2, families=(), config=FederatedConfig,
                 outputs=RUN_OUTPUTS, run="core.federated.experiments:run")
ATTACK = experiment("federated/attack", title="What does an attacker learn?", paper="07", revision=2, families=(), config=AttackConfig,
                    outputs=ATTACK_OUTPUTS, run="core.federated.experiments:attack")
LATENT = probe("federated/latent", title="What leaves a place?", paper="07", config=LatentConfig, run="core.federated.probes:latent")
PICTURES = probe("federated/pictures", title="What is in my pictures?", paper="07", config=PicturesConfig,
                 run="core.federated.own:brought")
PAINT = probe("federated/paint", title="Let the server paint", paper="07", config=PaintConfig, run="core.federated.probes:paint")
SHARES = probe("federated/shares", title="Who holds what?", paper="07", config=SharesConfig, run="core.federated.probes:shares")
EXPERIMENTS = (RUN, ATTACK, LATENT, PAINT, SHARES, PICTURES)
