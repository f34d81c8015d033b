"""Prompt and answer as one text of tokens, and the border between them: one place decides for every tokenizer.

    prompt = chat_prompt(tokenizer, "Where was Ida Brandt born?")     # or plain_prompt("Question: ...\\nAnswer:")
    encode_prompt(tokenizer, prompt)                                  # what is read before the answer
    pair = encode_pair(tokenizer, prompt, "Ida Brandt was born in Porto.")
    pair.ids[pair.border:]                                            # the answer, and the token that ends it

A tokenizer may put a mark before every text, cut a word differently behind a space, or join letters across the border. So an
answer is never encoded alone: prompt and answer are encoded together, and the answer begins with the first token that the prompt
alone does not have. Tokens that begin or end a text are those of what was applied: the chat template writes its own, and plain
text gets what the tokenizer itself puts around a text; what it puts behind one never stands in front of an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.engine.errors import LabError
from core.engine.stopping import go_on
from core.engine.templates import written

PROBE_QUESTION, PROBE_ANSWER = "Who?", "Porto"
AT_ONCE = 64  # texts given to a tokenizer between two looks at Stop: a call costs more than a short text


@dataclass(frozen=True)
class PromptText:
    """What a model reads before it answers.

    text: with every special token that a chat template wrote.  lead: what separates it from the answer.  chat: whether a chat
    template wrote it.  turn: the part of `text` that stands in the model's own turn: the header that opens it, and what was put
    into its mouth.
    """

    text: str
    lead: str = " "
    chat: bool = False
    turn: str = ""

    @property
    def before(self) -> str:
        """What stands before the model's own turn."""
        return self.text[:len(self.text) - len(self.turn)]

    def begun(self, start: str) -> PromptText:
        """The same with the beginning of the answer put into the model's mouth."""
        said = self.lead + start if start else ""
        return replace(self, text=self.text + said, turn=self.turn + said, lead=" " if start else self.lead)

    def after(self, said: str) -> PromptText:
        """The same once the model has said something itself, which is followed by the answer without anything between."""
        return replace(self, text=self.text + said, turn=self.turn + said, lead="")

    def with_answer(self, answer: str) -> str:
        """Prompt and answer as one text. A space that an answer brings with it does not count: the prompt says what stands between."""
        return self.text + (self.lead + answer.lstrip() if answer.strip() else "")


@dataclass(frozen=True)
class Pair:
    """Token ids of prompt, answer and end; the answer begins at number `border`."""

    ids: list[int]
    border: int


def plain_prompt(text: str) -> PromptText:
    """A text that is read as it stands, without a chat template."""
    return PromptText(text, "" if not text or text[-1].isspace() else " ")


def chat_prompt(tokenizer: Any, question: str) -> PromptText:
    """The question as the user's turn of the tokenizer's chat template, the model's turn opened.

    What separates the answer is what the template itself writes there: nothing behind most headers, a space in some.
    """
    turns = [{"role": "user", "content": question}]
    text, closed = written(tokenizer, turns, add_generation_prompt=True), written(tokenizer, turns)
    opened = _not_within(tokenizer, text, border(closed, text))
    return PromptText(text, _template_lead(tokenizer), True, text[opened:] or _behind(question, text))


def _not_within(tokenizer: Any, text: str, at: int) -> int:
    """The place itself, or the beginning of the special token that it stands in: two of them may begin alike."""
    named = {*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()}
    within = [at - i for token in named for i in range(1, len(token)) if at >= i and text.startswith(token, at - i)]
    return min(within, default=at)


def _behind(question: str, text: str) -> str:
    """Of a template that opens the model's turn without being asked to: all behind the question."""
    return text[text.rfind(question) + len(question):] if question in text else ""


def as_prompt(prompt: PromptText | str) -> PromptText:
    """A bare string is plain text."""
    return prompt if isinstance(prompt, PromptText) else plain_prompt(prompt)


def encode_prompt(tokenizer: Any, prompt: PromptText | str) -> list[int]:
    """Token ids of what is read before an answer: begun as a text begins, never ended."""
    return encode_prompts(tokenizer, [prompt])[0]


def encode_prompts(tokenizer: Any, prompts: Sequence[PromptText | str]) -> list[list[int]]:
    """`encode_prompt` of each."""
    given = [as_prompt(prompt) for prompt in prompts]
    return [begin + ids for begin, ids in zip(_begins(tokenizer, given), all_ids(tokenizer, [p.text for p in given]), strict=True)]


def encode_pair(tokenizer: Any, prompt: PromptText | str, answer: str, *, end: bool = True) -> Pair:
    """Prompt and answer encoded together, and unless told not to the token that ends an answer."""
    return encode_pairs(tokenizer, [prompt], [answer], end=end)[0]


def encode_pairs(tokenizer: Any, prompts: Sequence[PromptText | str], answers: Sequence[str], *, end: bool = True) -> list[Pair]:
    """One pair for each prompt and its answer."""
    given = [as_prompt(prompt) for prompt in prompts]
    ends = {chat: end_ids(tokenizer, PromptText("", chat=chat)) if end else [] for chat in {prompt.chat for prompt in given}}
    begins, alone = _begins(tokenizer, given), all_ids(tokenizer, [prompt.text for prompt in given])
    joint = all_ids(tokenizer, [prompt.with_answer(answer) for prompt, answer in zip(given, answers, strict=True)])
    return [Pair(begin + whole + ends[prompt.chat], len(begin) + border(read, whole))
            for prompt, begin, read, whole in zip(given, begins, alone, joint, strict=True)]


def border(read: Sequence[Any], joint: Sequence[Any]) -> int:
    """Where the continuation begins: at the first place where the whole differs from what was read, at the latest behind it."""
    return next((i for i, (a, b) in enumerate(zip(read, joint, strict=False)) if a != b), min(len(read), len(joint)))


def begin_ids(tokenizer: Any, prompt: PromptText) -> list[int]:
    """The tokens in front of this text that are not written in it."""
    return _begins(tokenizer, [prompt])[0]


def _begins(tokenizer: Any, prompts: Sequence[PromptText]) -> list[list[int]]:
    named = tokenizer.bos_token
    written = [prompt.chat or bool(named and prompt.text.startswith(named)) for prompt in prompts]
    begin = [] if all(written) else frame(tokenizer)[0]
    return [[] if known else begin for known in written]


def end_ids(tokenizer: Any, prompt: PromptText) -> list[int]:
    """The token that ends an answer: what the chat template writes behind one, what the tokenizer puts behind a plain text, or else
    its end token; empty where there is none."""
    given = _template_end(tokenizer) if prompt.chat else frame(tokenizer)[1][:1]
    return given or ([] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id])


def frame(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The tokens that the tokenizer itself puts before and behind every plain text."""
    bare, whole = _ids(tokenizer, PROBE_ANSWER), list(tokenizer(PROBE_ANSWER).input_ids)
    at = next((i for i in range(len(whole) - len(bare) + 1) if whole[i:i + len(bare)] == bare), 0)
    return whole[:at], whole[at + len(bare):]


def offsets(tokenizer: Any, prompt: PromptText | str) -> list[tuple[int, int]]:
    """For each token of `encode_prompt` the characters of the prompt's text that it stands for; (0, 0) for those not written in it."""
    prompt = as_prompt(prompt)
    inside = tokenizer(prompt.text, add_special_tokens=False, return_offsets_mapping=True).offset_mapping
    return [(0, 0)] * len(begin_ids(tokenizer, prompt)) + [tuple(span) for span in inside]


def _ids(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False).input_ids)


def all_ids(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """`_ids` of each, every text read once however often it stands there."""
    different, found = list(dict.fromkeys(texts)), {}
    for start in range(0, len(different), AT_ONCE):
        go_on()
        part = different[start:start + AT_ONCE]
        found |= zip(part, map(list, tokenizer(part, add_special_tokens=False).input_ids), strict=True)
    return [found[text] for text in texts]


def _answered(tokenizer: Any) -> tuple[str, str]:
    """What the chat template writes of a short answered question: up to the answer's own turn, and from there on."""
    turns = [{"role": "user", "content": PROBE_QUESTION}]
    head = written(tokenizer, turns, add_generation_prompt=True)
    try:
        whole = written(tokenizer, [*turns, {"role": "assistant", "content": PROBE_ANSWER}])
    except LabError:  # a template may refuse, in words of its own, to write down what a model said
        return head, ""
    at = border(head, whole)
    return head, whole[at:] if at == len(head) or PROBE_ANSWER in whole[at:] else ""


def _template_lead(tokenizer: Any) -> str:
    head, rest = _answered(tokenizer)
    before = rest.partition(PROBE_ANSWER)[0] if PROBE_ANSWER in rest else ""
    return before if before.isspace() and not head.endswith(before) else ""


def _template_end(tokenizer: Any) -> list[int]:
    """The first special token that the template writes behind an answer."""
    head, rest = _answered(tokenizer)
    behind = rest.partition(PROBE_ANSWER)[2].removesuffix(_behind(PROBE_QUESTION, head) or head)  # some open the next turn at once
    special = set(tokenizer.all_special_ids) | set(tokenizer.get_added_vocab().values())
    return [token for token in _ids(tokenizer, behind) if token in special][:1]
