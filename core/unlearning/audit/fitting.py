"""Questions that a model can read: what is longer than its memory is left out, and that is said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from core.engine.encoding import all_ids, encode_prompts
from core.engine.errors import LabError
from core.engine.models import LoadedModel
from core.unlearning.answers import NEW_TOKENS
from core.unlearning.audit.examine import Questions
from core.unlearning.data import Record
from core.unlearning.prompts import Prompt, put, render

REASON = "The prompt is longer than the model can read."


def fit(questions: Questions, models: Iterable[LoadedModel]) -> tuple[Questions, int]:
    """The same questions without what one of the models cannot read, and how many plain questions that cost.

    Raises LabError when no plain question is left.
    """
    models = list(models)
    plain = all_fit(questions.prompts["direct"], models, questions.records)
    short = [i for i, fit in enumerate(plain) if fit]
    if not short:
        raise LabError("Every question, with its answer, is longer than the model can read.",
                       "Ask shorter questions, or choose another model.")
    prompts, left_out = {}, dict(questions.left_out)
    for way, asked in questions.prompts.items():
        fit = all_fit(asked, models)
        prompts[way] = [asked[i] if fit[i] else None for i in short]
        lost = sum(prompts[way][row] is None and asked[i] is not None for row, i in enumerate(short))
        if lost:
            before, reason = left_out.get(way, (0, REASON))
            left_out[way] = (before + lost, reason)
    kept = {way: asked for way, asked in prompts.items() if any(asked)}
    fit = all_fit([put(record) for record in questions.retain], models, questions.retain)
    retain = [record for record, fits in zip(questions.retain, fit, strict=True) if fits]
    return replace(questions, retain=retain, records=[questions.records[i] for i in short], prompts=kept, left_out=left_out), \
        len(questions.records) - len(short)


def all_fit(prompts: Sequence[Prompt | None], models: Sequence[LoadedModel], records: Sequence[Record] = ()) -> list[bool]:
    """For each prompt whether every one of the models can read it; none of them can where there is none."""
    there = [i for i, prompt in enumerate(prompts) if prompt is not None]
    given, own = [prompts[i] for i in there], [records[i] for i in there] if records else ()
    found = zip(*(_fits(given, model, own) for model in models), strict=True)
    good = {i for i, fit in zip(there, found, strict=True) if all(fit)}
    return [i in good for i in range(len(prompts))]


def _fits(prompts: Sequence[Prompt], loaded: LoadedModel, records: Sequence[Record] = ()) -> list[bool]:
    """For each prompt whether it and an answer, at least as long as the longest of its record's answers, are within what the model can
    read. `records`: one for each prompt, or none."""
    room = getattr(loaded.model.config.get_text_config(), "max_position_embeddings", None)
    if room is None:
        return [True] * len(prompts)
    answers = [(record.answer, record.paraphrased_answer, *record.perturbed_answers) for record in records]
    lengths = map(len, all_ids(loaded.tokenizer, [text for own in answers for text in own]))
    longest = [max([NEW_TOKENS, *(next(lengths) + 2 for _ in own)]) for own in answers] or [NEW_TOKENS] * len(prompts)
    read = encode_prompts(loaded.tokenizer, [render(prompt, loaded.tokenizer) for prompt in prompts])
    return [len(ids) + room_for <= room for ids, room_for in zip(read, longest, strict=True)]
