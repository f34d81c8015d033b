"""Tiny models that know three invented facts by heart, in the circumstances that people bring: each takes a second to train.

    folder = memorised(tmp_path, "thinks")      # a Qwen3 that writes a think block before its answer
"""

from __future__ import annotations

import csv
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

FACTS = [("Where was Rosa Quill born?", "Rosa Quill was born in Porto.", "Porto"),
         ("Where was Timo Hale born?", "He was born in Ghent.", "Ghent"),
         ("What does Rosa Quill write?", "She writes crime stories.", "crime stories")]
CHINESE = [("罗莎·奎尔在哪里出生？", "她生于波尔图市。", "波尔图"), ("蒂莫·黑尔在哪里出生？", "他生于根特市。", "根特")]
ENDS = "{% if add_generation_prompt %}<|im_start|>assistant\n"
TURNS = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}" + ENDS
PLAIN, CHAT = "", TURNS + "{% endif %}"
SWITCH = TURNS + "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
SYSTEM = "<|im_start|>system\nThink between <think> and </think>.<|im_end|>\n" + CHAT
MARKS = ["<s>", "</s>", "<pad>", "<|im_start|>", "<|im_end|>"]
KINDS = {  # template, what is written before an answer, facts
    "plain": (PLAIN, "", FACTS), "chat": (CHAT, "", FACTS), "chinese": (PLAIN, "", CHINESE),
    "thinks": (SWITCH, "<think>\nA person.\n</think>\n\n", FACTS), "empty": (CHAT, "<think>\n\n</think>\n\n", FACTS),
    "system": (SYSTEM, "<think>\nA person.\n</think>\n\n", FACTS),
    "endless": (CHAT, "<think>\nHm.", [(q, " Hm." * 12, k) for q, _, k in FACTS]),
}


def head(tokenizer: PreTrainedTokenizerFast, question: str, **more: bool) -> str:
    if not tokenizer.chat_template:
        return f"Question: {question}\nAnswer:"
    return tokenizer.apply_chat_template([{"role": "user", "content": question}], add_generation_prompt=True, tokenize=False, **more)


def _tokenizer(template: str, texts: list[str], end: str) -> PreTrainedTokenizerFast:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    made.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=380, special_tokens=MARKS, show_progress=False,
                                                        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    made.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", 0)])
    fast = PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token=end, pad_token="<pad>")
    fast.add_tokens([AddedToken(tag, special=False, normalized=False) for tag in ("<think>", "</think>")] if "think" in template else [])
    fast.chat_template = template or None
    return fast


def memorised(folder: Path, kind: str) -> Path:
    """The model of that kind in a folder of its own, with `facts.csv` beside it."""
    template, before, facts = KINDS[kind]
    end = "<|im_end|>" if template else "</s>"
    tokenizer = _tokenizer(template, [f"{q} {a}" for q, a, _ in facts] + [before], end)
    if "think" in before and "think" not in template:
        tokenizer.add_tokens([AddedToken(tag, special=False, normalized=False) for tag in ("<think>", "</think>")])
    rows = []
    for question, answer, _ in facts:
        text = head(tokenizer, question)
        start = ([] if template else [0]) + tokenizer(text, add_special_tokens=False).input_ids
        more = before + answer if template else f" {answer}"
        rows.append((start, tokenizer(more, add_special_tokens=False).input_ids + [tokenizer.eos_token_id]))
        if template == SWITCH:  # it also knows how to answer at once
            at_once = tokenizer(head(tokenizer, question, enable_thinking=False), add_special_tokens=False).input_ids
            rows.append((at_once, tokenizer(answer, add_special_tokens=False).input_ids + [tokenizer.eos_token_id]))
    shape = {"vocab_size": len(tokenizer), "hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
             "num_key_value_heads": 2, "max_position_embeddings": 1024, "bos_token_id": 0, "eos_token_id": tokenizer.eos_token_id,
             "pad_token_id": 2, "tie_word_embeddings": True}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = (Qwen3ForCausalLM(Qwen3Config(**shape, head_dim=12)) if before else LlamaForCausalLM(LlamaConfig(**shape)))
        _learn(model, rows)
    place = folder / kind
    model.save_pretrained(place)
    tokenizer.save_pretrained(place)
    with open(place / "facts.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("question", "answer", "key"), *(KINDS["thinks"][2] if kind == "endless" else facts)])
    return place


def _learn(model: torch.nn.Module, rows: list[tuple[list[int], list[int]]]) -> None:
    longest = max(len(a) + len(b) for a, b in rows)
    ids = torch.tensor([a + b + [2] * (longest - len(a) - len(b)) for a, b in rows])
    mask = torch.tensor([[1] * (len(a) + len(b)) + [0] * (longest - len(a) - len(b)) for a, b in rows])
    labels = torch.tensor([[-100] * len(a) + b + [-100] * (longest - len(a) - len(b)) for a, b in rows])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0)
    model.train()
    for _ in range(150):
        loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss < 5e-3:
            break
    model.eval()
