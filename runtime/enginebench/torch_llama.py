"""The peer of `triality bench engine`: a Llama in plain PyTorch, trained when asked to.

usage: torch_llama.py FOLDER, which holds job.json, tokens.bin (int32) and model.safetensors (F32).
Says who it is in one line of JSON; then reads numbers of steps, a line each, and answers each with one
line of JSON, the seconds and the loss of every step, until its input ends.
"""
import json
import math
import os
import struct
import sys
import time

try:
    import torch
    import torch.nn.functional as F
except ImportError as e:
    print(json.dumps({"missing": str(e)}), flush=True)
    sys.exit(0)

EPS, THETA = 1e-6, 10000.0


def read_safetensors(path):
    with open(path, "rb") as f:
        (n,) = struct.unpack("<Q", f.read(8))
        header = json.loads(f.read(n))
        data = bytearray(f.read())
    tensors = {}
    for name, info in header.items():
        if name == "__metadata__":
            continue
        begin, end = info["data_offsets"]
        t = torch.frombuffer(data, dtype=torch.float32, count=(end - begin) // 4, offset=begin)
        tensors[name] = t.reshape(info["shape"]).clone()
    return tensors


def rms_norm(x, weight):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + EPS) * weight


def rotate(x, cos, sin):
    a, b = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-b, a), dim=-1) * sin


class Llama:
    def __init__(self, shape, sequence, weights):
        self.w = {name: t.requires_grad_() for name, t in weights.items()}
        self.layers, self.heads, self.kv = shape["num_hidden_layers"], shape["num_attention_heads"], shape["num_key_value_heads"]
        self.dim = shape["hidden_size"] // self.heads
        angles = torch.outer(torch.arange(sequence).float(), 1.0 / THETA ** (torch.arange(0, self.dim, 2).float() / self.dim))
        angles = torch.cat((angles, angles), dim=-1)
        self.cos, self.sin = angles.cos(), angles.sin()
        self.future = torch.full((sequence, sequence), float("-inf")).triu(1)

    def attention(self, x, p):
        w, (b, t, _) = self.w, x.shape
        q = F.linear(x, w[p + "q_proj.weight"]).view(b, t, self.heads, self.dim).transpose(1, 2)
        k = F.linear(x, w[p + "k_proj.weight"]).view(b, t, self.kv, self.dim).transpose(1, 2)
        v = F.linear(x, w[p + "v_proj.weight"]).view(b, t, self.kv, self.dim).transpose(1, 2)
        q, k = rotate(q, self.cos, self.sin), rotate(k, self.cos, self.sin)
        if self.kv != self.heads:
            k, v = (y.repeat_interleave(self.heads // self.kv, dim=1) for y in (k, v))
        scores = torch.softmax(q @ k.transpose(2, 3) / math.sqrt(self.dim) + self.future, dim=-1)
        return F.linear((scores @ v).transpose(1, 2).reshape(b, t, -1), w[p + "o_proj.weight"])

    def loss(self, ids):
        w = self.w
        x = F.embedding(ids, w["model.embed_tokens.weight"])
        for i in range(self.layers):
            p = f"model.layers.{i}."
            x = x + self.attention(rms_norm(x, w[p + "input_layernorm.weight"]), p + "self_attn.")
            h = rms_norm(x, w[p + "post_attention_layernorm.weight"])
            h = F.silu(F.linear(h, w[p + "mlp.gate_proj.weight"])) * F.linear(h, w[p + "mlp.up_proj.weight"])
            x = x + F.linear(h, w[p + "mlp.down_proj.weight"])
        x = rms_norm(x[:, :-1], w["model.norm.weight"])
        logits = F.linear(x, w.get("lm_head.weight", w["model.embed_tokens.weight"]))
        return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), ids[:, 1:].reshape(-1))


def main(folder):
    with open(os.path.join(folder, "job.json")) as f:
        job = json.load(f)
    torch.set_num_threads(job["threads"])
    torch.manual_seed(0)
    with open(os.path.join(folder, "tokens.bin"), "rb") as f:
        ids = torch.frombuffer(bytearray(f.read()), dtype=torch.int32).long().reshape(job["batch"], job["sequence"])
    model = Llama(job["shape"], job["sequence"], read_safetensors(os.path.join(folder, "model.safetensors")))
    weights = list(model.w.values())
    plain = [t for n, t in model.w.items() if n.endswith("norm.weight")]
    decayed = [t for n, t in model.w.items() if not n.endswith("norm.weight")]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": job["weight_decay"]}, {"params": plain, "weight_decay": 0.0}],
        lr=job["learning_rate"], betas=(0.9, 0.999), eps=1e-8)
    print(json.dumps({"name": "PyTorch " + torch.__version__, "threads": torch.get_num_threads()}), flush=True)
    for line in sys.stdin:
        seconds, losses = [], []
        for _ in range(int(line)):
            began = time.perf_counter()
            optimizer.zero_grad(set_to_none=True)
            loss = model.loss(ids)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            losses.append(loss.item())
            seconds.append(time.perf_counter() - began)
        print(json.dumps({"seconds": seconds, "losses": losses}), flush=True)


main(sys.argv[1])
