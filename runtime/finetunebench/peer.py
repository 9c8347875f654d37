# The same training as package finetunebench's, by transformers and peft: bfloat16, PyTorch's AdamW.
# Reads the job as JSON from the standard input and writes the result to the standard output.
import json
import statistics
import sys
import time

import torch
from peft import LoraConfig, get_peft_model
from transformers import Qwen2Config, Qwen2ForCausalLM

job = json.load(sys.stdin)
shape = job["shape"]
torch.manual_seed(job["seed"])
config = Qwen2Config(
    vocab_size=shape["V"], hidden_size=shape["Hidden"], intermediate_size=shape["FFN"],
    num_hidden_layers=shape["Layers"], num_attention_heads=shape["Heads"], num_key_value_heads=shape["KVHeads"],
    max_position_embeddings=32768, rope_theta=1e6, tie_word_embeddings=shape["Tied"], use_cache=False,
)
torch.set_default_dtype(torch.bfloat16)
with torch.device("cuda"):
    model = Qwen2ForCausalLM(config)
torch.set_default_dtype(torch.float32)
if job["checkpointing"]:
    model.gradient_checkpointing_enable()
    model.enable_input_require_grads()
model = get_peft_model(model, LoraConfig(
    r=job["r"], lora_alpha=2 * job["r"], lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"),
    autocast_adapter_dtype=not job["narrow_adapters"])
if job["narrow_adapters"]:
    model.to(torch.bfloat16)
model.train()
forward = torch.compile(model) if job["compile"] else model
weights = [p for p in model.parameters() if p.requires_grad]
optimizer = torch.optim.AdamW(weights, lr=job["learning_rate"], weight_decay=0.0)
ids = torch.tensor(job["ids"], device="cuda")
micro = job["micro_batch"]
torch.cuda.reset_peak_memory_stats()
losses, seconds = [], []
for step in range(job["steps"]):
    torch.cuda.synchronize()
    start, total = time.perf_counter(), 0.0
    for part in ids.split(micro):
        loss = forward(input_ids=part, labels=part).loss * len(part) / len(ids)
        loss.backward()
        total += loss.detach()
    torch.nn.utils.clip_grad_norm_(weights, 1.0)
    optimizer.step()
    optimizer.zero_grad()
    losses.append(float(total))
    torch.cuda.synchronize()
    seconds.append(time.perf_counter() - start)
timed = seconds[2:] if len(seconds) > 2 else seconds
import peft
import transformers

json.dump({
    "peer": f"transformers {transformers.__version__}, peft {peft.__version__}, torch {torch.__version__}",
    "tokens_per_second": ids.numel() / statistics.median(timed),
    "peak_memory_bytes": torch.cuda.max_memory_allocated(),
    "losses": losses,
}, sys.stdout)
