"""One model, all questions: what it answers in every way of asking, and how well it knows the truth inside.

    scores = yield from examine(loaded.model, loaded.tokenizer, questions, pacer, "original", show)
    scores.asked["reverse"].share, scores.memory.strength

`show` is called after every way of asking with what is known so far and gives the events that let a page fill in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from statistics import fmean

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core.engine.encoding import PromptText, encode_pairs
from core.engine.events import Event
from core.engine.lens import read_layers
from core.engine.steps import Pacer
from core.unlearning.answers import BATCH, after_thinking, answer_losses, encode_answers
from core.unlearning.audit import membership
from core.unlearning.audit.membership import Membership
from core.unlearning.audit.utility import PEOPLE_TO_KEEP, RetainScores
from core.unlearning.data import Record, World
from core.unlearning.memorisation import Memory, given_verbatim, knowledge_memory, recall_by_heart, verbatim_memory
from core.unlearning.metrics import rouge_l_recall
from core.unlearning.prompts import Prompt, build_prompts, possible, put, render
from core.unlearning.replies import Replies, reply_to_all, rows_at_once
from core.unlearning.words import find

TO_KEEP, NEAR = "what should be kept", "the neighbours of the forgotten"  # beside the ways of asking
MEMBERSHIP = "min-k"  # what PrivLeak is defined on
SHOWN = 0.8  # of a lesson, question and answer, that is to be continued: what is left is the end of the answer
EXAMPLES = 2


@dataclass(frozen=True)
class Questions:
    """What every model is asked.

    prompts: by way of asking, `direct` first, one per record; None where it cannot be built from that record.
    left_out: by way of asking, how many records that is and why.  retain, strangers: records that should be kept, and records
    no model ever saw; both may be empty.  values: by attribute, every value that somebody has.  far: by title, records of other
    worlds, which should be kept just as much.  neighbours: records of those who share `tie`, such as a genre, with the forgotten.
    """

    records: list[Record]
    prompts: dict[str, list[Prompt | None]]
    left_out: dict[str, tuple[int, str]]
    retain: list[Record]
    strangers: list[Record]
    values: dict[str, list[str]]
    far: dict[str, list[Record]] = field(default_factory=dict)
    neighbours: list[Record] = field(default_factory=list)
    tie: str = ""

    @classmethod
    def draw(cls, world: World, records: list[Record], audits: Sequence[str], retain: list[Record],
             rng: Callable[[str], torch.Generator], far: dict[str, list[Record]] | None = None) -> Questions:
        """Each way of asking draws from a generator of its own, so that one more changes nothing in the others."""
        prompts, left_out = {}, {}
        for name in dict.fromkeys(("direct", *audits)):
            reasons = [possible(name, record, world) for record in records]
            source = rng(f"audit {name}")
            prompts[name] = [None if reason else build_prompts(name, [record], world, source)[0]
                             for record, reason in zip(records, reasons, strict=True)]
            missing = [reason for reason in reasons if reason]
            if missing:
                left_out[name] = (len(missing), missing[0])
        kept = {name: asked for name, asked in prompts.items() if any(asked)}
        return cls(records, kept, left_out, retain, world.holdout, {r.attribute: world.values(r.attribute) for r in records}, far or {})

    @cached_property
    def key(self) -> str:
        """Equal for questions that would be answered alike."""
        asked = (self.records, self.prompts, self.retain, self.strangers, self.values, self.far, self.neighbours)
        return hashlib.sha256(repr(asked).encode()).hexdigest()

    @property
    def direct(self) -> list[Prompt]:
        """The plain questions: every record has one."""
        return [prompt for prompt in self.prompts["direct"] if prompt is not None]

    @property
    def audits(self) -> list[str]:
        """The ways of asking that are not plain."""
        return [name for name in self.prompts if name != "direct"]

    @property
    def chances(self) -> dict[str, list[float]]:
        """By way of asking, the chance of a blind guess at each question."""
        return {name: [prompt.chance if prompt else 0.0 for prompt in asked] for name, asked in self.prompts.items()}


@dataclass
class Scores:
    """Everything measured on one model. Lists have one entry per forget question, `readable` has one list per layer.

    kept: by title, what is left of each set of facts to keep, empty when there is nothing to keep.  membership is None when there
    is nobody whom no model ever saw.  verbatim, knowledge: VerbMem and KnowMem, means over questions; None where not measured.
    """

    asked: dict[str, Replies]
    retain: Replies | None
    memory: Memory
    key_probability: list[float]
    overlap: list[float]
    readable: list[list[bool]]
    kept: dict[str, RetainScores]
    membership: Membership | None = None
    neighbours: Replies | None = None
    verbatim: float | None = None
    knowledge: float | None = None

    @property
    def auc(self) -> float | None:
        """How well min-k tells the forget set from people no model ever saw; None where the model gives numbers that are none."""
        return self.membership.aucs().get(MEMBERSHIP) if self.membership else None

    @property
    def direct(self) -> Replies:
        return self.asked["direct"]

    @property
    def worst(self) -> Replies:
        """Per question, whether any way of asking, the plain one included, brought out the key."""
        hits = [None if all(hit is None for hit in way) else any(way)
                for way in zip(*(outputs.found for outputs in self.asked.values()), strict=True)]
        return Replies([None] * len(hits), hits)


def parts(questions: Questions) -> int:
    """How many parts `examine` counts."""
    return len(questions.prompts) + 6 + len(questions.far)


def examine(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, questions: Questions, pacer: Pacer, who: str,
            show: Callable[[dict[str, Replies]], Iterator[Event]], known: Mapping[str, Replies] | None = None) -> Generator[
                Event, None, Scores]:
    """Asks everything, saying before each part what comes. `known`: replies that this very model has given, by `direct` and TO_KEEP."""
    said = yield from _ask(model, tokenizer, questions, pacer, who, show, known or {})
    asked, retain = {way: said[way] for way in questions.prompts}, said[TO_KEEP] if questions.retain else None
    memory = yield from _memory(model, tokenizer, questions.records, pacer, f"how well the {who} model knows the truth")
    keys = key_probabilities(model, tokenizer, questions.direct)
    overlap = [rouge_l_recall(text or "", record.answer) for text, record in zip(asked["direct"].texts, questions.records, strict=True)]
    kept = yield from _kept(model, tokenizer, questions, said, pacer, who)
    verbatim, knowledge = yield from _by_heart(model, tokenizer, questions, pacer, who)
    read = membership.read(model, tokenizer, questions.records, questions.strangers) if questions.strangers else None
    yield pacer.say(f"reading the layers of the {who} model")
    readable = read_values(model, tokenizer, questions)
    return Scores(asked, retain, memory, keys, overlap, readable, kept, read, said.get(NEAR), verbatim, knowledge)


def _ask(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, questions: Questions, pacer: Pacer, who: str,
         show: Callable[[dict[str, Replies]], Iterator[Event]], known: Mapping[str, Replies]) -> Generator[Event, None, dict[str, Replies]]:
    """The replies to everything that is asked: by way, to what should be kept, to neighbours and to each far set, where there are any."""
    plainly = {TO_KEEP: questions.retain, NEAR: questions.neighbours} | {far(title): own for title, own in questions.far.items()}
    lists = questions.prompts | {name: plain(records) for name, records in plainly.items() if records}
    open_, said = {name: prompts for name, prompts in lists.items() if name not in known}, dict(known)
    total, all_parts, done = sum(map(len, open_.values())), len(questions.prompts) + 2 + len(questions.far), 0
    yield pacer.say(f"asking the {who} model {total} questions in {len(questions.prompts)} ways and plainly", by=1)
    told: dict[str, int] = {}
    for found in reply_to_all(model, tokenizer, open_):
        said |= found
        yield from _told(questions, said, told, show)
        answered = sum(text is not None for replies in found.values() for text in replies.texts)
        part = (all_parts - 1) * answered // max(total, 1)
        yield pacer.say(f"asking the {who} model: {answered} of {total} answered", by=part - done)
        done = part
    yield from _told(questions, said, told, show)
    pacer.done += all_parts - 1 - done
    return said


def _told(questions: Questions, said: Mapping[str, Replies], told: dict[str, int],
          show: Callable[[dict[str, Replies]], Iterator[Event]]) -> Iterator[Event]:
    """Shows what is new way by way, so that a page fills in as it was asked. `told`: how many answers of each way were shown before."""
    for number, way in enumerate(questions.prompts, 1):
        answered = sum(text is not None for text in said[way].texts)
        if answered > told.get(way, 0):
            told[way] = answered
            yield from show({name: said[name] for name in list(questions.prompts)[:number]})


def far(title: str) -> str:
    """What the replies to a far set are called."""
    return f"far: {title}"


def plain(records: Sequence[Record]) -> list[Prompt]:
    """The records' questions as they stand."""
    return [put(record) for record in records]


def ask_plainly(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, questions: Questions) -> dict[str, Replies]:
    """The plain questions (`direct`), and under TO_KEEP what should be kept."""
    *_, found = reply_to_all(model, tokenizer, {"direct": questions.prompts["direct"], TO_KEEP: plain(questions.retain)})
    return found


def key_probabilities(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Prompt]) -> list[float]:
    """Probability per token of the key where it stands in the true answer; answers that do not hold their key are left out."""
    parts = [(prompt, split) for prompt in prompts if (split := split_at_key(prompt)) is not None]
    if not parts:
        return []
    texts = after_thinking(model, tokenizer, [render(prompt, tokenizer) for prompt, _ in parts])
    losses = answer_losses(model, tokenizer, [begun(text, lead, key) for text, (_, (lead, key)) in zip(texts, parts, strict=True)],
                           [key for _, (_, key) in parts], end=False)
    return losses.mean.neg().exp().tolist()


def split_at_key(prompt: Prompt) -> tuple[str, str] | None:
    """The answer up to its key, and the key with what separates it: ("Ida was born in", " Porto"); None without the key."""
    answer = prompt.answer.lstrip()
    found = find(prompt.key, answer)
    if found is None:
        return None
    lead = answer[:found.start].rstrip()
    return lead, answer[len(lead):found.end]


def begun(text: PromptText, lead: str, key: str) -> PromptText:
    """The prompt with the answer begun, up to a key that brings its own separation with it."""
    said = text.begun(lead)
    return replace(said, lead=key[:len(key) - len(key.lstrip())]) if lead else said


def _memory(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, records: Sequence[Record], pacer: Pacer,
            note: str, by: int = 1, options: bool = False) -> Generator[Event, None, Memory]:
    """`recall_by_heart`, a few records at a time: each has several answers to read. `options`: only of far sets anybody looks at those."""
    memory, size = Memory([], [], [], [], [], []), max(1, rows_at_once(model) // 4)
    for start in range(0, len(records), size):
        yield pacer.say(note, by=by if start == 0 else 0)
        part = records[start:start + size]
        texts = after_thinking(model, tokenizer, [render(prompt, tokenizer) for prompt in plain(part)])
        read = recall_by_heart(model, tokenizer, texts, part, options)
        memory = Memory(*(getattr(memory, name.name) + getattr(read, name.name) for name in fields(Memory)))
    return memory


def _kept(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, questions: Questions, said: Mapping[str, Replies], pacer: Pacer,
          who: str) -> Generator[Event, None, dict[str, RetainScores]]:
    """The numbers of the utility, set by set."""
    memory = yield from _memory(model, tokenizer, questions.retain, pacer, f"how much of the rest the {who} model still knows")
    kept = {PEOPLE_TO_KEEP: RetainScores.of(said[TO_KEEP], memory, questions.retain)} if questions.retain else {}
    for title, records in questions.far.items():
        memory = yield from _memory(model, tokenizer, records, pacer, f"how well the {who} model knows: {title}", by=0, options=True)
        kept[title] = RetainScores.of(said[far(title)], memory, records, far=True)
    return kept


def _by_heart(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, questions: Questions, pacer: Pacer,
              who: str) -> Generator[Event, None, tuple[float, float | None]]:
    """VerbMem of the lessons, each a question with its answer, and KnowMem after examples about people to keep."""
    verbatim, knowledge, size = [], [], rows_at_once(model)
    for start in range(0, len(questions.records), size):
        yield pacer.say(f"letting the {who} model go on with its lessons", by=int(start == 0))
        part = questions.records[start:start + size]
        lessons = [record for record in part if not record.verbatim]
        if lessons:
            texts = after_thinking(model, tokenizer, [render(prompt, tokenizer) for prompt in plain(lessons)])
            verbatim += verbatim_memory(model, tokenizer, texts, [record.answer for record in lessons], SHOWN)
        verbatim += given_verbatim(model, tokenizer, [record for record in part if record.verbatim])
        if questions.retain:
            knowledge += knowledge_memory(model, tokenizer, part, questions.retain[:EXAMPLES])
    return fmean(verbatim), fmean(knowledge) if len(knowledge) == len(questions.records) else None


def read_values(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, questions: Questions) -> list[list[bool]]:
    """Per layer (0 = the embeddings), per question: does the logit lens rank the right value above all others of its kind?

    Read where the key begins in the true answer to the plain question. Values are compared by their first token, so a question
    is left out when the tokenizer begins all of its values alike, or nobody else has a value; empty when no question is left.
    """
    found: list[list[bool]] = []
    usable = [(prompt, record, split[0]) for prompt, record in zip(questions.direct, questions.records, strict=True)
              if questions.values.get(record.attribute) and (split := split_at_key(prompt)) is not None]
    for begin in range(0, len(usable), BATCH):
        chunk = usable[begin:begin + BATCH]
        texts = after_thinking(model, tokenizer, [render(prompt, tokenizer) for prompt, _, _ in chunk])
        leads = [text.begun(lead) for text, (_, _, lead) in zip(texts, chunk, strict=True)]
        encoded = encode_answers(tokenizer, leads, [""] * len(leads), end=False)
        ends = [(row, int(mask.sum()) - 1) for row, mask in enumerate(encoded.mask)]
        depths = read_layers(model, encoded.ids.to(model.device), encoded.mask.to(model.device), positions=ends)
        hits = []
        for row, (_, record, _) in enumerate(chunk):
            right, *tokens = _first_tokens(tokenizer, leads[row], [record.key, *questions.values[record.attribute]])
            others = sorted(set(tokens) - {right})
            if others:
                hits.append((depths[:, row, right] > depths[:, row, others].amax(-1)).tolist())
        if hits:
            found = [old + list(new) for old, new in zip(found or [[]] * len(depths), zip(*hits, strict=True), strict=True)]
    return found


def _first_tokens(tokenizer: PreTrainedTokenizerBase, lead: PromptText, values: Sequence[str]) -> list[int]:
    return [pair.ids[pair.border] for pair in encode_pairs(tokenizer, [lead] * len(values), values, end=False)]
