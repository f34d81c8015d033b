"""Can hospitals share without showing? Four places send noised pictures and a few words, once; a server paints and learns."""

from __future__ import annotations

import gradio as gr

from apps.lab.pages import Page
from apps.lab.ui import frame
from apps.lab.ui.desk import Desk
from core.engine.outputs import figure, number, numbers, picture

INTRO = (
    "Four places hold pictures of digits that they may not show. Each sends once: its pictures drowned in noise, and a few learned word "
    "vectors. A server paints new pictures from that and teaches a network with them. You see what leaves each place, what is painted, how "
    "well the network reads, and how much an attacker can tell."
)
LATENT_SHOWS = (
    picture("real", "The picture", note="Never leaves."), picture("partner", "Its partner", note="Another one of the same digit."),
    picture("sent", "What is sent", note="Three of its four layers of numbers, as colours."),
    picture("decoded", "What one sees who decodes it", note="The painter's own decoder, straight on what was sent."),
    figure("noise", "Its numbers, beside pure noise"),
    numbers("In numbers", number("left", "Left of the picture"), number("size", "Size"), number("mu", "mu of the Gaussian mechanism")),
)
PAINT_SHOWS = (
    picture("stages", "From noise to picture", wide=True), picture("last", "The painting"),
    numbers("In numbers", number("sure", "What the public network reads")),
)
SHARES_SHOWS = (
    figure("holdings", "Pictures of each digit at each place", wide=True),
    numbers("In numbers", number("alpha", "alpha"), number("missing", "Digits that a place lacks")),
)
ATTACKED = (
    "The same round at four depths of noise, with an attacker who sees all that is sent and asks of a picture: was it there? Does "
    "what the attacker loses cost the network anything?"
)


def build(site: frame.Site, page: Page) -> None:
    """The round on top; in tabs one picture on its way out, the painter, the attacker, lesson and evidence."""
    with frame.page(site, page, intro=INTRO) as view:
        with gr.Tab("What leaves a place", id="latent"):
            Desk(view, "federated/latent", left=("place", "digit", "t_start"), more=("mix", "extra", "seed"), shows=LATENT_SHOWS,
                 prefix="latent")
        with gr.Tab("Let it paint", id="paint"):
            Desk(view, "federated/paint", left=("style", "digit", "place"), more=("t_start", "guidance", "steps", "seed"),
                 shows=PAINT_SHOWS, prefix="paint")
        with gr.Tab("Who holds what", id="shares"):
            Desk(view, "federated/shares", left=("uneven", "shots"), more=("seed",), shows=SHARES_SHOWS, prefix="shares")
        with gr.Tab("The attacker", id="attack"):
            gr.HTML(f'<p class="gb-quiet">{ATTACKED}</p>', apply_default_css=False)
            frame.another(view, "federated/attack", press="Attack")
        frame.usual_tabs(view)
