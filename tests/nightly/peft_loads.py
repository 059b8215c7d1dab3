"""Loads an adapter that Alidade trained with the real PEFT library and compares the logits of both programs.

Usage: peft_loads.py PATH_TO_ALIDADE   (installs torch, transformers and peft into target/nightly when they are missing)
"""

import json
import pathlib
import subprocess
import sys
import venv

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORK = ROOT / "target" / "nightly"


def prepare():
    """A virtual environment of its own, so that nothing of the machine is touched."""
    python = WORK / "venv" / "bin" / "python"
    if not python.exists():
        venv.create(WORK / "venv", with_pip=True)
        packages = ["torch", "transformers", "peft", "safetensors", "numpy"]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    if pathlib.Path(sys.prefix).resolve() != (WORK / "venv").resolve():
        sys.exit(subprocess.run([python, __file__, *sys.argv[1:]]).returncode)


def train(program):
    """A short run on the golden model."""
    golden = ROOT / "tests" / "golden" / "trl"
    out = WORK / "out"
    recipe = WORK / "recipe.toml"
    recipe.write_text(
        f'method = "dpo"\nmodel = "{golden / "model"}"\ndataset = "{golden / "dpo_sigmoid" / "data.jsonl"}"\n'
        f'output_dir = "{out}"\nseed = 1\n[lora]\nr = 4\n[settings]\nmax_steps = 5\nlearning_rate = 5e-3\n'
    )
    subprocess.run([program, "train", recipe, "--overwrite"], check=True)
    return golden / "model", out / "adapter"


def main():
    prepare()
    import numpy
    import peft
    import torch
    import transformers
    from safetensors.numpy import load_file, save_file

    program = pathlib.Path(sys.argv[1]).resolve()
    model, adapter = train(program)
    ids = numpy.arange(48, dtype=numpy.int64).reshape(2, 24) % 100
    save_file({"input_ids": ids}, WORK / "input.safetensors")
    arguments = ["--model", model, "--adapter", adapter, "--input", WORK / "input.safetensors"]
    subprocess.run([program, "logits", *arguments, "--output", WORK / "ours.safetensors"], check=True)
    base = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    wrapped = peft.PeftModel.from_pretrained(base, adapter)
    with torch.no_grad():
        theirs = wrapped(torch.from_numpy(ids)).logits.numpy()
    gap = float(numpy.abs(theirs - load_file(WORK / "ours.safetensors")["logits"]).max())
    versions = {module.__name__: module.__version__ for module in (torch, transformers, peft)}
    print(json.dumps({"versions": versions, "largest_logit_gap": gap}))
    if gap > 1e-4:
        sys.exit(f"PEFT and Alidade differ by {gap}")


main()
