"""How far PyTorch's mixed precision moves these models: the yardstick of crates/model/tests/pairs.rs.

Log-probabilities and adapter gradients under CPU autocast to bf16, against f32 on the same weights rounded to bf16.
    python mixed_precision.py          (torch, transformers, peft)
"""
import pathlib

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

ROOT = pathlib.Path(__file__).parent
ROWS = [[(start + i * 7) % 60 for i in range(length)] for start, length in [(3, 17), (11, 9), (2, 23)]]


def step(family, mixed):
    base = AutoModelForCausalLM.from_pretrained(ROOT / family, dtype=torch.float32).to(torch.bfloat16).float()
    model = PeftModel.from_pretrained(base, ROOT / family / "adapter", is_trainable=True)
    count, found, loss = sum(len(row) - 1 for row in ROWS), [], 0.0
    for row in ROWS:
        ids = torch.tensor([row])
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=mixed):
            logits = model(input_ids=ids).logits.float()
        logp = torch.log_softmax(logits[0, :-1], -1).gather(1, ids[0, 1:, None])[:, 0]
        found.append(logp.detach())
        loss = loss - logp.sum() / count
    loss.backward()
    return torch.cat(found), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


for family in ["llama", "mistral-sliding-window", "qwen2", "qwen3", "smollm3"]:
    (single, expected), (mixed, found) = step(family, False), step(family, True)
    gradient = max(((found[n] - g).norm() / g.norm()).item() for n, g in expected.items())
    print(f"{family}: log-probability {(mixed - single).abs().max().item():.1e}, gradient {gradient:.1e}")
