"""Causal language models of the installed transformers that have no row in `core.engine.families`: they load, but are not traced."""

UNKNOWN = {
    "afmoe", "apertus", "apertus1p5_text", "arcee", "aria_text", "axk1", "axk2", "bailing_hybrid", "bamba", "bart", "beam",
    "bert-generation", "big_bird", "bigbird_pegasus", "biogpt", "bitnet", "blenderbot", "blenderbot-small", "bloom", "blt", "codegen",
    "cohere2_moe", "cohere_compass_text", "cpmant", "ctrl", "cwm", "data2vec-text", "dbrx", "deepseek_v2", "deepseek_v3",
    "deepseek_v32", "deepseek_v4", "diffllama", "doge", "dory", "dots1", "dots3_note", "dots3_note_text", "electra", "emu3", "ernie",
    "ernie4_5", "ernie4_5_moe", "exaone", "exaone4", "exaone_moe", "falcon_h1", "falcon_mamba", "flex_olmo", "flint", "fuyu", "gemma3n",
    "gemma3n_text", "gemma4", "gemma4_assistant", "gemma4_text", "gemma4_unified", "gemma4_unified_assistant", "gemma4_unified_text",
    "git", "glm", "glm4_moe", "glm4_moe_lite", "glm_moe_dsa", "got_ocr2", "gpt-sw3", "gpt_bigcode", "gpt_neo", "gpt_neox_japanese",
    "gptj", "granite_swa", "granitemoe", "granitemoe_swa", "granitemoehybrid", "granitemoeshared", "helium", "hrm_text",
    "hunyuan_v1_dense", "hunyuan_v1_moe", "hy_v3", "hy_v4", "hyperclovax", "inkling2_loop_text", "inkling2_text", "inkling_text",
    "internlm3", "iquestcoder", "jais2", "jamba", "jetmoe", "kimi_linear", "kolibri1", "laguna", "lara_mini", "lfm2", "lfm2_moe",
    "lfm3", "llama4", "llama4_text", "longcat_flash", "mamba", "mamba2", "marian", "mbart", "megatron-bert", "mellum", "mimo_v2_flash",
    "minicpm3", "minimax", "minimax_m2", "minimax_m3_vl_text", "ministral", "ministral3", "mixtral", "mllama", "modernbert-decoder",
    "moshi", "moss_transcribe_diarize", "mpt", "musicgen", "musicgen_melody", "mvp", "nanochat", "nemotron", "nemotron_h",
    "olmo_hybrid", "olmoe", "openai-gpt", "pegasus", "persimmon", "phi4_multimodal", "phimoe", "plbart", "prophetnet", "qwen2_moe",
    "qwen3_5", "qwen3_5_moe", "qwen3_5_moe_text", "qwen3_5_text", "qwen3_next", "qwen4_exp", "qwen4_exp_text", "recurrent_gemma",
    "reformer", "rembert", "roberta-prelayernorm", "roc_bert", "roformer", "rwkv", "sarvam_mla", "sarvam_moe", "seed_oss", "solar_open",
    "starcoder2", "trocr", "vaultgemma", "whisper", "xglm", "xlm", "xlm-roberta-xl", "xlnet", "xlstm", "xmod", "youtu", "zamba",
    "zamba2", "zaya",
}  # fmt: skip
