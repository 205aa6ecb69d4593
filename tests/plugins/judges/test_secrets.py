"""A key that is a canary: it goes to the server and into nothing that is kept or shown."""

from __future__ import annotations

import logging
import pickle
import traceback

import pytest
import yaml
from fake_servers import KEY, Batches, Reply, build, error, good

import orality
from orality import JudgeError, JudgeRequest, Recipe, RecipeError

pytestmark = pytest.mark.usefixtures("own_surroundings")
BACKENDS = ("anthropic", "openai-compatible")
REQUEST = JudgeRequest(prompt_text="tom lost his kite", continuation_text="and ran home")


def shown(caught):
    """Everything a traceback can show, with the local variables of every frame."""
    found = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    return "".join(found.format(chain=True)) + "".join(
        traceback.format_exception(caught.value, chain=True)
    )


def holds_the_key(folder):
    return [
        str(path)
        for path in folder.rglob("*")
        if path.is_file() and KEY.encode() in path.read_bytes()
    ]


@pytest.fixture
def loud(caplog):
    caplog.set_level(logging.DEBUG)
    for name in ("anthropic", "httpx2", "httpcore2", "orality"):
        caplog.set_level(logging.DEBUG, logger=name)
    return caplog


@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_that_a_judge_says_or_keeps_holds_the_key(server, backend, loud, tmp_path):
    server.script = [error(500), Reply(how="reset"), Reply(body=b'{"cut')]
    judge = build(backend, server, price={"input": 1, "output": 1})
    judge.score([REQUEST])
    assert server.requests[0].headers["Authorization"] == f"Bearer {KEY}"
    assert "anthropic" not in backend or "Request options" in loud.text
    assert KEY not in loud.text
    assert KEY not in repr(judge) + str(judge) + repr(judge._asking) + repr(judge._key)
    assert (tmp_path / "orality-cache" / "judges" / f"{backend}.sqlite").is_file()
    assert holds_the_key(tmp_path) == []
    with pytest.raises(TypeError) as caught:
        pickle.dumps(judge)
    assert KEY not in shown(caught)


def test_nothing_that_a_batch_says_or_keeps_holds_the_key(server, loud, tmp_path):
    Batches(server)
    build("anthropic", server, batch=True).score([REQUEST])
    assert KEY not in loud.text
    assert holds_the_key(tmp_path) == []


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("status", [400, 401, 429, 500])
def test_a_server_that_repeats_the_key_is_not_quoted(server, backend, status, loud):
    server.respond = lambda request: error(
        status, "authentication_error", f"wrong key {KEY} in {request.headers['Authorization']}"
    )
    judge = build(backend, server, attempts=2, max_failures=1)
    with pytest.raises(JudgeError) as caught:
        judge.score([REQUEST])
    assert "wrong key ***" in str(caught.value)
    assert KEY not in shown(caught)
    assert KEY not in loud.text
    assert KEY.encode() not in pickle.dumps(caught.value)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("place", ["api_key", "api_key_env", "model_key"])
def test_a_key_in_a_configuration_is_refused_without_being_shown(backend, place):
    with pytest.raises(RecipeError) as caught:
        orality.build("judge", backend, model="m", **{place: KEY})
    assert place in str(caught.value)
    assert KEY not in "".join(traceback.format_exception(caught.value, chain=True))


def test_a_key_anywhere_in_a_recipe_is_refused_without_being_shown(tmp_path):
    data = Recipe.load("toy").model_dump() | {"api_key": KEY}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(RecipeError) as caught:
        Recipe.load(path)
    assert KEY not in "".join(traceback.format_exception(caught.value, chain=True))


def test_a_whole_run_leaves_nothing_that_holds_the_key(server, loud, tmp_path):
    def respond(request):
        backend = "anthropic" if request.path == "/v1/messages" else "openai-compatible"
        return good(backend, 1 + len(request.transcripts["continuation"]) % 5)

    server.respond = respond
    claude = {"name": "anthropic", "base_url": server.url}
    other = {"name": "openai-compatible", "base_url": f"{server.url}/v1", "model": "m"}
    data = Recipe.load("toy").model_dump() | {"judge": claude}
    data["corpus"] |= {"max_prompts": 6, "max_dev_prompts": 3}
    data["training"] |= {"epochs": 1.0}
    data["rounds"] = data["rounds"][:1]
    data["evaluation"] |= {"prompts": 2, "judge": other | {"api_key_env": "JUDGE_KEY"}}
    data["baselines"] = {"fine_tuned": False, "perplexity": False}
    out = tmp_path / "runs" / "toy"
    recipe = Recipe.parse(data)
    orality.build_pairs(recipe, out)
    orality.evaluate(recipe, out)
    orality.write_report(out)
    assert {request.path for request in server.requests} == {
        "/v1/messages",
        "/v1/chat/completions",
    }
    for name in ("recipe.yaml", "manifest.json", "report.html", "results.json", "table.md"):
        assert (out / name).is_file()
    assert holds_the_key(tmp_path) == []
    assert KEY not in loud.text
