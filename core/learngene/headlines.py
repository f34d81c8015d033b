"""The first layer of what the learngene experiments found: at most 25 words, from the evidence of the verdict alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Evidence = Mapping[str, Any]


def finetuned(found: Evidence) -> str:
    """learngene/finetune"""
    real = abs(found["inherited"] - found["scratch"]) > found["smallest difference"]
    apart = "more than chance would give" if real else "that could be chance"
    return f"The network that inherited is right in {found['inherited']:.0%}, the one from scratch in {found['scratch']:.0%}: {apart}."


def trained(found: Evidence) -> str:
    """learngene/train"""
    good = len(found["within 5 points"])
    return (f"Two layers' worth of numbers gave {good} networks within 5 points of the one that was trained, "
            f"which is right in {found['auxiliary']:.0%}.")


def pooled(found: Evidence) -> str:
    """learngene/pool"""
    return (f"Two models, right in {found['small']:.0%} and {found['large']:.0%}, now lend their blocks to many networks; "
            f"their ancestor is right in {found['ancestor']:.0%}.")


def stitched(found: Evidence) -> str:
    """learngene/stitch"""
    alone = list(found["alone"].values())
    beside = f"; networks trained alone reach {min(alone):.0%} to {max(alone):.0%}" if alone else ""
    return (f"Networks stitched from one pool are right in {found['after']:.0%} on average, before training in {found['before']:.0%}"
            f"{beside}.")


def begun(found: Evidence) -> str:
    """learngene/inits"""
    ways = sorted(((share, name) for name, share in found.items() if name != "n"), reverse=True)
    (best, first), (least, last) = ways[0], ways[-1]
    return f"How a stitch begins matters: {first.replace('_', ' ')} ends at {best:.0%} right, {last.replace('_', ' ')} at {least:.0%}."
