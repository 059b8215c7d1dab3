"""Recorded cuts of the terminal's commands: right after the exit nothing may be missing, and after a cut in the middle the same
command comes to the same end."""

import random
import shutil
import subprocess

from power import strace
from power.commands import made_by_commands, work_folder
from power.disk import Disk
from power.follow import followed
from power.program import environment, quietly
from power.states import State
from power.work import digest, missing

# States after the exit of each command, and in the middle of it.
AFTER, AMID = 4, 6


def emptied(place):
    if place.exists():
        shutil.rmtree(place)
    place.mkdir()
    return place


def after_commands(options, folder, program):
    """Answers with what was lost."""
    place, lost = emptied(program.home.parent), []
    work_folder(place)
    for name, results, command in made_by_commands(place / "work"):
        disk = Disk(place)
        quietly(*strace.command(folder / "recording"), program.program, *command, env=environment(program))
        followed(folder / "recording", str(place), disk)
        if options.without_syncs:
            disk.syncs.clear()
        shutil.rmtree(folder / "stands", ignore_errors=True)
        place.rename(folder / "stands")
        lost += cuts(options, folder, program, disk, (name, results, command))
        shutil.rmtree(place)
        (folder / "stands").rename(place)
    words = "LOST " + "; ".join(lost) if lost else "held"
    print(f"train and two exports, each cut {AFTER} times after its exit and {AMID} times amid: {words}", flush=True)
    return lost


def cuts(options, folder, program, disk, made):
    name, results, command = made
    place, stands = program.home.parent, folder / "stands" / "work" / "made"
    lost, end, whole = [], len(disk.ends), digest(stands)
    for number in range(AFTER + AMID):
        draw = random.Random(options.seed * 31 + number)
        operation = end if number < AFTER else draw.randrange(end)
        State(disk, operation, draw).write(emptied(place))
        if number < AFTER:
            gone = missing(whole, digest(place / "work" / "made"))
        else:
            # An exit status of 2 says that everything is there already.
            again = subprocess.run([program.program, *map(str, command)], env=environment(program), capture_output=True, text=True)
            differ = [result for result in results if digest(stands / result) != digest(place / "work" / "made" / result)]
            gone = differ if again.returncode in (0, 2) else again.stderr
        if gone:
            lost.append(f"`{name}` of {end} operations, cut at {operation}: {gone}")
    return lost
