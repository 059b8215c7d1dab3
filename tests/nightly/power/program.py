"""The program under test: `alidade serve` on a data folder, its workers, and the client that asks it."""

import http.client
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import threading
import time

START_LIMIT, WORK_LIMIT = 90, 600


class Problem(Exception):
    """What the program answered instead of a result."""


class Program:
    """`alidade serve` on the data folder `home`, and its workers. `watcher` is a command line that runs it (strace)."""

    def __init__(self, program, home, resources, watcher=()):
        self.program, self.home, self.resources, self.watcher = program, home, resources, list(watcher)
        self.process = self.port = self.token = None

    def start(self):
        words = tempfile.TemporaryFile()
        command = [*self.watcher, self.program, "serve"]
        self.process = subprocess.Popen(command, env=environment(self), stdout=subprocess.PIPE, stderr=words, text=True)
        # In a debugger's hands a start takes longer; whoever does not start at all is ended here.
        timer = threading.Timer(START_LIMIT, self.end_all)
        timer.start()
        line = self.process.stdout.readline()
        timer.cancel()
        if not line.startswith("http://"):
            words.seek(0)
            raise Problem(f"it did not start: {words.read().decode(errors='replace')}")
        self.port = int(line.split(":")[2].split("/")[0])
        self.token = line.split("token=")[1].strip()

    def everybody(self):
        """The program and whatever works in its data folder: its descendants, and those whose environment or command line names
        the folder (a worker outlives the program, and a moment after its birth it has no command line of its own). Not the
        watcher, which ends by itself when nobody is left to watch."""
        parents, found = {}, set()
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                words = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
                state, parent = (entry / "stat").read_text().rsplit(")", 1)[1].split()[:2]
            except (OSError, ValueError):
                continue
            if state == "Z":
                continue
            parents[int(entry.name)] = int(parent)
            if f"{self.home}/".encode() in words or f"ALIDADE_HOME={self.home}\0".encode() in words:
                found.add(int(entry.name))
        found.add(self.process.pid)
        while True:
            more = {process for process, parent in parents.items() if parent in found} - found
            if not more:
                break
            found |= more
        return [process for process in found if process in parents and not (self.watcher and process == self.process.pid)]

    def signal(self, number):
        everybody = self.everybody()
        for process in everybody:
            try:
                os.kill(process, number)
            except ProcessLookupError:
                pass
        return everybody

    def stop(self):
        # Twice: a worker may have been born between the list and the signal.
        self.signal(signal.SIGSTOP)
        self.signal(signal.SIGSTOP)

    def go_on(self):
        self.signal(signal.SIGCONT)

    def end_all(self):
        while self.signal(signal.SIGKILL):
            time.sleep(0.005)

    def end(self):
        self.end_all()
        self.process.wait()
        self.process.stdout.close()

    def lives(self):
        return self.process is not None and self.process.returncode is None

    def request(self, path, body, kind="application/json"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WORK_LIMIT)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": kind, "Host": f"127.0.0.1:{self.port}"}
        try:
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        if response.status != 200:
            raise Problem(f"{path}: {response.status} {text}")
        return json.loads(text) if path != "/api/stream/send_message" else text

    def call(self, command, /, **fields):
        return self.request(f"/api/call/{command}", json.dumps(fields))

    def upload(self, name, text):
        return self.request(f"/api/upload?name={name}", text, "application/octet-stream")["handle"]


def environment(program):
    """One thread: the machine is shared, and a small model is not faster with more."""
    more = {"ALIDADE_HOME": str(program.home), "ALIDADE_RESOURCES": str(program.resources), "RAYON_NUM_THREADS": "1"}
    return dict(os.environ, **more)


def quietly(*command, **more):
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)
