"""Small reasoners with random weights: the real architectures, and tokenizers that have the think tags."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tokenizers import AddedToken
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from core.engine.runner import Engine
from core.reasoning.data import END_THINK, THINK
from core.reasoning.prompts import Form
from core.zoo.language import Shape, new_model
from core.zoo.reasoner import make_tokenizer
from tests.engine.tiny_models import tiny, tiny_tokenizer

torch.set_num_threads(1)

# how the makers of reasoning models hand over a question: the tag opened, left to the model, or closed at once
TEMPLATES = {
    "opened": "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}{{ '<|assistant|><think>\n' }}",
    "left": "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}<|assistant|>",
    "closed": "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}{{ '<|assistant|><think>\n\n</think>\n\n' }}",
}


def tagged_tokenizer(template: str | None) -> PreTrainedTokenizerFast:
    """The tiny byte-level tokenizer with one token per tag, as DeepSeek-R1 distills and Qwen3 have them."""
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens([AddedToken(THINK, special=False), AddedToken(END_THINK, special=False)])
    tokenizer.chat_template = TEMPLATES.get(template)
    return tokenizer


def reasoner(kind: str, template: str | None = "left") -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """A random-weight model of that architecture with room for the tags."""
    model, tokenizer = tiny(kind), tagged_tokenizer(template)
    if len(tokenizer) > model.config.vocab_size:
        with torch.random.fork_rng():
            torch.manual_seed(1)
            model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    return model.eval().requires_grad_(False), tokenizer


@pytest.fixture(scope="session")
def chains() -> tuple[PreTrainedModel, Form]:
    """An untrained reasoner of the embedded kind: what it says is nonsense, how it is read must still be right."""
    tokenizer = make_tokenizer()
    model = new_model(Shape(width=32, layers=6, heads=4, feed_forward=64, vocabulary=0, positions=128), tokenizer, seed=0)
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0.0, 0.2)
    model = model.eval().requires_grad_(False)
    return model, Form.of(tokenizer, model)


@pytest.fixture(scope="session")
def engine(warm_engine: Engine) -> Engine:
    return warm_engine


@pytest.fixture(scope="session")
def folder(tmp_path_factory, chains) -> Path:
    """The untrained reasoner saved as a model folder."""
    model, form = chains
    made = tmp_path_factory.mktemp("models") / "chains"
    model.save_pretrained(made)
    form.tokenizer.save_pretrained(made)
    return made
