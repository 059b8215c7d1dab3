"""The DPO runs of make.py once more in float64: the yardstick where float32 rounding alone moves a curve visibly.

usage: make_f64.py RUN...    (RUN: a folder beside this file, such as dpo_ipo; CPU, seconds each)
RUN/log_f64.json      one object per step as TRL logs it
RUN/adapter_f64/      the trained adapter, rounded to float32 at the end

Model code asks for float32 in several places (norms, softmax, rotary angles) whatever the weights are, so the name is bent to
float64 before training starts, and the rotary frequencies are computed anew.
"""
import sys, os, json, shutil, tempfile, warnings
os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="false", CUDA_VISIBLE_DEVICES="")
warnings.filterwarnings("ignore")
import torch, transformers as tf, trl
from datasets import Dataset
from peft import PeftModel
from safetensors.torch import load_file, save_file
from trl import DPOTrainer, DPOConfig

here = os.path.dirname(os.path.abspath(__file__))
single = torch.float32


def policy(adapter):
    base = tf.AutoModelForCausalLM.from_pretrained(here + "/model", dtype=single).double()
    rotary, config = base.model.rotary_emb, base.config
    theta = config.rope_parameters["rope_theta"]
    size = config.hidden_size // config.num_attention_heads
    rotary.register_buffer("inv_freq", 1.0 / theta ** (torch.arange(0, size, 2, dtype=torch.float64) / size), persistent=False)
    model = PeftModel.from_pretrained(base, f"{here}/{adapter}", is_trainable=True, autocast_adapter_dtype=False)
    return model.double()


plain = torch.Tensor.float


def bend(bent):
    torch.float32 = torch.float = torch.float64 if bent else single
    torch.Tensor.float = torch.Tensor.double if bent else plain


def run(name):
    told = json.load(open(f"{here}/{name}/run.json"))
    rows = [json.loads(line) for line in open(f"{here}/{name}/data.jsonl", encoding="utf-8")]
    settings = dict(told["settings"])
    settings["loss_type"] = [settings["loss_type"]]
    options = DPOConfig(**settings, output_dir=tempfile.mkdtemp(), max_length=128, seed=told["seed"], logging_steps=1, save_strategy="no", report_to=[],
                        use_cpu=True, gradient_checkpointing=False, bf16=False, fp16=False, optim="adamw_torch", disable_tqdm=True)
    trainer = DPOTrainer(model=policy(told["adapter"]), args=options, train_dataset=Dataset.from_list(rows),
                         processing_class=tf.AutoTokenizer.from_pretrained(here + "/model"))
    types = {parameter.dtype for parameter in trainer.model.parameters()}
    assert types == {torch.float64}, types
    bend(True)
    trainer.train()
    bend(False)
    log = [entry for entry in trainer.state.log_history if "loss" in entry and "train_loss" not in entry]
    json.dump(log, open(f"{here}/{name}/log_f64.json", "w"), indent=1)
    to = f"{here}/{name}/adapter_f64"
    shutil.rmtree(to, ignore_errors=True)
    trainer.model.save_pretrained(to)
    weights = load_file(to + "/adapter_model.safetensors")
    assert all(tensor.dtype == torch.float64 for tensor in weights.values())
    save_file({key: tensor.to(single) for key, tensor in weights.items()}, to + "/adapter_model.safetensors", metadata={"format": "pt"})
    for extra in ("README.md", "training_args.bin", "ref"):
        path = f"{to}/{extra}"
        shutil.rmtree(path) if os.path.isdir(path) else os.path.exists(path) and os.remove(path)
    shutil.copyfile(f"{here}/{name}/adapter/adapter_config.json", to + "/adapter_config.json")
    print(name, "loss", log[0]["loss"], "->", log[-1]["loss"], len(log), "versions", torch.__version__, tf.__version__, trl.__version__, flush=True)


for name in sys.argv[1:]:
    run(name)
