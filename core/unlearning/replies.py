"""What a model answers to a list of prompts, and which answers hold the key.

    found = reply(model, tokenizer, prompts)
    found.share, found.texts[0], found.found[0]      # answer-key recall; one answer; whether it holds the key
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core.engine.errors import LabError
from core.engine.models import LoadedModel
from core.unlearning.algorithms.refusals import is_refusal
from core.unlearning.answers import BATCH, NEW_TOKENS, answer, answer_room, rival_losses
from core.unlearning.prompts import Prompt, render

SMALL = 50_000_000  # parameters
LARGE_BATCH = 8


@dataclass
class Replies:
    """Answers to a list of prompts, and which of them hold the key; None where nothing was asked."""

    texts: list[str | None] = field(default_factory=list)
    found: list[bool | None] = field(default_factory=list)

    @property
    def counted(self) -> list[bool]:
        return [hit for hit in self.found if hit is not None]

    @property
    def hits(self) -> int:
        return sum(self.counted)

    @property
    def share(self) -> float:
        """Answer-key recall."""
        return self.hits / len(self.counted)

    @property
    def refused(self) -> int:
        """How many answers are a whole refusal."""
        return sum(map(is_refusal, self.texts))

    @property
    def refusals(self) -> float:
        """Share of the answers that are a whole refusal."""
        return self.refused / len(self.texts)


def rows_at_once(model: PreTrainedModel) -> int:
    """How many questions a batch holds: few for a large model, so that something can be said every second or so."""
    return BATCH if model.num_parameters() <= SMALL else LARGE_BATCH


def reply(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Prompt | None]) -> Replies:
    """Greedy answers to all prompts, and whether they hold the key; None stays None.

    Of a multiple choice the option counts that the model finds likeliest, and the text names it first. What a model says by itself
    would be no choice: one that does not know names values that are not among the options at all (docs/LOG.md).
    """
    asked = [prompt for prompt in prompts if prompt is not None]
    rendered = [render(prompt, tokenizer) for prompt in asked]
    room = answer_room(model, tokenizer, rendered, [prompt.answer for prompt in asked])
    texts = answer(model, tokenizer, rendered, new_tokens=room)
    chosen = iter(choose(model, tokenizer, [prompt for prompt in asked if prompt.options]))
    said = iter([_judged(prompt, text, next(chosen)) if prompt.options else (text, prompt.proved_by(text))
                 for prompt, text in zip(asked, texts, strict=True)])
    rows = [(None, None) if prompt is None else next(said) for prompt in prompts]
    return Replies([text for text, _ in rows], [found for _, found in rows])


def choose(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Prompt]) -> list[str]:
    """The option of each prompt that the model finds likeliest, per token."""
    losses = rival_losses(model, tokenizer, [render(prompt, tokenizer) for prompt in prompts], [prompt.options for prompt in prompts])
    return [min(zip(own, prompt.options, strict=True))[1] for own, prompt in zip(losses, prompts, strict=True)]


def _judged(prompt: Prompt, text: str, option: str) -> tuple[str, bool]:
    """What a visitor reads about one multiple choice, and whether it is right."""
    alone = "" if text.strip(" .") == option.strip(" .") else f" (left alone it says: {text or 'nothing'})"
    return option.strip() + alone, option == prompt.answer


def with_tokenizer(loaded: LoadedModel) -> LoadedModel:
    """The same model. Raises LabError for one that comes without a tokenizer."""
    if loaded.tokenizer is None:
        raise LabError(f"{loaded.ref} has no tokenizer.json, so no question can be put to it.",
                       "Choose a model that comes with its tokenizer.")
    return loaded


def check_length(ids: list[int], model: PreTrainedModel, ref: str) -> None:
    """Raises LabError for a text that is nothing to the model, or longer than it can read."""
    room = getattr(model.config, "max_position_embeddings", None)
    if not ids:
        raise LabError("Nothing of this text reaches the model.", "Ask in other words.")
    if room is not None and len(ids) + NEW_TOKENS > room:
        raise LabError(f"This question is {len(ids)} tokens long, and {ref} reads at most {room - NEW_TOKENS}.", "Ask a shorter one.")
