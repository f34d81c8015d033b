"""Small GGUF files, written with llama.cpp's own Python package: the format as its authors write it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from transformers import PreTrainedModel

from tests.engine.tiny_models import tiny_tokenizer

_PARTS = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
          "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm",
          "post_attention_layernorm": "ffn_norm"}


def write(file: Path, model: PreTrainedModel, *, kind: str = "Q8_0", architecture: str = "llama", swapped: bool = False,
          facts: dict[str, Any] | None = None) -> Path:
    """A Llama as llama.cpp stores it: its own names, queries and keys with their halves interleaved, matrices as `kind`."""
    config = model.config
    order = gguf.GGUFEndian.BIG if swapped else gguf.GGUFEndian.LITTLE
    writer = gguf.GGUFWriter(file, architecture, endianess=order)
    writer.add_name("Tiny")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    _tokenizer(writer, config)
    for name, value in (facts or {}).items():
        (writer.add_uint32 if isinstance(value, int) else writer.add_string)(name, value)
    for name, value in model.state_dict().items():
        array = value.float().numpy()
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
            array = array.reshape(heads, 2, array.shape[0] // heads // 2, *array.shape[1:]).swapaxes(1, 2).reshape(array.shape)
        wanted = gguf.GGMLQuantizationType[kind if array.ndim > 1 else "F32"]
        stored = gguf.quants.quantize(np.ascontiguousarray(array), wanted)
        writer.add_tensor(_name(name), stored, raw_dtype=wanted)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def _name(name: str) -> str:
    plain = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight", "lm_head.weight": "output.weight"}
    if name in plain:
        return plain[name]
    _, _, layer, rest = name.split(".", 3)
    return f"blk.{layer}.{_PARTS[rest.removesuffix('.weight')]}.weight"


def _tokenizer(writer: gguf.GGUFWriter, config: Any) -> None:
    tokenizer = tiny_tokenizer()
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    words = {number: word for word, number in tokenizer.get_vocab().items()}
    tokens = [words.get(number, f"<unused{number}>") for number in range(config.vocab_size)]
    special = set(tokenizer.all_special_tokens)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in special or token.startswith("<unused") else 1 for token in tokens])
    writer.add_token_merges([" ".join(pair) for pair in content["model"]["merges"]])
    writer.add_bos_token_id(config.bos_token_id)
    writer.add_eos_token_id(config.eos_token_id)
    writer.add_pad_token_id(config.pad_token_id)
    writer.add_chat_template("{% for m in messages %}[{{ m.role }}] {{ m.content }}{% endfor %}")


def rounded(model: PreTrainedModel, kind: str) -> PreTrainedModel:
    """The model after its matrices went through `kind`, as llama.cpp's package computes it, and all numbers through fp16."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                stored = gguf.quants.quantize(parameter.numpy(), gguf.GGMLQuantizationType[kind])
                parameter.copy_(torch.from_numpy(gguf.quants.dequantize(stored, gguf.GGMLQuantizationType[kind]).copy()))
            parameter.copy_(parameter.half().float())
    return model
