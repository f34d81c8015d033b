"""Noise in, noise out: the schedule, training a denoiser, and editing real windows with it (methods/08, 3.1 to 3.4).

    for step in train_denoiser(model, windows, labels, industries, steps=1500, rng=rng):
        step.done, step.loss
    edited = edit(model, windows, labels, industries, strength=700, guidance=2, rng=rng)

Step t runs from 0, no noise, to T = 1000. `strength` is the step T' to which a window is noised before it is denoised again.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

T = 1000
# what is left of the signal after t steps: linear schedule, the default of diffusers
ALPHA_BAR = torch.cat([torch.ones(1, dtype=torch.float64), (1 - torch.linspace(1e-4, 0.02, T, dtype=torch.float64)).cumprod(0)])
RATE, WARM_UP, BATCH, AVERAGE, DROPPED = 8e-4, 200, 256, 0.999, 0.1
CLIP_INSIDE, CLIP = 3.5, 3.0
STRIDE = 50
STRENGTHS = (0, 25, 100, 200, 300, 500, 700, 1000)
AT_ONCE = 2048  # windows that are edited together
Denoise = Callable[[Tensor, int], Tensor]


@dataclass(frozen=True)
class TrainStep:
    """One step of training: how many are done, and the mean squared error of the last batches."""

    done: int
    total: int
    loss: float


def train_denoiser(
    model: torch.nn.Module, windows: Tensor, labels: Tensor, industries: Tensor, *, steps: int, rng: torch.Generator
) -> Iterator[TrainStep]:
    """Trains in place; at the end the model holds the running average of its weights.

    windows: float (n, window, factors).  labels: float (n,).  industries: int (n,). In a tenth of the cases neither is told.
    """
    mean = copy.deepcopy(model)
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE)
    rate = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda k: _rate(k, steps))
    bar, shown = ALPHA_BAR.float(), 0.0
    model.train()
    for k in range(steps):
        chosen = torch.randint(len(windows), (BATCH,), generator=rng)
        x, step = windows[chosen], torch.randint(1, T + 1, (BATCH,), generator=rng)
        noise = torch.randn(x.shape, generator=rng)
        untold = torch.rand(BATCH, generator=rng) < DROPPED
        label, industry = labels[chosen].masked_fill(untold, math.nan), industries[chosen].masked_fill(untold, -1)
        keep = bar[step][:, None, None]
        loss = ((model(keep.sqrt() * x + (1 - keep).sqrt() * noise, step, label, industry) - noise) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        rate.step()
        with torch.no_grad():
            weight = 1 - min(AVERAGE, (1 + k) / (10 + k))
            torch._foreach_lerp_(list(mean.parameters()), list(model.parameters()), weight)
        shown = loss.item() if not k else 0.95 * shown + 0.05 * loss.item()
        yield TrainStep(k + 1, steps, shown)
    model.load_state_dict(mean.state_dict())
    model.eval()


def _rate(step: int, steps: int) -> float:
    warm = min(WARM_UP, max(1, steps // 5))
    return (step + 1) / warm if step < warm else 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def path(strength: int, stride: int = STRIDE) -> list[int]:
    """The steps that are visited from T' down to 0: 120 -> [120, 70, 20, 0]."""
    return [*range(strength, 0, -stride), 0]


def noised(x: Tensor, strength: int, noise: Tensor) -> Tensor:
    """x (n, ...) with the noise of step T', the same shape."""
    keep = float(ALPHA_BAR[strength])
    return math.sqrt(keep) * x + math.sqrt(1 - keep) * noise


def denoise(
    x: Tensor,
    guess: Denoise,
    strength: int,
    *,
    stride: int = STRIDE,
    eta: float = 0.0,
    rng: torch.Generator | None = None,
    inside: float | None = CLIP_INSIDE,
) -> Iterator[Tensor]:
    """x (n, ...) at step T' -> after each step, at last clean. `guess(x, t)` gives the noise.  eta: 0 is DDIM, 1 is DDPM.

    inside: bound of the clean window guessed on the way; the noise is worked out again from it (`use_clipped_model_output`).
    """
    steps = path(strength, stride)
    for now, then in zip(steps, steps[1:], strict=False):
        a, b = float(ALPHA_BAR[now]), float(ALPHA_BAR[then])
        noise = guess(x, now)
        clean = (x - math.sqrt(1 - a) * noise) / math.sqrt(a)
        if inside is not None:
            clean = clean.clamp(-inside, inside)
            noise = (x - math.sqrt(a) * clean) / math.sqrt(1 - a)
        sigma = eta * math.sqrt((1 - b) / (1 - a) * (1 - a / b))
        x = math.sqrt(b) * clean + math.sqrt(max(0.0, 1 - b - sigma**2)) * noise
        if sigma:
            x = x + sigma * torch.randn(x.shape, generator=rng)
        yield x


def guided(model: torch.nn.Module, labels: Tensor, industries: Tensor, guidance: float) -> Denoise:
    """Predictor-free guidance (methods/08, 3.3): (1 + w) times the guess that was told label and industry, less w times the other.

    labels: float (n,).  industries: int (n,). w = 0 is plain conditional sampling; diffusers would call it guidance_scale 1 + w.
    """
    nobody, nowhere = torch.full_like(labels, math.nan), torch.full_like(industries, -1)

    @torch.no_grad()
    def guess(x: Tensor, step: int) -> Tensor:
        steps = torch.full((len(x),), step)
        told = model(x, steps, labels, industries)
        return told if not guidance else (1 + guidance) * told - guidance * model(x, steps, nobody, nowhere)

    return guess


def editing(
    model: torch.nn.Module,
    windows: Tensor,
    labels: Tensor,
    industries: Tensor,
    *,
    strength: int,
    guidance: float,
    rng: torch.Generator,
    eta: float = 0.0,
    stride: int = STRIDE,
    guesses: Callable[[slice], Denoise] | None = None,
) -> Iterator[tuple[int, Tensor]]:
    """(how many windows are done, all of them so far): a loop that can be left. Strength 0 gives the windows back, bit for bit.

    windows: float (n, window, factors).  labels: float (n,), NaN: not told.  industries: int (n,).  guesses: another way of steering.
    """
    made = windows.clone()
    if strength == 0:
        yield len(windows), made
        return
    for start in range(0, len(windows), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        x = noised(windows[part], strength, torch.randn(windows[part].shape, generator=rng))
        guess = guesses(part) if guesses else guided(model, labels[part].clamp(-CLIP, CLIP), industries[part], guidance)
        for cleaner in denoise(x, guess, strength, stride=stride, eta=eta, rng=rng):
            x = cleaner
            yield start, made
        made[part] = x.clamp(-CLIP, CLIP)
    yield len(windows), made


def edit(model: torch.nn.Module, windows: Tensor, labels: Tensor, industries: Tensor, **how: object) -> Tensor:
    """`editing` to its end: float (n, window, factors)."""
    *_, (_, made) = editing(model, windows, labels, industries, **how)
    return made


def r2_theory(strength: int, eta: float = 0.0) -> float:
    """R2 between edited and original for independent standard normal data and a perfect denoiser: 2 sqrt(alpha_bar) - 1 with DDIM,
    2 alpha_bar - 1 with DDPM."""
    keep = float(ALPHA_BAR[strength])
    return 2 * (keep if eta else math.sqrt(keep)) - 1
