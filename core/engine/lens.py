"""The logit lens: what a model would say if it stopped thinking after a layer.

    depths = read_layers(model, ids, positions=[5, 6])     # log-probabilities (layers + 1, positions, vocabulary)
    depths[0]                                              # read from the embeddings, before any layer
    depths[-1]                                             # what the model really says
    read_attention(fork, ids)[2]                           # where the last token looks in the third layer

The residual stream after each layer goes through the model's own final norm and output matrix (nostalgebraist 2020).
Families: those whose row in `families.py` names a final norm.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from core.engine.errors import LabError
from core.engine.families import LANGUAGE, family_of
from core.engine.trace import Site, sites, trace


def embedding_matrix(model: PreTrainedModel) -> Tensor:
    """W (vocabulary, width): what the input layer gives for every token, with any scaling that is part of that layer.

    Models that scale inside their forward (Granite) do it to `inputs_embeds` too, so W stands before that.
    """
    embed = model.get_input_embeddings()
    if type(embed) is nn.Embedding:
        return embed.weight.detach()
    with torch.no_grad():
        return embed(torch.arange(embed.weight.shape[0], device=embed.weight.device))


def unembed(model: PreTrainedModel, hidden: Tensor) -> Tensor:
    """Logits (..., vocabulary) of the residual stream `hidden` (..., width), through the final norm.

    Raises LabError for a family without a language head.
    """
    family, head = family_of(model), model.get_output_embeddings()
    if not family.final_norm or head is None:
        raise LabError(f"Layers of the family '{family.name}' cannot be read as words.", f"It works with: {', '.join(LANGUAGE)}.")
    base = model.base_model
    norm = attrgetter(family.final_norm)(base)
    hidden = hidden if norm is None else norm(hidden)
    narrow = getattr(getattr(base, "decoder", None), "project_out", None)  # OPT-350m
    return scaled(model, head(hidden if narrow is None else narrow(hidden)))


def scaled(model: PreTrainedModel, logits: Tensor) -> Tensor:
    """What some models do to their logits (..., vocabulary): Cohere and Granite scale them, Gemma 2 and 3 bend them towards a limit."""
    config = getattr(model.config, "text_config", model.config)
    logits = logits * getattr(model, "logit_scale", 1.0) / getattr(config, "logits_scaling", 1.0)
    limit = getattr(config, "final_logit_softcapping", None)
    return logits if limit is None else limit * torch.tanh(logits / limit)


@torch.no_grad()
def read_layers(model: PreTrainedModel, ids: Tensor, mask: Tensor | None = None, *,
                positions: Sequence[int] | Sequence[tuple[int, int]]) -> Tensor:
    """Log-probabilities of the next token as each layer has them, float (layers + 1, positions, vocabulary).

    ids: (batch, tokens), right-padded if `mask` says so.  positions: token numbers for a batch of one, or (row, token) pairs.
    """
    pairs = [p if isinstance(p, tuple) else (0, p) for p in positions]
    rows, tokens = torch.tensor(pairs, device=ids.device).T
    wanted = [Site(0, "resid_pre"), *sites(model, "resid_post")]
    with trace(model, capture=wanted) as acts:
        model.base_model(input_ids=ids, attention_mask=mask, use_cache=False)
    hidden = torch.stack([acts[site][rows, tokens] for site in wanted])
    return unembed(model, hidden).float().log_softmax(-1)


@torch.no_grad()
def read_attention(model: PreTrainedModel, ids: Tensor) -> Tensor:
    """Where the last token of `ids` (1, tokens) looks: attention in every layer, mean over its heads, float (layers, tokens).

    model: one of one's own, such as a fork that shares its weights, since its attention is switched to the kind that gives weights.
    """
    model.set_attn_implementation("eager")
    wanted = sites(model, "attn_weights")
    with trace(model, capture=wanted) as acts:
        model.base_model(input_ids=ids, use_cache=False)
    return torch.stack([acts[site][0, :, -1].float().mean(0) for site in wanted])
