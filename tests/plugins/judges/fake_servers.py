"""A loopback server that speaks the Messages, Message Batches and chat completions APIs."""

from __future__ import annotations

import json
import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import orality_judge_anthropic
import orality_judge_openai_compatible
from orality_judge_anthropic.judge import load_judge as load_anthropic
from orality_judge_openai_compatible.judge import load_judge as load_openai_compatible

KEY = "sk-canary-7d1f0c53e2a94b86"
USAGE = {"input_tokens": 400, "output_tokens": 12}


@dataclass
class Request:
    method: str
    path: str
    headers: dict
    body: dict

    @property
    def transcripts(self):
        """What was sent to be judged, found as a model would find it: in its own place."""
        (message,) = self.body["messages"]
        content = message["content"]
        if isinstance(content, str):
            rubric, mark, data, end = content.rsplit("\n", 3)
        else:
            mark, data, end = (block["text"] for block in content)
            rubric = self.body["system"]
        nonce = mark.removeprefix("transcripts ")
        assert end == f"end of transcripts {nonce}"
        assert nonce in rubric
        assert rubric.count(nonce) + mark.count(nonce) + end.count(nonce) >= 3
        assert nonce not in data
        return json.loads(data)


@dataclass
class Reply:
    """`how`: `plain`, `cut` (fewer bytes than promised), `reset` or `hang`."""

    status: int = 200
    body: object = None
    headers: dict = field(default_factory=dict)
    how: str = "plain"


def message(text='{"score": 4}', *, stop_reason="end_turn", usage=USAGE, before=()):
    """A reply of the Messages API."""
    return Reply(
        body={
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-haiku-5-5",
            "content": [*before, {"type": "text", "text": text}],
            "stop_reason": stop_reason,
            "stop_sequence": None,
            "usage": usage,
        }
    )


def completion(text="4", *, finish_reason="stop", logprobs=None, usage=USAGE, **extra):
    """A reply of the chat completions API."""
    return Reply(
        body={
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "model": "judge",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": text, **extra},
                    "finish_reason": finish_reason,
                    "logprobs": logprobs,
                }
            ],
            "usage": {
                "prompt_tokens": usage["input_tokens"],
                "completion_tokens": usage["output_tokens"],
            },
        }
    )


def error(status, kind="api_error", text="something is wrong", *, code=None, headers=None):
    """An error in a shape that both APIs share."""
    details = {"details": {"error_code": code}} if code else {}
    body = {"type": "error", "error": {"type": kind, "message": text, **details}}
    return Reply(status, body, headers or {})


class Server:
    """Answers with `respond(request)`; `script` holds replies that go first, in order."""

    def __init__(self):
        self.requests, self.script = [], []
        self.respond = lambda request: message() if request.path == "/v1/messages" else completion()
        self.lock, self.closing = threading.Lock(), threading.Event()
        handler = type("Handler", (_Handler,), {"server_side": self})
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def answer(self, request):
        with self.lock:
            self.requests.append(request)
            scripted = self.script.pop(0) if self.script else None
        return scripted or self.respond(request)

    @property
    def calls(self):
        return len(self.requests)

    def __enter__(self):
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.closing.set()
        self.http.shutdown()
        self.http.server_close()


class _Handler(BaseHTTPRequestHandler):
    server_side: Server

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.reply(self.server_side.answer(Request("POST", self.path, dict(self.headers), body)))

    def do_GET(self):
        self.reply(self.server_side.answer(Request("GET", self.path, dict(self.headers), {})))

    def reply(self, reply):
        if reply.how == "hang":
            self.server_side.closing.wait(20)
            return
        if reply.how == "reset":
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.request.close()
            return
        whole = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(whole)))
        self.end_headers()
        if reply.how == "drip":  # a byte now and then, for as long as anybody listens
            with suppress(ConnectionError):
                while not self.server_side.closing.wait(0.1):
                    self.wfile.write(b" ")
                    self.wfile.flush()
            return
        with suppress(ConnectionError):  # whoever asked may be gone
            self.wfile.write(whole[: len(whole) // 2] if reply.how == "cut" else whole)
        if reply.how == "cut":
            self.close_connection = True

    def log_message(self, *_):
        pass


class Sleeps(list):
    """A sleep that does not: it remembers for how long it was asked to."""

    def __call__(self, seconds):
        self.append(seconds)


def build(backend, server, *, sleep=None, **options):
    """A judge of either kind at the fake server."""
    sleep = Sleeps() if sleep is None else sleep
    if backend == "anthropic":
        config = orality_judge_anthropic.AnthropicConfig(base_url=server.url, **options)
        return load_anthropic(config, sleep=sleep)
    config = orality_judge_openai_compatible.OpenAICompatibleConfig(
        **{"base_url": f"{server.url}/v1", "model": "judge", "api_key_env": "JUDGE_KEY"} | options
    )
    return load_openai_compatible(config, sleep=sleep)


def good(backend, score):
    """A reply with that score."""
    if backend == "anthropic":
        return message(json.dumps({"score": score}))
    return completion(str(score))


class Batches:
    """The Message Batches API. `fate(custom_id, params, times)`: the result of a request that is
    submitted for the `times`-th time; `polls`: how often a batch is still in progress."""

    def __init__(self, server, *, fate=None, polls=1, reverse=True):
        self.server, self.fate, self.polls = server, fate or self.succeed, polls
        self.reverse = reverse
        self.made, self.times, self.asked = {}, {}, {}
        server.respond = self.respond

    @staticmethod
    def succeed(custom_id, params, times):
        text = params["messages"][0]["content"][1]["text"]
        score = 1 + len(json.loads(text)["continuation"]) % 5
        return succeeded(score)

    def respond(self, request):
        parts = request.path.strip("/").split("/")
        if request.method == "POST":
            return self.create(request.body["requests"])
        batch = parts[3]
        if batch not in self.made:
            return error(404, "not_found_error", "no such batch")
        if parts[-1] == "results":
            rows = list(self.made[batch])
            if self.reverse:
                rows.reverse()
            lines = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
            return Reply(body=lines, headers={"Content-Type": "application/x-jsonl"})
        self.asked[batch] = self.asked.get(batch, 0) + 1
        return Reply(body=self.state(batch, ended=self.asked[batch] > self.polls))

    def create(self, requests):
        batch = f"msgbatch_{len(self.made) + 1}"
        rows = []
        for item in requests:
            name = item["custom_id"]
            self.times[name] = self.times.get(name, 0) + 1
            result = self.fate(name, item["params"], self.times[name])
            rows.append({"custom_id": name, "result": result})
        self.made[batch] = rows
        return Reply(body=self.state(batch, ended=False))

    def state(self, batch, *, ended):
        return {
            "id": batch,
            "type": "message_batch",
            "processing_status": "ended" if ended else "in_progress",
            "request_counts": {
                "processing": 0, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0,
            },
            "created_at": "2026-01-01T00:00:00Z",
            "expires_at": "2026-01-02T00:00:00Z",
            "ended_at": "2026-01-01T01:00:00Z" if ended else None,
            "cancel_initiated_at": None,
            "archived_at": None,
            "results_url": f"{self.server.url}/v1/messages/batches/{batch}/results"
            if ended
            else None,
        }  # fmt: skip


def succeeded(score, **options):
    """A batch's result with that score."""
    return {
        "type": "succeeded",
        "message": message(json.dumps({"score": score}), **options).body,
    }


def errored(kind):
    """A batch's result that failed."""
    inner = {"type": kind, "message": f"the fake says {kind}"}
    return {"type": "errored", "error": {"type": "error", "error": inner}}
