"""The latent diffusion model that everybody has before anything is shared: it paints a digit in a style that a prompt names.

    painter = load_painter(folder)
    z = painter.encode(pixels, generator)                                # (n, 4, 8, 8), unit deviation on public pictures
    context = painter.prompt([("neon", "7")])                            # (1, 8, 64)
    pixels = painter.decode(painter.sample(noise, context, t_start=981))

The prompt is `[BOS] a STYLE style of a DIGIT [EOS]`, eight slots as in the released code: the style at index 2, the class at -2.
There is no text transformer, so vectors put into the prompt and vectors put behind the text encoder are the same thing
(methods/07 sections 2.2 and 9). The schedule is Stable Diffusion's: scaled-linear from 0.00085 to 0.012 over 1,000 steps, whose last
step keeps 6.8 % of the picture's amplitude; that is what the method lives on.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from torch import Tensor, nn

from core.engine.errors import LabError
from core.engine.stopping import go_on
from core.federated.places import CLASSES, STYLES

WORDS = ("[BOS]", "a", "style", "of", "[EOS]", "[PAD]", *STYLES, *CLASSES)
SLOTS, WIDTH = 8, 64
STYLE_AT, CLASS_AT = 2, 6  # as in the released code: hidden states 2 and -2
LATENT = (4, 8, 8)
SCHEDULE = dict(num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
                set_alpha_to_one=False, steps_offset=1, timestep_spacing="leading", prediction_type="epsilon")


class Prompts(nn.Module):
    """The learned word vectors and places of a prompt: all there is of a text encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(len(WORDS), WIDTH)
        self.places = nn.Parameter(torch.zeros(SLOTS, WIDTH))

    def forward(self, tokens: Tensor) -> Tensor:
        """Token numbers (n, 8) to the context (n, 8, 64) that the painter attends to."""
        return self.words(tokens) + self.places

    def of(self, pairs: Sequence[tuple[str, str]]) -> Tensor:
        """The context (n, 8, 64) of the prompt of each (style, digit)."""
        return self(tokens(pairs))


def tokens(pairs: Sequence[tuple[str, str]]) -> Tensor:
    """Token numbers (n, 8) of (style, digit); ("", "") is the empty prompt, [BOS] [EOS] and padding."""
    rows = [["[BOS]", "[EOS]", *["[PAD]"] * (SLOTS - 2)] if not digit else ["[BOS]", "a", style, "style", "of", "a", digit, "[EOS]"]
            for style, digit in pairs]
    return torch.tensor([[WORDS.index(word) for word in row] for row in rows])


GRID = 50  # leading steps with offset 1, as released: 981, 961, ..., 1
SAMPLERS = (5, 10, 25, 50)


def schedule(steps: int, t_start: int = 981) -> tuple[DDIMScheduler, list[int]]:
    """A DDIM sampler and its timesteps, noisiest first: of the 50 leading ones every (50 / steps)-th that is not above `t_start`.

    Its first timestep is where a picture is noised to. Raises LabError where nothing is left to paint, or `steps` does not divide 50."""
    sampler = DDIMScheduler(**SCHEDULE)
    sampler.set_timesteps(GRID)
    times = [int(t) for t in sampler.timesteps if int(t) <= t_start]
    if steps not in SAMPLERS or not times:
        raise LabError(f"The painter cannot start at step {t_start} with {steps} steps for the whole way.",
                       f"Start at a step from 1 to 981, with {', '.join(map(str, SAMPLERS))} steps.")
    sampler.num_inference_steps = steps  # how far one step goes: 1,000 / steps
    return sampler, times[:: GRID // steps]


AT_ONCE = 32  # rows in one pass of a network, so that Stop is met soon


def in_parts(network: Callable[..., Tensor], *rows: Tensor) -> Tensor:
    """network(*rows), each (n, ...), in passes of 32 rows; meets Stop before every pass."""
    parts = []
    for some in zip(*(one.split(AT_ONCE) for one in rows), strict=True):
        go_on()
        parts.append(network(*some))
    return torch.cat(parts)


@dataclass
class Painter:
    """The four frozen parts: `vae`, `unet`, `prompts`, and what tells this painter from another, `mark`."""

    vae: AutoencoderKL
    unet: UNet2DConditionModel
    prompts: Prompts
    mark: str = ""

    @property
    def scale(self) -> float:
        """What latents are multiplied with so that those of public pictures have unit deviation."""
        return self.vae.config.scaling_factor

    @torch.no_grad()
    def encode(self, pixels: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Latents (n, 4, 8, 8) of pictures (n, 3, 32, 32) in -1..1: a sample of the posterior, its mean without a generator."""
        posterior = DiagonalGaussianDistribution(in_parts(lambda some: self.vae.encode(some).latent_dist.parameters, pixels))
        return self.scale * (posterior.mean if generator is None else posterior.sample(generator))

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Pictures (n, 3, 32, 32) in -1..1 of latents (n, 4, 8, 8)."""
        return in_parts(lambda some: self.vae.decode(some).sample, latents / self.scale).clamp(-1, 1)

    def noise(self, latents: Tensor, times: Tensor, context: Tensor) -> Tensor:
        """The predicted noise (n, 4, 8, 8) of noised latents at the steps `times` (n,) under the context (n, 8, 64)."""
        return in_parts(lambda some, t, words: self.unet(some, t, words).sample, latents, times, context)

    def prompt(self, pairs: Sequence[tuple[str, str]], style: Tensor | None = None, digit: Tensor | None = None) -> Tensor:
        """The context (n, 8, 64) of a prompt for each (style, digit); `style` and `digit` (n, 64) replace the word's vectors.

        The place of a slot is added to the replacing vector as it is to a word."""
        context = self.prompts.of(pairs)
        for place, vectors in ((STYLE_AT, style), (CLASS_AT, digit)):
            if vectors is not None:
                context = torch.cat([context[:, :place], (vectors + self.prompts.places[place])[:, None], context[:, place + 1:]], 1)
        return context

    def word(self, name: str) -> Tensor:
        """The vector (64,) of a style or a digit."""
        return self.prompts.words.weight[WORDS.index(name)].detach().clone()

    def noise_loss(self, latents: Tensor, context: Tensor, times: Tensor, noise: Tensor) -> Tensor:
        """Mean squared error per picture (n,) of the predicted noise at the steps `times` (n,)."""
        level = signal()[times][:, None, None, None]
        noisy = level.sqrt() * latents + (1 - level).sqrt() * noise
        return (self.noise(noisy, times, context) - noise).square().flatten(1).mean(1)

    def paint(self, latents: Tensor, context: Tensor, *, t_start: int, steps: int, guidance: float,
              also: Tensor | None = None) -> Iterator[Tensor]:
        """Denoises (n, 4, 8, 8), noised to `t_start`, by DDIM with eta 0 and classifier-free guidance; yields after every step.

        guidance: w in e = e0 + w (ec - e0); 1 needs no second pass.  also: a second context (n, 8, 64) that leads as well, each with
        half of w (FedDEO, section 5)."""
        sampler, times = schedule(steps, t_start)
        empty = self.prompt([("", "")]).expand(len(latents), -1, -1)
        leading = [context] if also is None else [context, also]
        for t in times:
            with torch.no_grad():
                if guidance == 1 and also is None:
                    noise = self.noise(latents, torch.full((len(latents),), t), context)
                else:
                    several = torch.cat([latents] * (1 + len(leading)))
                    free, *led = self.noise(several, torch.full((len(several),), t), torch.cat([empty, *leading])).split(len(latents))
                    noise = free + guidance / len(led) * sum(one - free for one in led)
                latents = sampler.step(noise, t, latents).prev_sample
            yield latents

    def sample(self, latents: Tensor, context: Tensor, *, t_start: int = 981, steps: int = 25, guidance: float = 2.5) -> Tensor:
        """The last of `paint`: clean latents (n, 4, 8, 8)."""
        *_, last = self.paint(latents, context, t_start=t_start, steps=steps, guidance=guidance)
        return last


def signal() -> Tensor:
    """The share of signal power left at each of the 1,000 steps, (1000,)."""
    return DDIMScheduler(**SCHEDULE).alphas_cumprod


def noised(latents: Tensor, t_start: int, noise: Tensor) -> Tensor:
    """Forward diffusion in one jump (methods/07 section 2.1, step 3): all (n, 4, 8, 8)."""
    level = signal()[t_start]
    return level.sqrt() * latents + (1 - level).sqrt() * noise


def store(painter: Painter, folder: Path) -> None:
    """Writes vae/, unet/ and prompts.safetensors as fp16."""
    import copy

    from safetensors.torch import save_file

    copy.deepcopy(painter.vae).half().save_pretrained(folder / "vae")
    copy.deepcopy(painter.unet).half().save_pretrained(folder / "unet")
    save_file({name: part.detach().half().contiguous() for name, part in painter.prompts.state_dict().items()},
              folder / "prompts.safetensors")


@functools.lru_cache(maxsize=2)
def load_painter(folder: Path) -> Painter:
    """Reads what `store` wrote, computing in fp32, in eval mode, frozen; once per process, for nobody changes it."""
    from safetensors.torch import load_file

    prompts = Prompts()
    prompts.load_state_dict({name: part.float() for name, part in load_file(folder / "prompts.safetensors").items()})
    parts = (AutoencoderKL.from_pretrained(folder / "vae").float(), UNet2DConditionModel.from_pretrained(folder / "unet").float(), prompts)
    for part in parts:
        part.eval().requires_grad_(False)
    return Painter(*parts, mark=mark_of(folder))


def mark_of(folder: Path) -> str:
    """What a payload names to say which painter it was made for: a hash over the three files of weights and the schedule."""
    digest = hashlib.sha256(json.dumps(SCHEDULE, sort_keys=True).encode())
    for file in ("vae/diffusion_pytorch_model.safetensors", "unet/diffusion_pytorch_model.safetensors", "prompts.safetensors"):
        digest.update((folder / file).read_bytes())
    return digest.hexdigest()[:16]
