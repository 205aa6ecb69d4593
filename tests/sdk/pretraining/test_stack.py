"""A whole stack from a folder of recordings, in sizes that train within seconds."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import orality
from orality import CorpusError, RecipeError, SamplingOptions, StoreError, Waveform
from orality.audio import write_audio
from orality.compatibility import compare_units
from orality.pretraining import corpora, stack
from orality.pretraining.data import open_speech
from orality.pretraining.recipe import PretrainRecipe, shipped_pretrain_recipes
from orality.pretraining.stories import build, unit_corpus
from orality.pretraining.stories.build import StoryPaths, write_stories
from orality.pretraining.stories.grammar import Pool, lines
from orality.pretraining.stories.joining import EDGE
from orality.pretraining.stories.plan import Plan
from orality.pretraining.stories.storage import INDEX, SAMPLES, sentence_id
from orality.pretraining.stories.unit_corpus import story_corpus, trimmed_speech

RATE = 16_000
MICRO: dict[str, Any] = {
    "name": "micro",
    "speech": {"corpus": "recordings"},
    "quantizer": {
        "targets": "mfcc", "iterations": 2, "units": 8, "width": 16, "layers": 2, "steps": 2,
    },
    "unit_lm": {
        "hidden_size": 32, "layers": 1, "context_length": 64, "steps": 4, "batch_tokens": 128,
    },
    "vocoder": {"channels": 16, "steps": 2},
}  # fmt: skip
Trail = list[tuple[str, int, int]]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def hum(number: int, seconds: float = 1.6) -> Waveform:
    """Tones with noise between them, another melody for each number."""
    rng = np.random.default_rng(number)
    time = np.arange(RATE // 5) / RATE
    notes = [
        np.sin(2 * np.pi * rng.choice([200, 450, 900, 2000]) * time) * rng.choice([0.0, 0.2, 0.4])
        for _ in range(round(5 * seconds))
    ]
    samples = np.concatenate(notes) + 0.01 * rng.standard_normal(len(notes) * len(time))
    return Waveform(samples.astype(np.float32), RATE)


def write_recipe(folder: Path, **changes: dict[str, Any]) -> Path:
    values = {
        key: value | changes.get(key, {}) if isinstance(value, dict) else changes.get(key, value)
        for key, value in MICRO.items()
    }
    path = folder / "micro.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def losses(out: Path, training: str) -> list[dict[str, Any]]:
    file = out / "training" / training / "losses.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    for number in range(12):
        voice = "ada" if number % 2 else "ben"
        write_audio(folder / voice / f"{number}.flac", hum(number))
    write_audio(folder / "ben" / "click.wav", hum(99, 0.2))  # too short for anything
    return folder


@pytest.fixture(scope="module")
def made(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Trail]:
    folder = tmp_path_factory.mktemp("micro")
    trail: Trail = []
    out = orality.pretrain(
        write_recipe(folder), folder / "out", corpus=recordings, device="cpu",
        progress=lambda stage, done, total, note="": trail.append((stage, done, total)),
    )  # fmt: skip
    assert out == folder / "out"
    return out, trail


def test_a_folder_of_recordings_becomes_a_stack_that_fits_together(
    made: tuple[Path, Trail],
) -> None:
    out, _ = made
    tokenizer = orality.build("tokenizer", "hubert", checkpoint=str(out / "tokenizer"))
    slm = orality.build("slm", "twist", checkpoint=str(out / "slm"))
    vocoder = orality.build("vocoder", "hifigan", checkpoint=str(out / "vocoder"))
    spec = tokenizer.unit_spec
    assert spec.codebook.startswith("orality-micro-25hz/l")
    assert (spec.vocab_size, spec.deduplicated) == (8, True)
    assert spec.fingerprint is not None
    assert compare_units("tokenizer", spec, "slm", slm.unit_spec) == []
    assert compare_units("tokenizer", spec, "vocoder", vocoder.unit_spec) == []
    (heard,) = tokenizer.encode([hum(3)])
    assert len(heard) > 0
    ((sample,),) = slm.generate(
        [heard], num_samples=1, max_new_units=5, sampling=SamplingOptions(), seeds=[1]
    )
    (spoken,) = vocoder.synthesize([sample.units])
    assert spoken.sample_rate == RATE
    assert len(spoken.samples) % 640 == 0
    assert np.isfinite(spoken.samples).all()


def test_the_second_iteration_learns_from_the_layer_the_first_one_clustered(
    made: tuple[Path, Trail],
) -> None:
    out, _ = made
    first = json.loads((out / "training" / "quantizer-1" / "tokenizer" / "units.json").read_text())
    last = json.loads((out / "training" / "quantizer-2" / "tokenizer" / "units.json").read_text())
    assert first["fingerprint"] != last["fingerprint"]
    assert json.loads((out / "tokenizer" / "units.json").read_text()) == last
    assert [row["step"] for row in losses(out, "quantizer-2/encoder")] == [2]


def test_stack_yaml_names_the_plugins_and_their_folders(made: tuple[Path, Trail]) -> None:
    out, _ = made
    lines_to_use = yaml.safe_load((out / "stack.yaml").read_text())
    assert {kind: entry["name"] for kind, entry in lines_to_use.items()} == stack.PLUGINS
    for kind, entry in lines_to_use.items():
        assert Path(entry["checkpoint"]) == (out / kind).resolve()
        assert (Path(entry["checkpoint"]) / "units.json").is_file()


def test_every_step_was_done_once_and_a_finished_stack_is_left_alone(
    made: tuple[Path, Trail], recordings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, trail = made
    steps = [(done, total) for stage, done, total in trail if stage == "unit language model"]
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*.safetensors")}
    monkeypatch.setattr(stack, "recorded_speech", lambda recipe: pytest.fail("not needed"))
    again = out.parent / "micro.yaml"
    assert orality.pretrain(again, out, corpus=recordings, device="cpu") == out
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*.safetensors")} == before


def test_another_recipe_or_corpus_in_the_same_folder_is_refused(
    made: tuple[Path, Trail], recordings: Path, tmp_path: Path
) -> None:
    out, _ = made
    other = write_recipe(tmp_path, vocoder={"steps": 3})
    with pytest.raises(StoreError, match="another recipe or corpus"):
        orality.pretrain(other, out, corpus=recordings)
    with pytest.raises(StoreError, match="another recipe or corpus"):
        orality.pretrain(out.parent / "micro.yaml", out, corpus=recordings / "ada")


def test_a_killed_run_continues_to_the_same_stack(
    made: tuple[Path, Trail], recordings: Path, tmp_path: Path
) -> None:
    whole, _ = made
    trail: Trail = []

    def stop(stage: str, done: int, total: int, note: str = "") -> None:
        trail.append((stage, done, total))
        if (stage, done) == ("vocoder", 1):
            raise KeyboardInterrupt

    recipe, out = write_recipe(tmp_path), tmp_path / "out"
    shutil.copytree(whole, out)
    for part in ("slm", "vocoder", "training/slm", "training/vocoder"):
        shutil.rmtree(out / part)
    (out / "stack.yaml").unlink()
    with pytest.raises(KeyboardInterrupt):
        orality.pretrain(recipe, out, corpus=recordings, device="cpu", progress=stop)
    assert (out / "slm" / "config.json").is_file()
    assert not (out / "vocoder").exists()
    assert not (out / "stack.yaml").exists()
    trail.clear()
    orality.pretrain(
        recipe, out, corpus=recordings, device="cpu",
        progress=lambda stage, done, total, note="": trail.append((stage, done, total)),
    )  # fmt: skip
    assert {stage for stage, _, _ in trail} == {"encode", "vocoder", "durations"}
    for file in ("slm/model", "vocoder/generator"):
        name = f"{file}.safetensors"
        assert (out / name).read_bytes() == (whole / name).read_bytes(), name


def test_a_corpus_that_grew_under_a_begun_run_is_refused(
    made: tuple[Path, Trail], recordings: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(made[0], out)
    shutil.rmtree(out / "vocoder")
    grown = shutil.copytree(recordings, tmp_path / "grown")
    recipe = write_recipe(tmp_path)
    kept = yaml.safe_load((out / "recipe.yaml").read_text())
    kept["speech"]["corpus"] = str(grown)
    (out / "recipe.yaml").write_text(yaml.safe_dump(kept, sort_keys=False))
    write_audio(grown / "ada" / "new.flac", hum(50))
    with pytest.raises(CorpusError, match="the corpus has changed"):
        orality.pretrain(recipe, out, corpus=grown, device="cpu")


def test_a_text_model_warms_the_unit_model(
    made: tuple[Path, Trail], recordings: Path, tmp_path: Path
) -> None:
    """The rest is taken over from the finished stack: only the unit model is trained anew."""
    from safetensors.torch import load_file
    from transformers import OPTConfig, OPTForCausalLM

    config = OPTConfig(
        vocab_size=40, hidden_size=16, word_embed_proj_dim=16, ffn_dim=32, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=64,
    )  # fmt: skip
    torch.manual_seed(5)
    text = OPTForCausalLM(config)
    text.save_pretrained(tmp_path / "text")
    tuned = {"warm_start": str(tmp_path / "text"), "steps": 1, "learning_rate": 1e-9}
    settings = PretrainRecipe.load(write_recipe(tmp_path, unit_lm=tuned))
    speech = corpora.recorded_speech(stack._with_corpus(settings, recordings))
    work = stack._Work(settings, tmp_path / "training", "cpu", lambda *_, **__: None)
    spec = stack.read_unit_spec(made[0] / "tokenizer")
    frames = {item.id: np.arange(20) % 8 for item in speech.language_model}
    warm = load_file(stack._train_slm(speech, frames, spec, work) / "model.safetensors")
    name = "model.decoder.layers.1.fc1.weight"
    torch.testing.assert_close(warm[name].float(), text.state_dict()[name], atol=1e-3, rtol=1e-3)
    assert warm["model.decoder.embed_tokens.weight"].shape == (8 + 3, 16)


def test_the_vocoder_learns_the_voice_that_was_asked_for(recordings: Path, tmp_path: Path) -> None:
    def speech(voice: str) -> corpora.Speech:
        recipe = PretrainRecipe.load(write_recipe(tmp_path, speech={"vocoder_voice": voice}))
        return corpora.recorded_speech(stack._with_corpus(recipe, recordings))

    found = speech("ada")
    assert {item.voice for item in found.vocoder} == {"ada"}
    assert {item.voice for item in found.language_model} == {"ada", "ben"}
    with pytest.raises(CorpusError, match="'zoe' that the vocoder shall learn.*ada, ben"):
        speech("zoe")


def test_a_mistake_leaves_the_folder_free_for_another_try(recordings: Path, tmp_path: Path) -> None:
    out, empty = tmp_path / "out", tmp_path / "empty"
    empty.mkdir()
    (empty / "notes.txt").write_text("no audio")
    with pytest.raises(CorpusError, match="no usable recording"):
        orality.pretrain(write_recipe(tmp_path), out, corpus=empty)
    with pytest.raises(CorpusError, match="is no folder"):
        orality.pretrain(write_recipe(tmp_path), out)
    wrong = write_recipe(tmp_path, speech={"vocoder_voice": "zoe"})
    with pytest.raises(CorpusError, match="zoe"):
        orality.pretrain(wrong, out, corpus=recordings)
    assert sorted(path.name for path in out.iterdir()) == [".lock", "recipe.yaml"]


def test_a_small_corpus_keeps_something_aside_and_one_recording_is_refused(
    tmp_path: Path,
) -> None:
    recipe = PretrainRecipe.load(write_recipe(tmp_path))
    for count in (1, 2, 3, 7):
        write_audio(tmp_path / "few" / f"{count}.wav", hum(count))
        settings = stack._with_corpus(recipe, tmp_path / "few")
        if count == 1:
            with pytest.raises(CorpusError, match="too few to hold out"):
                corpora.recorded_speech(settings)
            continue
        found = corpora.recorded_speech(settings)
        assert len(found.quantizer_dev) == 1
        everything = {item.id for item in open_speech(tmp_path / "few")}
        assert {item.id for item in (*found.quantizer, *found.quantizer_dev)} == everything


def test_a_long_recording_is_cut_and_a_short_one_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    long = hum(1, 65.0)
    write_audio(tmp_path / "long.wav", long)
    write_audio(tmp_path / "click.wav", hum(2, 0.2))
    found = corpora.recorded_speech(
        stack._with_corpus(PretrainRecipe.load(write_recipe(tmp_path)), tmp_path)
    )
    parts = sorted((*found.quantizer, *found.quantizer_dev), key=lambda item: item.id)
    assert [part.id for part in parts] == ["long.wav#0", "long.wav#1", "long.wav#2"]
    assert all(part.length <= 30 * RATE for part in parts)
    joined = np.concatenate([part.read() for part in parts])
    np.testing.assert_allclose(joined, long.samples, atol=1e-4)
    assert "click.wav is left out" in caplog.text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vocoder": {"stepps": 3}}, r"vocoder.stepps: unknown key"),
        ({"vocoder": {"channels": 40}}, r"vocoder.channels: .*multiple of 16"),
        ({"quantizer": {"layer": 3}}, r"quantizer: .*layer 3 does not exist"),
        ({"unit_lm": {"hidden_size": 100}}, r"unit_lm: .*no multiple of 64"),
        ({"name": "a/l3/b"}, r"name: string should match"),
        ({"speech": {"voices": []}}, r"speech.voices: .*at least 1"),
    ],
)
def test_a_recipe_that_cannot_work_is_refused_before_anything_is_made(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        orality.pretrain(write_recipe(tmp_path, **change), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_shipped_recipes_are_sound_and_an_unknown_name_lists_them(tmp_path: Path) -> None:
    assert shipped_pretrain_recipes() == ["own", "tiny"]
    assert PretrainRecipe.load("tiny").speech.corpus == "stories"
    assert PretrainRecipe.load("own").quantizer.iterations == 2
    with pytest.raises(RecipeError, match="'huge'; give a file, or one of own, tiny"):
        PretrainRecipe.load("huge")


def write_compact(folder: Path, texts: list[str], voice: str = "hibari") -> Path:
    """Sentences as write_corpus leaves them: 0.4 s of silence around 1.2 s of humming."""
    folder.mkdir(parents=True)
    rows, samples, offset = [], [], 0
    for number, text in enumerate(texts):
        silence = np.zeros(round(0.4 * RATE), np.float32)
        wave = np.concatenate([silence, hum(number, 1.2).samples, silence])
        samples.append(np.round(wave * 32767).astype("<i2"))
        phones = [["pau", 0.0, 0.4], ["aa", 0.4, 1.0], ["s", 1.0, 1.6], ["pau", 1.6, 2.0]]
        rows.append(
            {"id": sentence_id(text, voice), "text": text, "voice": voice, "offset": offset,
             "length": len(wave), "phones": phones, "words": []}
        )  # fmt: skip
        offset += len(wave)
    (folder / SAMPLES).write_bytes(np.concatenate(samples).tobytes())
    (folder / INDEX).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_trimmed_sentences_begin_and_end_shortly_before_and_after_speech(tmp_path: Path) -> None:
    first, _, second, _ = trimmed_speech(write_compact(tmp_path / "train", ["Hum.", "Hum hum."]))
    assert first.id == sentence_id("Hum.", "hibari")
    assert second.text == "Hum hum."
    wave = first.read()
    assert len(wave) == first.length == round((1.2 + 2 * EDGE) * RATE)
    assert not wave[: round((EDGE - 0.01) * RATE)].any()
    np.testing.assert_allclose(
        wave[round(EDGE * RATE) :][: round(1.2 * RATE)], hum(0, 1.2).samples, atol=1e-4
    )


def test_every_sentence_has_a_second_reading_of_another_length(tmp_path: Path) -> None:
    first, faster = trimmed_speech(write_compact(tmp_path / "train", ["Hum."]))
    assert faster.id == f"{first.id}@1"
    assert faster.text == first.text
    assert abs(len(faster.read()) - faster.length) <= 1
    assert 0.9 * first.length - 640 < faster.length < 1.09 * first.length
    assert faster.length != first.length
    np.testing.assert_array_equal(faster.read(), faster.read())


def test_stories_and_singles_are_read_in_either_reading() -> None:
    pool = lines(random.Random(0), 1200, "train")
    keys = [sentence_id(line.text, "hibari") for line in pool] + ["w1"]
    units = {key + end: np.array([1, 2]) for key in keys for end in ("", "@1")}
    corpus = story_corpus(units, {"w1": "Say ball."}, sentences=1200, voice="hibari", stories=60)
    second = [key for story in corpus.stories for key in story if key.endswith("@1")]
    assert 100 < len(second) < 200  # of 300
    assert {"w1", "w1@1"} <= set(corpus.singles)


def test_the_tiny_model_reads_new_combinations_of_spoken_sentences() -> None:
    pool = lines(random.Random(0), 1200, "train")
    unspoken = pool[0].text
    units = {
        sentence_id(line.text, "hibari"): np.array([1, 2]) for line in pool if line.text != unspoken
    }
    extra = {"w1": "Say ball.", "w2": "Say it.", "g1": "The dog runs home fast.", "lost": "Say so."}
    units |= {key: np.array([3]) for key in extra if key != "lost"}
    corpus = story_corpus(units, extra, sentences=1200, voice="hibari", stories=60)
    assert len(set(map(tuple, corpus.stories))) == len(corpus.stories) == 60
    slots = {sentence_id(line.text, "hibari"): line.slot for line in pool}
    for story in corpus.stories:
        assert [slots[key] for key in story] == ["open", "want", "problem", "fix", "end"]
        assert sentence_id(unspoken, "hibari") not in story
    counts = {key: corpus.singles.count(key) for key in ("w1", "w2", "g1", "lost")}
    assert counts["w1"] + counts["w2"] == 18_000  # words in a carrier: 30 % of 60000
    assert (counts["g1"], counts["lost"]) == (36_000, 0)
    assert len(corpus.singles) == 60_000
    again = story_corpus(units, extra, sentences=1200, voice="hibari", stories=60)
    assert again.stories == corpus.stories


def test_the_stories_road_hands_each_part_its_speech(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = lines(random.Random(0), 1200, "train")
    story = Pool(pool).compose(random.Random(1))
    spoken = [line.text for line in story.lines]

    def fake(out: Path, **options: Any) -> StoryPaths:
        assert options["num_sentences"] == 1200
        plan = Plan(
            {}, {"train": ["Say ball."]}, {"train": [story]}, pairs=[]
        )  # fmt: skip
        write_stories(out / "stories.jsonl", plan)
        speech = {
            ("train", "hibari"): write_compact(out / "train-hibari", [*spoken, "Say ball."]),
            ("dev", "hibari"): write_compact(out / "dev-hibari", ["Not seen."]),
            ("train", "slt"): write_compact(out / "train-slt", spoken[:2], "slt"),
            ("test", "rms"): write_compact(out / "test-rms", ["Not heard."], "rms"),
        }
        return StoryPaths(speech, out / "stories.jsonl", out / "pairs.jsonl")

    monkeypatch.setattr(build, "build_stories", fake)
    monkeypatch.setattr(unit_corpus, "STORIES", 20)
    recipe = PretrainRecipe.load(
        write_recipe(tmp_path, speech={"corpus": "stories", "sentences": 1200})
    )
    found = corpora.story_speech(recipe, tmp_path / "speech", lambda *_, **__: None)
    assert {item.voice for item in found.quantizer} == {"hibari", "slt"}
    assert [item.text for item in found.quantizer_dev] == ["Not seen."]
    assert [item.text for item in found.vocoder] == [*spoken, "Say ball."]
    trimmed = found.language_model[::2]  # each followed by its second reading
    assert all(a.length < b.length for a, b in zip(trimmed, found.vocoder, strict=True))
    units = {item.id: np.array([4, 5]) for item in found.language_model}
    units |= {sentence_id(line.text, "hibari"): np.array([4, 5]) for line in pool}
    reads = found.lm_corpus(units)
    assert len(reads.stories) == 20
    word = sentence_id("Say ball.", "hibari")
    assert reads.singles.count(word) + reads.singles.count(f"{word}@1") == 18_000
