"""The tokenizer and picture processor of the scenes models: one token per word, and a CLIP processor that needs no torchvision."""

from __future__ import annotations

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from core.scenes import questions as q
from core.scenes.render import SIZE
from core.scenes.scene import BUILDS, COLOURS, COUNTS, HAIR, HEIGHTS, JOBS, PLACES, SHAPES, SHIRTS, SIDES, TONES, TOOLS

PAD, BEGIN, END, UNKNOWN_WORD, IMAGE = "<|pad|>", "<|begin|>", "<|end|>", "<|unknown|>", "<image>"
SPECIAL = (PAD, BEGIN, END, UNKNOWN_WORD, IMAGE)


def vocabulary() -> list[str]:
    """Every token, special ones first; the order is part of the model."""
    values = [
        *HAIR,
        *TONES,
        *BUILDS,
        *PLACES,
        *SIDES,
        *HEIGHTS,
        *SHAPES,
        *COLOURS,
        *JOBS,
        *COUNTS,
        *TOOLS.values(),
        *SHIRTS.values(),
        *q.VERBS,
        *q.TONE_VERBS,
        q.SAME,
        q.UNKNOWN,
        q.NO_TOOL,
        "yes",
        "no",
    ]
    sentences = [
        *q.WORDINGS,
        *q.JOB_WORDINGS,
        *q.HINTS.values(),
        *(w for ws, _, _ in q.PLAIN.values() for w in ws),
        "is there a ?",
        "person with hair and shirt holds in .",
        "what colour has a ?",
        "what tool has a ?",
        "what colour has the shirt of a ?",
        "choose answer describe the picture",
    ]
    words = [word for text in sentences for word in text.replace("{shape}", "").replace("{}", "").split()]
    return list(dict.fromkeys([*SPECIAL, *values, *words]))


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Lower case, one token per word or mark; a word that it does not know becomes the unknown token."""
    words = {word: i for i, word in enumerate(vocabulary())}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token=UNKNOWN_WORD))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()])
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{BEGIN} $A", special_tokens=[(BEGIN, words[BEGIN])])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=PAD,
        unk_token=UNKNOWN_WORD,
        extra_special_tokens={"image_token": IMAGE},
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def make_processor() -> CLIPImageProcessorPil:
    """Any picture to 64 x 64, cut to its middle square, in [-2, 2]."""
    return CLIPImageProcessorPil(
        size={"shortest_edge": SIZE}, crop_size={"height": SIZE, "width": SIZE}, image_mean=[0.5] * 3, image_std=[0.25] * 3
    )
