"""Kills and interrupts runs that make pairs, and tells as JSON what became of them.

    python tests/integration/crash_harness.py --out DIR --kills 20 --worker-kills 8 --interrupts

What is expensive to import is imported once; every run is a fork of this process, and so are the
workers of a run. A run tells on a pipe when it begins and ends a stage of a shard, and is then
killed from here, after a random time, by a real SIGKILL. Its judge asks a server on this machine
that counts what it is asked. A run is continued, and killed again, until it is done; then it is
compared with one that nobody killed.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import select
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

CONCURRENCY, SHARDS = 4, 7
STAGES = ("prompts", "continuations", "speech", "transcripts", "verdicts", "pairs")


class Judge(BaseHTTPRequestHandler):
    """Grades a text by its length; `/asked` tells how often each was asked for, and forgets it."""

    asked: ClassVar[Counter[str]] = Counter()
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        content = body["messages"][0]["content"].splitlines()[-2]
        self.asked[content] += 1
        time.sleep(0.004)
        message = {"role": "assistant", "content": str(1 + sum(content.encode()) % 5)}
        self._send(
            {
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": len(content), "completion_tokens": 1},
            }
        )

    def do_GET(self) -> None:
        if self.path == "/forget":
            self.asked.clear()
        asked = dict(self.asked)
        self._send({"questions": len(asked), "repeated": sum(asked.values()) - len(asked)})

    def _send(self, value: Any) -> None:
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def start_judge() -> tuple[int, str]:
    """Pid and address of the server, in a process without any of our threads."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Judge)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # the killed hang up
    pid = os.fork()
    if pid == 0:
        server.serve_forever()
    server.server_close()
    return pid, f"http://127.0.0.1:{server.server_port}"


def ask(url: str) -> dict[str, int]:
    with urllib.request.urlopen(url, timeout=10) as reply:
        return dict(json.load(reply))


class Forked:
    """In place of `subprocess.Popen`: a worker that shares our imports, and nothing else."""

    notes = -1

    def __init__(self, command: list[str], *, pass_fds: list[int], env: Any, **_: Any) -> None:
        self.pid, self.returncode = os.fork(), None
        if self.pid:
            return
        os.setpgid(0, 0)
        keep = {0, 1, 2, self.notes, *pass_fds}
        for name in os.listdir("/proc/self/fd"):
            if int(name) not in keep:
                with contextlib.suppress(OSError):
                    os.close(int(name))
        from multiprocessing.connection import Connection

        from orality.run.workers.__main__ import serve

        with contextlib.suppress(BaseException):
            serve(Connection(pass_fds[0]))
        os._exit(0)

    def wait(self, timeout: float = 60.0) -> int:
        end = time.monotonic() + timeout
        while self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > end:
                raise subprocess.TimeoutExpired("worker", timeout)
            else:
                time.sleep(0.002)
        return self.returncode

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)


def tell_stages(notes: int, hold: str) -> None:
    """Have every stage of this process and its forks told; `hold` is a stage that takes long."""
    from orality.feedback import Round
    from orality.run.workers import worker

    def telling(function: Any, stage_of: Any) -> Any:
        def told(*given: Any) -> Any:
            stage = stage_of(*given)
            os.write(notes, f"{os.getpid()} begin {stage}\n".encode())
            if stage == hold:
                time.sleep(20)
            result = function(*given)
            os.write(notes, f"{os.getpid()} end {stage}\n".encode())
            return result

        return told

    Round.make = telling(Round.make, lambda work, stage, shards: stage)  # type: ignore[method-assign]
    worker.cut_chunk = telling(worker.cut_chunk, lambda *_: "prompts")  # type: ignore[attr-defined]


@dataclass
class Attempt:
    """A run in a fork. `in_hand`: the stage that each of its processes is at."""

    pid: int
    notes: int
    log: Path
    in_hand: dict[int, str] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)
    code: int | None = None

    @classmethod
    def start(cls, command: list[str], log: Path, hold: str = "") -> Attempt:
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.setpgid(0, 0)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.close(read)
            handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(handle, 1)
            os.dup2(handle, 2)
            Forked.notes = write
            tell_stages(write, hold)
            sys.argv = ["orality", *command]
            code = 1
            try:
                from orality.cli import main

                main()
                code = 0
            except SystemExit as end:
                code = int(end.code or 0)
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        os.close(write)
        return cls(pid, read, log)

    def listen(self, seconds: float) -> list[tuple[int, str, str]]:
        """What the run tells within that time; [] also when it has ended."""
        ready, _, _ = select.select([self.notes], [], [], max(0.0, seconds))
        told = []
        for line in os.read(self.notes, 65536).decode().splitlines() if ready else []:
            who, what, stage = line.split()
            pid = int(who)
            self.seen.add(pid)
            told.append((pid, what, stage))
            if what == "begin":
                self.in_hand[pid] = stage
            else:
                self.in_hand.pop(pid, None)
        if ready and not told:
            self.finish()
        return told

    def wait_for(self, stage: str) -> int | None:
        """The process that begins a stage; None when the run ends without."""
        while self.code is None:
            for pid, what, name in self.listen(60):
                if what == "begin" and name == stage and self.in_hand.get(pid) == stage:
                    return pid
        return None

    def finish(self, timeout: float = 60.0) -> int:
        """Exit code once it has ended, minus the signal that ended it; its workers are gone too."""
        end = time.monotonic() + timeout
        while self.code is None and time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
            else:
                time.sleep(0.002)
        while time.monotonic() < end and any(map(alive, self.seen)):
            time.sleep(0.002)
        left = [pid for pid in self.seen if alive(pid)]
        if self.code is None or left:
            raise SystemExit(
                f"processes that do not end: {left or self.pid}\n{self.log.read_text()}"
            )
        return self.code


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def tree(run: Path) -> dict[str, str]:
    """sha256 of all that a run makes, by its path in it."""
    files = [path for name in ("prompts", "round-1") for path in (run / name).rglob("*")]
    return {
        str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.is_file()
    }


def ids(run: Path) -> dict[str, Counter[str]]:
    """How often each record is there, by stage."""
    from orality.store import iterate_records

    folders = {stage: run / "round-1" / stage for stage in STAGES} | {"prompts": run / "prompts"}
    return {
        stage: Counter(row["id"] for row in iterate_records(folder, ["id"]))
        for stage, folder in folders.items()
    }


class Campaign:
    """Runs of one recipe, killed one after the other. `facts` is what is told of them."""

    def __init__(self, out: Path, url: str, seed: int) -> None:
        self.out, self.url, self.draw = out, url, random.Random(seed)
        self.facts: dict[str, Any] = {
            "kills": {stage: 0 for stage in STAGES}, "between_stages": 0, "runs": 0, "lost": 0,
            "doubled": 0, "differing": [], "repeated": {"1": 0, "2": 0}, "unexpected": [],
        }  # fmt: skip
        self.seconds = dict.fromkeys(STAGES, 0.05)
        self._number = 0
        self.expected: Path = self.unbroken()

    def recipe(self, run: Path) -> Path:
        from orality import Recipe

        data = Recipe.load("toy").model_dump(mode="json")
        data["corpus"] |= {"max_prompts": 10, "max_dev_prompts": 4}
        data["sampling"] |= {"samples_per_prompt": 3, "max_seconds": 0.6}
        data["shard_size"] = 2
        data["evaluation"]["prompts"] = 0
        data["judge"] = {
            "name": "openai-compatible", "model": "counting", "base_url": f"{self.url}/v1",
            "logprobs": False, "concurrency": CONCURRENCY, "price": {"input": 1.0, "output": 5.0},
            "cache": str(run.with_suffix(".sqlite")),
        }  # fmt: skip
        path = run.with_suffix(".yaml")
        path.write_text(Recipe.parse(data).dump())
        return path

    def new_run(self) -> tuple[Path, list[str]]:
        self._number += 1
        run = self.out / f"run-{self._number}"
        ask(f"{self.url}/forget")
        return run, ["pairs", str(self.recipe(run)), "--out", str(run)]

    def unbroken(self) -> Path:
        run, command = self.new_run()
        attempt, since = Attempt.start(command, run.with_suffix(".log")), dict[str, float]()
        while attempt.code is None:
            for _, what, stage in attempt.listen(60):
                if what == "begin":
                    since[stage] = time.monotonic()
                elif what == "end" and stage in since:
                    self.seconds[stage] = time.monotonic() - since[stage]
        if attempt.code != 0:
            raise SystemExit(attempt.log.read_text())
        return run

    def kill(self, wanted: int, workers: int) -> None:
        """Kill until there were `wanted` kills in a stage, the rarest stage next, on and on."""
        until = sum(self.facts["kills"].values()) + wanted
        while sum(self.facts["kills"].values()) < until:
            run, command = self.new_run()
            command += ["--workers", str(workers)]
            code = None
            while code != 0:
                left = until - sum(self.facts["kills"].values())
                go = self._attempt if left > 0 else self._through
                code = go(run, command, workers)
            self._compare(run)

    def _attempt(self, run: Path, command: list[str], workers: int) -> int:
        cut = len(list((run / "prompts").glob("*.parquet")))
        stages = STAGES[cut == SHARDS :]  # those that are still to come
        target = min(stages, key=lambda stage: (self.facts["kills"][stage], self.draw.random()))
        before = ask(f"{self.url}/asked")["repeated"]
        attempt = Attempt.start(command, run.with_suffix(".log"))
        who = attempt.wait_for(target)
        if who is None:
            self._check_end(attempt)
            return attempt.code or 0
        end = time.monotonic() + self.draw.uniform(0.0, 1.1 * self.seconds[target])
        while attempt.code is None and time.monotonic() < end:
            attempt.listen(end - time.monotonic())
        victim = self.draw.choice([attempt.pid, who]) if workers > 1 else attempt.pid
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
        while attempt.code is None:  # what it told before it died is still in the pipe
            attempt.listen(60)
        self._check_end(attempt, killed=victim)
        stage = attempt.in_hand.get(who)
        if stage is None:
            self.facts["between_stages"] += 1
        else:
            self.facts["kills"][stage] += 1
        self._count_repeated(before, workers)
        return attempt.code or 0

    def _count_repeated(self, before: int, workers: int) -> None:
        """The most answers that one run asked for again since the kill before it."""
        repeated, most = ask(f"{self.url}/asked")["repeated"] - before, self.facts["repeated"]
        most[str(workers)] = max(most[str(workers)], repeated)

    def _through(self, run: Path, command: list[str], workers: int) -> int:
        before = ask(f"{self.url}/asked")["repeated"]
        attempt = Attempt.start(command, run.with_suffix(".log"))
        while attempt.code is None:
            attempt.listen(60)
        self._check_end(attempt)
        self._count_repeated(before, workers)
        return attempt.code or 0

    def _check_end(self, attempt: Attempt, killed: int | None = None) -> None:
        log = attempt.log.read_text()
        fine = attempt.code == 0 or (killed == attempt.pid and attempt.code == -9)
        fine = fine or (killed is not None and attempt.code == 1 and "was killed by SIGKILL" in log)
        if not fine or "Traceback" in log:
            self.facts["unexpected"].append([attempt.code, log[-3000:]])
            raise SystemExit(json.dumps(self.facts))
        attempt.log.unlink()

    def _compare(self, run: Path) -> None:
        expected, found = ids(self.expected), ids(run)
        for stage in STAGES:
            self.facts["lost"] += sum((expected[stage] - found[stage]).values())
            self.facts["doubled"] += sum((found[stage] - expected[stage]).values())
        ours, theirs = tree(self.expected), tree(run)
        self.facts["differing"] += sorted(
            path for path in {*ours, *theirs} if ours.get(path) != theirs.get(path)
        )
        self.facts["runs"] += 1

    def interrupt(self, workers: int, stage: str, *, twice: bool = False) -> dict[str, Any]:
        """Ctrl-C in a stage, as the terminal sends it, and the same command again."""
        run, command = self.new_run()
        command += ["--workers", str(workers)]
        attempt = Attempt.start(command, run.with_suffix(".log"), hold=stage if twice else "")
        attempt.wait_for(stage)
        os.killpg(attempt.pid, signal.SIGINT)
        began = time.monotonic()
        if twice:
            time.sleep(0.5)
            os.killpg(attempt.pid, signal.SIGINT)
        while attempt.code is None:
            attempt.listen(60)
        facts = {
            "workers": workers, "stage": stage, "twice": twice, "code": attempt.code,
            "seconds": time.monotonic() - began, "in_hand": sorted(attempt.in_hand.values()),
            "log": attempt.log.read_text(), "left": len(tree(self.expected)) - len(tree(run)),
        }  # fmt: skip
        attempt.log.unlink()
        facts["then"] = self._through(run, command, workers)
        facts["same"] = tree(run) == tree(self.expected)
        return facts


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--kills", type=int, default=0)
    options.add_argument("--worker-kills", type=int, default=0)
    options.add_argument("--interrupts", action="store_true")
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    judge, url = start_judge()
    try:
        import orality.cli.commands
        import orality.run.curriculum
        import orality.run.workers.processes
        import orality.testing.tones
        import orality.testing.toy_slm
        import orality.training

        orality.load()
        orality.run.workers.processes.subprocess = SimpleNamespace(  # type: ignore[attr-defined]
            Popen=Forked, TimeoutExpired=subprocess.TimeoutExpired
        )
        campaign = Campaign(given.out, url, given.seed)
        began = time.monotonic()
        campaign.kill(given.kills, workers=1)
        campaign.kill(given.worker_kills, workers=2)
        facts = {**campaign.facts, "seconds": time.monotonic() - began, "interrupts": []}
        if given.interrupts:
            facts["interrupts"] = [
                campaign.interrupt(workers, stage, twice=twice)
                for workers in (1, 2)
                for stage, twice in (("speech", False), ("speech", True), ("prompts", False))
            ]
        print(json.dumps(facts))
    finally:
        os.kill(judge, signal.SIGKILL)


if __name__ == "__main__":
    main()
