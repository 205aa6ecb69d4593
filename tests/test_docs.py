from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import pytest
import yaml

from orality import Recipe, load, protocols
from orality.planning import plan_recipe
from orality.plugins import HOOKS
from orality.recipe import ROUND_STAGES
from orality.specs import KINDS
from orality.testing import JudgeTests

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs" / "plugins.md").read_text()
PAIRS = (ROOT / "docs" / "pairs.md").read_text()
TRAINING = (ROOT / "docs" / "training.md").read_text()
SCALING = (ROOT / "docs" / "scaling.md").read_text()
CORPORA = (ROOT / "docs" / "corpora.md").read_text()
README = (ROOT / "README.md").read_text()
EXAMPLE = ROOT / "docs" / "examples" / "word_count_judge"


@pytest.mark.parametrize("kind", KINDS)
def test_the_guide_names_every_hook_spec_and_contract(kind):
    hook, spec = HOOKS[kind]
    assert hook in GUIDE
    assert spec.__name__ in GUIDE


def test_the_guide_names_every_protocol():
    for name in ("SpeechTokenizer", "SpeechLM", "Vocoder", "Transcriber", "Judge"):
        assert hasattr(protocols, name)
        assert name in GUIDE


def test_the_guide_shows_the_example_that_is_there():
    source = (EXAMPLE / "src" / "acme_orality" / "__init__.py").read_text()
    for line in re.findall(r"class WordCount.*?\n\n", GUIDE, re.S)[0].splitlines():
        if "return" in line or "lengths" in line:
            assert line.strip() in source


def test_the_guide_s_description_of_a_checkpoint_works(tmp_path):
    (source,) = re.findall(r"```python\n([^`]*def describe.*?)```", GUIDE, re.S)
    plugin = {"__file__": str(tmp_path / "plugin" / "__init__.py")}
    exec(source, plugin)
    shipped = tmp_path / "plugin" / "tiny"
    shipped.mkdir(parents=True)
    (shipped / "config.json").write_text("{}")
    (shipped / "units.json").write_text(
        json.dumps({"codebook": "acme/km50", "vocab_size": 50, "frame_rate": 25.0})
    )
    assert plugin["describe"](SimpleNamespace(checkpoint="tiny")).codebook == "acme/km50"
    assert plugin["describe"](SimpleNamespace(checkpoint="acme/large")) is None


def test_the_guide_s_judge_behind_a_server_answers(tmp_path, monkeypatch):
    (source,) = re.findall(r"```python\n([^`]*asking_for.*?)```", GUIDE, re.S)
    monkeypatch.setenv("ORALITY_CACHE", str(tmp_path))
    exec(source, {})
    assert (tmp_path / "judges" / "acme.sqlite").is_file()


def test_the_training_guide_s_example_trains(tmp_path, monkeypatch, capsys):
    (source,) = re.findall(r"```python\n(.*?)```", TRAINING, re.S)
    monkeypatch.chdir(tmp_path)
    exec(source, {})
    assert capsys.readouterr().out.endswith(" 1.0\n")
    assert (tmp_path / "runs" / "dpo" / "adapter" / "adapter_model.safetensors").is_file()


def test_the_pair_guide_s_example_makes_pairs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (source,) = re.findall(r"```python\n(.*?)```", PAIRS, re.S)
    made = {}
    exec(source, made)
    assert made["pairs"]
    assert made["more"] == Path("runs/toy/round-1/pairs-3-3.5-0.5")


def test_the_pair_guide_s_further_judges_are_a_recipe_s():
    (text,) = re.findall(r"    judge: .*?\n\n", PAIRS, re.S)
    named = yaml.safe_load(text.replace("\n    ", "\n").strip())
    recipe = Recipe.parse(
        Recipe.load("tiny").model_dump() | named | {"selection": {"judge": "claude"}}
    )
    assert recipe.further_judges["claude"].name == "anthropic"
    recipe.check()


def test_the_scaling_guide_s_plan_is_what_the_command_prints():
    rates = ROOT / "docs" / "examples" / "align-slm-7b-a100.json"
    planned = plan_recipe(Recipe.load("align-slm-7b"), prompts=673_000, rates=rates)
    assert planned.table() in SCALING


def test_the_scaling_guide_s_cluster_is_a_recipe_s():
    (text,) = re.findall(r"    cluster:\n.*?\n\n", SCALING, re.S)
    named = yaml.safe_load(textwrap.dedent(text))
    recipe = Recipe.parse(Recipe.load("align-slm-7b").model_dump() | named)
    assert set(recipe.cluster) == {"prompts", *ROUND_STAGES}
    rates = ROOT / "docs" / "examples" / "align-slm-7b-a100.json"
    pools = plan_recipe(recipe, prompts=673_000, rates=rates).plan.devices[-1].pools
    assert {stage: recipe.cluster[stage].most for stage in pools} == pools  # the plan for 64


def test_the_scaling_guide_s_example_names_what_is_there():
    (source,) = re.findall(r"```python\n(.*?)```", SCALING, re.S)
    exec(source.partition("\n\n")[0], {})


def test_the_training_guide_names_every_loss_backend_and_setting():
    from orality.training import Settings
    from orality.training.losses import LossName

    for name in (*get_args(LossName), "eager", "sdpa", "xformers", "flex"):
        assert f"| `{name}` |" in TRAINING
    for name in ("max_tokens", "items_per_step", "activation_checkpointing"):
        assert name in Settings.__dataclass_fields__
        assert f"`{name}`" in TRAINING


def test_the_corpus_guide_s_example_runs_and_every_way_to_cut_is_named():
    from orality.recipe.sections import CorpusOptions

    (source,) = re.findall(r"```python\n(.*?)```", CORPORA, re.S)
    found: dict[str, object] = {}
    exec(source, found)
    assert found["speech"].sample_rate == 16_000
    for way in get_args(CorpusOptions.model_fields["cut"].annotation):
        assert f"`{way}` |" in CORPORA or f"cut: {way}`" in CORPORA
    for name in ("columns", "cut", "transcriber", "alignments", "max_seconds", "max_bytes",
                 "max_failures", "min_seconds", "prompt_seconds", "fixed_cut"):  # fmt: skip
        assert name in CorpusOptions.model_fields
        assert name in CORPORA


def test_the_readme_names_every_command():
    done = subprocess.run(
        [sys.executable, "-c", "from orality.cli import main; main()", "--help"],
        capture_output=True,
        text=True,
    )
    commands = re.findall(r"^[│|] (\w+) ", done.stdout, re.M)
    assert len(commands) >= 8
    assert [name for name in commands if f"orality {name}" not in README] == []


class TestWordCount(JudgeTests):
    name = "word-count"

    @pytest.fixture(autouse=True)
    def install_the_example(self, monkeypatch):
        monkeypatch.syspath_prepend(str(EXAMPLE / "src"))
        module = importlib.import_module("acme_orality")
        monkeypatch.setattr("orality.testing.component_tests.load", lambda: load([module]))

    def test_finding_it_imports_nothing_heavy(self):
        pytest.skip("it is not installed here; its module imports orality alone")
