"""What must hold after a cut: the program opens, everything that it had acknowledged is there, what it keeps is sound, and the
experiment comes to the end that it would have come to without the cut, to the byte."""

import http.client
import sqlite3

from power.program import Problem
from power.work import SECRET, Diary, adapters, carry_on, difference, digest, start_all, work

# What a program that does not answer, or answers otherwise than it should, raises in the client.
FAULTS = (Problem, OSError, ValueError, KeyError, TypeError, sqlite3.Error, http.client.HTTPException)


def after_a_cut(program, told, expected, to_the_end):
    """Opens what a cut has left and checks it; ends the program."""
    try:
        program.start()
        holds(program, told)
        says_no_fault(program)
        if to_the_end:
            comes_to_its_end(program, expected)
            says_no_fault(program)
    finally:
        program.end()
    if told.forgotten:
        nothing_is_left_of(SECRET, program.home)
    # Last, because opening a database tidies it up.
    sound_databases(program.home)


def holds(program, told):
    """Everything acknowledged is there, and nothing that was deleted."""
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
    hold_runs(program, told)
    for path, hashes in told.exports.items():
        if digest(path) != hashes:
            raise Problem(f"an export differs: {difference(hashes, digest(path))}")
    for id, messages in told.chats.items():
        kept = program.call("get_chat", id=id)["messages"]
        if kept[: len(messages)] != messages:
            raise Problem("a chat has lost messages")
    back = told.removed & ({one["id"] for one in program.call("list_chats")} | set(sets))
    if back:
        raise Problem(f"what was deleted is back: {back}")


def hold_runs(program, told):
    runs = {run["id"]: run for run in program.call("list_runs")}
    for id, old in told.runs.items():
        new = runs.get(id)
        if new is None:
            raise Problem(f"run {old['method']} is gone")
        if new["last_sequence"] < old["last_sequence"]:
            raise Problem(f"run {old['method']}: {old['last_sequence']} events were shown, {new['last_sequence']} are left")
        if old["state"] == "finished" and (new["state"], new["adapter"]) != ("finished", old["adapter"]):
            raise Problem(f"run {old['method']} was finished and is {new['state']}")
        # Suites tell of themselves one after another; a run that was cut between them asks all of them again.
        if old["state"] == "finished" and new["evaluations"] != old["evaluations"]:
            raise Problem(f"run {old['method']} has lost its comparison")
    for id, hashes in told.adapters.items():
        kept = digest(program.home / "runs" / id / "adapter")
        if kept != hashes:
            raise Problem(f"the adapter of a finished run differs: {difference(hashes, kept)}")


def comes_to_its_end(program, expected):
    """The experiment goes on, or the work is done anew where none of it had come to be."""
    diary, experiments = Diary(), program.call("list_experiments")
    if not experiments:
        work(program, diary)
    start_all(program)
    carry_on(program, diary)
    holds(program, diary.told)
    if adapters(program.call("list_runs")) != expected:
        raise Problem("the adapters differ from those of the run without a cut")
    for one in program.call("list_experiments"):
        if not one["overall"]:
            raise Problem("the comparison of the whole experiment is gone")
        program.call("get_report", experiment=one["experiment"]["id"], language="en")


def says_no_fault(program):
    faults = program.call("app_info").get("problems")
    if faults:
        raise Problem(f"faults: {faults}")


def sound_databases(home):
    """SQLite's own opinion on the database and its backups, once nobody has them open."""
    for path in [home / "alidade.db", *sorted((home / "backups").glob("*.db"))]:
        connection = sqlite3.connect(path)
        try:
            answer = connection.execute("PRAGMA integrity_check").fetchall()
        finally:
            connection.close()
        if answer != [("ok",)]:
            raise Problem(f"{path.name} is damaged: {answer[:3]}")


def nothing_is_left_of(word, home):
    """What was deleted is in no file, be it the database's log or a backup."""
    found = [path for path in home.rglob("*") if path.is_file() and word.encode() in path.read_bytes()]
    if found:
        raise Problem(f"what was deleted is still in {[str(path.relative_to(home)) for path in found]}")


def summary(told):
    """What had been acknowledged, in few words."""
    states = sorted(run["state"] for run in told.runs.values())
    return f"{len(told.sets)} sets, runs {states}, {len(told.exports)} exports, {len(told.chats)} chats"
