from __future__ import annotations

import dataclasses
import subprocess
import sys
import traceback
from importlib.metadata import EntryPoint
from types import SimpleNamespace

import pytest

from orality import ComponentConfig, JudgeSpec, PluginError, RecipeError, Verdict, hookimpl, load
from orality.plugins import Component, Registry


class WordCountConfig(ComponentConfig):
    target: int = 12


class WordCount:
    def __init__(self, target):
        self.target = target

    def score(self, requests):
        return [Verdict(score=1.0) for _ in requests]


def judge_spec(name="word-count"):
    return JudgeSpec(
        name=name,
        config=WordCountConfig,
        build=lambda config: WordCount(config.target),
        reads=frozenset({"text"}),
        scale=(1.0, 5.0),
    )


def plugin(*specs):
    @hookimpl
    def orality_judges():
        yield from specs

    return SimpleNamespace(__name__="a_plugin", orality_judges=orality_judges)


class FakeEntryPoint:
    """An installed plugin: `load` returns an object or raises."""

    def __init__(self, name, found, *, requires=(), distribution="acme", version="1.0"):
        self.name, self.found = name, found
        self.dist = SimpleNamespace(name=distribution, version=version, requires=list(requires))

    def load(self):
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


def test_a_given_plugin_can_be_built_from():
    judge = load([plugin(judge_spec())], entry_points=[]).build("judge", "word-count", target=3)
    assert judge.target == 3


def test_a_broken_plugin_never_stops_the_others():
    registry = load(
        entry_points=[
            FakeEntryPoint("bad", ImportError("no module named acme_native")),
            FakeEntryPoint("good", plugin(judge_spec())),
        ]
    )
    assert [status.status for status in registry.statuses] == ["broken", "loaded"]
    assert registry.names("judge") == ["word-count"]


def test_strict_mode_raises_what_is_broken(monkeypatch):
    monkeypatch.setenv("ORALITY_STRICT_PLUGINS", "1")
    with pytest.raises(PluginError, match="'bad' of acme 1.0 is broken"):
        load(entry_points=[FakeEntryPoint("bad", ImportError("gone"))])


def test_a_plugin_can_be_disabled(monkeypatch):
    monkeypatch.setenv("ORALITY_DISABLE_PLUGINS", "other, good")
    registry = load(entry_points=[FakeEntryPoint("good", plugin(judge_spec()))])
    assert registry.statuses[0].status == "disabled"
    assert registry.names("judge") == []


def test_a_plugin_for_another_version_is_not_imported():
    entry_point = FakeEntryPoint("old", AssertionError("imported"), requires=["orality>=7,<8"])
    status = load(entry_points=[entry_point]).statuses[0]
    assert status.status == "incompatible"
    assert "orality<8,>=7" in status.detail or "orality>=7,<8" in status.detail


def test_a_misspelled_hook_is_reported():
    @hookimpl
    def orality_jugdes():
        yield judge_spec()

    broken = SimpleNamespace(__name__="broken", orality_jugdes=orality_jugdes)
    status = load(entry_points=[FakeEntryPoint("broken", broken)]).statuses[0]
    assert status.status == "broken"
    assert "orality_jugdes" in status.detail


def test_a_hook_that_raises_is_reported():
    @hookimpl
    def orality_judges():
        raise ValueError("no licence")
        yield

    broken = SimpleNamespace(__name__="broken", orality_judges=orality_judges)
    status = load(entry_points=[FakeEntryPoint("broken", broken)]).statuses[0]
    assert "no licence" in status.detail


def test_a_foreign_value_from_a_hook_is_reported():
    status = load(entry_points=[FakeEntryPoint("odd", plugin("not a spec"))]).statuses[0]
    assert "must yield JudgeSpec" in status.detail


def test_a_name_clash_names_both_distributions_only_when_asked_for():
    registry = load(
        entry_points=[
            FakeEntryPoint("a", plugin(judge_spec()), distribution="acme"),
            FakeEntryPoint("b", plugin(judge_spec()), distribution="rival", version="2.1"),
        ]
    )
    assert registry.names("judge") == ["word-count"]
    with pytest.raises(PluginError, match="provided by acme 1.0 and rival 2.1"):
        registry.find("judge", "word-count")


def test_a_missing_component_is_explained():
    registry = load(
        [plugin(judge_spec())],
        entry_points=[FakeEntryPoint("native", ImportError("libnative.so"))],
    )
    with pytest.raises(PluginError) as caught:
        registry.find("judge", "word-cuont")
    message = str(caught.value)
    assert "did you mean 'word-count'" in message
    assert "libnative.so" in message


def test_an_unknown_kind_is_explained():
    with pytest.raises(PluginError, match="tokenizer, slm, vocoder, transcriber, judge"):
        Registry((), ()).find("asr", "whisper")


def test_wrong_options_are_listed_together():
    registry = load([plugin(judge_spec())], entry_points=[])
    with pytest.raises(RecipeError) as caught:
        registry.configure("judge", "word-count", target="many", tone="warm")
    message = str(caught.value)
    assert "judge.target" in message
    assert "judge.tone" in message
    assert "it knows: target" in message


def test_a_missing_package_is_named_at_build():
    def build(config):
        raise ImportError("no module named 'nemo'")

    spec = JudgeSpec(
        name="needy",
        config=WordCountConfig,
        build=build,
        reads=frozenset({"text"}),
        scale=(1.0, 5.0),
    )
    registry = Registry((Component("judge", spec, "acme", "1.0"),), ())
    with pytest.raises(PluginError, match="needs a package that is not installed.*nemo"):
        registry.build("judge", "needy")


def test_importing_orality_and_listing_plugins_imports_no_torch():
    code = (
        "import sys, orality; orality.load(); "
        "sys.exit([m for m in ('torch', 'transformers', 'pyarrow') if m in sys.modules] or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_toy_plugin_is_installed_with_the_core():
    assert {"toy"} <= set(load().names("slm"))
    assert isinstance(EntryPoint("toy", "orality.testing.toy", "orality").load(), object)


def test_the_toy_components_need_no_pytest():
    """`pip install -r requirements.txt` brings none, and the recipe `toy` works all the same."""
    code = (
        "import sys; sys.modules['pytest'] = None; from orality import load; "
        "print(load().build('tokenizer', 'toy').unit_spec.codebook)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("toy")


@pytest.mark.parametrize("local", [False, lambda config: config.target == 12])
def test_what_sends_data_away_is_refused_where_only_local_components_may_run(monkeypatch, local):
    spec = dataclasses.replace(judge_spec(), local=local)
    registry = load([plugin(spec)], entry_points=[])
    assert registry.build("judge", "word-count", target=3)
    monkeypatch.setenv("ORALITY_LOCAL_ONLY", "1")
    with pytest.raises(PluginError, match="ORALITY_LOCAL_ONLY forbids"):
        registry.configure("judge", "word-count", target=3)
    if callable(local):
        assert registry.build("judge", "word-count")


def test_a_wrong_value_is_not_repeated():
    registry = load([plugin(judge_spec())], entry_points=[])
    misplaced = {"target": "sk-secret"}
    with pytest.raises(RecipeError) as caught:
        registry.build("judge", "word-count", **misplaced)
    shown = "".join(traceback.format_exception(caught.value))
    assert "judge.target" in shown
    assert "sk-secret" not in shown
