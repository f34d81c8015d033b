"""How fast the bias page is: the whole map of residuals against as many plain passes, and a slider against one bare forward.

    python -m benchmarks.bias

The naive way leaves out one residual after the other, each time with a whole pass over all pictures and words: 2 L + 1 passes. The deck
computes everything before the answering token once. Both give the same numbers, which is checked before anything is timed.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable
from typing import Any

from benchmarks.timing import interleaved, ratio, summary, table, versions, write

PAIRS, BATCH = 6, 16
AIM = 1.3


def main() -> None:
    rows = [*map_rows(), *slider_rows()]
    print(table(rows))
    print(write("bias", rows, about=versions("torch", "transformers") | {"model": "embedded/scenes", "pairs": PAIRS}, notes=[
        "map: every attention and MLP output left out in turn, all option orders. ratio: the naive way over ours in the same repeat.",
        f"slider: the probe behind it, with figures; ratio over one bare forward of the pair's prompts (aim: at most {AIM})."]))


def ready() -> tuple[Any, Any]:
    """A lab with the scenes model and the model as the page asks it."""
    from core.bias.subject import subject
    from core.engine.lab import Cache, Lab
    from core.engine.models import ModelStore
    from core.engine.settings import Settings

    lab = Lab(ModelStore(Settings()), Cache(), seed=0, threads=1)
    return lab, subject(lab, "embedded/scenes")


def whole(who: Any, deck: Any) -> tuple[dict[str, Any], Any]:
    """All prompts of a deck as anybody would call the model: ids padded on the left, a picture each; and their masks."""
    import torch

    tokenizer, config = who.form.tokenizer, who.model.config
    rows = [[tokenizer.bos_token_id, *[config.image_token_id] * 64, *prompt.ids] for prompt in deck.prompts]
    longest = max(map(len, rows))
    ids = torch.tensor([[tokenizer.pad_token_id or 0] * (longest - len(row)) + row for row in rows])
    seen = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    pixels = torch.cat([who.form.pixels(deck.items[prompt.item].picture) for prompt in deck.prompts])
    return {"input_ids": ids, "attention_mask": seen, "pixel_values": pixels,
            "position_ids": (seen.cumsum(-1) - 1).clamp(min=0)}, torch.arange(len(rows))


def passes(who: Any, inputs: dict[str, Any], plan: dict[Any, Any]) -> Any:
    """Logits (prompts, words) where the answer is said, with a plan that acts there alone."""
    import torch

    from core.engine.trace import trace

    def last_only(edit: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def change(x: Any) -> Any:
            return torch.cat([x[:, :-1], edit(x[:, -1:])], 1)
        return change

    found = []
    for start in range(0, len(inputs["input_ids"]), BATCH):
        part = {name: value[start:start + BATCH] for name, value in inputs.items()}
        with torch.no_grad(), trace(who.model, edit={site: last_only(edit) for site, edit in plan.items()}):
            found.append(who.model(**part, use_cache=False, logits_to_keep=1).logits[:, -1])
    return torch.cat(found)


def map_rows() -> list[dict[str, Any]]:
    """Seconds for S3 of every residual, both ways."""
    import torch

    from core.bias.deck import Deck
    from core.bias.items import association_items
    from core.bias.residuals import causal, left_out_plans

    _, who = ready()
    items = association_items("test", PAIRS, torch.Generator().manual_seed(0))
    deck = Deck(who.model, who.form, items)
    inputs, _ = whole(who, deck)
    plans = left_out_plans(deck)
    words = passes(who, inputs, plans[5])
    p = deck.by_item(words.gather(1, deck.ids[:, :, 0]).softmax(-1)).numpy()
    worst = float(abs(p - deck.ask([plans[5]])[0].p).max())
    assert worst < 1e-4, f"the two ways differ by {worst}"
    taken = interleaved({
        "deck": lambda: causal(Deck(who.model, who.form, items)),
        f"{len(plans)} passes": lambda: [passes(who, inputs, plan) for plan in plans],
    }, repeats=5, warm_up=1)
    ours, naive = taken.values()
    return [{"what": "map", "name": name, **summary(seconds), "ratio": ratio(naive, ours) if name == "deck" else None}
            for name, seconds in taken.items()]


def slider_rows() -> list[dict[str, Any]]:
    """Seconds from a moved slider to the figures, against the model alone on the same prompts."""
    import torch

    from core.bias.probes import strength
    from core.bias.spec import SceneConfig, StrengthConfig

    lab, who = ready()
    strengths = itertools.cycle([round(0.05 * i, 2) for i in range(1, 20)])
    strength(StrengthConfig(), lab)  # measures the directions once
    from core.bias.probes import _deck

    inputs, _ = whole(who, _deck(lab, who, SceneConfig()))

    def bare() -> None:
        with torch.no_grad():
            who.model(**inputs, use_cache=False, logits_to_keep=1)

    taken = interleaved({"bare forward": bare, "slider": lambda: strength(StrengthConfig(biased=next(strengths)), lab)}, repeats=15)
    alone, moved = taken["bare forward"], taken["slider"]
    return [{"what": "slider", "name": name, **summary(seconds), "ratio": ratio(moved, alone) if name == "slider" else None}
            for name, seconds in taken.items()] + [{"what": "slider", "name": "aim", "ratio": AIM,
                                                    "median_ms": 1e3 * AIM * statistics.median(alone)}]


if __name__ == "__main__":
    main()
