"""The commands of the terminal whose exit status promises something: a training and two exports."""

import pathlib
import shutil

from power.work import rows

ROOT = pathlib.Path(__file__).resolve().parents[3]
MODEL = ROOT / "tests" / "golden" / "trl" / "model"


def work_folder(place):
    """A folder with a model, rows and a recipe."""
    folder = place / "work"
    shutil.copytree(MODEL, folder / "model")
    (folder / "rows.jsonl").write_text("\n".join(rows("answers", 60)))
    (folder / "recipe.toml").write_text(
        'method = "sft"\nmodel = "model"\ndataset = "rows.jsonl"\noutput_dir = "made/here"\nseed = 3\n[lora]\nr = 4\n'
        "[settings]\nmax_steps = 37\nsave_steps = 10\nlearning_rate = 0.001\n"
    )
    return folder


def made_by_commands(folder):
    """Each command by its name, with what it makes below `made` (a training also writes its state there)."""
    made = folder / "made"
    parts = ["--model", folder / "model", "--adapter", made / "here" / "adapter", "--output"]
    yield "train", ["here/adapter", "here/log.jsonl"], ["train", folder / "recipe.toml"]
    yield "export merged", ["merged"], ["export", *parts, made / "merged"]
    yield "export peft", ["copy"], ["export", *parts, made / "copy", "--form", "peft"]
