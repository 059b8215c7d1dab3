"""Power cuts: the program must start on what a cut has left, hold everything that it had acknowledged before, and carry the
experiment on to the same adapters, to the byte.

Usage: power_cuts.py PATH_TO_ALIDADE [--cuts 60] [--seed 1] [--how mounted|recorded]

There are two ways to cut. `mounted`: the data folder lies on an ext4 image, which is copied at seeded moments while every process
stands still; it needs root, mkfs.ext4 and loop mounts. `recorded`: strace records what the processes write and sync, and states
that a disk could be in at seeded moments are written out; it needs strace. Without `--how` the disk is mounted where that is
possible and the writes are recorded elsewhere. What is missing is said.
"""

import argparse
import pathlib
import shutil
import sys
import tempfile
import time

from power import mounted, recorded
from power.commands import MODEL

WAYS = {"mounted": mounted, "recorded": recorded}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--cuts", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first cut, to see one again")
    parser.add_argument("--how", choices=list(WAYS))
    parser.add_argument("--keep", type=pathlib.Path, help="recorded: where states that lost something are kept")
    parser.add_argument("--without-syncs", action="store_true", help="recorded: no sync counts; many states must be lost then")
    options = parser.parse_args()
    options.program = options.program.resolve()
    return options


def main():
    options = arguments()
    # Resolved, because the recorder knows paths as the kernel tells them.
    folder = pathlib.Path(tempfile.mkdtemp(prefix="alidade-cuts-")).resolve()
    try:
        for name in [options.how] if options.how else list(WAYS):
            why = WAYS[name].possible(folder)
            if why is None:
                return cuts(options, WAYS[name], name, folder)
            print(f"{name} power cuts were not tried: {why}")
        return 0
    finally:
        shutil.rmtree(folder)


def cuts(options, way, name, folder):
    resources = folder / "resources"
    shutil.copytree(MODEL, resources / "starter" / "toy")
    begun = time.time()
    lost = way.tried(options, folder, resources)
    seconds = time.time() - begun
    print("\n".join(["", *lost]))
    print(
        f"{len(lost)} times something was LOST in {options.cuts} {name} cuts and those of the commands (seed {options.seed})"
        if lost
        else f"{options.cuts} of {options.cuts} {name} cuts held (seed {options.seed})"
    )
    print(f"{seconds:.0f} s, {seconds / max(options.cuts, 1):.2f} s a cut")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
