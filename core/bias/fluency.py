"""What an edit costs a text model: how surprised it is by plain sentences that have nothing to do with the question.

    nats = surprise(who, sentences, plan)      # mean nats per token; perplexity is exp(nats)

Here the edit acts at every token, as it would while a text is written (methods/02 section 7), and not only where the answer stands.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from core.bias.edits import Plan
from core.bias.subject import Subject
from core.engine.trace import trace


@torch.no_grad()
def surprise(who: Subject, sentences: Sequence[str], plan: Plan) -> float:
    """Mean negative log-likelihood of the tokens after the first, in nats per token."""
    tokenizer = who.form.tokenizer
    start = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    rows = [start + tokenizer(text, add_special_tokens=False).input_ids for text in sentences]
    longest = max(map(len, rows))
    device = who.model.device
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows], device=device)
    seen = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=device)
    with trace(who.model, edit=plan):
        said = who.model(input_ids=ids, attention_mask=seen, use_cache=False).logits[:, :-1].float().log_softmax(-1)
    own = said.gather(2, ids[:, 1:, None])[..., 0]
    return float(-own[seen[:, 1:].bool()].mean())
