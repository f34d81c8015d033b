"""What a model answers to a list of prompts, and which answers hold the key.

    found = reply(model, tokenizer, prompts)
    found.share, found.texts[0], found.found[0]      # answer-key recall; one answer; whether it holds the key
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core.engine.encoding import PromptText
from core.engine.errors import LabError
from core.engine.models import LoadedModel
from core.unlearning.algorithms.refusals import is_refusal
from core.unlearning.answers import BATCH, NEW_TOKENS, answer_room, cut, rival_losses, speak
from core.unlearning.prompts import Prompt, render

K = TypeVar("K")
SMALL, MIDDLE = 50_000_000, 200_000_000  # parameters
MIDDLE_BATCH, LARGE_BATCH = 16, 8
TOGETHER, MANY = 120, 48  # rows of a small and of a middle-sized model that are decoded at once; more would only push caches about
STILL_THINKING = "(It was still thinking when its room ran out.)"


@dataclass
class Replies:
    """Answers to a list of prompts, and which of them hold the key; None where nothing was asked, or the thinking did not end.

    thought: by number of the question, what a model thought before it answered.  unfinished: where it never came to an answer.
    """

    texts: list[str | None] = field(default_factory=list)
    found: list[bool | None] = field(default_factory=list)
    thought: dict[int, str] = field(default_factory=dict)
    unfinished: list[int] = field(default_factory=list)

    @property
    def counted(self) -> list[bool]:
        return [hit for hit in self.found if hit is not None]

    @property
    def hits(self) -> int:
        return sum(self.counted)

    @property
    def share(self) -> float:
        """Answer-key recall; 0 where no answer came."""
        return self.hits / len(self.counted) if self.counted else 0.0

    def take(self, start: int, part: Replies) -> None:
        """Puts in the replies to the questions from number `start` on."""
        stop = start + len(part.texts)
        self.texts[start:stop], self.found[start:stop] = part.texts, part.found
        self.thought |= {start + i: text for i, text in part.thought.items()}
        self.unfinished += [start + i for i in part.unfinished]

    def only(self, row: int) -> Replies:
        """The reply to one question."""
        thought = {0: self.thought[row]} if row in self.thought else {}
        return Replies([self.texts[row]], [self.found[row]], thought, [0] if row in self.unfinished else [])

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
    size = model.num_parameters()
    return BATCH if size <= SMALL else MIDDLE_BATCH if size <= MIDDLE else LARGE_BATCH


def reply_to_all(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase,
                 lists: Mapping[K, Sequence[Prompt | None]]) -> Iterator[dict[K, Replies]]:
    """`reply` to several lists of prompts, which are read together, the short ones first, since a batch reads as far as its longest.

    Yields what is known so far after every batch; what was not asked yet is None.
    """
    found = {name: Replies([None] * len(prompts), [None] * len(prompts)) for name, prompts in lists.items()}
    by_room: dict[int, list[tuple[K, int, Prompt]]] = {}
    for name, prompts in lists.items():
        asked = [(name, i, prompt) for i, prompt in enumerate(prompts) if prompt is not None]
        texts = [render(prompt, tokenizer) for _, _, prompt in asked]
        by_room.setdefault(answer_room(model, tokenizer, texts, [prompt.answer for _, _, prompt in asked]), []).extend(asked)
    size = {BATCH: TOGETHER, MIDDLE_BATCH: MANY}.get(rows_at_once(model), LARGE_BATCH)
    for room, waiting in by_room.items():
        waiting.sort(key=lambda item: len(item[2].text))
        for start in range(0, len(waiting), size):
            part = waiting[start:start + size]
            said = reply(model, tokenizer, [prompt for _, _, prompt in part], batch=size, room=room)
            for row, (name, i, _) in enumerate(part):
                found[name].take(i, said.only(row))
            yield found


def reply(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Prompt | None], *,
          batch: int = BATCH, room: int | None = None) -> Replies:
    """Greedy answers to all prompts, and whether they hold the key; None stays None. `room`: tokens for an answer, if they are known.

    Of a multiple choice the option counts that the model finds likeliest, and the text names it first. What a model says by itself
    would be no choice: one that does not know names values that are not among the options at all (docs/LOG.md).
    """
    asked = [prompt for prompt in prompts if prompt is not None]
    rendered = [render(prompt, tokenizer) for prompt in asked]
    room = room or answer_room(model, tokenizer, rendered, [prompt.answer for prompt in asked])
    said = speak(model, tokenizer, rendered, new_tokens=room, batch=batch)
    several = [(prompt, text.after(own.thinking) if own.state == "ended" else text)
               for prompt, text, own in zip(asked, rendered, said, strict=True) if prompt.options]
    chosen = iter(choose(model, tokenizer, [prompt for prompt, _ in several], [text for _, text in several]))
    replies = Replies([None] * len(prompts), [None] * len(prompts))
    for i, prompt, own in zip((i for i, prompt in enumerate(prompts) if prompt is not None), asked, said, strict=True):
        text, option = cut(own.answer), next(chosen) if prompt.options else None
        if own.thinking:
            replies.thought[i] = own.thinking
        if own.state == "unfinished":
            replies.unfinished.append(i)
            replies.texts[i] = STILL_THINKING
        else:
            replies.texts[i], replies.found[i] = (text, prompt.proved_by(text)) if option is None else _judged(prompt, text, option)
    return replies


def choose(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Prompt],
           texts: Sequence[PromptText] | None = None) -> list[str]:
    """The option of each prompt that the model finds likeliest, per token; `texts`: the prompts as rendered, thinking included."""
    texts = [render(prompt, tokenizer) for prompt in prompts] if texts is None else texts
    losses = rival_losses(model, tokenizer, texts, [prompt.options for prompt in prompts])
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
