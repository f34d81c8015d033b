"""Attention of any LLaVA or Qwen-VL checkpoint, without training: the same LMAR, the model's own processor and words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import Tensor

from core.engine.answers import Measure, data_uri
from core.engine.errors import LabError
from core.engine.families import family_of
from core.scenes.scene import SHAPES
from core.steering import figures, showing
from core.steering.attention import read, watching

if TYPE_CHECKING:
    from core.engine.lab import Lab
    from core.steering.spec import LookConfig

SIDE = 336


def speaks_of_scenes(loaded: Any) -> bool:
    """Whether this is a little model of scenes, which has words of its own."""
    return {"answer", *SHAPES} <= set(getattr(loaded.tokenizer, "get_vocab", dict)())


def looked(config: LookConfig, lab: Lab, answer: Any) -> Any:
    """Where the model looks while it says its next word; `answer`: the dataclass to fill."""
    loaded = lab.load(config.model, attention="eager")
    picture = showing.picture(lab, config, SIDE)
    inputs, image = _inputs(loaded, picture, config.question)
    if not bool(image.any()):
        raise LabError("There is no token of a picture here.", "Choose a LLaVA or Qwen-VL model with its processor files.")
    model = lab.fork(config.model, share_weights=True, attention="eager").model.eval()
    last = torch.tensor([inputs["input_ids"].shape[1] - 1])
    with torch.no_grad(), watching(model, torch.tensor([0]), last) as seen:
        logits = model(**inputs, use_cache=False).logits[0, -1].float()
    text = _question(inputs["input_ids"][0], image, loaded.tokenizer, config.question)
    others = ~image
    looks = read(seen, image[None], text[None], others[None], maps=True)
    ratios, p = looks.lmar().tolist(), logits.softmax(-1)
    if not 1 <= config.layer <= len(ratios):
        raise LabError(f"This model has {len(ratios)} layers.", f"Choose one from 1 to {len(ratios)}.")
    top = p.topk(5)
    words = [loaded.tokenizer.decode([i]).strip() or "·" for i in top.indices.tolist()]
    side = int(image.sum()) ** 0.5
    maps = {}
    if side == int(side):
        maps = {"patches": figures.patches({f"layer {config.layer}": looks.maps[0, config.layer - 1].view(int(side), -1).numpy(),
                                            "mean of all": looks.maps[0].mean(0).view(int(side), -1).numpy()}, [])}
    return answer(
        lmar=ratios, words=[], says=f"Its next word is '{words[0]}'. In layer {config.layer} a token of the picture gets "
        f"{ratios[config.layer - 1]:.2f} times the attention of a word of the question.",
        aside="Attention while the first word of the answer is said. Below 1 words win.",
        numbers={"lmar": Measure(looks.mean(), remark="mean over layers"), "share": Measure(float(looks.share.mean()), "share"),
                 "balance": Measure(looks.balance_error(), remark="0: balanced")},
        figures={"answers": figures.bars(words, {"now": top.values.tolist()}), "lmar": figures.lmar({"this question": ratios})} | maps,
        images={"seen": data_uri(picture.resize((288, 288)))})


def _inputs(loaded: Any, picture: Image.Image, question: str) -> tuple[dict[str, Tensor], Tensor]:
    """What the model's forward takes, and bool (tokens,): the picture's. Prompts: LLaVA-1.5's, and the chat form of Qwen."""
    config, tokenizer = loaded.model.config, loaded.tokenizer
    token = getattr(config, "image_token_id", None) or getattr(config, "image_token_index", None)
    if tokenizer is None or token is None:
        raise LabError(f"{loaded.ref} has no token for pictures.", "Choose a LLaVA or Qwen-VL model.")
    if family_of(loaded.model).name == "qwen_vl":
        before, after = "<|im_start|>user\n<|vision_start|>", f"<|vision_end|>{question}<|im_end|>\n<|im_start|>assistant\n"
        pixel, count = _qwen(config, picture)
    else:
        before, after = "USER: ", f"\n{question} ASSISTANT:"
        pixel, count = _llava(config, picture)
    start = tokenizer(before).input_ids
    end = tokenizer(after, add_special_tokens=False).input_ids
    ids = torch.tensor([[*start, *[token] * count, *end]])
    extra = {"mm_token_type_ids": (ids == token).int()} if family_of(loaded.model).name == "qwen_vl" else {}
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)} | pixel | extra, ids[0] == token


def _llava(config: Any, picture: Image.Image) -> tuple[dict[str, Tensor], int]:
    """CLIP's mean and deviation, the tower's own size; as many tokens as it has patches."""
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    vision = config.vision_config
    size = vision.image_size
    processor = CLIPImageProcessorPil(size={"shortest_edge": size}, crop_size={"height": size, "width": size})
    count = (size // vision.patch_size) ** 2 + (config.vision_feature_select_strategy == "full")
    return {"pixel_values": processor(picture, return_tensors="pt")["pixel_values"]}, count


def _qwen(config: Any, picture: Image.Image) -> tuple[dict[str, Tensor], int]:
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    vision = config.vision_config
    made = Qwen2VLImageProcessorPil(patch_size=vision.patch_size, temporal_patch_size=vision.temporal_patch_size,
                                    merge_size=vision.spatial_merge_size)(picture, return_tensors="pt")
    return {"pixel_values": made["pixel_values"], "image_grid_thw": made["image_grid_thw"]}, int(
        made["image_grid_thw"].prod() // vision.spatial_merge_size**2)


def _question(ids: Tensor, image: Tensor, tokenizer: Any, question: str) -> Tensor:
    """bool (tokens,): the words of the question, behind the picture, without roles and marks."""
    wanted = tokenizer(question, add_special_tokens=False).input_ids
    values = ids.tolist()
    for start in range(len(values) - len(wanted), -1, -1):
        if values[start : start + len(wanted)] == wanted:
            mask = torch.zeros(len(values), dtype=torch.bool)
            mask[start : start + len(wanted)] = True
            return mask & ~image
    behind = torch.arange(len(values)) > int(image.nonzero().max())  # the tokenizer joined it with its neighbours: all that follows
    return behind & ~image
