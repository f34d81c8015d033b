"""A painter of random weights in the shapes of the real one: what is proven with it holds for any."""

from __future__ import annotations

import pytest
import torch

from core.federated.painter import Painter, Prompts
from core.federated.places import PLACES, draw, read_bank
from core.zoo.painter.build import new_unet, new_vae


@pytest.fixture(scope="session")
def painter() -> Painter:
    torch.manual_seed(0)
    parts = [part.eval().requires_grad_(False) for part in (new_vae(), new_unet(), Prompts())]
    return Painter(*parts, mark="made up")


@pytest.fixture(scope="session")
def pictures() -> tuple[torch.Tensor, torch.Tensor]:
    """Twenty pictures of the night bar, two of each digit."""
    return draw(PLACES["night"], read_bank().clients, 20, torch.Generator().manual_seed(1))


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(7)
