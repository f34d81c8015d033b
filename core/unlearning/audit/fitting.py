"""Questions that a model can read: what is longer than its memory is left out, and that is said."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from core.engine.errors import LabError
from core.engine.models import LoadedModel
from core.unlearning.answers import NEW_TOKENS, encode_prompt
from core.unlearning.audit.examine import Questions
from core.unlearning.data import Record
from core.unlearning.prompts import Prompt, put, render

REASON = "The prompt is longer than the model can read."


def fit(questions: Questions, models: Iterable[LoadedModel]) -> tuple[Questions, int]:
    """The same questions without what one of the models cannot read, and how many plain questions that cost.

    Raises LabError when no plain question is left.
    """
    models = list(models)
    short = [i for i, prompt in enumerate(questions.prompts["direct"])
             if all(fits(prompt, model, [questions.records[i]]) for model in models)]
    if not short:
        raise LabError("Every question, with its answer, is longer than the model can read.",
                       "Ask shorter questions, or choose another model.")
    prompts, left_out = {}, dict(questions.left_out)
    for way, asked in questions.prompts.items():
        prompts[way] = [asked[i] if asked[i] and all(fits(asked[i], model) for model in models) else None for i in short]
        lost = sum(prompts[way][row] is None and asked[i] is not None for row, i in enumerate(short))
        if lost:
            before, reason = left_out.get(way, (0, REASON))
            left_out[way] = (before + lost, reason)
    kept = {way: asked for way, asked in prompts.items() if any(asked)}
    retain = [record for record in questions.retain if all(fits(put(record), model, [record]) for model in models)]
    return replace(questions, retain=retain, records=[questions.records[i] for i in short], prompts=kept, left_out=left_out), \
        len(questions.records) - len(short)


def fits(prompt: Prompt, loaded: LoadedModel, records: Iterable[Record] = ()) -> bool:
    """Whether prompt and answer, at least as long as the longest of the records' answers, are within what the model can read."""
    room = getattr(loaded.model.config.get_text_config(), "max_position_embeddings", None)
    if room is None:
        return True
    answers = [text for record in records for text in (record.answer, record.paraphrased_answer, *record.perturbed_answers)]
    longest = max([NEW_TOKENS, *(len(loaded.tokenizer(text, add_special_tokens=False).input_ids) + 2 for text in answers)])
    return len(encode_prompt(loaded.tokenizer, render(prompt, loaded.tokenizer))) + longest <= room
