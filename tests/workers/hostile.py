"""A place where somebody hostile is let loose: victims, a witness, and a team that really runs."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
import threading
import unicodedata
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ADDER = "echo $(($1 - $2))\n"
CHECK = (
    'r=$(sh adder.sh 2 3); if [ "$r" = 5 ]; then echo "ok 1 - adds"; '
    'else echo "not ok 1 - adds"; fi; echo "ok 2 - runs"\n'
)
KEYS = (
    "core.fsmonitor",
    "core.sshCommand",
    "core.pager",
    "core.editor",
    "core.askPass",
    "core.alternateRefsCommand",
    "core.gitProxy",
    "uploadpack.packObjectsHook",
    "gpg.program",
    "diff.external",
    "diff.e.textconv",
    "diff.e.command",
    "merge.e.driver",
    "filter.e.clean",
    "filter.e.smudge",
    "filter.e.process",
    "credential.helper",
    "alias.ls-tree",
    "remote.origin.uploadpack",
    "remote.origin.receivepack",
    "sequence.editor",
)
MENDS = "sed -i s/-/+/ adder.sh"
ENV = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
WHO = ("-c", "user.name=n", "-c", "user.email=e", "-c", "protocol.file.allow=always")


@dataclass
class Said:
    """What a command of the command line came to."""

    status: int
    out: str
    errors: str

    @property
    def all(self) -> str:
        return self.out + self.errors


@dataclass
class Place:
    """A folder with a repository, things that nobody may touch, and the folder of a run."""

    root: Path
    said: list[Said] = field(default_factory=list)
    before: dict = field(default_factory=dict)
    """The listing before the first command."""

    def __post_init__(self):
        for folder in (self.source, self.victim, self.witness, self.victim / "hooks"):
            folder.mkdir()
        (self.victim / "bashrc").write_text("original\n")
        self.program.write_text(f"#!/bin/sh\ntouch {self.witness}/$$\nexit 1\n")
        for name in ("post-checkout", "reference-transaction", "pre-commit", "post-index-change"):
            (self.victim / "hooks" / name).write_bytes(self.program.read_bytes())
            (self.victim / "hooks" / name).chmod(0o755)
        self.program.chmod(0o755)
        self.put({"adder.sh": ADDER, "check.sh": CHECK})

    @property
    def source(self) -> Path:
        return self.root / "source"

    @property
    def victim(self) -> Path:
        return self.root / "victim"

    @property
    def witness(self) -> Path:
        return self.root / "witness"

    @property
    def program(self) -> Path:
        return self.victim / "program"

    @property
    def run(self) -> Path:
        return self.root / "run"

    def put(self, files, links=(), under=""):
        """Write files and links in the source."""
        for name, text in files.items():
            path = os.path.join(os.fsencode(self.source), os.fsencode(under), os.fsencode(name))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(text if isinstance(text, bytes) else text.encode())
        for name, target in dict(links).items():
            os.symlink(target, self.source / under / name)

    def git(self, *words, data=None, at=None):
        line = ["git", "-C", str(at or self.source), *WHO, *words]
        done = subprocess.run(line, check=True, capture_output=True, env=ENV, input=data)
        return done.stdout.decode().strip()

    def commit(self):
        """The source as a repository of one commit."""
        self.git("init", "-q", "-b", "trunk")
        attributes = self.source / ".git" / "info" / "attributes"
        attributes.write_text("* -text -ident -filter -working-tree-encoding\n")
        self.git("add", "-A", "-f")
        attributes.unlink()
        self.git("commit", "-qm", "m")
        return self.git("rev-parse", "HEAD")

    def raw_tree(self, *rows):
        """The head gets a tree of exactly these entries: mode, name, object."""
        told = b"".join(
            mode.encode() + b" " + name + b"\0" + bytes.fromhex(oid) for mode, name, oid in rows
        )
        tree = self.git("hash-object", "-t", "tree", "--literally", "-w", "--stdin", data=told)
        self.git("update-ref", "HEAD", self.git("commit-tree", tree, "-m", "crafted"))
        return tree

    def blob(self, data):
        return self.git("hash-object", "-w", "--stdin", data=data)

    def plan(self, worker, **more):
        """A plan in TOML, whose strings JSON writes as well."""
        rows = [f"{key} = {json.dumps(value)}" for key, value in
                {"repository": str(self.source), "tests": "sh check.sh", **more}.items()
                if not isinstance(value, dict)]  # fmt: skip
        tables = {"worker": worker, "limits": {"seconds": 30}}
        tables |= {key: value for key, value in more.items() if isinstance(value, dict)}
        for name, table in tables.items():
            rows += [f"[{name}]", *(f"{key} = {json.dumps(v)}" for key, v in table.items())]
        (self.root / "plan.toml").write_text("\n".join(rows) + "\n")
        return self.root / "plan.toml"

    def call(self, *words, env=()):
        """A command of the command line in a process of its own."""
        self.before = self.before or self.listing()
        line = [sys.executable, "-m", "counterpoint", *map(str, words)]
        done = subprocess.run(line, capture_output=True, timeout=120, cwd="/", check=False,
                              env={**os.environ, **dict(env)})  # fmt: skip
        out = done.stdout.decode("utf-8", "surrogateescape")
        self.said.append(Said(done.returncode, out, done.stderr.decode("utf-8", "surrogateescape")))
        return self.said[-1]

    def work(self, command=MENDS, **more):
        """`team run` with a command as worker."""
        plan = self.plan({"kind": "command", "command": command}, attempts=1, **more)
        return self.call("team", "run", plan, "--out", self.run)

    def ask(self, reply, **more):
        """`team run` with a model that gives this reply."""
        with model(reply) as url:
            worker = {"kind": "model", "model": "m", "base_url": url, "tries": 2}
            plan = self.plan(worker, attempts=1, **more)
            return self.call("team", "run", plan, "--out", self.run)

    def at_head(self, *words):
        """What git says of the repository of the run."""
        return self.git("--git-dir", str(self.run / "repo.git"), *words, at="/")

    def notes(self):
        """All that the run wrote down, as text."""
        names = ("episodes.jsonl", "result.json", "members.log")
        paths = [self.run / name for name in names]
        return "".join(path.read_text(errors="replace") for path in paths if path.is_file())

    def listing(self):
        """Path to what is there, of everything outside of the run."""
        found = {}
        for folder, folders, names in os.walk(os.fsencode(self.root)):
            if folder == os.fsencode(self.root):
                folders[:] = [name for name in folders if name != b"run"]
                names = [name for name in names if name != b"plan.toml"]
            for name in (*folders, *names):
                path = os.path.join(folder, name)
                what = os.lstat(path)
                told = ""
                if stat.S_ISLNK(what.st_mode):
                    told = os.readlink(path)
                elif stat.S_ISREG(what.st_mode):
                    with open(path, "rb") as file:
                        told = hashlib.file_digest(file, "sha256").hexdigest()
                found[path] = (what.st_mode, what.st_uid, told)
        return found

    def verify(self):
        """Nothing outside of the run changed, nothing ran here, and nothing odd was printed."""
        assert self.said
        assert self.listing() == self.before
        assert not list(self.witness.iterdir()), "something ran outside of the sandbox"
        for said in self.said:
            assert said.status in (0, 1, 2, 3), said
            assert "Traceback" not in said.all, said.all
            assert not odd(said.all), (odd(said.all), said.all)
            if said.status == 2:
                assert said.errors.count("counterpoint: ") == 1, said.errors
                assert said.errors.splitlines()[-1].startswith("counterpoint: ")
        assert "Traceback" not in self.notes(), self.notes()


def odd(text):
    """The characters that a terminal could obey, or that turn the direction of text."""
    return {
        c
        for c in text
        if c not in "\n\t" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    }


@contextmanager
def model(reply):
    """A server on this machine whose model gives one reply, a text or the JSON of one."""

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.server.keys.append(self.headers.get("Authorization"))
            text = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
            body = b'{"choices":[{"message":{"content":%b}}],"usage":{"prompt_tokens":1,' % text
            body += b'"completion_tokens":1}}'
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        server.keys = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        finally:
            server.shutdown()


def quick_or_slow(attacks, quick):
    """Returns parameters of a test, of which all but the quick ones are slow."""
    return [
        pytest.param(one, id=one.__name__, marks=() if one in quick else pytest.mark.slow)
        for one in attacks
    ]
