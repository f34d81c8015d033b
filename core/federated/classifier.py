"""The small network that tells the digits apart. Group norms, since batch statistics break when weights are averaged.

Every method starts from the same weights, which have seen letters in ink and no digit, under a new head: what ImageNet is to the paper's
ResNet-18. Another set of weights, the public reader, has learned digits in the public styles and judges what the painter paints.
"""

from __future__ import annotations

import functools
from pathlib import Path

import torch
from torch import Tensor, nn

from core.federated.places import CLASSES


class Classifier(nn.Module):
    """Three convolutions of 24, 48 and 96 channels and a linear read-out: about 55,000 numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(_block(3, 24), nn.MaxPool2d(2), _block(24, 48), nn.MaxPool2d(2), _block(48, 96), nn.MaxPool2d(2))
        self.head = nn.Linear(96 * 4, len(CLASSES))

    def features(self, pixels: Tensor) -> Tensor:
        """What it sees in pictures (n, 3, 32, 32): (n, 384), the last maps averaged to 2 x 2."""
        return nn.functional.adaptive_avg_pool2d(self.body(pixels), 2).flatten(1)

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits (n, 10) of pictures (n, 3, 32, 32) in -1..1."""
        return self.head(self.features(pixels))


@functools.lru_cache(maxsize=4)
def read_classifier(folder: Path, name: str = "classifier") -> Classifier:
    """One of the two networks beside the painter, "classifier" (the common start) or "reader", in fp32, frozen."""
    from safetensors.torch import load_file

    network = Classifier()
    network.load_state_dict({key: part.float() for key, part in load_file(folder / f"{name}.safetensors").items()})
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # trains in two thirds of the time on a CPU


def with_new_head(network: Classifier, classes: int) -> Classifier:
    """The same network, in place, under a head of zeros for so many classes."""
    network.head = nn.Linear(network.head.in_features, classes)
    nn.init.zeros_(network.head.weight)
    nn.init.zeros_(network.head.bias)
    return network


def weight_bytes(network: Classifier) -> int:
    """What it takes to send all weights as float32, serialised."""
    from safetensors.torch import save

    return len(save({name: part.contiguous() for name, part in network.state_dict().items()}))


def _block(into: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(into, out, 3, padding=1), nn.GroupNorm(8, out), nn.ReLU())
