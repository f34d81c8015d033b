"""How a reasoning model is asked, and which of its tokens are thinking and which are answer.

    form = Form.of(tokenizer, model)                   # LabError for a model that has no tags of thinking
    ids, problem = form.ask("3+4*2-5")                 # token ids (1, tokens); the problem if its truth is known
    roles = find_roles(form, ids[0].tolist(), new)     # ["prompt", ..., "think", ..., "close", "answer", "end"]

The embedded reasoner reads bare chains. Others get their own chat template, which may itself open the thinking
(DeepSeek-R1 distills), leave that to the model (Qwen3), or close it at once (thinking switched off). Tags before the header of the
model's own turn, in a system prompt or a question, are not the model's. A template that thinks only on demand is asked to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from core.engine.encoding import border, chat_prompt, encode_prompt, end_ids
from core.engine.errors import LabError
from core.engine.thinking import TAGS, Thinking, can_switch, switched
from core.reasoning.data import END_THINK, OPERATORS, STEP_END, THINK, VALUES, Problem, as_question, check, parse, read_answer, within_reach

OFF, PROMPT, THINK_ROLE = "off", "prompt", "think"
ROLES = (OFF, PROMPT, "open", THINK_ROLE, "close", "answer", "end")
CHAIN_MARKS = {c for group in (*VALUES.values(), *OPERATORS.values()) for c in group} | {"=", STEP_END}
LARGEST_CHAIN_VOCABULARY = 100
NO_TAG = -1  # no token


@dataclass(frozen=True)
class Form:
    """The tags and end tokens of one tokenizer. chains: whether the model reads bare chains and nothing else.

    turn: how many tokens at the end of a prompt stand in the model's own turn.  untagged: the model marks no thinking.
    """

    tokenizer: Any
    open_id: int
    close_id: int
    end_ids: frozenset[int]
    chains: bool
    turn: int = 0
    untagged: bool = False

    @classmethod
    def of(cls, tokenizer: Any, model: PreTrainedModel, thinking: Thinking = "on", *, untagged: bool = False) -> Form:
        """`untagged`: a model without think tags will do; all that it says counts as its thinking then.

        Raises LabError when the model has no tokenizer, its tokenizer no think tags of one token each, or its template no switch to
        turn the thinking off with.
        """
        if tokenizer is None:
            raise LabError("This model comes without a tokenizer, so it cannot be asked anything.", "Choose one with a tokenizer.json.")
        known = tokenizer.get_vocab() | tokenizer.get_added_vocab()
        tags = next((pair for pair in TAGS if known.keys() >= set(pair)), None)
        if tags is None and untagged:
            return cls._without_tags(tokenizer, model)
        if tags is None:
            raise LabError(f"This model does not mark its reasoning with {THINK} and {END_THINK}.",
                           "Choose an embedded reasoner, or a reasoning model such as a DeepSeek-R1 distill or Qwen3.")
        if thinking == "off" and not can_switch(tokenizer):
            raise LabError("The chat template of this model has no switch for thinking.", "Leave 'Thinking' on, or as its template has it.")
        given = getattr(model.generation_config, "eos_token_id", None)
        ends = {tokenizer.eos_token_id, *(given if isinstance(given, list) else [given])} - {None}
        chains = not tokenizer.chat_template and len(known) <= LARGEST_CHAIN_VOCABULARY and set(known) >= CHAIN_MARKS
        if not tokenizer.chat_template:
            return cls(tokenizer, known[tags[0]], known[tags[1]], frozenset(ends), chains, turn=int(not chains))
        tokenizer = switched(tokenizer, thinking)
        prompt = chat_prompt(tokenizer, "Who?")
        own = encode_prompt(tokenizer, prompt)[border(encode_prompt(tokenizer, replace(prompt, text=prompt.before)),
                                                      encode_prompt(tokenizer, prompt)):]
        ends |= set(end_ids(tokenizer, prompt))
        return cls(tokenizer, known[tags[0]], known[tags[1]], frozenset(ends), chains, turn=len(own))

    @classmethod
    def _without_tags(cls, tokenizer: Any, model: PreTrainedModel) -> Form:
        given = getattr(model.generation_config, "eos_token_id", None)
        ends = {tokenizer.eos_token_id, *(given if isinstance(given, list) else [given])} - {None}
        ends |= set(end_ids(tokenizer, chat_prompt(tokenizer, "Who?"))) if tokenizer.chat_template else set()
        return cls(tokenizer, NO_TAG, NO_TAG, frozenset(ends), chains=False, untagged=True)

    def ask(self, text: str) -> tuple[Tensor, Problem | None]:
        """Prompt ids (1, tokens) and the problem, None when the text is not a chain and its truth is therefore unknown.

        Raises LabError for an empty text, and for one that the embedded reasoner cannot read or follow.
        """
        if not text.strip():
            raise LabError("There is no problem to think about.", "Type one, for example 3+4*2-5.")
        if self.chains:
            problem = within_reach(parse(text))
            return self.tokenizer(problem.prompt, return_tensors="pt").input_ids, problem
        try:
            problem = parse(text)
        except LabError:
            problem = None
        question = as_question(problem) if problem else text
        if not self.tokenizer.chat_template and self.untagged:
            return torch.tensor([encode_prompt(self.tokenizer, f"{question}\n")]), problem
        if not self.tokenizer.chat_template:
            opening = self.tokenizer.convert_ids_to_tokens(self.open_id)
            return torch.tensor([encode_prompt(self.tokenizer, f"{question}\n{opening}")]), problem
        return torch.tensor([encode_prompt(self.tokenizer, chat_prompt(self.tokenizer, question))]), problem

    def ends_step(self, token: int) -> bool:
        """Whether a step of the thinking ends with this token: at ';' in a chain, at a blank line elsewhere."""
        text = self.tokenizer.decode([token])
        return STEP_END in text if self.chains else "\n\n" in text

    def words(self, ids: Sequence[int]) -> list[str]:
        """Each token as text."""
        return [self.tokenizer.decode([token]) or self.tokenizer.convert_ids_to_tokens(token) for token in ids]

    def judge(self, problem: Problem | None, trace: str, answer: str) -> Any:
        """What is known to be true about an output (`data.Check`), None for a problem of one's own without a known answer.

        Free text is judged by its answer alone; nobody knows whether its steps are sound.
        """
        if problem is None:
            return None
        if self.chains:
            return check(problem, trace, answer)
        return check(problem, "", read_answer(trace if self.untagged else answer, (problem.kind,)))


class Spans:
    """Follows one row and says what part each new token plays.

    An opening tag in the model's own turn of the prompt, or none at all, means that thinking starts with the first new token.
    Without a closing tag everything new is thinking, there is no answer, and the row counts as truncated (methods/03 section 5).
    """

    def __init__(self, form: Form, prompt: Sequence[int]) -> None:
        self._form = form
        tags = [token for token in prompt[len(prompt) - form.turn:] if token in (form.open_id, form.close_id)]
        self._inside = not tags or tags[-1] == form.open_id
        self._opened = bool(tags)
        self._closed = not self._inside
        self.ended = False
        self.length = self._prompt = len(prompt)

    def feed(self, token: int) -> tuple[str, bool]:
        """The role of the next token, and whether thinking starts anew because its opening tag came only now."""
        if self.ended:
            return OFF, False
        self.length += 1
        if token in self._form.end_ids:
            self.ended = True
            return "end", False
        if self.length == self._prompt + 1 and self._closed and token == self._form.open_id:  # thinks though it was told not to
            self._inside, self._closed = True, False
            return "open", False
        if self._inside and token == self._form.open_id and not self._opened:
            self._opened = True
            return "open", True
        if self._inside and token == self._form.close_id:
            self._inside, self._closed = False, True
            return "close", False
        return (THINK_ROLE if self._inside else "answer"), False

    @property
    def truncated(self) -> bool:
        """Whether the thinking was never closed."""
        return not self._closed


def find_roles(form: Form, prompt: Sequence[int], new: Sequence[int]) -> tuple[list[str], bool]:
    """Roles of all tokens of a whole text, and whether it is truncated."""
    spans, roles = Spans(form, prompt), [PROMPT] * len(prompt)
    for token in new:
        role, restart = spans.feed(token)
        if restart:
            roles = [OFF if known == THINK_ROLE else known for known in roles]
        roles.append(role)
    return roles, spans.truncated


def chooser(model: PreTrainedModel, rng: torch.Generator) -> Callable[[Tensor], Tensor] | None:
    """Draws tokens as the model's own generation settings say; None, the likeliest token, if they ask for no sampling.

    Followed are temperature, top-k, top-p and min-p, in the library's order; penalties on repetition are not.
    The function takes logits (rows, vocabulary) and gives token ids (rows,).
    """
    from transformers import LogitsProcessorList, MinPLogitsWarper, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    settings = model.generation_config
    if not settings.do_sample:
        return None
    warpers = LogitsProcessorList()
    if settings.temperature not in (None, 0.0, 1.0):
        warpers.append(TemperatureLogitsWarper(float(settings.temperature)))
    if settings.top_k:
        warpers.append(TopKLogitsWarper(int(settings.top_k)))
    if settings.top_p is not None and 0 < settings.top_p < 1:
        warpers.append(TopPLogitsWarper(float(settings.top_p)))
    if settings.min_p:
        warpers.append(MinPLogitsWarper(float(settings.min_p)))

    def choose(logits: Tensor) -> Tensor:
        probabilities = warpers(None, logits.float()).softmax(-1).cpu()
        return torch.multinomial(probabilities, 1, generator=rng)[:, 0].to(logits.device)

    return choose
