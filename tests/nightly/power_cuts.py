"""Real power cuts: the data folder lies on an ext4 image of its own; at a seeded moment every process is stopped, the image is
copied, and the copy is what the disk held. It is mounted (the journal is replayed) and opened: the program must start, hold
everything that it had acknowledged before the cut, and carry the experiment on to the same adapters, to the byte.

Usage: power_cuts.py PATH_TO_ALIDADE [--cuts 60] [--seed 1]     (needs root, mkfs.ext4 and loop mounts; says so when it has none)
"""

import argparse
import collections
import hashlib
import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
IMAGE_MB = 192
START_LIMIT, WORK_LIMIT = 90, 600
KINDS = ["first start", "import", "experiment", "experiment", "experiment", "export"]


class Problem(Exception):
    """What the program answered instead of a result."""


class Disk:
    """An ext4 image and where it is mounted."""

    def __init__(self, work):
        self.image, self.mount = work / "disk.img", work / "disk"
        self.mount.mkdir()

    def format(self):
        self.image.unlink(missing_ok=True)
        with open(self.image, "wb") as file:
            file.truncate(IMAGE_MB << 20)
        quietly("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", self.image)
        self.attach()

    def attach(self):
        quietly("mount", "-o", "loop", self.image, self.mount)

    def detach(self):
        for _ in range(100):
            if subprocess.run(["umount", self.mount], stderr=subprocess.DEVNULL).returncode == 0:
                return
            time.sleep(0.05)
        raise SystemExit(f"{self.mount} could not be unmounted")

    def cut(self, stop, end):
        """Keeps what the disk holds while everything stands still, ends everything, and mounts that."""
        copy = self.image.with_suffix(".cut")
        stop()
        quietly("cp", "--sparse=always", self.image, copy)
        end()
        self.detach()
        copy.replace(self.image)
        self.attach()


class Program:
    """`alidade serve` on a data folder, and its workers."""

    def __init__(self, program, home, resources):
        self.program, self.home, self.resources = program, home, resources
        self.process = self.port = self.token = None

    def start(self):
        environment = dict(os.environ, ALIDADE_HOME=str(self.home), ALIDADE_RESOURCES=str(self.resources), RAYON_NUM_THREADS="1")
        self.words = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [self.program, "serve"], env=environment, stdout=subprocess.PIPE, stderr=self.words, text=True
        )
        timer = threading.Timer(START_LIMIT, self.process.kill)
        timer.start()
        line = self.process.stdout.readline()
        timer.cancel()
        if not line.startswith("http://"):
            self.words.seek(0)
            raise Problem(f"it did not start: {self.words.read().decode(errors='replace')}")
        self.port = int(line.split(":")[2].split("/")[0])
        self.token = line.split("token=")[1].strip()

    def everybody(self):
        """The program and whatever works in its data folder, by what their command lines say."""
        found = [self.process.pid]
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                words = (entry / "cmdline").read_bytes()
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
            if str(self.home).encode() in words or parent == self.process.pid:
                found.append(int(entry.name))
        return found

    def signal(self, number):
        for process in self.everybody():
            try:
                os.kill(process, number)
            except ProcessLookupError:
                pass

    def stop(self):
        # Twice: a worker may have been born between the list and the signal.
        self.signal(signal.SIGSTOP)
        self.signal(signal.SIGSTOP)

    def end(self):
        for _ in range(3):
            self.signal(signal.SIGKILL)
            time.sleep(0.05)
        self.process.wait()
        self.process.stdout.close()

    def request(self, path, body, kind="application/json"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WORK_LIMIT)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": kind, "Host": f"127.0.0.1:{self.port}"}
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        if response.status != 200:
            raise Problem(f"{path}: {response.status} {text}")
        return json.loads(text) if path != "/api/stream/send_message" else text

    def call(self, command, /, **fields):
        return self.request(f"/api/call/{command}", json.dumps(fields))

    def upload(self, name, text):
        return self.request(f"/api/upload?name={name}", text, "application/octet-stream")["handle"]


class Told:
    """What the program has acknowledged."""

    def __init__(self):
        self.sets, self.experiments, self.chats, self.exports = {}, set(), {}, {}
        self.runs = {}
        self.bundled = 0
        self.cutting, self.broken = False, None

    def saw_runs(self, runs):
        for run in runs:
            self.runs[run["id"]] = run


def quietly(*command):
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def rows(kind, count):
    words = "river stone cloud lamp bread garden window paper winter harbour".split()
    for number in range(count):
        question = f"What about the {words[number % 10]} and the {words[number * 7 % 10]} number {number}?"
        good, bad = f"It is a fine {words[number * 3 % 10]}.", "No."
        if kind == "answers":
            yield json.dumps({"prompt": question, "completion": good})
        elif kind == "prompts":
            yield json.dumps({"prompt": question})
        else:
            yield json.dumps({"prompt": question, "chosen": good, "rejected": bad})


def pipeline(answers, pairs, prompts):
    def recipe(method, dataset, settings, **more):
        return {
            "method": method, "model": "model:toy", "dataset": f"dataset:{dataset}", "seed": 7, "adapter": None, "lora": None,
            "settings": {"save_steps": 100, "learning_rate": 0.001, "per_device_train_batch_size": 4} | settings,
        } | more

    lora = {"r": 4, "lora_alpha": 8, "lora_dropout": 0.1}
    return [
        recipe("sft", answers, {"max_steps": 500}, lora=lora),
        recipe("reward_model", pairs, {"max_steps": 250}, lora=lora),
        recipe("ppo", prompts, {"max_steps": 30, "save_steps": 7, "response_length": 6, "num_mini_batches": 2}, adapter="stage:1", reward="stage:2"),
    ]


def digest(folder):
    hashes = {}
    for path in sorted(pathlib.Path(folder).rglob("*")):
        if path.is_file():
            hashes[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return hashes


def finished(runs):
    return len(runs) == 3 and all(run["state"] == "finished" for run in runs)


def adapters(runs):
    return [run["adapter"]["sha256"] for run in sorted(runs, key=lambda run: run["stage"])]


def work(program, told, kind):
    """Everything a person does; `told` learns of each thing as soon as it is acknowledged."""
    told.bundled = len([one for one in program.call("list_datasets") if one["bundled"]])
    if kind == "first start":
        time.sleep(1.5)
    ids = []
    for name, count in (("answers", 60), ("pairs", 60), ("prompts", 60)):
        made = program.call("import_dataset", handle=program.upload(f"{name}.jsonl", "\n".join(rows(name, count))), name=name)
        told.sets[made["id"]] = made["summary"]["kept"]
        ids.append(made["id"])
    made = program.call("create_experiment", title="cut", question="q", pipeline=pipeline(*ids))
    told.experiments.add(made["experiment"]["id"])
    program.call("start_experiment", id=made["experiment"]["id"])
    carry_on(program, told)
    for run in program.call("list_runs"):
        if run["adapter"] and run["method"] != "reward_model":
            place = program.request("/api/folder", "")
            program.call("export_adapter", adapter=run["id"], form="merged", handle=place["handle"])
            told.exports[place["path"]] = digest(place["path"])
    stack = next(one["stack"] for one in program.call("list_stacks") if one["stack"]["adapter"])
    chat = program.call("create_chat", stacks=[stack])
    program.request("/api/stream/send_message", json.dumps({"id": chat["id"], "text": "Hello?"}))
    told.chats[chat["id"]] = program.call("get_chat", id=chat["id"])["messages"]
    told.done = True


def carry_on(program, told):
    """Waits for the experiment's end; resumes what the cut has interrupted."""
    deadline = time.time() + WORK_LIMIT
    while time.time() < deadline:
        runs = program.call("list_runs")
        told.saw_runs(runs)
        if finished(runs):
            return runs
        for run in runs:
            if run["state"] in ("interrupted", "paused"):
                program.call("resume_run", run=run["id"])
            elif run["state"] in ("failed", "discarded", "stopped"):
                raise Problem(f"run {run['method']} is {run['state']}: {run['problem']}")
        time.sleep(0.05)
    raise Problem(f"not finished in time: {[(run['method'], run['state'], run['problem']) for run in runs]}")


def holds(program, told):
    """Everything acknowledged is there."""
    sets = {one["id"]: one for one in program.call("list_datasets")}
    for one in sets.values():
        if one.get("problem"):
            raise Problem(f"data set {one['name']}: {one['problem']}")
    if len([one for one in sets.values() if one["bundled"]]) < told.bundled:
        raise Problem("bundled data sets are missing")
    for id, count in told.sets.items():
        total = program.call("dataset_rows", id=id, offset=0, limit=5)["total_rows"]
        if total != count:
            raise Problem(f"a data set of {count} rows has {total}")
    known = {one["experiment"]["id"] for one in program.call("list_experiments")}
    if not told.experiments <= known:
        raise Problem("an experiment is gone")
    runs = {run["id"]: run for run in program.call("list_runs")}
    for id, old in told.runs.items():
        new = runs.get(id)
        if new is None:
            raise Problem(f"run {old['method']} is gone")
        if new["last_sequence"] < old["last_sequence"]:
            raise Problem(f"run {old['method']}: {old['last_sequence']} events were shown, {new['last_sequence']} are left")
        if old["state"] == "finished" and (new["state"], new["adapter"]) != ("finished", old["adapter"]):
            raise Problem(f"run {old['method']} was finished and is {new['state']}")
        if old["evaluation"] and new["evaluation"] != old["evaluation"]:
            raise Problem(f"run {old['method']} has lost its comparison")
    for path, hashes in told.exports.items():
        if digest(path) != hashes:
            raise Problem(f"an export differs: {sorted(digest(path))} of {sorted(hashes)}")
    for id, messages in told.chats.items():
        if program.call("get_chat", id=id)["messages"] != messages:
            raise Problem("a chat has lost messages")


def again(program, told, expected):
    """After the cut: everything is there, and the experiment comes to the same end."""
    holds(program, told)
    if not program.call("list_experiments"):
        told = Told()
        work(program, told, "again")
    else:
        for one in program.call("list_experiments"):
            if len(one["runs"]) < 3:
                program.call("start_experiment", id=one["experiment"]["id"])
        carry_on(program, told)
    runs = program.call("list_runs")
    if adapters(runs) != expected:
        raise Problem("the adapters differ from those of the run without a cut")
    for one in program.call("list_experiments"):
        if one["overall"] is None:
            raise Problem("the comparison of the whole experiment is gone")
        program.call("get_report", experiment=one["experiment"]["id"])
    faults = program.call("app_info").get("problems")
    if faults:
        raise Problem(f"faults: {faults}")


def one_cut(disk, program, number, seed, times, expected):
    kind = KINDS[number % len(KINDS)]
    draw = random.Random(seed * 100_003 + number)
    disk.format()
    told = Told()
    first, whole = times
    window = {"first start": (0.0, first + 1.5), "import": (first, first + 0.15 * (whole - first)),
              "experiment": (first + 0.05 * (whole - first), first + 0.8 * (whole - first)),
              "export": (first + 0.75 * (whole - first), whole * 1.02)}[kind]
    wait = draw.uniform(*window)
    begun = time.time()

    def act():
        try:
            program.start()
            work(program, told, kind)
        except (Problem, OSError, ValueError, KeyError, http.client.HTTPException) as problem:
            # After the cut there is nobody to answer; before it somebody should have.
            told.broken = None if told.cutting else f"before the cut: {problem!r}"

    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    time.sleep(wait)
    while program.process is None:
        time.sleep(0.001)
    told.cutting = True
    disk.cut(program.stop, program.end)
    thread.join(timeout=30)
    passed = time.time() - begun
    states = collections.Counter(run["state"] for run in told.runs.values())
    where = f"{kind}, {wait:.2f} s, {len(told.sets)} sets, runs {dict(states)}, {len(told.exports)} exports, {len(told.chats)} chats"
    try:
        program.start()
        if told.broken:
            raise Problem(told.broken)
        again(program, told, expected)
        print(f"cut {number}: held ({where}; {time.time() - begun - passed:.0f} s after)", flush=True)
        return None
    except (Problem, OSError, KeyError, http.client.HTTPException) as problem:
        print(f"cut {number}: LOST ({where}): {problem}", flush=True)
        return f"cut {number} of seed {seed}: {problem}"
    finally:
        program.end()
        disk.detach()


def terminal(disk, program):
    """What an exit status of 0 speaks of is on the disk: a cut right after it takes nothing."""
    disk.format()
    work_folder = disk.mount / "work"
    shutil.copytree(ROOT / "tests" / "golden" / "trl" / "model", work_folder / "model")
    (work_folder / "rows.jsonl").write_text("\n".join(rows("answers", 60)))
    recipe = work_folder / "recipe.toml"
    recipe.write_text(
        'method = "sft"\nmodel = "model"\ndataset = "rows.jsonl"\noutput_dir = "made/here"\nseed = 3\n[lora]\nr = 4\n'
        "[settings]\nmax_steps = 37\nsave_steps = 10\nlearning_rate = 0.001\n"
    )
    subprocess.run(["sync"], check=True)
    lost, made = [], work_folder / "made"
    parts = ["--model", work_folder / "model", "--adapter", made / "here" / "adapter", "--output"]
    for command in (["train", recipe], ["export", *parts, made / "merged"], ["export", *parts, made / "copy", "--form", "peft"]):
        quietly(program.program, *command)
        before = digest(made)
        disk.cut(lambda: None, lambda: None)
        if digest(made) != before:
            lost.append(f"after `{command[0]}`: {sorted(digest(made))} of {sorted(before)}")
    disk.detach()
    print(f"train and two exports, cut after their exit: {'LOST ' + '; '.join(lost) if lost else 'held'}", flush=True)
    return lost


def possible(work_folder):
    """Why there can be no cuts here, if so."""
    if os.geteuid() != 0:
        return "it needs root for loop mounts"
    for tool in ("mkfs.ext4", "mount", "umount"):
        if shutil.which(tool) is None:
            return f"{tool} is missing"
    try:
        disk = Disk(work_folder)
        disk.format()
        disk.detach()
        disk.mount.rmdir()
    except (subprocess.CalledProcessError, OSError) as error:
        return f"a loop mount failed: {error}"
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--cuts", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first cut, to see one again")
    options = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="alidade-cuts-"))
    why = possible(folder)
    if why:
        print(f"power cuts were not tried: {why}")
        return 0
    disk = Disk(folder)
    resources = folder / "resources"
    program = Program(options.program.resolve(), disk.mount / "home", resources)
    try:
        return tried(options, disk, program)
    finally:
        if program.process and program.process.returncode is None:
            program.end()
        subprocess.run(["umount", disk.mount], stderr=subprocess.DEVNULL)
        shutil.rmtree(folder)


def tried(options, disk, program):
    resources = program.resources
    shutil.copytree(ROOT / "tests" / "golden" / "trl" / "model", resources / "starter" / "toy")
    disk.format()
    told, begun = Told(), time.time()
    program.start()
    first = time.time() - begun
    work(program, told, "whole")
    whole = time.time() - begun
    expected = adapters(program.call("list_runs"))
    holds(program, told)
    program.end()
    disk.detach()
    print(f"without a cut: first start {first:.1f} s, everything {whole:.1f} s", flush=True)
    lost = terminal(disk, program)
    failed_before = len(lost)
    for number in range(options.first, options.first + options.cuts):
        words = one_cut(disk, program, number, options.seed, (first, whole), expected)
        lost += [words] if words else []
    print(f"{options.cuts - len(lost) + failed_before} of {options.cuts} cuts held (seed {options.seed})")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
