from __future__ import annotations

import io
import json
import logging
import re
import shutil

import pyarrow.parquet as pq
import pytest
import soundfile
import torch
import yaml
from huggingface_hub import DatasetCard, ModelCard, parse_eval_result_entries
from peft import PeftConfig, PeftModel

import orality
from orality import Recipe, SharingError, Waveform, write_audio
from orality.sharing import Sharing, push
from orality.store import read_json, write_json
from orality.training import load_policy

BASE_SHA = "43dab6c82d41fe0f49303595ee2b6d7b3a94cbefeeda90cc38e6a2a597abfc23"


def files(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def rows(folder, split):
    [path] = (folder / "preferences" / "data").glob(f"{split}-00000-of-00001-*.parquet")
    return pq.read_table(path).to_pylist()


@pytest.fixture(scope="module")
def pushed(stored_run, tmp_path_factory):
    target = tmp_path_factory.mktemp("pushed") / "adapter"
    assert push(stored_run, target) == [str(target)]
    return target


def test_a_push_holds_the_adapter_its_card_its_results_and_the_preferences(pushed):
    names = [re.sub(r"-[0-9a-f]{16}\.parquet", ".parquet", name) for name in files(pushed)]
    assert names == [
        ".eval_results/swuggy.yaml", "README.md", "adapter_config.json",
        "adapter_model.safetensors", "orality.json", "preferences/README.md",
        "preferences/data/dev-00000-of-00001.parquet",
        "preferences/data/train-00000-of-00001.parquet",
        "preferences/provenance.json", "provenance.json",
    ]  # fmt: skip


def test_peft_loads_the_adapter_and_it_does_what_both_rounds_do(pushed, stored_run):
    slm = orality.build("slm", "twist")
    ids = torch.arange(3, 43)[None]
    rounds = [stored_run / f"round-{number}" / "train" / "adapter" for number in (1, 2)]
    with torch.no_grad():
        before = slm.module(input_ids=ids).logits
        wanted = load_policy(slm, rounds).module(input_ids=ids).logits
        module = PeftModel.from_pretrained(slm.module, str(pushed)).eval()
        found = module(input_ids=ids).logits
    assert (found - wanted).abs().max() < 1e-4
    assert (found - before).abs().max() > 1e-2


def test_the_base_is_named_so_that_nobody_on_the_hub_can_answer_to_it(pushed):
    assert PeftConfig.from_pretrained(str(pushed)).base_model_name_or_path == "orality:twist/tiny"
    assert ModelCard.load(pushed / "README.md").data.base_model == "orality-slm-twist/tiny"


def test_a_base_on_the_hub_is_named_as_it_is_called_there(run, tmp_path):
    push(run, tmp_path / "out", sharing=Sharing(base_model="someone/twist"))
    config = PeftConfig.from_pretrained(str(tmp_path / "out"))
    assert config.base_model_name_or_path == "someone/twist"
    assert ModelCard.load(tmp_path / "out" / "README.md").data.base_model == "someone/twist"
    with pytest.raises(SharingError, match="wanted the id of a repository"):
        push(run, tmp_path / "other", sharing=Sharing(base_model="../twist"))


def test_a_pinned_base_of_the_hub_needs_no_telling(run, tmp_path):
    manifest = read_json(run / "manifest.json")
    manifest["components"]["slm"]["checkpoint"] = f"hub:someone/twist@{'a' * 40}"
    write_json(run / "manifest.json", manifest)
    push(run, tmp_path / "out")
    assert ModelCard.load(tmp_path / "out" / "README.md").data.base_model == "someone/twist"


def test_the_metadata_is_what_the_hub_reads(pushed):
    data = ModelCard.load(pushed / "README.md").data
    assert (data.library_name, data.license, data.language) == ("peft", "unknown", ["en"])
    assert data.datasets == []
    assert {"orality", "lora", "dpo"} <= set(data.tags)
    [swuggy, judge] = data.eval_results
    assert (swuggy.dataset_name, swuggy.metric_type, swuggy.metric_value) == (
        "sWUGGY", "accuracy", 76.5,
    )  # fmt: skip
    assert swuggy.metric_config == "swuggy/mean"
    assert swuggy.dataset_args["sha256"] == "c18d" * 16
    assert swuggy.metric_args == {
        "n": 200, "n_failed": 1, "n_ties": 2, "interval_low": 70.5, "interval_high": 82.0,
        "interval_level": 0.95, "interval_method": "cluster-bootstrap",
    }  # fmt: skip
    assert (judge.metric_type, judge.metric_value) == ("judge", 3.25)


def test_the_card_tells_results_with_intervals_and_tests(pushed):
    card = (pushed / "README.md").read_text()
    assert (
        "| sWUGGY, % ↑ | 76.5 (70.5 to 82.0) | 70.0 (60.0 to 80.0) | 6.5 (1.0 to 12.0) "
        "| 0.021 | 0.042 | 200 |" in card
    )
    assert "| Judge score ↑ | 3.25 (3.12 to 3.38) | 3.00 (2.50 to 3.50) | – | – | – | 200 |" in card
    assert "95 % intervals (cluster-bootstrap)" in card


def test_the_card_tells_where_everything_comes_from(pushed):
    card = (pushed / "README.md").read_text()
    for told in (
        "judged by `likelihood` (checkpoint `smollm2-135m-instruct`)",
        "| round-1 | 1 | 3 |", "| round-2 | 2 | 4 |", "auto-BLEU above 0.1",
        f"| slm | `tiny/model.safetensors` | `{BASE_SHA}` |", "| judge | `none` | `unknown` |",
        "| slm | `twist` | `tiny` | orality-slm-twist 0.1.0 |", "torch 2.13.0",
        "| base model | apache-2.0 |", "| training data | unknown |", "| model | unknown |",
        "f" * 64, "learning_rate: 0.0005",
    ):  # fmt: skip
        assert told in card, told


def test_licenses_that_are_given_are_told(run, tmp_path):
    sharing = Sharing(licenses={"model": "cc-by-4.0", "data": "cc0-1.0", "judge": "mit"})
    push(run, tmp_path / "out", sharing=sharing)
    data = ModelCard.load(tmp_path / "out" / "README.md").data
    assert data.license == "cc-by-4.0"
    assert DatasetCard.load(tmp_path / "out/preferences/README.md").data.license == "cc0-1.0"
    assert "| judge | mit |" in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.parametrize(
    ("sharing", "message"),
    [
        (Sharing(licenses={"judg": "mit"}), "got a license of 'judg', wanted one of: model, data"),
        (Sharing(licenses={"data": "all rights"}), "wanted an id such as apache-2.0"),
        (Sharing(benchmarks=["sBLIMP=a/b"]), "'sBLIMP' is no benchmark of this run.*sWUGGY"),
        (Sharing(benchmarks=["sWUGGY"]), "OWNER/NAME"),
        (Sharing(datasets=["pairs"]), "OWNER/NAME"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_written(
    stored_run, tmp_path, sharing, message
):
    with pytest.raises(SharingError, match=message):
        push(stored_run, tmp_path / "out", sharing=sharing)
    assert not (tmp_path / "out").exists()


def test_an_unwritten_language_without_a_code_is_left_to_the_recipe(run, tmp_path):
    recipe = yaml.safe_load((run / "recipe.yaml").read_text()) | {"language": "unwritten"}
    (run / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    push(run, tmp_path / "out")
    assert ModelCard.load(tmp_path / "out" / "README.md").data.language == []
    assert "language `unwritten`" in (tmp_path / "out" / "README.md").read_text()


def test_nothing_tells_of_the_machine(pushed):
    for name in files(pushed):
        if not name.endswith((".parquet", ".safetensors")):
            text = (pushed / name).read_text()
            for told in ("/home", "secret-project", "my-machine"):
                assert told not in text, (name, told)
    assert "Training data: `recordings`" in (pushed / "README.md").read_text()


def test_eval_results_have_the_hub_s_form(pushed, run, tmp_path):
    [entry] = yaml.safe_load((pushed / ".eval_results" / "swuggy.yaml").read_text())
    assert entry["dataset"] == {"id": "unknown/swuggy", "task_id": "default"}
    assert entry["value"] == 76.5
    assert entry["date"] == "2026-11-21T17:52:24Z"
    assert entry["notes"].startswith("not a benchmark of the Hub; swuggy/mean in %, 76.5 (70.5 to")
    sharing = Sharing(benchmarks=["sWUGGY=coml/swuggy#all"])
    push(run, tmp_path / "out", sharing=sharing)
    [known] = parse_eval_result_entries(
        yaml.safe_load((tmp_path / "out" / ".eval_results" / "swuggy.yaml").read_text())
    )
    assert (known.dataset_id, known.task_id, known.value) == ("coml/swuggy", "all", 76.5)
    assert known.notes.startswith("swuggy/mean")


def test_the_preferences_hold_every_pair_of_every_round(pushed):
    train, dev = rows(pushed, "train"), rows(pushed, "dev")
    assert [row["id"] for row in train] == ["round-1/p0", "round-2/p0"]
    assert [row["id"] for row in dev] == ["round-1/p1"]
    assert train[1] == {
        "id": "round-2/p0", "round": "round-2", "prompt_id": "p0", "language": "en",
        "prompt": [1, 2, 3], "chosen": [4, 5], "rejected": [6],
        "prompt_text": "tom lost his kite 0", "chosen_text": "and ran all the way home",
        "rejected_text": "ran ran ran", "chosen_score": 4.0, "rejected_score": 1.0,
        "chosen_auto_bleu": 0.0, "rejected_auto_bleu": 1.0, "reference": "ab" * 32,
        "reference_chosen": -2.5, "reference_rejected": -1.25,
    }  # fmt: skip
    splits = DatasetCard.load(pushed / "preferences" / "README.md").data.configs[0]["data_files"]
    assert [item["split"] for item in splits] == ["train", "dev"]


def test_datasets_loads_the_preferences(pushed, run, tmp_path):
    datasets = pytest.importorskip("datasets")
    cache = str(tmp_path / "cache")
    plain = datasets.load_dataset(str(pushed / "preferences"), cache_dir=cache)
    assert {name: len(split) for name, split in plain.items()} == {"train": 2, "dev": 1}
    push(run, tmp_path / "out", sharing=Sharing(audio=True))
    heard = datasets.load_dataset(str(tmp_path / "out" / "preferences"), cache_dir=cache)
    assert isinstance(heard["train"].features["chosen_audio"], datasets.Audio)
    sound = heard["train"][0]["chosen_audio"]
    assert sound["path"] == "p0-0.flac"
    assert soundfile.info(io.BytesIO(sound["bytes"])).frames == 320
    assert heard["train"][0]["chosen"] == [4, 5]


def test_a_recording_outside_the_run_is_not_shared(run, tmp_path):
    from orality.feedback import schemas
    from orality.store import write_shard

    (tmp_path / "private.flac").write_bytes(b"x")
    shutil.rmtree(run / "round-1" / "speech")
    row = {"id": "p0-0", "prompt_id": "p0", "audio": "../private.flac"}
    write_shard(run / "round-1" / "speech", [row], schemas.SPEECH)
    with pytest.raises(SharingError, match="lies outside the run"):
        push(run, tmp_path / "out", sharing=Sharing(audio=True))
    assert not (tmp_path / "out").exists()


def test_an_earlier_round_can_be_shared_alone(run, tmp_path):
    push(run, tmp_path / "out", sharing=Sharing(system="aligned round 1"))
    assert read_json(tmp_path / "out" / "adapter_config.json")["r"] == 4
    assert len(rows(tmp_path / "out", "train")) == 1
    assert "72.0 (62.0 to 82.0)" in (tmp_path / "out" / "README.md").read_text()
    with pytest.raises(SharingError, match="no system 'aligned round 3'; it has aligned round 1"):
        push(run, tmp_path / "more", sharing=Sharing(system="aligned round 3"))


def test_a_run_without_results_or_adapters_is_told_as_it_is(run, tmp_path):
    (run / "results.json").unlink()
    push(run, tmp_path / "out")
    assert "Not evaluated." in (tmp_path / "out" / "README.md").read_text()
    assert not (tmp_path / "out" / ".eval_results").exists()
    shutil.rmtree(run / "round-1" / "train")
    with pytest.raises(SharingError, match="no trained adapter yet"):
        push(run, tmp_path / "more")
    with pytest.raises(SharingError, match="holds no run"):
        push(tmp_path, tmp_path / "more")


def test_the_card_s_example_continues_a_recording(pushed, tmp_path, monkeypatch):
    card = (pushed / "README.md").read_text()
    (source,) = re.findall(r"```python\n(.*?)```", card, re.S)
    folder = shutil.copytree(pushed, tmp_path / "adapter")
    monkeypatch.chdir(folder)
    tone = torch.sin(torch.arange(32_000) * 0.05).numpy() * 0.3
    write_audio("prompt.wav", Waveform(tone, 16_000))
    exec(source, {})
    assert orality.read_audio("continuation.wav").duration > 0.1


def test_a_push_of_the_same_run_may_be_repeated_and_leaves_nothing_stale(run, tmp_path):
    target = tmp_path / "out"
    push(run, target, sharing=Sharing(audio=True))
    (target / "notes.txt").write_text("mine")
    (run / "results.json").unlink()
    push(run, target)
    assert (target / "notes.txt").read_text() == "mine"
    assert not (target / ".eval_results" / "swuggy.yaml").exists()
    known = json.loads((target / "provenance.json").read_text())["files"]
    assert set(files(target)) == {*known, "provenance.json", "notes.txt"}


def test_what_is_no_push_of_the_same_run_is_not_overwritten(run, tmp_path):
    target = tmp_path / "out"
    target.mkdir()
    (target / "README.md").write_text("mine")
    with pytest.raises(SharingError, match="holds no push of orality; nothing was overwritten"):
        push(run, target)
    assert files(target) == ["README.md"]
    push(run, target, force=True)
    manifest = read_json(run / "manifest.json")
    write_json(run / "manifest.json", manifest | {"started": "2027-01-01T00:00:00Z"})
    with pytest.raises(SharingError, match="aligned round 2 of run tiny of 2026-11-21"):
        push(run, target)
    with pytest.raises(SharingError, match="is the run itself or inside it"):
        push(run, run / "shared", force=True)
    with pytest.raises(SharingError, match="is a file"):
        push(run, target / "README.md", force=True)


def test_a_dry_run_lists_everything_and_keeps_nothing(run, tmp_path):
    listed = push(run, [tmp_path / "out", "hf:me/adapter", "hf:datasets/me/pairs"], dry_run=True)
    assert not (tmp_path / "out").exists()
    assert any(line.startswith(f"{tmp_path / 'out'}: README.md (") for line in listed)
    hub = [line for line in listed if line.startswith("https://huggingface.co/me/adapter: ")]
    assert any(".eval_results/swuggy.yaml" in line for line in hub)
    assert not any("preferences" in line for line in hub)
    dataset = [line for line in listed if "datasets/me/pairs: " in line]
    assert [line.split(": ")[1].split("-00000")[0].split(" ")[0] for line in dataset] == [
        "README.md", "data/dev", "data/train", "provenance.json",
    ]  # fmt: skip


def test_no_key_reaches_what_is_shared(run, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    canary = "hf_canary4711canary4711"
    for name in ("HF_TOKEN", "ANTHROPIC_API_KEY", "WANDB_API_KEY"):
        monkeypatch.setenv(name, canary)
    push(run, tmp_path / "out", sharing=Sharing(audio=True))
    for path in (tmp_path / "out").rglob("*"):
        assert not path.is_file() or canary.encode() not in path.read_bytes()
    assert canary not in caplog.text
    recipe = yaml.safe_load((run / "recipe.yaml").read_text()) | {"description": canary}
    (run / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    with pytest.raises(
        SharingError, match=r"README.md would hold the value of .*HF_TOKEN"
    ) as caught:
        push(run, tmp_path / "more")
    assert canary not in str(caught.value)
    assert not (tmp_path / "more").exists()


def test_a_recipe_s_trackers_and_addresses_are_not_shared(run, tmp_path):
    recipe = yaml.safe_load((run / "recipe.yaml").read_text())
    recipe["tracking"] = [{"name": "wandb", "entity": "our-lab"}]
    recipe["judge"] = {"name": "openai-compatible", "base_url": "http://u:p@host:8000/v1?k=1"}
    assert Recipe.parse(recipe)
    (run / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    push(run, tmp_path / "out")
    text = (tmp_path / "out" / "README.md").read_text()
    assert "our-lab" not in text
    assert "u:p@" not in text
    assert "base_url: http://host:8000/v1\n" in text
