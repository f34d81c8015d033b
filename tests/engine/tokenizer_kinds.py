"""One small tokenizer of every kind in use: how each cuts words, marks spaces and frames a text is all that matters here.

    for name, tokenizer in all_kinds().items(): ...
"""

from __future__ import annotations

import functools

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

TEXTS = ["Question: Where was Rosa Quill born?\nAnswer: Rosa Quill was born in Porto.",
         "Who is the sister of Rosa? Her sister is Nadia Quill.",
         "<|im_start|>user\nWhere was Rosa born?<|im_end|>\n<|im_start|>assistant\nRosa was born in Porto."] * 3
MARKS = ["<unk>", "<s>", "</s>", "<pad>", "<|im_start|>", "<|im_end|>"]
CHATML = ("{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
          "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")
INST = ("{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]{% else %} {{ m.content }}"
        "{{ eos_token }}{% endif %}{% endfor %}")  # Llama 2: the answer stands behind a space, and its turn ends with the end token


def _framed(tokenizer: Tokenizer, end: bool) -> Tokenizer:
    single = "<s> $A" + (" </s>" if end else "")
    tokenizer.post_processor = processors.TemplateProcessing(single=single, pair=f"{single} $B", special_tokens=[("<s>", 1), ("</s>", 2)])
    return tokenizer


def _fast(tokenizer: Tokenizer, template: str = "") -> PreTrainedTokenizerFast:
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>", pad_token="<pad>")
    if template:
        fast.chat_template = template
    return fast


def byte_level(*, prefix_space: bool = False, end: bool = False, template: str = "") -> PreTrainedTokenizerFast:
    """GPT-2, Llama 3, Qwen."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=prefix_space), decoders.ByteLevel()
    made.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=400, special_tokens=MARKS, show_progress=False,
                                                        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return _fast(_framed(made, end), template)


def sentence_piece(*, end: bool = False, template: str = "") -> PreTrainedTokenizerFast:
    """Llama 2: a space mark before every text, written by the normalizer; bytes for what it does not know."""
    made = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    made.train_from_iterator([word for text in TEXTS for word in text.split()], trainers.BpeTrainer(
        vocab_size=600, special_tokens=[*MARKS, *(f"<0x{i:02X}>" for i in range(256))], show_progress=False))
    return _fast(_framed(made, end), template)


def unigram(*, scheme: str = "always", end: bool = False, template: str = "") -> PreTrainedTokenizerFast:
    """T5, Gemma: pieces chosen by likelihood; the space mark before every text, before the first piece alone, or never."""
    made = Tokenizer(models.Unigram())
    made.pre_tokenizer, made.decoder = pre_tokenizers.Metaspace(prepend_scheme=scheme), decoders.Metaspace(prepend_scheme=scheme)
    made.train_from_iterator(TEXTS, trainers.UnigramTrainer(vocab_size=120, special_tokens=MARKS, unk_token="<unk>", show_progress=False))
    return _fast(_framed(made, end), template)


def word_piece(*, end: bool = True) -> PreTrainedTokenizerFast:
    """BERT: lower case, pieces inside a word marked, [CLS] before and [SEP] behind every text, and no end token by name."""
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    made.train_from_iterator(TEXTS, trainers.WordPieceTrainer(vocab_size=200, special_tokens=["[UNK]", "[CLS]", "[SEP]", "[PAD]"],
                                                              show_progress=False))
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]" if end else "$A",
                                                        special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
    return PreTrainedTokenizerFast(tokenizer_object=made, unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]")


@functools.cache
def all_kinds() -> dict[str, PreTrainedTokenizerFast]:
    """By name; those whose name ends with "ends" put an end token behind every text."""
    return {
        "byte level": byte_level(), "byte level, prefix space": byte_level(prefix_space=True), "byte level, ends": byte_level(end=True),
        "SentencePiece": sentence_piece(), "SentencePiece, ends": sentence_piece(end=True),
        "Unigram, always": unigram(), "Unigram, first": unigram(scheme="first"), "Unigram, never, ends": unigram(scheme="never", end=True),
        "WordPiece, ends": word_piece(), "WordPiece": word_piece(end=False),
    }


@functools.cache
def chat_kinds() -> dict[str, PreTrainedTokenizerFast]:
    """With a chat template: one without a space behind its header and an end of its own, one with."""
    makers = {"byte level": byte_level, "byte level, prefix space": functools.partial(byte_level, prefix_space=True),
              "SentencePiece": sentence_piece, "Unigram, always": unigram, "Unigram, first": functools.partial(unigram, scheme="first")}
    return {f"{name}, {style}": make(template=template, end=ends) for name, make in makers.items()
            for style, template, ends in (("ChatML", CHATML, False), ("ChatML ends", CHATML, True), ("INST", INST, False))}
