"""What a recording did to the files below a folder: nodes (files and folders), and numbered operations on their contents, on names
and on their durability. Every operation is kept, so that the state at any moment can be put together (states.py).
"""

import bisect
import os
import stat

# SQLite's shared memory: written through a map, and never needed after a cut.
SHARED_MEMORY = "-shm"


class Node:
    """A file, a folder or a link. `changes` are operations on a file's bytes, `touched` the numbers of all operations on it."""

    def __init__(self, kind, mode, base=b""):
        self.kind, self.mode, self.base, self.size = kind, mode, base, len(base)
        self.changes, self.touched = [], []
        self.entries, self.first_entries = {}, {}

    def content(self):
        """The bytes as the processes see them."""
        return applied(self.base, self.changes)


class Change:
    """Bytes written at an offset; or, with `data` None, a new size."""

    __slots__ = ("number", "offset", "data")

    def __init__(self, number, offset, data):
        self.number, self.offset, self.data = number, offset, data

    @property
    def end(self):
        return self.offset + len(self.data or b"")


class Naming:
    """A name given, taken or moved: `taken` and `given` are (folder, name) or None."""

    __slots__ = ("number", "node", "taken", "given", "words")

    def __init__(self, number, node, taken, given, words):
        self.number, self.node, self.taken, self.given, self.words = number, node, taken, given, words


class Sync:
    """`node` (None: everything) is durable as far as operation number `covers`, once operation `number` has returned."""

    __slots__ = ("number", "node", "covers")

    def __init__(self, number, node, covers):
        self.number, self.node, self.covers = number, node, covers


class Disk:
    """The folder `root` and what happened in it. `ends[number]` is the moment when operation `number` had returned."""

    def __init__(self, root):
        self.root, self.tree = str(root), scan(root)
        self.ends, self.namings, self.syncs = [], [], []

    def inside(self, path):
        return path is not None and (path == self.root or path.startswith(self.root + "/"))

    def find(self, path):
        """The node of a path, or None."""
        node = self.tree
        for name in path[len(self.root) :].split("/"):
            if name:
                node = node.entries.get(name)
            if node is None:
                return None
        return node

    def change(self, call, node, offset, data):
        number = len(self.ends)
        node.changes.append(Change(number, offset, data))
        node.touched.append(number)
        node.size = max(node.size, offset + len(data)) if data is not None else offset
        self.ends.append(call.ended)

    def name(self, call, node, taken, given):
        number = len(self.ends)
        self.namings.append(Naming(number, node, taken, given, repr(call)))
        folders = [place[0] for place in (taken, given) if place]
        for one in {*folders, node}:
            one.touched.append(number)
        if taken:
            taken[0].entries.pop(taken[1], None)
        if given:
            given[0].entries[given[1]] = node
        self.ends.append(call.ended)

    def sync(self, call, node):
        # Of what was done, that which had returned when the sync was called.
        covers = bisect.bisect_right(self.ends, call.began)
        self.syncs.append(Sync(len(self.ends), node, covers))
        self.ends.append(call.ended)


def scan(path):
    """A folder that was there before, durable."""
    found = os.lstat(path)
    if stat.S_ISLNK(found.st_mode):
        return Node("link", 0o777, os.fsencode(os.readlink(path)))
    if not stat.S_ISDIR(found.st_mode):
        with open(path, "rb") as file:
            return Node("file", stat.S_IMODE(found.st_mode), file.read())
    node = Node("folder", stat.S_IMODE(found.st_mode))
    node.entries = {name: scan(os.path.join(path, name)) for name in sorted(os.listdir(path))}
    node.first_entries = dict(node.entries)
    return node


def applied(content, changes):
    """Bytes after changes."""
    content = bytearray(content)
    for change in changes:
        if len(content) < change.offset:
            content.extend(bytes(change.offset - len(content)))
        if change.data is None:
            del content[change.offset :]
        else:
            content[change.offset : change.end] = change.data
    return bytes(content)


def differences(node, path):
    """Where what was followed is not what is there."""
    if node.kind == "folder":
        names = set(os.listdir(path)) if os.path.isdir(path) else set()
        found = [f"{path}: followed {sorted(node.entries)}, found {sorted(names)}"] if names != set(node.entries) else []
        for name in names & set(node.entries):
            found += differences(node.entries[name], os.path.join(path, name))
        return found
    if path.endswith(SHARED_MEMORY):
        return []
    if node.kind == "link":
        return [] if os.fsencode(os.readlink(path)) == node.base else [f"{path}: another link"]
    with open(path, "rb") as file:
        content = file.read()
    followed = node.content()
    return [] if content == followed else [f"{path}: followed {len(followed)} bytes, found {len(content)}, or others"]
