"""Reads with peft and transformers what the engine wrote, and compares the logits.

    TRIALITY_PARITY_OUT=/tmp/out go test -run TestWhatPythonIsToRead ./runtime/parity
    python check_outputs.py testdata /tmp/out

Prints each difference relative to the largest logit; ends with 1 where one is beyond its tolerance.
"""

import json
import os
import sys
import traceback
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

# Models stored in 16 bits are compared in float32 as both sides read them.
TOLERANCE = 1e-5
# The gates as transformers computes them: of smollm3's it is 2e-5 off, where this engine is 3e-6 from float64.
GATED = 3e-5
CLASSES = 1e-4  # probabilities: a relative error of the heads' logits, some of them near 10, is an absolute one in the exponent
failed = []


def load(folder, **more):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager", **more).eval()


def compare(what, got, want, tolerance=TOLERANCE):
    difference = ((got.float() - want).abs().max() / want.abs().max()).item()
    ok = got.shape == want.shape and difference < tolerance
    print(f"{what:40} {difference:.2e}{'' if ok else '  TOO MUCH'}", flush=True)
    if not ok:
        failed.append(what)


def outputs(model, ids):
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids]), use_cache=False)


def check(name, data, folder):
    expected = load_file(folder / "expected.safetensors")
    inputs = {"single": data["single"], "long": data["long"]}

    def plain(kind, model, tolerance=TOLERANCE):
        for which, ids in inputs.items():
            compare(f"{name}: {kind}, {which}", outputs(model, ids).logits[0], expected[f"{kind}.{which}"], tolerance)

    wrapped = PeftModel.from_pretrained(load(folder / "base"), folder / "adapter").eval()
    plain("adapter", wrapped)
    merged = wrapped.merge_and_unload()
    for which, ids in inputs.items():
        compare(f"{name}: peft's merge of it, {which}", outputs(merged, ids).logits[0], expected[f"merged.{which}"])
    for kind in ("merged", "merged_bf16", "merged_f16", "burned"):
        plain(kind, load(folder / kind))

    so8t = load(folder / "so8t", trust_remote_code=True)
    plain("so8t", so8t, GATED)
    for which, ids in inputs.items():
        classes = so8t.class_probabilities(outputs(so8t, ids))
        compare(f"{name}: so8t classes, {which}", classes, expected[f"so8t.classes.{which}"], CLASSES)
    # Left padding, and generation through its cache against generation without.
    pad = len(data["long"]) - len(data["single"])
    mask = torch.tensor([[0] * pad + [1] * len(data["single"]), [1] * len(data["long"])])
    if name not in ("phi3.5", "phi4-mini"):  # there the longer sequence changes the shorter one's frequencies
        with torch.no_grad():
            batch = so8t(input_ids=torch.tensor([[0] * pad + data["single"], data["long"]]), attention_mask=mask,
                         position_ids=(mask.cumsum(-1) - 1).clamp(min=0), use_cache=False)
        compare(f"{name}: so8t, left-padded", batch.logits[0, pad:], expected["so8t.single"])
        compare(f"{name}: so8t classes, left-padded", so8t.class_probabilities(batch)[:1], expected["so8t.classes.single"], CLASSES)
        so8t.generation_config.eos_token_id = None
        prompt = torch.tensor([data["prompt"]])
        cached, plainly = (so8t.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=12, do_sample=False,
                                         use_cache=c, pad_token_id=0) for c in (True, False))
        print(f"{name}: so8t generates {cached[0, -12:].tolist()}", flush=True)
        if not torch.equal(cached, plainly):
            failed.append(f"{name}: so8t generation")
            print(f"{name}: so8t without its cache {plainly[0, -12:].tolist()}", flush=True)


def main():
    torch.set_num_threads(min(8, os.cpu_count()))
    data = json.loads(Path(sys.argv[1], "data.json").read_text())
    for folder in sorted(p for p in Path(sys.argv[2]).iterdir() if p.is_dir()):
        try:
            check(folder.name, data, folder)
        except Exception:
            failed.append(folder.name)
            print("FAILED", folder.name, traceback.format_exc(), flush=True)
    print(f"{len(failed)} failed: {failed}" if failed else "all agree")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
