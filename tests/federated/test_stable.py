"""The painter over Stable Diffusion's classes, tiny and of random weights, beside the pipeline of the library itself."""

from __future__ import annotations

import json

import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from core.federated.painter import GRID, SCHEDULE
from core.federated.stable import stable_painter

WORDS = ("a", "style", "of", "sketch", "clock", "bird")


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    letters = sorted({letter for word in WORDS for letter in word})
    pieces = [*letters, *(letter + "</w>" for letter in letters)]
    merges = []
    for word in WORDS:  # each word grows from its letters, so that it is one token
        whole = [*word[:-1], word[-1] + "</w>"]
        while len(whole) > 1:
            merges.append(f"{whole[0]} {whole[1]}")
            whole = [whole[0] + whole[1], *whole[2:]]
    pieces += [merge.replace(" ", "") for merge in merges] + ["<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({piece: i for i, piece in enumerate(dict.fromkeys(pieces))}))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *dict.fromkeys(merges)]))
    tokenizer = CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77)
    torch.manual_seed(0)
    ends = tokenizer.bos_token_id, tokenizer.eos_token_id
    encoder = CLIPTextModel(CLIPTextConfig(vocab_size=len(tokenizer), hidden_size=32, intermediate_size=37, num_attention_heads=4,
                                           num_hidden_layers=2, bos_token_id=ends[0], eos_token_id=ends[1], pad_token_id=ends[1]))
    vae = AutoencoderKL(block_out_channels=(8, 16), down_block_types=("DownEncoderBlock2D",) * 2, norm_num_groups=4,
                        up_block_types=("UpDecoderBlock2D",) * 2, latent_channels=4, sample_size=16)
    unet = UNet2DConditionModel(sample_size=8, block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=4, cross_attention_dim=32,
                                attention_head_dim=4, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
                                up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"))
    made = StableDiffusionPipeline(vae.eval(), encoder.eval(), tokenizer, unet.eval(), DDIMScheduler(**SCHEDULE), None, None, None,
                                   requires_safety_checker=False)
    made.set_progress_bar_config(disable=True)
    return made


def test_our_painter_paints_what_the_pipeline_paints(pipeline, generator):
    painter = stable_painter(pipeline)
    latents = torch.randn(2, 4, 8, 8, generator=generator)
    style, name = painter.prompts.vectors("sketch", "clock")
    context = painter.prompt([("sketch", "bird")] * 2, torch.stack([style + 1, style]), torch.stack([name, name + 1]))
    theirs = pipeline(prompt_embeds=context, negative_prompt_embeds=painter.prompt([("", "")] * 2), latents=latents,
                      num_inference_steps=GRID, guidance_scale=7.5, eta=0.0, output_type="latent").images
    ours = painter.sample(latents, context, t_start=981, steps=GRID, guidance=7.5)
    assert torch.allclose(ours, theirs, atol=1e-3 * float(theirs.abs().max()))


def test_vectors_stand_where_the_words_stood_and_learn_alone(pipeline, generator):
    painter = stable_painter(pipeline)
    natural, bird = painter.prompt([("sketch", "clock")]), painter.prompt([("sketch", "bird")])
    style, name = painter.prompts.vectors("sketch", "clock")
    assert torch.equal(painter.prompt([("sketch", "clock")], style[None], name[None]), natural)
    assert torch.equal(natural[:, :6], bird[:, :6]) and not torch.equal(natural[:, 6], bird[:, 6])  # the class is the seventh token
    style.requires_grad_()
    painter.noise_loss(torch.randn(1, 4, 8, 8, generator=generator), painter.prompt([("sketch", "clock")], style[None]),
                       torch.tensor([500]), torch.randn(1, 4, 8, 8, generator=generator)).sum().backward()
    assert style.grad.abs().sum() > 0 and not any(one.grad is not None for one in painter.unet.parameters())
