"""Small inputs from public bug reports, tried against the real program: what each of them must come out as.

cases.py PROGRAM [CASES] [--only NUMBER]     CASES (default: ../shared/cases) holds the inputs and their prepare.py

The inputs are not part of this repository; without them the check says so and succeeds. Standard library only.
"""
import array, json, os, re, shutil, signal, struct, subprocess, sys, tempfile, time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
CHECKS = {}


def case(function):
    """Registers the check of one folder, named by its number."""
    CHECKS[function.__name__.split("_")[1]] = function
    return function


class Case:
    """A folder of the prepared cases, with the program to try on it."""

    def __init__(self, program, folder):
        self.program, self.folder = program, folder

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def run(self, *arguments, text=None, limit=300):
        """Exit code, standard output, standard error."""
        ended = subprocess.run([self.program, *arguments], cwd=self.folder, input=text, capture_output=True, text=True, timeout=limit)
        return ended.returncode, ended.stdout, ended.stderr

    def imported(self, name):
        code, out, words = self.run("check", name, "--json")
        return (json.loads(out) if code == 0 else None), words

    def trained(self, recipe):
        code, _, words = self.run("train", recipe)
        output = re.search(r'output_dir = "([^"]+)"', open(self.path(recipe)).read())
        record = self.path(output.group(1) if output else "out", "run.json")
        return code, words, (json.load(open(record)) if code == 0 else None)

    def logits(self, model, adapter=None):
        output = self.path(f"logits-{model}-{adapter}.safetensors")
        more = ["--adapter", adapter] if adapter else []
        code, _, words = self.run("logits", "--model", model, *more, "--input", "ids.safetensors", "--output", output)
        return code, words, (tensors(output)["logits"] if code == 0 else None)

    def reference(self, name):
        return tensors(self.path("ids.safetensors"))[name]


def tensors(path):
    """F32 and I64 tensors of a safetensors file, flat."""
    data = open(path, "rb").read()
    (length,) = struct.unpack("<Q", data[:8])
    found = {}
    for name, view in json.loads(data[8 : 8 + length]).items():
        if name != "__metadata__" and view["dtype"] in ("F32", "I64"):
            start, end = (8 + length + place for place in view["data_offsets"])
            found[name] = array.array("f" if view["dtype"] == "F32" else "q", data[start:end])
    return found


def gap(left, right):
    return max(abs(a - b) for a, b in zip(left, right, strict=True))


def need(condition, words):
    if not condition:
        raise AssertionError(words)


def short(found):
    """One line of a report."""
    return " ".join(str(found).split())[:400]


def lines(path):
    return [json.loads(line) for line in open(path, encoding="utf-8")]


@case
def case_02_system_beside_pairs(c):
    code, words, _ = c.trained("recipe.toml")
    need(code == 0, words)
    rows = lines(c.path("out", "rows.jsonl"))
    need(all(row["prompt"][0]["role"] == "system" for row in rows), rows[0])
    strings, _ = c.imported("strings.jsonl")
    share, _ = c.imported("sharegpt.jsonl")
    need(strings["kept"] == 2 and share["kept"] == 1, strings)
    return f"{len(rows)} prompts begin with the system line; plain pairs: {strings['dataset']['remarks']}"


@case
def case_04_bom_and_utf16(c):
    bom, _ = c.imported("bom.jsonl")
    need(bom and bom["read"] == bom["kept"] == 2, bom)
    kept = []
    for name, rows in [("utf16le.jsonl", 2), ("utf16le-ascii.json", 1)]:
        found, words = c.imported(name)
        need((found and found["kept"] == rows) or "UTF-16" in words, words)
        kept.append(found["kept"] if found else words.strip())
    found, words = c.imported("latin1.jsonl")
    need(found is None and "UTF-8" in words and re.search(r"\d", words), words or found)
    return f"BOM 2 rows, UTF-16 {kept}, Latin-1: {words.splitlines()[0]}"


@case
def case_05_messages_as_json_text(c):
    for name in ("chat.csv", "chat.jsonl"):
        found, words = c.imported(name)
        need(found and found["kept"] == 2, words or found)
    pairs, words = c.imported("pairs.jsonl")
    need(pairs is None or pairs["dataset"]["kind"] == "pairs", pairs)
    return f"2 of 2 conversations from text cells; pairs {'kept ' + str(pairs['kept']) if pairs else words.strip()}"


@case
def case_07_list_of_lists(c):
    counts = {}
    for name, expected in [("array.json", 2), ("lines.jsonl", 2), ("batches.jsonl", 6)]:
        found, words = c.imported(name)
        counts[name] = found["kept"] if found else words.strip()
        need((found and found["kept"] == expected) or "list" in words or "array" in words, counts)
    return str(counts)


@case
def case_08_roles_out_of_turn(c):
    found, _ = c.imported("mislabelled.jsonl")
    need(found["kept"] == 3 and [issue["row"] for issue in found["dataset"]["issues"]] == [4], found)
    told = []
    for name in ("twice", "greeting"):
        code, words, record = c.trained(f"{name}.toml")
        need((code == 0 and record["rows"]["used"] == 5 and "1 row" in words) or "row 4" in words, words)
        told.append(words.strip().splitlines()[0])
    code, words, record = c.trained("greeting-masked.toml")
    need(code == 0, words)
    return f"row 4 named at import; {told}; greeting-masked learns {record['rows']['learned_tokens']} tokens"


@case
def case_10_images_column(c):
    found, _ = c.imported("mixed.jsonl")
    rows = [issue["row"] for issue in found["dataset"]["issues"]]
    texts = " ".join(json.dumps(issue) for issue in found["dataset"]["issues"]).lower()
    need((found["read"], found["kept"], rows) == (4, 2, [2, 3]) and ("image" in texts or "picture" in texts), found)
    return "read 4, kept 2, rows 2 and 3 named for their picture"


@case
def case_11_template_asks_for_the_date(c):
    counts = {}
    for name in ("smollm3-like", "granite-like", "guarded"):
        code, words, record = c.trained(f"{name}.toml")
        need(code == 0, words)
        counts[name] = record["rows"]["tokens"]
        code, out, words = c.run("chat", "--model", name, "--temperature", "0", "--max-new-tokens", "8", text="Where is the library?\n")
        need(code == 0, words)
    exact = time.strftime("%d %B %Y") == "28 November 2026"
    need(not exact or list(counts.values()) == [528, 624, 480], counts)
    return f"{counts}" + ("" if exact else " (the counts of transformers are for 28 November 2026)")


@case
def case_12_end_of_turn_is_not_eos(c):
    answers = []
    for name in ("instruct-like", "base-like"):
        code, words, _ = c.trained(f"{name}.toml")
        need(code == 0, words)
        with open(c.path("ask.txt")) as ask:
            code, out, words = c.run("chat", "--model", name, "--adapter", f"out-{name}/adapter", "--temperature", "0", "--max-new-tokens", "120", text=ask.read())
        need(code == 0 and "<|im_start|>" not in out and "\nuser" not in out, out)
        answers.append(out.strip())
    return f"answers {[len(answer) for answer in answers]} characters, equal: {answers[0] == answers[1]}"


@case
def case_13_bos_before_plain_text(c):
    counts = []
    for data in ("text", "plain", "chat"):
        pair = []
        for model in ("with-bos", "without-bos"):
            code, words, record = c.trained(f"{model}-{data}.toml")
            need(code == 0, words)
            pair.append(record["rows"]["tokens"])
        counts.append(pair)
    need(counts == [[60, 56], [60, 56], [140, 136]], counts)
    return str(counts)


@case
def case_15_template_drops_earlier_thoughts(c):
    counts = []
    for name, right in [("model", (95, 99)), ("model-with-tags", (95, 99)), ("qwen3-like", (35, 38))]:
        code, words, record = c.trained(f"{name}.toml")
        need(code == 0, words)
        counts.append(record["rows"]["learned_tokens"])
        need(counts[-1] in right, counts)
    return f"{counts} learned tokens"


@case
def case_16_crlf_template(c):
    found = []
    for name in ("lf", "crlf"):
        code, words, record = c.trained(f"{name}.toml")
        need(code == 0, words)
        found.append((record["rows"]["tokens"], lines(c.path(f"out-{name}", "log.jsonl"))[0]["loss"]))
    need(found[0] == found[1] and found[0][0] == 272, found)
    return f"{found}"


@case
def case_18_rope_in_two_places(c):
    right, gaps = c.reference("logits"), {}
    for name in ("v4", "v5", "v5-with-stale-theta", "v4-with-theta-inside", "v5-theta-outside", "v5-empty-group", "both-groups"):
        code, words, logits = c.logits(name)
        need(code == 0 or (name == "v5-empty-group" and code == 2), f"{name}: {words}")
        if logits:
            gaps[name] = gap(logits, right)
            need(gaps[name] < 1e-4, gaps)
    code, words, _ = c.logits("yarn")
    need(code == 2 and "yarn" in words and "rope_type" in words or code == 0, words)
    return f"largest gap {max(gaps.values()):.1e}; yarn: {words.strip().splitlines()[0] if words else 'computed'}"


@case
def case_20_gemma3_with_a_picture_tower(c):
    told = {}
    right = list(c.reference("greedy"))[:4]
    for name in ("published", "saved-by-v5", "text-config-only"):
        code, out, words = c.run("generate", "--model", name, "--input", "ids.safetensors", "--max-new-tokens", "4", "--ignore-eos", "--json")
        told[name] = json.loads(out)["ids"][0] if code == 0 else words.strip().splitlines()[0]
        need((code == 0 and told[name] == right) or (code == 2 and "multimodal" in words), told)
    return str(told)


@case
def case_21_tied_or_not(c):
    for name in ("flag-missing", "flag-false-no-head"):
        code, words, _ = c.logits(name)
        need(code == 2 and "lm_head.weight" in words and "tie_word_embeddings" in words, words)
    code, words, logits = c.logits("flag-true-same-head")
    need(code == 0 and gap(logits, c.reference("logits")) < 1e-4, words)
    code, words, logits = c.logits("flag-true-other-head")
    need(code == 2 or gap(logits, c.reference("logits")) > 1, words)
    return f"head missing: refused by name; unequal head: {'used' if code == 0 else 'refused'}; {words.strip()}"


@case
def case_23_modules_to_save_on_a_tied_model(c):
    told = {}
    for name in ("both-differ", "both-equal", "embedding-only"):
        code, words, live = c.logits("model", name)
        need(code == 0, words)
        _, _, right = c.logits(f"ref-{name}")
        need(gap(live, right) < 1e-4, name)
        code, _, words = c.run("export", "--model", "model", "--adapter", name, "--output", f"merged-{name}")
        told[name] = f"refused: {words.strip().splitlines()[0]}"
        if code == 0:
            _, words, merged = c.logits(f"merged-{name}")
            need(merged and gap(merged, right) < 1e-4, f"merged {name}: {words}")
            told[name] = f"merged, gap {gap(merged, right):.1e}"
    return str(told)


@case
def case_24_names_of_adapter_tensors(c):
    told, right = {}, c.reference("lora_logits")
    words_of = {"mlx": "mlx", "bin": "pickle", "half": "", "nested": "adapter"}
    for name in ("twice", "infix", "infix-other-name", "bare", "language-model", "mlx", "nested", "bin", "half"):
        code, words, logits = c.logits("model", name)
        told[name] = f"{gap(logits, right):.1e}" if code == 0 else "refused"
        need(code in (0, 2) and (code == 2 or gap(logits, right) < 1e-4), f"{name}: {words}")
        need(name not in words_of or (code == 2 and words_of[name] in words.lower()), f"{name}: {words}")
    return str(told)


@case
def case_25_patterns_that_match_nothing(c):
    told = {}
    for name in ("typo", "anchor"):
        code, words, _ = c.trained(f"{name}.toml")
        need(code == 2 or "pattern" in words, f"{name}: {words}")
        told[name] = "refused" if code == 2 else "said"
    code, words, _ = c.trained("order.toml")
    need(code == 0, words)
    config = json.load(open(c.path("out-order", "adapter", "adapter_config.json")))
    told["order"] = config["rank_pattern"]
    need(list(config["rank_pattern"].items())[0] == ("q_proj", 8), config["rank_pattern"])
    for name in ("lookahead", "regex"):
        code, words, _ = c.trained(f"{name}.toml")
        need(code == 0 or "look" in words.lower(), f"{name}: {words}")
        told[name] = "trained" if code == 0 else "refused by name"
    for name in ("alpha-order", "alpha-but-first-layer"):
        code, words, live = c.logits("model", name)
        _, _, right = c.logits(f"ref-{name}")
        need((code == 2 and name == "alpha-but-first-layer") or gap(live, right) < 1e-4, f"{name}: {words}")
        told[name] = "refused" if code else f"{gap(live, right):.1e}"
    return str(told)


@case
def case_27_one_step_of_dpo(c):
    code, words, _ = c.trained("defaults.toml")
    if code == 0:
        moved = [max(map(abs, values)) for name, values in tensors(c.path("out", "adapter", "adapter_model.safetensors")).items() if "lora_B" in name]
        need(any(moved), "the adapter is zero")
        return f"largest lora_B {max(moved):.1e}"
    need(code == 2 and "rate" in words, words)
    return f"refused: {words.strip().splitlines()[0]}"


@case
def case_29_accumulation(c):
    logs = []
    for name in ("b8g1", "b1g8", "b2g4", "b3g3"):
        code, words, _ = c.trained(f"{name}.toml")
        need(code == 0, words)
        logs.append(lines(c.path(f"out-{name}", "log.jsonl")))
    worst = max(
        abs(a[key] - b[key]) / abs(a[key]) for other in logs[1:3] for a, b in zip(logs[0], other, strict=True) for key in ("loss", "grad_norm")
    )
    need(worst < 1e-5, worst)
    return f"largest relative gap {worst:.1e}"


@case
def case_30_resume_with_more_steps(c):
    whole = c.path("whole")
    os.makedirs(whole)
    for name in ("rows.jsonl", "40.toml"):
        shutil.copy(c.path(name), whole)
    shutil.copytree(c.path("model"), os.path.join(whole, "model"))
    ended = subprocess.run([c.program, "train", "40.toml"], cwd=whole, capture_output=True, text=True)
    need(ended.returncode == 0, ended.stderr)
    worker = subprocess.Popen([c.program, "train", "40.toml"], cwd=c.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    checkpoints = c.path("out", "checkpoints")
    while worker.poll() is None and not (os.path.isdir(checkpoints) and any(name.isdigit() or "step-" in name and not name.endswith(".tmp") for name in os.listdir(checkpoints))):
        time.sleep(0.001)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    before = open(c.path("out", "log.jsonl"), "rb").read()
    kept = sorted(os.listdir(checkpoints))
    code, out, words = c.run("train", "60.toml", "--json")
    told = (out + words).lower()
    need("max_steps" in told, told)
    if code != 0:
        need(open(c.path("out", "log.jsonl"), "rb").read() == before and sorted(os.listdir(checkpoints)) == kept, "the refused run changed the folder")
    code2, _, again = c.run("train", "40.toml")
    need(code2 == 0, again)
    same = open(c.path("out", "log.jsonl"), "rb").read() == open(os.path.join(whole, "out", "log.jsonl"), "rb").read()
    need(same, "the resumed log differs from an uninterrupted one")
    return f"changed settings: exit {code}, {words.strip().splitlines()[0] if words else ''}; taken up again: {again.strip().splitlines()[0]}"


@case
def case_31_kto_labels(c):
    told = {}
    for name, kept in [("all-true", 8), ("ones", 8), ("words", 8), ("nulls", 6)]:
        found, words = c.imported(f"{name}.jsonl")
        need(found and found["dataset"]["kind"] == "ratings" and found["kept"] == kept, f"{name}: {found} {words}")
        if name == "nulls":
            need([issue["row"] for issue in found["dataset"]["issues"]] == [2, 6], found)
        code, words, _ = c.trained(f"{name}.toml")
        need(code == 0 or name == "all-true", f"{name}: {words}")
        need(name != "all-true" or code == 2 or words.strip(), "one class alone is not said")
        told[name] = f"kept {found['kept']}, exit {code}"
    found, words = c.imported("ones.csv")
    need(found and found["dataset"]["kind"] == "ratings" and found["kept"] == 8, found or words)
    code, words, record = c.trained("ones-sft.toml")
    ones = sum(1 for row in lines(c.path("ones.jsonl")) if row["label"] == 1)
    need(code == 2 or record["rows"]["used"] == ones, record and record["rows"])
    told["ones-sft"] = "refused" if code == 2 else f"learns {record['rows']['used']} of 8"
    return str(told)


@case
def case_33_orpo_certain_answers(c):
    code, words, _ = c.trained("recipe.toml")
    need(code == 0, words)
    log = lines(c.path("out", "log.jsonl"))
    finite = all(value == value and abs(value) < float("inf") for line in log for value in line.values() if isinstance(value, (int, float)))
    need(len(log) == 200 and finite, len(log))
    return f"200 steps, all finite, last logps/chosen {log[-1]['logps/chosen']:.4f}"


@case
def case_35_files_beside_a_merged_model(c):
    code, words, _ = c.trained("recipe.toml")
    need(code == 0, words)
    code, _, words = c.run("export", "--model", "model", "--adapter", "out/adapter", "--output", "merged")
    need(code == 0, words)
    found = set(os.listdir(c.path("merged")))
    base = {name for name in os.listdir(c.path("model")) if not name.startswith(("README", "model", "config.json"))}
    need(base <= found, f"missing: {base - found}")
    return f"{len(found)} files, all {len(base)} of the base beside the weights"


@case
def case_36_merged_equals_adapter(c):
    code, words, _ = c.trained("recipe.toml")
    need(code == 0, words)
    code, _, words = c.run("export", "--model", "model", "--adapter", "out/adapter", "--output", "merged")
    need(code == 0, words)
    need("lm_head.weight" not in tensors(c.path("merged", "model.safetensors")), "a tied model got a head")
    texts = []
    for model in (["model", "--adapter", "out/adapter"], ["merged"]):
        with open(c.path("ask.txt")) as ask:
            code, out, words = c.run("chat", "--model", *model, "--temperature", "0", text=ask.read())
        need(code == 0, words)
        texts.append(out)
    need(texts[0] == texts[1], texts)
    return "both chats give the same text"


@case
def case_hostile_files(c):
    """Mutated tokenizer.json and config.json in the place of the starter's own: words, exit 2, soon."""
    starter, told = os.path.join(ROOT, "resources", "starter", "starter"), {}
    for kind, name in [("tokenizer", "tokenizer.json"), ("config", "config.json")]:
        for mutation in sorted(os.listdir(c.path(kind))):
            model = c.path(f"model-{kind}-{mutation}")
            shutil.copytree(starter, model)
            source = c.path(kind, mutation)
            source = os.path.join(source, name) if os.path.isdir(source) else source
            shutil.copyfile(source, os.path.join(model, name))
            began = time.monotonic()
            code, _, words = c.run("generate", "--model", model, "--prompt", "The library  (is) open, aaaa!", "--max-new-tokens", "4", limit=60)
            seconds = time.monotonic() - began
            need(code in (0, 2) and "panicked" not in words, f"{mutation}: exit {code}, {words}")
            told[f"{kind} {mutation}"] = f"exit {code} in {seconds:.1f} s"
    return str(told)


def main():
    arguments = sys.argv[1:]
    only = arguments.pop(arguments.index("--only") + 1) if "--only" in arguments else None
    arguments = [argument for argument in arguments if argument != "--only"]
    program = os.path.abspath(arguments[0])
    source = os.path.abspath(arguments[1] if len(arguments) > 1 else os.path.join(ROOT, "..", "shared", "cases"))
    if not os.path.isdir(source):
        print(f"There are no cases in {source}: none was tried.")
        return 0
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, os.path.join(source, "prepare.py"), folder, ROOT], check=True, stdout=subprocess.DEVNULL)
        shutil.copytree(os.path.join(source, "hostile"), os.path.join(folder, "hostile"))
        for name in sorted(os.listdir(folder)):
            number = name.split("-")[0]
            if number not in CHECKS or only not in (None, number):
                continue
            try:
                print(f"right  {name}: {short(CHECKS[number](Case(program, os.path.join(folder, name))))}", flush=True)
            except Exception as error:  # every case is tried, whatever the one before it did
                failed += 1
                print(f"WRONG  {name}: {short(error)}", flush=True)
    print(f"{len(CHECKS)} kinds, {failed} wrong")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
