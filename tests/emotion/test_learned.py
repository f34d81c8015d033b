"""Diffusion pipelines as tools: tiny ones with random weights, of the very classes that people bring."""

from __future__ import annotations

import json

import numpy as np
import pytest

from core.emotion.tools import Step, apply, learned
from core.engine import pipelines
from core.engine.errors import LabError

diffusers = pytest.importorskip("diffusers")


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, object]:
    """{kind: folder}: pipelines of one small text encoder and autoencoder, each with a U-Net that takes what its kind takes."""
    import torch
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("pipelines")
    letters = [chr(i) for i in range(33, 127)]
    words = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (root / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (root / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer(str(root / "vocab.json"), str(root / "merges.txt"), model_max_length=77)
    text = CLIPTextModel(CLIPTextConfig(vocab_size=len(words), hidden_size=16, intermediate_size=16, num_hidden_layers=1,
                                        num_attention_heads=2, bos_token_id=len(words) - 2, eos_token_id=len(words) - 1, pad_token_id=1))
    vae = diffusers.AutoencoderKL(block_out_channels=(8, 8, 8, 8), down_block_types=("DownEncoderBlock2D",) * 4,
                                  up_block_types=("UpDecoderBlock2D",) * 4, norm_num_groups=4, latent_channels=4, layers_per_block=1)
    parts = {"vae": vae, "text_encoder": text, "tokenizer": tokenizer, "safety_checker": None, "feature_extractor": None}
    made = {}
    for kind, channels in (("instruct", 8), ("fill_in", 9), ("repaint", 4)):
        unet = diffusers.UNet2DConditionModel(
            sample_size=8, in_channels=channels, out_channels=4, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=16, attention_head_dim=2)
        pipe = getattr(diffusers, pipelines.CLASSES[kind])(
            **parts, unet=unet, scheduler=diffusers.DDIMScheduler(clip_sample=False, steps_offset=1), requires_safety_checker=False)
        pipe.save_pretrained(root / kind, safe_serialization=True)
        made[kind] = root / kind
    return made


@pytest.mark.parametrize("kind", ["instruct", "fill_in", "repaint"])
def test_a_pipeline_paints_the_same_each_time_only_inside_its_mask_and_not_at_all_without_a_step(kind, folders):
    picture = np.random.default_rng(0).integers(0, 256, (72, 96, 3), np.uint8)
    mask = np.zeros((72, 96))
    mask[:, :40] = 1
    found, pipe = pipelines.load(folders[kind])
    assert found == kind and not pipe.unet.training
    with learned.using(kind, pipe, steps=3):
        step = Step(kind, strength=0.9, words="falling leaves", seed=3)
        edited = apply(picture, step, mask)
        assert edited.shape == picture.shape and (edited[:, :30] != picture[:, :30]).any() and (edited[:, 60:] == picture[:, 60:]).all()
        assert (apply(picture, step, mask) == edited).all()
        other = apply(picture, Step(kind, strength=0.9, words="falling leaves", seed=4), mask)
        assert (other != edited).any()
        assert (apply(picture, Step(kind, strength=0.0, words="x"), mask) == picture).all()
        if kind != "instruct":  # int(3 * 0.3) steps are none
            assert (apply(picture, Step(kind, strength=0.3, words="x"), mask) == picture).all()
    with pytest.raises(LabError, match="needs a diffusion model"):
        apply(picture, step, mask)


def test_a_run_with_a_pipeline_puts_its_step_before_the_critic(folders, warm_engine, monkeypatch):
    monkeypatch.setitem(learned.STEPS, "instruct", 1)
    run = warm_engine.start("emotion/edit", {"chances": 2, "pipeline": f"path/{folders['instruct']}", "picture": "rocket"}, fresh=True)
    assert warm_engine.wait(run.id)["outcome"] == "finished"
    talk = [line for line in warm_engine.events(run.id) if line["kind"] == "table" and line["name"] == "talk"][-1]["rows"]
    assert any(who == "Painter" and "add a grave, wilted flowers, ruins" in said for who, said in talk)


def test_what_is_no_safe_pipeline_is_refused_in_a_sentence(folders, tmp_path):
    import shutil

    for change, words in (("class", "cannot be used here"), ("pickle", "no safetensors weights in unet"), ("cut", "[.]")):
        folder = tmp_path / change
        shutil.copytree(folders["repaint"], folder)
        weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
        if change == "class":
            said = json.loads((folder / "model_index.json").read_text())
            (folder / "model_index.json").write_text(json.dumps(said | {"unet": ["my_code", "Unet"]}))
        elif change == "pickle":
            weights.rename(weights.with_suffix(".bin"))
        else:
            weights.write_bytes(weights.read_bytes()[:2000])
        with pytest.raises(LabError, match=words):
            pipelines.load(folder)
