"""Everything a person does with the program in a few seconds, and a diary of what the program has acknowledged when.

The work has five parts, in which cuts are made: the start, an import, an experiment of three stages, exports with a chat, and
deletions. Work that a cut has interrupted is taken up again in the same five parts.
"""

import bisect
import copy
import hashlib
import json
import pathlib
import time

from power.program import WORK_LIMIT, Problem

PARTS = ["start", "import", "experiment", "export", "deletion"]
# What is deleted at the end, and must then be nowhere.
SECRET = "quetzalcoatl-7731"
# How cuts are spread over the parts: the experiment has by far the most to lose.
KINDS = ["start", "import", "experiment", "experiment", "experiment", "export", "deletion"]


class Told:
    """What the program has acknowledged."""

    def __init__(self):
        self.bundled = 0
        self.sets, self.chats, self.exports, self.runs, self.adapters = {}, {}, {}, {}, {}
        self.experiments, self.removed = set(), set()
        self.secret_chat = self.secret_set = None
        self.forgotten = False


class Diary:
    """What was acknowledged at each moment of a piece of work, and when each of its parts began."""

    def __init__(self, told=None):
        self.told = copy.deepcopy(told) if told else Told()
        self.moments, self.pages = [0.0], [copy.deepcopy(self.told)]
        self.parts = {"start": time.time()}
        self.failed = None

    def note(self):
        """After each acknowledgement. The moment is a little late, which errs to the program's side only."""
        page = copy.deepcopy(self.told)
        self.pages.append(page)
        self.moments.append(time.time())

    def begin(self, part):
        self.parts[part] = time.time()

    def at(self, moment):
        moments = list(self.moments)
        return copy.deepcopy(self.pages[bisect.bisect_right(moments, moment) - 1])

    def saw_runs(self, program, runs):
        known = {run["id"]: run for run in runs}
        if known == self.told.runs:
            return
        self.told.runs = known
        for id, run in known.items():
            if run["state"] == "finished" and id not in self.told.adapters:
                self.told.adapters[id] = digest(program.home / "runs" / id / "adapter")
        self.note()


def rows(kind, count, word="number"):
    words = "river stone cloud lamp bread garden window paper winter harbour".split()
    for number in range(count):
        question = f"What about the {words[number % 10]} and the {words[number * 7 % 10]} {word} {number}?"
        good, bad = f"It is a fine {words[number * 3 % 10]}.", "No."
        if kind == "answers":
            yield json.dumps({"prompt": question, "completion": good})
        elif kind == "prompts":
            yield json.dumps({"prompt": question})
        else:
            yield json.dumps({"prompt": question, "chosen": good, "rejected": bad})


def pipeline(answers, pairs, prompts):
    """SFT, a reward model and PPO, each long enough for several checkpoints and no longer."""

    def recipe(method, dataset, settings, **more):
        return {
            "method": method, "model": "model:toy", "dataset": f"dataset:{dataset}", "seed": 7, "adapter": None, "lora": None,
            "settings": {"save_steps": 25, "learning_rate": 0.001, "per_device_train_batch_size": 4} | settings,
        } | more

    lora = {"r": 4, "lora_alpha": 8, "lora_dropout": 0.1}
    short = {"max_steps": 9, "save_steps": 2, "response_length": 6, "num_mini_batches": 2}
    return [
        recipe("sft", answers, {"max_steps": 110}, lora=lora),
        recipe("reward_model", pairs, {"max_steps": 60}, lora=lora),
        recipe("ppo", prompts, short, adapter="stage:1", reward="stage:2"),
    ]


def digest(place):
    """The hash of every file below a folder, or of a file."""
    place, hashes = pathlib.Path(place), {}
    for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
        if path.is_file():
            hashes[str(path.relative_to(place))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return hashes


def difference(before, after):
    """The files in which two digests differ."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def missing(before, after):
    """The files of a digest that are gone or differ. What was removed before a cut may be back: an old checkpoint, say."""
    return sorted(name for name in before if before[name] != after.get(name))


def imports(program, diary, name, count, word="number"):
    handle = program.upload(f"{name}.jsonl", "\n".join(rows(name, count, word)))
    made = program.call("import_dataset", handle=handle, name=name)
    diary.told.sets[made["id"]] = made["summary"]["kept"]
    diary.note()
    return made["id"]


def work(program, diary):
    """All of it; the diary learns of each thing as soon as it is acknowledged."""
    begin(program, diary)
    ids = [imports(program, diary, name, 60) for name in ("answers", "pairs", "prompts")]
    tell_secrets(program, diary)
    made = program.call("create_experiment", title="cut", question="q", stages=pipeline(*ids))
    diary.told.experiments.add(made["experiment"]["id"])
    diary.note()
    diary.begin("experiment")
    program.call("start_experiment", id=made["experiment"]["id"])
    rest_of_it(program, diary)


def work_on(program, diary):
    """The same after a cut; the diary begins with what was acknowledged before."""
    begin(program, diary)
    imports(program, diary, "answers", 60)
    diary.begin("experiment")
    start_all(program)
    rest_of_it(program, diary)


def start_all(program):
    for one in program.call("list_experiments"):
        if len(one["runs"]) < 3:
            program.call("start_experiment", id=one["experiment"]["id"])


def begin(program, diary):
    diary.told.bundled = len([one for one in program.call("list_datasets") if one["bundled"]])
    diary.note()
    # The program makes its first backup in this time.
    time.sleep(0.3)
    diary.begin("import")


def rest_of_it(program, diary):
    carry_on(program, diary)
    diary.begin("export")
    for run in program.call("list_runs"):
        if run["adapter"] and run["method"] != "reward_model":
            for form in ("merged", "peft"):
                place = program.request("/api/folder", "")
                program.call("export_adapter", adapter=run["id"], form=form, handle=place["handle"])
                diary.told.exports[place["path"]] = digest(place["path"])
                diary.note()
    talk(program, diary)
    diary.begin("deletion")
    forget_secrets(program, diary)
    diary.begin("end")


def talk(program, diary):
    stack = next(one["stack"] for one in program.call("list_stacks") if one["stack"]["adapter"])
    chat = program.call("create_chat", stacks=[stack])
    diary.told.chats[chat["id"]] = chat["messages"]
    diary.note()
    program.request("/api/stream/send_message", json.dumps({"id": chat["id"], "text": "Hello?"}))
    diary.told.chats[chat["id"]] = program.call("get_chat", id=chat["id"])["messages"]
    diary.note()


def tell_secrets(program, diary):
    """A data set and a chat, too long for one page of the database, that are deleted later."""
    diary.told.secret_set = imports(program, diary, "answers", 20, SECRET)
    tell_in_chat(program, diary)


def tell_in_chat(program, diary):
    chat = program.call("create_chat", stacks=[program.call("list_stacks")[0]["stack"]])
    chat = {key: chat[key] for key in ("id", "stacks", "sampling", "precision")}
    program.call("update_chat", **chat, title=SECRET, system_prompt=SECRET * 900)
    diary.told.chats[chat["id"]] = []
    diary.told.secret_chat = chat["id"]
    diary.note()


def forget_secrets(program, diary):
    """While something is being deleted it may be there or not; then it must not come back. The last chat is made and deleted
    at once, while the database's log still holds it."""
    told = diary.told
    if told.secret_chat is None:
        return
    forget(program, diary, told.sets, told.secret_set, "remove_dataset")
    forget(program, diary, told.chats, told.secret_chat, "delete_chat")
    tell_in_chat(program, diary)
    forget(program, diary, told.chats, told.secret_chat, "delete_chat")
    told.forgotten = True
    diary.note()


def forget(program, diary, kept, id, command):
    del kept[id]
    diary.note()
    program.call(command, id=id)
    diary.told.removed.add(id)
    diary.note()


def finished(runs):
    return len(runs) == 3 and all(run["state"] == "finished" for run in runs)


def adapters(runs):
    return [run["adapter"]["sha256"] for run in sorted(runs, key=lambda run: run["stage"])]


def carry_on(program, diary):
    """Waits for the experiment's end; resumes what a cut has interrupted."""
    deadline = time.time() + WORK_LIMIT
    while time.time() < deadline:
        runs = program.call("list_runs")
        diary.saw_runs(program, runs)
        if finished(runs):
            return
        for run in runs:
            if run["state"] in ("interrupted", "paused"):
                program.call("resume_run", run=run["id"])
            elif run["state"] in ("failed", "discarded", "stopped"):
                raise Problem(f"run {run['method']} is {run['state']}: {run['problem']}")
        time.sleep(0.02)
    raise Problem(f"not finished in time: {[(run['method'], run['state'], run['problem']) for run in runs]}")
