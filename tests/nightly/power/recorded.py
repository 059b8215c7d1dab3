"""Cuts without a disk of one's own: the work is done once under strace, and from what was written and synced many states are made
that a disk could be in after a cut. Each is written out as a folder, and the program is started on it.

A recording serves `STATES` cuts. Where something is lost, the state, what was chosen for it and the recording are kept, so that one
can see whether the state is possible: which sync was missing.
"""

import bisect
import pathlib
import random
import shutil
import tempfile
import time

from power import checks, strace
from power.disk import Disk
from power.follow import followed
from power.program import Problem, Program
from power.recorded_commands import after_commands, emptied
from power.states import State
from power.work import KINDS, PARTS, Diary, adapters, work, work_on

STATES = 60
# The experiment is carried on to its end after so many of the cuts.
TO_THE_END = 0.1


def possible(_):
    """Why there can be no such cuts here, if so."""
    return strace.possible()


def tried(options, folder, resources):
    """Makes the cuts; answers with what was lost."""
    program = Program(options.program, folder / "place" / "home", resources)
    lost, recording = after_commands(options, folder, program), None
    try:
        for number in range(options.first, options.first + options.cuts):
            if recording is None or number % STATES == 0:
                recording, faults = next_recording(options, folder, program, number // STATES, recording)
                lost += faults
            lost += one_cut(options, folder, program, number, *recording)
        return lost
    finally:
        if program.lives():
            program.end()


def next_recording(options, folder, program, number, before):
    """By turns the work from the beginning, and work that goes on after a cut of the former: putting things right must bear a
    cut as well. Where it does not come to its end without a cut, that is a loss, and the work is begun anew."""
    if number % 2 == 0:
        return recorded(options, folder, program), []
    before = before or recorded(options, folder, program)
    between = 1_000_000 * len(KINDS) * number + KINDS.index("experiment")
    cut = Cut(options, between, *before[:2])
    cut.state.write(emptied(program.home.parent))
    try:
        after = recorded(options, folder, program, cut)
        if after[2] != before[2]:
            raise Problem("the adapters differ from those of the run without a cut")
        return after, []
    except checks.FAULTS as problem:
        print(f"going on after a cut: LOST ({cut}): {problem!r}", flush=True)
        keep(options, folder, f"between-{number}", Cut(options, between, *before[:2]).state, problem)
        return recorded(options, folder, program), [f"going on after a cut, seed {options.seed}: {problem!r}"]


def recorded(options, folder, program, cut=None):
    """The work under strace, on nothing or on what a cut has left: what the disk was told, what was acknowledged, the adapters."""
    begun, place = time.time(), program.home.parent
    if cut is None:
        emptied(place)
    disk, diary = Disk(place), Diary(cut and cut.told)
    watched = Program(program.program, program.home, program.resources, strace.command(folder / "recording"))
    try:
        watched.start()
        if cut is None:
            work(watched, diary)
        else:
            checks.holds(watched, cut.told)
            work_on(watched, diary)
        expected = adapters(watched.call("list_runs"))
    finally:
        watched.end()
    followed(folder / "recording", str(place), disk)
    if options.without_syncs:
        disk.syncs.clear()
    if not disk.namings or not diary.parts["start"] * 1e6 < disk.ends[0] < disk.ends[-1] < time.time() * 1e6:
        raise SystemExit("the recording is empty or its clock is another than ours")
    spans = [f"{part} {end - begin}" for part, (begin, end) in windows(disk, diary).items()]
    what = "from the beginning" if cut is None else f"after a cut ({cut})"
    print(f"recorded {what} in {time.time() - begun:.1f} s: {', '.join(spans)} operations, {len(disk.syncs)} of them syncs", flush=True)
    return disk, diary, expected


def windows(disk, diary):
    """The first and the last operation of each part."""
    moments = [diary.parts[part] for part in [*PARTS, "end"]]
    edges = [bisect.bisect_left(disk.ends, moment * 1e6) for moment in moments]
    return {part: (begin, end) for part, begin, end in zip(PARTS, edges, edges[1:])}


def moment_of(disk, diary, kind, draw):
    """Before which operation the power goes, and the moment: half of the cuts come right after an acknowledgement, where a
    promise is youngest, and half right before any operation returns."""
    begin, end = windows(disk, diary)[kind]
    first, last = diary.parts[kind], diary.parts[[*PARTS, "end"][PARTS.index(kind) + 1]]
    told = [moment for moment in diary.moments if first <= moment <= last]
    if told and draw.random() < 0.5:
        moment = draw.choice(told)
        return bisect.bisect_right(disk.ends, moment * 1e6), moment
    number = min(draw.randint(begin, end), len(disk.ends) - 1)
    return number, (disk.ends[number] - 1) / 1e6


class Cut:
    """One state with everything that was drawn for it; made again with the same numbers it is the same, to the byte."""

    def __init__(self, options, number, disk, diary):
        draw = random.Random(options.seed * 100_003 + number)
        self.kind = KINDS[number % len(KINDS)]
        operation, moment = moment_of(disk, diary, self.kind, draw)
        self.told, self.to_the_end = diary.at(moment), draw.random() < TO_THE_END
        self.state = State(disk, operation, draw)

    def __str__(self):
        state = self.state
        return f"{self.kind}, operation {state.number}, {state.model}, {state.fate}, {checks.summary(self.told)}"


def one_cut(options, folder, program, number, disk, diary, expected):
    cut, begun = Cut(options, number, disk, diary), time.time()
    cut.state.write(emptied(program.home.parent))
    try:
        checks.after_a_cut(program, cut.told, expected, cut.to_the_end)
        more = "to the end, " if cut.to_the_end else ""
        print(f"cut {number}: held ({cut}; {more}{time.time() - begun:.1f} s)", flush=True)
        return []
    except checks.FAULTS as problem:
        print(f"cut {number}: LOST ({cut}): {problem!r}", flush=True)
        if not options.without_syncs:
            keep(options, folder, number, Cut(options, number, disk, diary).state, problem)
        return [f"cut {number} of seed {options.seed}: {problem!r}"]


def keep(options, folder, number, state, problem):
    """The state as it was before the program was started on it, what was chosen for it, and the recording."""
    options.keep = options.keep or pathlib.Path(tempfile.mkdtemp(prefix="alidade-lost-"))
    place = options.keep / f"seed-{options.seed}-cut-{number}"
    shutil.rmtree(place, ignore_errors=True)
    (place / "state").mkdir(parents=True)
    state.write(place / "state")
    (place / "chosen.txt").write_text("\n".join([repr(problem), f"cut before operation {state.number}", *state.words]) + "\n")
    shutil.copy(folder / "recording", place / "recording")
    print(f"  kept in {place}", flush=True)
