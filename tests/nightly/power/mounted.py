"""Real cuts of a real file system: the data folder lies on an ext4 image of its own. At a seeded moment every process is stopped
and the image is copied: the copy is what the disk held. It is mounted (the journal is replayed) and opened.

One round of the work serves a cut of each kind: after the copy the processes go on as if nothing had been.
"""

import random
import shutil
import subprocess
import threading
import time

from power import checks
from power.commands import made_by_commands, work_folder
from power.program import WORK_LIMIT, Program, environment, quietly
from power.work import KINDS, PARTS, Diary, adapters, digest, missing, work

# The program leaves 64 MB of a disk free, so this is about the smallest.
IMAGE_MB = 112
# The experiment is carried on to its end after so many of the cuts.
TO_THE_END = 0.2


class Disk:
    """An ext4 image and where it is mounted."""

    def __init__(self, folder):
        self.folder, self.image, self.empty, self.mount = folder, folder / "disk.img", folder / "empty.img", folder / "disk"
        self.mount.mkdir()
        with open(self.empty, "wb") as file:
            file.truncate(IMAGE_MB << 20)
        quietly("mkfs.ext4", "-q", "-F", "-m", "0", "-N", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0", self.empty)

    def format(self):
        copy(self.empty, self.image)
        self.attach(self.image)

    def attach(self, image):
        # The journal is committed each second instead of every five, so that the short work sees commits at all moments.
        quietly("mount", "-o", "loop,commit=1", image, self.mount)

    def detach(self):
        for _ in range(200):
            if subprocess.run(["umount", self.mount], stderr=subprocess.DEVNULL).returncode == 0:
                return
            time.sleep(0.02)
        raise SystemExit(f"{self.mount} could not be unmounted")


def copy(image, place):
    quietly("cp", "--sparse=always", image, place)


def possible(folder):
    """Why there can be no such cuts here, if so."""
    for tool in ("mkfs.ext4", "mount", "umount"):
        if shutil.which(tool) is None:
            return f"{tool} is missing"
    try:
        place = folder / "trial"
        place.mkdir()
        disk = Disk(place)
        disk.format()
        disk.detach()
        shutil.rmtree(place)
    except (subprocess.CalledProcessError, OSError) as error:
        return f"a loop mount failed ({error}); it needs root and loop devices"
    return None


def tried(options, folder, resources):
    """Makes the cuts; answers with what was lost."""
    disk = Disk(folder)
    program = Program(options.program, disk.mount / "home", resources)
    try:
        lost = after_commands(disk, program)
        spans, expected = without_a_cut(disk, program)
        for first in range(options.first, options.first + options.cuts, len(KINDS)):
            numbers = range(first, min(first + len(KINDS), options.first + options.cuts))
            lost += one_round(disk, program, numbers, options, spans, expected)
        return lost
    finally:
        if program.lives():
            program.end()
        subprocess.run(["umount", disk.mount], stderr=subprocess.DEVNULL)


def without_a_cut(disk, program):
    """How long each part of the work takes, and which adapters it makes."""
    disk.format()
    diary = Diary()
    program.start()
    work(program, diary)
    expected = adapters(program.call("list_runs"))
    checks.holds(program, diary.told)
    program.end()
    disk.detach()
    ends = [diary.parts[part] for part in [*PARTS[1:], "end"]]
    spans = {part: end - diary.parts[part] for part, end in zip(PARTS, ends)}
    print(f"without a cut: {', '.join(f'{part} {span:.1f} s' for part, span in spans.items())}", flush=True)
    return spans, expected


def one_round(disk, program, numbers, options, spans, expected):
    """Does the work once, cuts it as often as there are numbers, and opens what each cut has left."""
    draws = {number: random.Random(options.seed * 100_003 + number) for number in numbers}
    planned = sorted((PARTS.index(KINDS[number % len(KINDS)]), draws[number].random(), number) for number in numbers)
    disk.format()
    diary, over = Diary(), threading.Event()
    worker = threading.Thread(target=act, args=(program, diary, over), daemon=True)
    worker.start()
    begun, cuts = time.time(), []
    for part, share, number in planned:
        wait_for(diary, PARTS[part], share * spans[PARTS[part]], over)
        program.stop()
        moment = time.time()
        copy(disk.image, disk.folder / f"cut-{number}.img")
        cuts.append((number, PARTS[part], moment - begun, diary.at(time.time())))
        program.go_on()
    over.wait(WORK_LIMIT)
    program.end()
    worker.join(timeout=30)
    disk.detach()
    for part, next_part in zip(PARTS, [*PARTS[1:], "end"]):
        # The machine is busier at times; a cut should rather come early than in the next part.
        spans[part] = min(spans[part], diary.parts.get(next_part, begun + WORK_LIMIT) - diary.parts.get(part, begun))
    lost = [f"round of cut {numbers[0]}, before any cut: {diary.failed}"] if diary.failed else []
    for number, kind, moment, told in cuts:
        lost += after_one(disk, program, number, options, expected, f"{kind}, {moment:.2f} s, {checks.summary(told)}", told, draws)
    return lost


def act(program, diary, over):
    try:
        program.start()
        work(program, diary)
    except checks.FAULTS as problem:
        diary.failed = repr(problem)
        print(f"the work failed: {problem!r}", flush=True)
    finally:
        over.set()


def wait_for(diary, part, seconds, over):
    """Until a part of the work has gone on for so long, or everything is over."""
    while (part not in diary.parts or diary.parts[part] + seconds > time.time()) and not over.is_set():
        time.sleep(0.001)


def after_one(disk, program, number, options, expected, where, told, draws):
    image = disk.folder / f"cut-{number}.img"
    to_the_end, begun = draws[number].random() < TO_THE_END, time.time()
    disk.attach(image)
    try:
        checks.after_a_cut(program, told, expected, to_the_end)
        more = "to the end, " if to_the_end else ""
        print(f"cut {number}: held ({where}; {more}{time.time() - begun:.1f} s after)", flush=True)
        return []
    except checks.FAULTS as problem:
        print(f"cut {number}: LOST ({where}): {problem!r}", flush=True)
        return [f"cut {number} of seed {options.seed}: {problem!r}"]
    finally:
        disk.detach()
        image.unlink()


def after_commands(disk, program):
    """What an exit status of 0 speaks of is on the disk: a cut right after it takes nothing."""
    disk.format()
    place = work_folder(disk.mount)
    subprocess.run(["sync"], check=True)
    lost = []
    for name, _, command in made_by_commands(place):
        quietly(program.program, *command, env=environment(program))
        before = digest(place / "made")
        copy(disk.image, disk.folder / "command.img")
        disk.detach()
        (disk.folder / "command.img").replace(disk.image)
        disk.attach(disk.image)
        if missing(before, digest(place / "made")):
            lost.append(f"after `{name}`: {missing(before, digest(place / 'made'))}")
    disk.detach()
    print(f"train and two exports, cut after their exit: {'LOST ' + '; '.join(lost) if lost else 'held'}", flush=True)
    return lost
