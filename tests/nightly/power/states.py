"""States in which a disk can be after a cut, chosen by a seed.

Of a file, what was synced is certain; of what was not, nothing may be there, or everything, a part that breaks off at a sector or a
block, some of its blocks, or its length with zeros. Of names there are two models. `journal`: names come to the disk in the order in
which they were changed (ext4, XFS), so a beginning of that order is there, at least as far as the last sync reaches. `loose`: of what
was not synced in its folder any part may be there (POSIX; btrfs comes near it). A rename is there as a whole or not at all.
"""

import os

from power.disk import SHARED_MEMORY, applied

SECTOR, BLOCK = 512, 4096
FATES = ["none", "all", "torn", "blocks", "zeros"]


class State:
    """What is on the disk when it is cut before operation `number`. `words` tells what was chosen."""

    def __init__(self, disk, number, draw):
        self.disk, self.number, self.draw, self.words = disk, number, draw, []
        self.durable = self.synced()
        self.model = draw.choice(["journal", "journal", "loose"])
        # One fate for everything is the sharpest; a mixture finds what nobody has thought of.
        self.fate = draw.choice([*FATES, "none", "mixed", "mixed", "mixed"])
        self.journal_end, self.share = self.drawn_end(), draw.choice([0.0, 0.0, 0.5, 0.5, 1.0])
        self.entries = self.named()

    def synced(self):
        """As far as which operation each node is durable."""
        durable = {}
        for sync in self.disk.syncs:
            if sync.number < self.number:
                durable[sync.node] = max(durable.get(sync.node, 0), sync.covers)
        return durable

    def covers(self, node):
        return max(self.durable.get(node, 0), self.durable.get(None, 0))

    # Names.

    def named(self):
        """The entries of each folder."""
        entries = {}
        for naming in self.disk.namings:
            if naming.number >= self.number:
                break
            certain = self.certain(naming)
            if certain or self.chosen(naming):
                self.apply(entries, naming, certain)
            else:
                self.words.append(f"not on the disk: {naming.words}")
        return entries

    def certain(self, naming):
        """Whether a sync of a folder speaks of it; a rename is certain as a whole."""
        folders = [place[0] for place in (naming.taken, naming.given) if place]
        return any(naming.number < self.covers(folder) for folder in folders)

    def chosen(self, naming):
        return naming.number < self.journal_end if self.model == "journal" else self.draw.random() < self.share

    def drawn_end(self):
        """How far the journal reaches: a sync commits it as far as the last operation on what is synced."""
        certain = self.durable.get(None, 0)
        for node, covers in self.durable.items():
            if node is not None:
                last = [number for number in node.touched if number < covers][-1:]
                certain = max([certain, *(number + 1 for number in last)])
        return self.draw.choice([certain, certain, self.number, self.draw.randint(certain, max(certain, self.number))])

    def listing(self, entries, folder):
        if folder not in entries:
            entries[folder] = dict(folder.first_entries)
        return entries[folder]

    def apply(self, entries, naming, certain):
        node = naming.node
        if naming.taken:
            folder, name = naming.taken
            names = self.listing(entries, folder)
            removed = naming.given is None and node.kind == "folder"
            if removed and self.listing(entries, node) and not certain:
                # What was in it is still there, so it has not gone either.
                return
            if names.get(name) is node:
                del names[name]
        if naming.given:
            folder, name = naming.given
            self.listing(entries, folder)[name] = node

    # Contents.

    def content(self, node, path):
        if path.endswith(SHARED_MEMORY):
            return self.draw.choice([b"", bytes(32768), self.draw.randbytes(32768)])
        durable = self.covers(node)
        certain = [change for change in node.changes if change.number < min(durable, self.number)]
        pending = [change for change in node.changes if durable <= change.number < self.number]
        content = applied(node.base, certain)
        if not pending:
            return content
        fate = self.draw.choice(FATES) if self.fate == "mixed" else self.fate
        made = getattr(self, fate)(content, pending)
        sure = f"{len(certain)} changes are certain ({len(content)} bytes)"
        self.words.append(f"{path}: {sure}, {len(pending)} not: {fate}, {len(made)} bytes")
        return made

    def none(self, content, _):
        return content

    def all(self, content, pending):
        return applied(content, pending)

    def torn(self, content, pending):
        """As far as somewhere within one write."""
        whole = self.draw.randrange(len(pending))
        content, last = applied(content, pending[:whole]), pending[whole]
        if last.data is None:
            return content
        unit = self.draw.choice([SECTOR, BLOCK])
        place = self.draw.randint(last.offset, last.end) // unit * unit
        data = last.data[: max(0, place - last.offset)]
        return applied(content, [type(last)(last.number, last.offset, data)]) if data else content

    def blocks(self, content, pending):
        """Some blocks as they were, some as they are at a later moment; the later length."""
        pending = pending[: self.draw.randint(1, len(pending))]
        after, before = applied(content, pending), bytearray(self.zeros(content, pending))
        for begin in range(0, len(after), BLOCK):
            if self.draw.random() < 0.5:
                before[begin : begin + BLOCK] = after[begin : begin + BLOCK]
        return bytes(before)

    def zeros(self, content, pending):
        """The length is there, the bytes are not: their blocks were not written yet."""
        cuts = [change for change in pending if change.data is None]
        length = len(applied(content, pending))
        return applied(content, cuts)[:length].ljust(length, b"\0")

    # Writing it out.

    def write(self, place):
        """Makes the folder `place` hold this state; it is there and empty."""
        self.write_folder(self.disk.tree, str(place), "")

    def write_folder(self, folder, place, shown):
        for name, node in sorted(self.listing(self.entries, folder).items()):
            path, known_as = os.path.join(place, name), f"{shown}/{name}"
            if node.kind == "folder":
                os.mkdir(path)
                self.write_folder(node, path, known_as)
                os.chmod(path, node.mode)
            elif node.kind == "link":
                os.symlink(os.fsdecode(node.base), path)
            else:
                with open(path, "wb") as file:
                    file.write(self.content(node, known_as))
                os.chmod(path, node.mode)
