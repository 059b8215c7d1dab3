"""What processes did to files, as strace tells it: which calls are followed, and the lines read back as calls.

strace is one process that sees every call of every thread enter and return, so its times are in order across processes. A call is
taken to have had its effect when it returned; a sync counts for what had returned before the sync was called.
"""

import os
import re
import shutil
import subprocess

# Everything that changes a file or a folder or makes one durable, what is needed to follow file descriptors (clone, lseek), and
# the calls that the recorder could not follow and must refuse.
FOLLOWED = (
    "open openat openat2 creat write pwrite64 writev pwritev pwritev2 truncate ftruncate fallocate copy_file_range sendfile splice "
    "rename renameat renameat2 link linkat symlink symlinkat unlink unlinkat mkdir mkdirat rmdir chmod fchmod fchmodat lseek "
    "fsync fdatasync sync syncfs sync_file_range mmap io_uring_setup clone clone3 fork vfork"
).split()
LINE = re.compile(r"(\d+) +(\d+)\.(\d+) (.*)")
CALL = re.compile(r"(\w+)\((.*)\) += (-?\w+)(.*) <(\d+)\.(\d+)>$", re.DOTALL)
HEX = re.compile(r"(?:\\x[0-9a-f]{2})+")


class Call:
    """One call that succeeded. Times are whole microseconds. `fd_path` is what a returned descriptor stands for."""

    __slots__ = ("process", "name", "arguments", "result", "fd_path", "began", "ended")

    def __init__(self, process, name, arguments, result, fd_path, began, ended):
        self.process, self.name, self.arguments, self.result = process, name, arguments, result
        self.fd_path, self.began, self.ended = fd_path, began, ended

    def __repr__(self):
        words = ", ".join(shown(word) for word in self.arguments)
        return f"[{self.process}] {self.name}({words}) = {self.result}"


def possible():
    """Why nothing can be recorded here, if so."""
    if shutil.which("strace") is None:
        return "strace is missing (on Debian and Ubuntu: apt install strace)"
    trial = subprocess.run([*command(os.devnull), "true"], capture_output=True, text=True)
    if trial.returncode != 0:
        return f"strace may not watch a process here: {trial.stderr.strip()}"
    return None


def command(place):
    """The command line before the program's own; the recording goes to `place`."""
    # All threads, only these calls; paths of descriptors, times, and whole strings as hexadecimal numbers.
    words = "strace -f --seccomp-bpf -qq -e signal=none -y -ttt -T -xx -s 100000000".split()
    return [*words, "-e", "trace=" + ",".join(FOLLOWED), "-o", str(place)]


def calls(place, below):
    """The calls that have to do with files below a folder, and those that open others, by the moment when they returned."""
    needle = "".join(f"\\x{byte:02x}" for byte in os.fsencode(below))
    begun, found = {}, []
    with open(place, encoding="ascii") as lines:
        for line in lines:
            thread, seconds, fraction, text = LINE.match(line.rstrip("\n")).groups()
            began = int(seconds) * 1_000_000 + int(fraction)
            if text.endswith("<unfinished ...>"):
                begun[thread] = (began, text.removesuffix("<unfinished ...>"))
                continue
            if text.startswith("<... "):
                began, head = begun.pop(thread, (began, ""))
                text = head + text.split(" resumed>", 1)[1]
            if needle in text or text.startswith(("clone", "fork", "vfork", "sync(", "io_uring", "lseek", "open", "creat")):
                call = read(int(thread), began, text)
                if call is not None:
                    found.append(call)
    found.sort(key=lambda call: call.ended)
    groups = processes(found)
    for call in found:
        call.process = groups.get(call.process, call.process)
    return [call for call in found if not call.name.startswith(("clone", "fork", "vfork"))]


def read(thread, began, text):
    found = CALL.match(text)
    # What failed has changed nothing; what was killed in the middle ("?") has not returned.
    if found is None or found[3].startswith("-"):
        return None
    name, arguments, result, rest, seconds, fraction = found.groups()
    ended = began + int(seconds) * 1_000_000 + int(fraction)
    number = int(result, 0)
    return Call(thread, name, split(arguments), number, path_of(rest) if rest.startswith("<") else None, began, ended)


def processes(calls):
    """The process of each thread, named by its first thread. Numbers are not used twice in so short a time."""
    groups = {}
    for call in calls:
        if call.name.startswith("clone") and any("CLONE_THREAD" in word for word in call.arguments):
            groups[call.result] = call.process

    def first(thread):
        while thread in groups:
            thread = groups[thread]
        return thread

    return {thread: first(thread) for thread in groups}


def split(text):
    """Arguments at the outer commas. Strings are hexadecimal, so no bracket or comma is hidden in them."""
    words, depth, begun = [], 0, 0
    for place in re.finditer(r"[\[\](){},]", text):
        sign = place.group()
        if sign in "[({":
            depth += 1
        elif sign in "])}":
            depth -= 1
        elif depth == 0:
            words.append(text[begun : place.start()].strip())
            begun = place.end()
    return [*words, text[begun:].strip()] if text else []


def plain(text):
    """The bytes that a hexadecimal string stands for."""
    return bytes.fromhex(text.replace("\\x", ""))


def string(word):
    """The bytes of an argument in quotes."""
    return plain(word.strip('"'))


def buffers(word):
    """The bytes of a list of buffers, one after another."""
    return b"".join(plain(text) for text in re.findall(r'iov_base="([^"]*)"', word))


def descriptor(word):
    """Number and path of an argument that is a file descriptor; the path is None where its file has no name any more."""
    number = word.split("<", 1)[0]
    return (None if number == "AT_FDCWD" else int(number)), path_of(word)


def path_of(word):
    if "<" not in word or "(deleted)" in word:
        return None
    inner = word.split("<", 1)[1].rsplit(">", 1)[0]
    if not HEX.fullmatch(inner):
        return None
    path = os.fsdecode(plain(inner))
    return None if path.endswith(" (deleted)") else path


def shown(word):
    """An argument for people: long strings are cut."""
    text = HEX.sub(lambda found: plain(found.group()).decode("utf-8", "replace"), word)
    return text if len(text) < 160 else f"{text[:80]!r}… {len(text)} letters"
