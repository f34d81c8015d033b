"""Paper 07, live: one picture on its way out of a place, and the painter at work.

federated/latent    answer: LatentAnswer; pictures real, partner, sent, decoded; figure noise; numbers left, size, mu
federated/paint     answer: PaintAnswer; picture stages; numbers sure
federated/shares    answer: SharesAnswer; figure holdings; numbers alpha, missing
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from core.engine.answers import Answer, Measure, data_uri
from core.engine.lab import Lab
from core.federated import attacks, client, figures
from core.federated.classifier import read_classifier
from core.federated.painter import LATENT, load_painter, noised, schedule, signal
from core.federated.places import CLASSES, PLACES, draw, read_bank, shared_out
from core.federated.spec import PLACE_WORDS, LatentConfig, PaintConfig, SharesConfig

LARGE = 192
STEPS = 10


@dataclass(frozen=True, kw_only=True)
class LatentAnswer(Answer):
    """t_start: the step really used.  left: amplitude of the picture in what is sent, 0..1.  sent: its numbers, 4 x 8 x 8."""

    t_start: int
    left: float
    sent: list


@dataclass(frozen=True, kw_only=True)
class PaintAnswer(Answer):
    """digit: what was asked for.  read: what the public reader reads in the painting.  chance: its certainty, 0..1."""

    digit: int
    read: int
    chance: float


@dataclass(frozen=True, kw_only=True)
class SharesAnswer(Answer):
    """counts: pictures of each digit at each place.  alpha: of the Dirichlet distribution, 0 where all have the same."""

    alpha: float
    counts: list


def shares(config: SharesConfig, lab: Lab) -> SharesAnswer:
    """Shares the digits out as a run would; alpha falls from 5 at 1 to 0.01 at 10, by the same factor each time."""
    alpha = 5 * 0.002 ** ((config.uneven - 1) / 9) if config.uneven else 0.0
    counts = shared_out(len(PLACES), config.shots, alpha, torch.Generator().manual_seed(config.seed))
    missing = sum(count == 0 for place in counts for count in place) / len(counts)
    return SharesAnswer(
        alpha=alpha, counts=counts,
        says=f"At a place {missing:.1f} of ten digits are missing." if missing else "Every place holds every digit.",
        aside="A run can be made with alpha 0.5, 0.1 and 0.01: 'Who holds what', under More. It draws shares of its own.",
        numbers={"alpha": Measure(round(alpha, 3), remark="of the Dirichlet distribution; 0: no chance in it"),
                 "missing": Measure(round(missing, 1), remark="of ten digits, mean over the places")},
        figures={"holdings": figures.holdings(dict(zip(PLACE_WORDS.values(), counts, strict=True)))})


def latent(config: LatentConfig, lab: Lab) -> LatentAnswer:
    """Draws two pictures of a digit at a place, mixes and noises them as they would be sent."""
    painter, t_start = load_painter(lab.folder("painter")), schedule(STEPS, config.t_start)[1][0]
    generator = torch.Generator().manual_seed(config.seed)
    labels = torch.tensor([config.digit] * 2)
    pixels, _ = draw(PLACES[config.place], read_bank().clients, 2, generator, labels)
    sent, _ = client.instance_level(painter, pixels, labels, t_start=t_start, mix=config.mix, extra=config.extra, generator=generator)
    left = float(signal()[t_start].sqrt())
    mu = attacks.guarantee(t_start, config.extra, client.RADIUS, uploads=2 if config.mix else 1)
    decoded = painter.decode(sent[:1].float())[0]
    return LatentAnswer(
        t_start=t_start, left=left, sent=sent[0].float().round(decimals=3).tolist(),
        says=f"Noised up to step {t_start}, {left:.0%} of the picture's height is left; the rest is noise.",
        aside="Who sends many pictures of one thing, or very large ones, tells more: noise averages out.",
        numbers={"left": Measure(left, "share", "of the picture's amplitude is left"),
                 "size": Measure(2.0 * sent[0].numel(), "bytes", "for this one upload"),
                 "mu": Measure(mu, remark="below 1 hides much, above 5 little; says nothing of the word vectors")},
        figures={"noise": figures.noise(sent[0].float())},
        images={"real": _large(pixels[0]), "partner": _large(pixels[1]), "sent": _uri(figures.latent_image(sent[0])),
                "decoded": _large(decoded)})


def paint(config: PaintConfig, lab: Lab) -> PaintAnswer:
    """Paints one digit, from noise or from a place's noised picture, and has it read by the public reader."""
    folder = lab.folder("painter")
    painter, network = load_painter(folder), read_classifier(folder, "reader")
    generator = torch.Generator().manual_seed(config.seed)
    start, t_start = torch.randn(1, *LATENT, generator=generator), 981
    if config.place:
        t_start = schedule(config.steps, config.t_start)[1][0]
        pixels, _ = draw(PLACES[config.place], read_bank().clients, 1, generator, torch.tensor([config.digit]))
        start = noised(painter.encode(pixels), t_start, start)
    context = painter.prompt([(config.style, CLASSES[config.digit])])
    stages = [start, *painter.paint(start, context, t_start=t_start, steps=config.steps, guidance=config.guidance)]
    pictures = painter.decode(torch.cat(stages))
    with torch.no_grad():
        chance, read = network(pictures[-1:]).softmax(-1)[0].max(0)
    where = f"a noised picture of the {PLACE_WORDS[config.place].lower()}" if config.place else "pure noise"
    return PaintAnswer(
        digit=config.digit, read=int(read), chance=float(chance),
        says=f"Told '{config.style}' and '{config.digit}', it painted this from {where}; the public reader reads a {int(read)}.",
        numbers={"sure": Measure(float(chance), "share", f"sure that it is a {int(read)}")},
        images={"stages": _strip(pictures), "last": _large(pictures[-1])})


def _large(pixels: Tensor) -> str:
    return _uri(figures.as_image(pixels))


def _uri(picture: Image.Image) -> str:
    return data_uri(picture.resize((LARGE, LARGE), Image.Resampling.NEAREST))


def _strip(pictures: Tensor) -> str:
    """At most six stages side by side, the first and the last among them."""
    chosen = sorted({round(i * (len(pictures) - 1) / 5) for i in range(6)})
    page = Image.new("RGB", (len(chosen) * figures.TILE, figures.TILE))
    for x, i in enumerate(chosen):
        page.paste(figures.as_image(pictures[i]), (x * figures.TILE, 0))
    return data_uri(page.resize((2 * page.width, 2 * page.height), Image.Resampling.NEAREST))
