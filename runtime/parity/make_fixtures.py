"""Writes what the parity tests compare the engine with: tiny random models of every family and what
transformers and peft compute from them, in float32 on the CPU.

    python make_fixtures.py testdata [NAME ...]

Needs torch, transformers and peft; made with the versions in testdata/versions.json. Names make only
those folders. Each family's folder holds

    config.json            as published models have it
    config_saved.json      as this transformers saves it
    model.safetensors
    adapter/               as peft saves it
    expected.safetensors   logits, and gradients of the adapter's weights
    expected.json          loss, greedy tokens, twenty training steps

variants/ has adapters of other configurations on those models, each with what is expected of it,
and data.json the token ids they are computed from; rotary.json has the rotary frequencies of sizes
in use. Every number comes from the two libraries; nothing here is computed by hand.

A model with a nested text_config gives its logits and tokens as a whole, from text alone; adapters are
of its text model, which is what the engine trains and writes.
"""

import importlib
import json
import math
import os
import random
import shutil
import sys
import tempfile
import traceback
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import peft
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, get_cosine_schedule_with_warmup

VOCAB = 96
STEPS, BATCH, ACCUMULATE = 20, 2, 2
TRAINING = {"learning_rate": 2e-3, "weight_decay": 0.01, "warmup_ratio": 0.1, "max_grad_norm": 1.0}

COMMON = {
    "vocab_size": VOCAB, "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256,
    "rms_norm_eps": 1e-5, "hidden_act": "silu", "attention_dropout": 0.0, "bos_token_id": 1,
    "eos_token_id": 2, "pad_token_id": 0, "tie_word_embeddings": False, "torch_dtype": "float32",
}

# name: (fields of config.json, of the adapter, whether the whole model is trained too)
FAMILIES = {
    "llama3": (
        {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "rope_theta": 500000.0,
         "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                          "original_max_position_embeddings": 128}},
        {"target_modules": "all-linear"}, False),
    "llama2-linear": (
        {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "rope_theta": 10000.0, "attention_bias": True,
         "tie_word_embeddings": True, "num_key_value_heads": 4, "rope_scaling": {"type": "linear", "factor": 2.0}},
        {"target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"]}, False),
    "mistral": (
        {"model_type": "mistral", "architectures": ["MistralForCausalLM"], "rope_theta": 10000.0, "sliding_window": 5,
         "head_dim": 16},
        {"target_modules": ["q_proj", "v_proj", "down_proj"], "use_rslora": True}, False),
    "qwen2": (
        {"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "rope_theta": 1000000.0,
         "tie_word_embeddings": True, "use_sliding_window": False, "sliding_window": 4, "max_window_layers": 2},
        {"target_modules": "all-linear"}, True),
    "qwen2-window": (
        {"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "rope_theta": 1000000.0,
         "use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1,
         "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}},
        {"target_modules": ["q_proj", "v_proj"]}, False),
    "qwen3": (
        {"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], "rope_theta": 1000000.0, "head_dim": 16,
         "use_sliding_window": False, "sliding_window": None},
        {"target_modules": "all-linear", "use_rslora": True}, False),
    "phi3": (
        {"model_type": "phi3", "architectures": ["Phi3ForCausalLM"], "rope_theta": 10000.0, "sliding_window": 7,
         "original_max_position_embeddings": 256, "rope_scaling": None, "resid_pdrop": 0.0, "embd_pdrop": 0.0},
        {"target_modules": ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"]}, True),
    "phi3.5": (
        {"model_type": "phi3", "architectures": ["Phi3ForCausalLM"], "rope_theta": 10000.0, "sliding_window": 262144,
         "original_max_position_embeddings": 16, "resid_pdrop": 0.0, "embd_pdrop": 0.0,
         "rope_scaling": {"type": "longrope", "short_factor": [1.0, 1.1, 1.3, 1.6],
                          "long_factor": [1.0, 2.5, 7.5, 15.0]}},
        {"target_modules": "all-linear", "use_rslora": True}, False),
    # A head is stored that is not the embedding, though config.json ties the two.
    "qwen2-head": (
        {"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "rope_theta": 1000000.0,
         "tie_word_embeddings": True, "use_sliding_window": False, "sliding_window": 4, "max_window_layers": 2},
        {"target_modules": ["q_proj", "v_proj", "up_proj"]}, True),
    # A quarter of each head is not turned.
    "phi4-mini": (
        {"model_type": "phi3", "architectures": ["Phi3ForCausalLM"], "rope_theta": 10000.0, "sliding_window": 262144,
         "tie_word_embeddings": True, "partial_rotary_factor": 0.75, "original_max_position_embeddings": 16,
         "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attention_bias": False, "mlp_bias": False, "lm_head_bias": False,
         "full_attn_mod": 1, "interpolate_factor": 1,
         "rope_scaling": {"type": "longrope", "short_factor": [1.0, 1.2, 1.5], "long_factor": [1.0, 3.5, 12.0]}},
        {"target_modules": "all-linear"}, True),
    "smollm3": (
        {"model_type": "smollm3", "architectures": ["SmolLM3ForCausalLM"], "rope_theta": 5000000.0,
         "tie_word_embeddings": True, "num_hidden_layers": 5, "no_rope_layers": [1, 1, 1, 0, 1],
         "no_rope_layer_interval": 4, "layer_types": ["full_attention"] * 5, "sliding_window": None,
         "use_sliding_window": False, "max_window_layers": 28, "attention_bias": False, "mlp_bias": False,
         "pretraining_tp": 2},
        {"target_modules": "all-linear"}, True),
    # Windows in the layers that are not turned, as no_rope_layer_interval has them.
    "smollm3-window": (
        {"model_type": "smollm3", "architectures": ["SmolLM3ForCausalLM"], "rope_theta": 10000.0,
         "tie_word_embeddings": False, "num_hidden_layers": 4, "no_rope_layer_interval": 2, "sliding_window": 5,
         "use_sliding_window": True, "attention_bias": True},
        {"target_modules": ["q_proj", "k_proj"]}, False),
    "granite": (
        {"model_type": "granite", "architectures": ["GraniteForCausalLM"], "rope_theta": 10000.0,
         "tie_word_embeddings": True, "attention_bias": False, "mlp_bias": False, "embedding_multiplier": 3.0,
         "logits_scaling": 2.5, "residual_multiplier": 0.4, "attention_multiplier": 0.2, "rope_scaling": None},
        {"target_modules": "all-linear"}, True),
    # Granite 4 without state-space layers and without experts.
    "granite4": (
        {"model_type": "granitemoehybrid", "architectures": ["GraniteMoeHybridForCausalLM"], "rope_theta": 10000000.0,
         "tie_word_embeddings": False, "attention_bias": False, "embedding_multiplier": 2.0, "logits_scaling": 1.5,
         "residual_multiplier": 0.6, "attention_multiplier": 0.3, "num_local_experts": 0, "num_experts_per_tok": 0,
         "shared_intermediate_size": 40, "layer_types": ["attention", "attention"], "position_embedding_type": "rope",
         "mamba_n_heads": 8, "mamba_d_head": 8, "mamba_n_groups": 1, "mamba_d_state": 8, "mamba_d_conv": 4,
         "mamba_expand": 2, "mamba_chunk_size": 8, "mamba_conv_bias": True, "mamba_proj_bias": False,
         "normalization_function": "rmsnorm", "init_method": "mup", "output_router_logits": False,
         "router_aux_loss_coef": 0.0, "rope_scaling": None},
        {"target_modules": "all-linear"}, True),
    "granite4-nope": (
        {"model_type": "granitemoehybrid", "architectures": ["GraniteMoeHybridForCausalLM"],
         "tie_word_embeddings": True, "attention_bias": False, "embedding_multiplier": 2.0, "logits_scaling": 1.5,
         "residual_multiplier": 0.6, "attention_multiplier": 0.3, "num_local_experts": 0, "num_experts_per_tok": 0,
         "shared_intermediate_size": 40, "layer_types": ["attention", "attention"], "position_embedding_type": None,
         "mamba_n_heads": 8, "mamba_d_head": 8, "mamba_n_groups": 1, "mamba_d_state": 8, "mamba_d_conv": 4,
         "mamba_expand": 2, "mamba_chunk_size": 8},
        {"target_modules": ["q_proj", "o_proj", "output_linear"]}, False),
    "ministral": (
        {"model_type": "ministral", "architectures": ["MinistralForCausalLM"], "rope_theta": 100000000.0,
         "sliding_window": 5, "head_dim": 16, "layer_types": ["full_attention", "sliding_attention"]},
        {"target_modules": ["q_proj", "v_proj", "down_proj"]}, False),
    # The text model beside a vision tower.
    "mistral3": (
        {"model_type": "mistral3", "architectures": ["Mistral3ForConditionalGeneration"], "image_token_index": 1,
         "multimodal_projector_bias": False, "projector_hidden_act": "gelu", "spatial_merge_size": 2,
         "vision_feature_layer": -1, "torch_dtype": "float32",
         "text_config": {"model_type": "mistral", "rope_theta": 1000000000.0, "sliding_window": None, "head_dim": 16},
         "vision_config": {"model_type": "pixtral", "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
                           "num_attention_heads": 2, "head_dim": 8, "image_size": 32, "patch_size": 16,
                           "hidden_act": "silu", "rope_theta": 10000.0, "num_channels": 3, "attention_dropout": 0.0}},
        {"target_modules": "all-linear"}, True),
    # Queries grow with the position, every original_max_position_embeddings tokens.
    "ministral3": (
        {"model_type": "mistral3", "architectures": ["Mistral3ForConditionalGeneration"], "image_token_index": 1,
         "multimodal_projector_bias": False, "projector_hidden_act": "gelu", "spatial_merge_size": 2,
         "vision_feature_layer": -1, "torch_dtype": "float32", "tie_word_embeddings": True,
         "text_config": {"model_type": "ministral3", "sliding_window": None, "head_dim": 16, "tie_word_embeddings": True,
                         "rope_parameters": {"beta_fast": 32.0, "beta_slow": 1.0, "factor": 16.0, "mscale": 1.0,
                                             "llama_4_scaling_beta": 0.4, "mscale_all_dim": 1.0, "rope_theta": 1000.0,
                                             "original_max_position_embeddings": 6, "rope_type": "yarn", "type": "yarn"}},
         "vision_config": {"model_type": "pixtral", "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
                           "num_attention_heads": 2, "head_dim": 8, "image_size": 32, "patch_size": 16,
                           "hidden_act": "silu", "rope_theta": 10000.0, "num_channels": 3, "attention_dropout": 0.0}},
        {"target_modules": "all-linear"}, True),
}

# name: (the model's folder, fields of the adapter)
VARIANTS = {
    "pattern": ("llama3", {"target_modules": r".*\.(q|v)_proj"}),
    "excluded": ("qwen2", {"target_modules": ["q_proj", "up_proj", "no_module"], "exclude_modules": ["0.mlp.up_proj"]}),
    "ranks": ("qwen3", {"target_modules": "all-linear", "rank_pattern": {"o_proj": 2, r"layers\.1\.mlp\..*": 6},
                        "alpha_pattern": {"down_proj": 3}}),
    "layers": ("mistral", {"target_modules": ["q_proj", "v_proj"], "layers_to_transform": [1], "layers_pattern": "layers"}),
    "ends": ("mistral", {"target_modules": ["q_proj", "lm_head", "embed_tokens"]}),
    "tied-ends": ("qwen2", {"target_modules": ["q_proj", "lm_head", "embed_tokens"], "use_rslora": True}),
    "saved": ("mistral", {"target_modules": ["q_proj"], "modules_to_save": ["lm_head", "embed_tokens"]}),
    "tied-saved": ("qwen2", {"target_modules": ["q_proj"], "modules_to_save": ["lm_head", "embed_tokens"]}),
}

# Sizes in use, whose frequencies are compared bit for bit as far as float32 arithmetic allows.
ROTARY = {
    "Qwen2.5-7B": {"model_type": "qwen2", "hidden_size": 3584, "num_attention_heads": 28, "num_key_value_heads": 4,
                   "rope_theta": 1000000.0, "max_position_embeddings": 32768},
    "Qwen2.5-7B with YaRN": {"model_type": "qwen2", "hidden_size": 3584, "num_attention_heads": 28,
                             "num_key_value_heads": 4, "rope_theta": 1000000.0, "max_position_embeddings": 131072,
                             "rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}},
    "Llama-3.1-8B": {"model_type": "llama", "hidden_size": 4096, "num_attention_heads": 32, "num_key_value_heads": 8,
                     "rope_theta": 500000.0, "max_position_embeddings": 131072,
                     "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                                      "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}},
    "Llama-2-7B, linear": {"model_type": "llama", "hidden_size": 4096, "num_attention_heads": 32,
                           "num_key_value_heads": 32, "rope_theta": 10000.0, "max_position_embeddings": 4096,
                           "rope_scaling": {"type": "linear", "factor": 4.0}},
    "Llama-2-7B, dynamic": {"model_type": "llama", "hidden_size": 4096, "num_attention_heads": 32,
                            "num_key_value_heads": 32, "rope_theta": 10000.0, "max_position_embeddings": 4096,
                            "rope_scaling": {"type": "dynamic", "factor": 2.0}},
    "Mistral-7B": {"model_type": "mistral", "hidden_size": 4096, "num_attention_heads": 32, "num_key_value_heads": 8,
                   "rope_theta": 10000.0, "max_position_embeddings": 32768, "sliding_window": 4096},
    "Phi-3.5-mini": {"model_type": "phi3", "hidden_size": 3072, "num_attention_heads": 32, "num_key_value_heads": 32,
                     "rope_theta": 10000.0, "max_position_embeddings": 131072, "pad_token_id": 0,
                     "original_max_position_embeddings": 4096, "sliding_window": 262144,
                     "rope_scaling": {"type": "longrope", "short_factor": [1.0 + 0.04 * i for i in range(48)],
                                      "long_factor": [1.0 + 0.03 * i * i for i in range(48)]}},
    "Phi-4-mini": {"model_type": "phi3", "hidden_size": 3072, "num_attention_heads": 24, "num_key_value_heads": 8,
                   "rope_theta": 10000.0, "max_position_embeddings": 131072, "pad_token_id": 0,
                   "partial_rotary_factor": 0.75, "original_max_position_embeddings": 4096, "sliding_window": 262144,
                   "rope_scaling": {"type": "longrope", "short_factor": [1.0] * 48,
                                    "long_factor": [1.0 + 0.02 * i * i for i in range(48)]}},
    "SmolLM3-3B": {"model_type": "smollm3", "hidden_size": 2048, "num_attention_heads": 16, "num_key_value_heads": 4,
                   "rope_theta": 5000000.0, "max_position_embeddings": 65536, "pad_token_id": 0},
    "Granite-3.3-8B": {"model_type": "granite", "hidden_size": 4096, "num_attention_heads": 32, "num_key_value_heads": 8,
                       "rope_theta": 10000000.0, "max_position_embeddings": 131072},
    "Ministral-3-8B": {"model_type": "ministral3", "hidden_size": 4096, "num_attention_heads": 32,
                       "num_key_value_heads": 8, "head_dim": 128, "max_position_embeddings": 262144, "pad_token_id": 0,
                       "rope_parameters": {"beta_fast": 32.0, "beta_slow": 1.0, "factor": 16.0, "mscale": 1.0,
                                           "llama_4_scaling_beta": 0.1, "mscale_all_dim": 1.0, "rope_theta": 1000000.0,
                                           "original_max_position_embeddings": 16384, "rope_type": "yarn",
                                           "type": "yarn"}},
}


def make_data():
    rng = random.Random(7)
    sequence = lambda n: [rng.randrange(3, VOCAB) for _ in range(n)]
    examples = []
    for i in range(STEPS * BATCH * ACCUMULATE):
        ids = sequence(rng.randrange(5, 14))
        # The first label is masked, so that every way of counting labels gives the same number.
        masked = rng.randrange(1, len(ids) - 1)
        examples.append({"ids": ids, "labels": [-100] * masked + ids[masked:]})
    return {"single": sequence(12), "long": sequence(24), "batch": [sequence(n) for n in (5, 9, 12)],
            "prompt": sequence(8), "new_tokens": 24, "examples": examples, "steps": STEPS, "batch_size": BATCH,
            "accumulate": ACCUMULATE, "training": TRAINING}


def padded(sequences, labels=None, left=True):
    """A batch as a tokenizer pads it, with the positions that generate() gives it."""
    width = max(map(len, sequences))
    ids, mask, targets = [], [], []
    for k, s in enumerate(sequences):
        pad = width - len(s)
        put = (lambda fill, row: [fill] * pad + row) if left else (lambda fill, row: row + [fill] * pad)
        ids.append(put(0, s))
        mask.append(put(0, [1] * len(s)))
        targets.append(put(-100, labels[k]) if labels else None)
    mask = torch.tensor(mask)
    batch = {"input_ids": torch.tensor(ids), "attention_mask": mask,
             "position_ids": (mask.cumsum(-1) - 1).clamp(min=0)}
    if labels:
        batch["labels"] = torch.tensor(targets)
    return batch


def randomise(model, seed):
    """Weights large enough that every part of the model shows in its logits."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=g)
            if name.endswith("norm.weight"):
                p.copy_(1 + 0.2 * noise)
            elif name.endswith(".bias"):
                p.copy_(0.3 * noise)
            elif "embed_tokens" in name:
                p.copy_(0.5 * noise)
            elif p.dim() == 1:
                p.copy_(1 + 0.2 * noise)
            else:
                p.copy_(1.2 / math.sqrt(p.shape[1]) * noise)


def kind(folder):
    """The class that gives the logits of the model in a folder."""
    nested = "text_config" in json.loads(Path(folder, "config.json").read_text())
    return AutoModelForImageTextToText if nested else AutoModelForCausalLM


def load(folder):
    return kind(folder).from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


def load_text(folder):
    """The model in a folder, or the text model in it."""
    model = load(folder)
    if kind(folder) is AutoModelForCausalLM:
        return model
    text = AutoModelForCausalLM.from_config(model.config.text_config, attn_implementation="eager")
    text.model.load_state_dict(model.model.language_model.state_dict())
    text.lm_head.load_state_dict(model.lm_head.state_dict())
    return text.float().eval()


def logits(model, ids):
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].float().clone()


def plain_name(name):
    return name.replace(".default.", ".")


def train(model, data, groups):
    """Twenty steps of AdamW as transformers' Trainer takes them, and each one's loss and norm."""
    model.train()
    c = data["training"]
    params = [p for g in groups for p in g["params"]]
    optimizer = torch.optim.AdamW(groups, lr=c["learning_rate"], betas=(0.9, 0.999), eps=1e-8)
    schedule = get_cosine_schedule_with_warmup(optimizer, math.ceil(c["warmup_ratio"] * STEPS), STEPS)
    losses, norms, rates = [], [], []
    examples = iter(data["examples"])
    for _ in range(STEPS):
        micro = [[next(examples) for _ in range(BATCH)] for _ in range(ACCUMULATE)]
        trained = sum(sum(l != -100 for l in e["labels"]) for m in micro for e in m)
        total = 0.0
        for k, m in enumerate(micro):
            batch = padded([e["ids"] for e in m], [e["labels"] for e in m], left=k % 2 == 0)
            loss = model(**batch, use_cache=False, num_items_in_batch=torch.tensor(trained)).loss
            loss.backward()
            total += loss.item()
        losses.append(total)
        norms.append(torch.nn.utils.clip_grad_norm_(params, c["max_grad_norm"]).item())
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    model.eval()
    return {"loss": losses, "grad_norm": norms, "learning_rate": rates}


def adapter_parameters(model):
    return [(n, p) for n, p in model.named_parameters() if "lora_" in n]


def save_adapter(wrapped, folder):
    wrapped.peft_config["default"].base_model_name_or_path = "parity/" + folder.parent.name
    wrapped.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)


def family(name, fields, adapter, whole, data, out, seed):
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    config = {**COMMON, **fields}
    if "text_config" in fields:
        config = {**fields, "text_config": {**COMMON, **fields["text_config"]}}
    own_head = name in ("qwen2-head", "mistral3")  # config.json says or takes for granted that the head is tied
    write = lambda config: (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    write({**config, "tie_word_embeddings": False} if own_head else config)
    tensors, expected = {}, {}
    with tempfile.TemporaryDirectory() as tmp:
        model = kind(folder).from_config(AutoConfig.from_pretrained(folder), attn_implementation="eager")
        randomise(model.eval(), seed)
        model.save_pretrained(tmp)
        shutil.copy(Path(tmp, "model.safetensors"), folder)
        shutil.copy(Path(tmp, "config.json"), folder / "config_saved.json")
        if own_head:
            write(config)
            saved = json.loads(Path(tmp, "config.json").read_text())
            (folder / "config_saved.json").write_text(json.dumps({**saved, "tie_word_embeddings": True}, indent=2) + "\n")
    model = load(folder)
    if own_head and torch.equal(model.lm_head.weight, model.get_input_embeddings().weight):
        raise ValueError("this transformers ties a stored head that is not the embedding")

    tensors["single"], tensors["long"] = logits(model, data["single"]), logits(model, data["long"])
    with torch.no_grad():
        batch = padded(data["batch"])
        got = model(**batch, use_cache=False).logits
        for i, s in enumerate(data["batch"]):
            tensors[f"batch.{i}"] = got[i, -len(s):].float().clone()
        ids = torch.tensor([data["single"]])
        expected["loss"] = model(input_ids=ids, labels=ids).loss.item()
    model.generation_config.eos_token_id = None
    for key, cache in (("greedy", True), ("greedy_without_cache", False)):
        try:
            new = model.generate(torch.tensor([data["prompt"]]), attention_mask=torch.ones(1, len(data["prompt"]), dtype=torch.long),
                                 max_new_tokens=data["new_tokens"], do_sample=False, use_cache=cache, pad_token_id=0)
            expected[key] = new[0, len(data["prompt"]):].tolist()
        except Exception:
            print(name, key, traceback.format_exc(), flush=True)

    model = load_text(folder)
    torch.manual_seed(seed)
    wrapped = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=8, lora_dropout=0.0, **adapter))
    with torch.no_grad():
        for n, p in adapter_parameters(wrapped):
            if "lora_B" in n:
                p.normal_(0, 0.15)
    save_adapter(wrapped, folder / "adapter")
    wrapped.eval()
    tensors["adapter"] = logits(wrapped, data["single"])
    batch = padded([e["ids"] for e in data["examples"][:4]], [e["labels"] for e in data["examples"][:4]])
    loss = wrapped(**batch, use_cache=False).loss
    loss.backward()
    expected["adapter_loss"] = loss.item()
    for n, p in adapter_parameters(wrapped):
        tensors["grad." + plain_name(n)] = p.grad.clone()
    tensors["merged"] = logits(wrapped.merge_and_unload(), data["single"])

    wrapped = PeftModel.from_pretrained(load_text(folder), folder / "adapter", is_trainable=True)
    parameters = [p for _, p in adapter_parameters(wrapped)]
    expected["lora_steps"] = train(wrapped, data, [{"params": parameters, "weight_decay": TRAINING["weight_decay"]}])
    tensors["after_training"] = logits(wrapped, data["single"])
    if whole:
        model = load_text(folder)
        decays = lambda n: not n.endswith(".bias") and not n.endswith("norm.weight")
        named = list(model.named_parameters())
        expected["whole_model_steps"] = train(model, data, [
            {"params": [p for n, p in named if decays(n)], "weight_decay": TRAINING["weight_decay"]},
            {"params": [p for n, p in named if not decays(n)], "weight_decay": 0.0}])
        tensors["after_whole_training"] = logits(model, data["single"])
    save_file(tensors, str(folder / "expected.safetensors"))
    (folder / "expected.json").write_text(json.dumps(expected) + "\n")


def dora(data, out):
    """A DoRA adapter on the qwen2 model."""
    folder = out / "qwen2"
    torch.manual_seed(99)
    wrapped = get_peft_model(load(folder), LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=8, target_modules=["q_proj", "down_proj"], use_dora=True))
    with torch.no_grad():
        for n, p in adapter_parameters(wrapped):
            if "lora_B" in n:
                p.normal_(0, 0.15)
            if "magnitude" in n:
                p.mul_(1 + 0.1 * torch.randn(p.shape))
    save_adapter(wrapped, folder / "dora")
    wrapped.eval()
    tensors = {"adapter": logits(wrapped, data["single"])}
    batch = padded([e["ids"] for e in data["examples"][:4]], [e["labels"] for e in data["examples"][:4]])
    wrapped(**batch, use_cache=False).loss.backward()
    for n, p in adapter_parameters(wrapped):
        tensors["grad." + plain_name(n)] = p.grad.clone()
    tensors["merged"] = logits(wrapped.merge_and_unload(), data["single"])
    wrapped = PeftModel.from_pretrained(load(folder), folder / "dora", is_trainable=True)
    steps = train(wrapped, data, [{"params": [p for _, p in adapter_parameters(wrapped)], "weight_decay": TRAINING["weight_decay"]}])
    (folder / "dora" / "expected.json").write_text(json.dumps(steps) + "\n")
    save_file(tensors, str(folder / "dora" / "expected.safetensors"))


def file_name(name):
    """The name that a parameter's values have in adapter_model.safetensors."""
    return name.replace(".modules_to_save.default", "").replace(".default", "")


def variant(name, base, fields, data, out, seed):
    """An adapter of another configuration on a family's model; embeddings with an adapter are saved beside it."""
    folder = out / "variants" / name
    torch.manual_seed(seed)
    trainable = lambda model: [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    wrapped = get_peft_model(load(out / base), LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=8, lora_dropout=0.0, **fields))
    with torch.no_grad():
        for n, p in trainable(wrapped):
            if "lora_B" in n or "lora_embedding_A" in n:
                p.normal_(0, 0.15)
            elif "modules_to_save" in n:
                p.mul_(1 + 0.1 * torch.randn(p.shape))
    names = sorted(file_name(n) for n, _ in trainable(wrapped))
    wrapped.peft_config["default"].base_model_name_or_path = "parity/" + base
    wrapped.save_pretrained(folder, save_embedding_layers=name == "ends")
    (folder / "README.md").unlink(missing_ok=True)
    wrapped.eval()
    tensors = {"adapter": logits(wrapped, data["single"])}
    batch = padded([e["ids"] for e in data["examples"][:4]], [e["labels"] for e in data["examples"][:4]])
    wrapped(**batch, use_cache=False).loss.backward()
    for n, p in trainable(wrapped):
        tensors["grad." + file_name(n)] = p.grad.clone()
    if not name.startswith("tied"):  # where merging would write into what both share
        tensors["merged"] = logits(wrapped.merge_and_unload(), data["single"])
    wrapped = PeftModel.from_pretrained(load(out / base), folder, is_trainable=True)
    if sorted(file_name(n) for n, _ in trainable(wrapped)) != names:
        raise RuntimeError(f"loaded, it trains {[n for n, _ in trainable(wrapped)]}")
    steps = train(wrapped, data, [{"params": [p for _, p in trainable(wrapped)], "weight_decay": TRAINING["weight_decay"]}])
    (folder / "expected.json").write_text(json.dumps({"base": base, "lora_steps": steps}) + "\n")
    save_file(tensors, str(folder / "expected.safetensors"))


def rotary(out):
    result = {}
    for name, fields in ROTARY.items():
        fields = {"vocab_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, **fields}
        with tempfile.TemporaryDirectory() as tmp:
            Path(tmp, "config.json").write_text(json.dumps(fields))
            config = AutoConfig.from_pretrained(tmp)
        family = fields["model_type"]
        module = importlib.import_module(f"transformers.models.{family}.modeling_{family}")
        e = next(c for n, c in vars(module).items() if n.endswith("RotaryEmbedding") and c.__module__ == module.__name__)(config)
        entry = {"config": fields, "frequencies": e.inv_freq.tolist(), "scaling": e.attention_scaling}
        if "original_max_position_embeddings" in fields:
            e(torch.zeros(1), torch.tensor([[fields["original_max_position_embeddings"]]]))
            entry["long_frequencies"] = e.inv_freq.tolist()
        result[name] = entry
    (out / "rotary.json").write_text(json.dumps(result) + "\n")


def main():
    torch.set_num_threads(min(8, os.cpu_count()))
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    (out / "versions.json").write_text(json.dumps({m.__name__: m.__version__ for m in (torch, transformers, peft)}) + "\n")
    data = make_data()
    (out / "data.json").write_text(json.dumps(data) + "\n")
    failed = False
    jobs = [(name, lambda name=name, spec=spec, seed=seed: family(name, *spec, data, out, seed))
            for seed, (name, spec) in enumerate(FAMILIES.items(), 1)]
    jobs += [(name, lambda name=name, spec=spec, seed=seed: variant(name, *spec, data, out, seed))
             for seed, (name, spec) in enumerate(VARIANTS.items(), 200)]
    jobs += [("dora", lambda: dora(data, out)), ("rotary", lambda: rotary(out))]
    for name, job in jobs:
        if sys.argv[2:] and name not in sys.argv[2:]:
            continue
        try:
            job()
            print("made", name, flush=True)
        except Exception:
            failed = True
            print("FAILED", name, traceback.format_exc(), flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
