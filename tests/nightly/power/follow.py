"""Carries the recorded calls out on the model of the disk.

What cannot be followed (a shared map that is written, io_uring, files opened for synchronous writing) is refused, and at the end
the files as they were followed are compared with those that are there: a recording that missed something is never believed.
"""

import os
import re

from power.disk import SHARED_MEMORY, Disk, Node, differences
from power.strace import buffers, calls, descriptor, string


class Unfollowed(Exception):
    """The recorder does not know what a call has done."""


class Handle:
    """A file descriptor: its path, its node (None outside the folder) and the place in it."""

    __slots__ = ("path", "node", "place", "appends")

    def __init__(self, path, node, appends):
        self.path, self.node, self.place, self.appends = path, node, 0, appends


def followed(recording, root, disk):
    """Brings the model, as it was before, to where the recording ends."""
    follower = Follower(disk)
    for call in calls(recording, root):
        doer = getattr(follower, call.name, None)
        if doer is None:
            raise Unfollowed(repr(call))
        doer(call, *call.arguments)
    wrong = differences(disk.tree, disk.root)
    if wrong:
        raise Unfollowed("the recording does not tell what is there: " + "; ".join(wrong))
    return disk


class Follower:
    """A method for each call, by its name and with its arguments."""

    def __init__(self, disk):
        self.disk, self.handles = disk, {}
        self.umask = os.umask(0)
        os.umask(self.umask)

    # Paths and descriptors.

    def path(self, base, word):
        """A path argument, which may be relative to a descriptor argument."""
        path = os.fsdecode(string(word))
        if not path.startswith("/"):
            folder = descriptor(base)[1]
            if folder is None:
                raise Unfollowed(f"{path} is relative to an unknown folder")
            path = os.path.join(folder, path)
        return os.path.normpath(path)

    def place(self, path):
        folder = self.disk.find(os.path.dirname(path)) if self.disk.inside(path) else None
        if folder is None:
            raise Unfollowed(f"the folder of {path} is not known")
        return folder, os.path.basename(path)

    def known(self, path):
        node = self.disk.find(path)
        if node is None:
            raise Unfollowed(f"{path} is not known")
        return node

    def handle(self, call, word):
        """The handle of a descriptor argument; None where its file lies elsewhere or has no name any more."""
        number, path = descriptor(word)
        handle = self.handles.get((call.process, number))
        if not self.disk.inside(path):
            return handle if handle and handle.path == path else None
        node = self.known(path)
        if handle is None or handle.node is not node:
            # Inherited or doubled: what is written through it goes to the end.
            handle = self.handles[call.process, number] = Handle(path, node, True)
        return handle

    # Files.

    def open(self, call, word, flags, mode="0"):
        self.openat(call, "AT_FDCWD", word, flags, mode)

    def creat(self, call, word, mode):
        self.openat(call, "AT_FDCWD", word, "O_WRONLY|O_CREAT|O_TRUNC", mode)

    def openat(self, call, base, word, flags, mode="0"):
        path, flags = self.path(base, word), flags.split("|")
        if not self.disk.inside(path):
            self.handles[call.process, call.result] = Handle(call.fd_path, None, False)
            return
        if {"O_SYNC", "O_DSYNC", "O_TMPFILE", "O_DIRECT"} & set(flags):
            raise Unfollowed(repr(call))
        node = self.disk.find(path)
        if node is None and "O_CREAT" not in flags:
            raise Unfollowed(f"{path} was opened and is not known")
        if node is None:
            node = Node("file", int(mode, 8) & ~self.umask)
            self.disk.name(call, node, None, self.place(path))
        elif "O_TRUNC" in flags and node.size:
            self.disk.change(call, node, 0, None)
        self.handles[call.process, call.result] = Handle(path, node, "O_APPEND" in flags)

    def lseek(self, call, file, *_):
        handle = self.handle(call, file)
        if handle:
            handle.place = call.result

    def put(self, call, handle, data, offset=None):
        """Writes at the handle's place, or at an offset that leaves the place alone."""
        if handle is None or handle.node is None:
            return
        if offset is None or handle.appends:
            offset = handle.node.size if handle.appends else handle.place
            handle.place = offset + len(data)
        if data:
            self.disk.change(call, handle.node, offset, data)

    def write(self, call, file, data, _):
        self.put(call, self.handle(call, file), string(data)[: call.result])

    def writev(self, call, file, data, _):
        self.put(call, self.handle(call, file), buffers(data)[: call.result])

    def pwrite64(self, call, file, data, _, offset):
        self.put(call, self.handle(call, file), string(data)[: call.result], int(offset))

    def pwritev(self, call, file, data, _, offset):
        self.put(call, self.handle(call, file), buffers(data)[: call.result], int(offset))

    def copy_file_range(self, call, source, source_offset, target, target_offset, *_):
        if (source_offset, target_offset) != ("NULL", "NULL"):
            raise Unfollowed(repr(call))
        self.sendfile(call, target, source, "NULL")

    def sendfile(self, call, target, source, source_offset, *_):
        source, target = self.handle(call, source), self.handle(call, target)
        if target is None or target.node is None:
            return
        if source is None or source_offset != "NULL":
            raise Unfollowed(repr(call))
        if source.node is None:
            with open(source.path, "rb") as file:
                content = file.read()
        else:
            content = source.node.content()
        data = content[source.place : source.place + call.result]
        source.place += call.result
        self.put(call, target, data)

    def ftruncate(self, call, file, size):
        handle = self.handle(call, file)
        if handle and handle.node:
            self.resize(call, handle.node, int(size))

    def truncate(self, call, word, size):
        path = self.path("AT_FDCWD", word)
        if self.disk.inside(path):
            self.resize(call, self.known(path), int(size))

    def fallocate(self, call, file, mode, offset, length):
        handle = self.handle(call, file)
        if handle and handle.node:
            if mode not in ("0", "FALLOC_FL_KEEP_SIZE"):
                raise Unfollowed(repr(call))
            if mode == "0":
                self.resize(call, handle.node, max(handle.node.size, int(offset) + int(length)))

    def resize(self, call, node, size):
        if size != node.size:
            self.disk.change(call, node, size, None)

    def chmod(self, call, word, mode, base="AT_FDCWD", *_):
        path = self.path(base, word)
        if self.disk.inside(path):
            # Rights are no matter of these tests; what was made private is private in every state.
            self.known(path).mode = int(mode, 8)

    def fchmodat(self, call, base, word, mode, *_):
        self.chmod(call, word, mode, base)

    def fchmod(self, call, file, mode):
        handle = self.handle(call, file)
        if handle and handle.node:
            handle.node.mode = int(mode, 8)

    # Names.

    def mkdir(self, call, word, mode):
        self.mkdirat(call, "AT_FDCWD", word, mode)

    def mkdirat(self, call, base, word, mode):
        path = self.path(base, word)
        if self.disk.inside(path):
            self.disk.name(call, Node("folder", int(mode, 8) & ~self.umask), None, self.place(path))

    def symlink(self, call, target, word):
        self.symlinkat(call, target, "AT_FDCWD", word)

    def symlinkat(self, call, target, base, word):
        path = self.path(base, word)
        if self.disk.inside(path):
            self.disk.name(call, Node("link", 0o777, string(target)), None, self.place(path))

    def link(self, call, old, new):
        self.linkat(call, "AT_FDCWD", old, "AT_FDCWD", new)

    def linkat(self, call, old_base, old, new_base, new, *_):
        path = self.path(new_base, new)
        if self.disk.inside(path):
            self.disk.name(call, self.known(self.path(old_base, old)), None, self.place(path))

    def rename(self, call, old, new):
        self.renameat2(call, "AT_FDCWD", old, "AT_FDCWD", new)

    def renameat(self, call, old_base, old, new_base, new):
        self.renameat2(call, old_base, old, new_base, new)

    def renameat2(self, call, old_base, old, new_base, new, flags="0"):
        paths = [self.path(old_base, old), self.path(new_base, new)]
        if flags not in ("0", "RENAME_NOREPLACE"):
            raise Unfollowed(repr(call))
        if any(self.disk.inside(path) for path in paths):
            self.disk.name(call, self.known(paths[0]), self.place(paths[0]), self.place(paths[1]))

    def unlink(self, call, word):
        self.unlinkat(call, "AT_FDCWD", word)

    def rmdir(self, call, word):
        self.unlinkat(call, "AT_FDCWD", word)

    def unlinkat(self, call, base, word, *_):
        path = self.path(base, word)
        if self.disk.inside(path):
            self.disk.name(call, self.known(path), self.place(path), None)

    # Durability.

    def fsync(self, call, file):
        path = descriptor(file)[1]
        if self.disk.inside(path):
            self.disk.sync(call, self.known(path))

    def fdatasync(self, call, file):
        # The size is part of what it makes durable; what it leaves out (times) is no matter here.
        self.fsync(call, file)

    def sync(self, call, *_):
        self.disk.sync(call, None)

    def syncfs(self, call, *_):
        self.disk.sync(call, None)

    def sync_file_range(self, *_):
        """Promises nothing that would survive: neither the size nor the place of new blocks."""

    # What would go past the recorder.

    def mmap(self, call, _, __, rights, flags, file, *___):
        path = descriptor(file)[1]
        written = "PROT_WRITE" in rights and "MAP_SHARED" in re.split(r"\|", flags)
        if written and self.disk.inside(path) and not path.endswith(SHARED_MEMORY):
            raise Unfollowed(f"{path} is written through a map")
