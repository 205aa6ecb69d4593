"""The Whisper transcriber on a tiny random model, and its reader of CTranslate2 files."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from orality import CheckpointError, CompatibilityError, Waveform
from orality.audio.silence import is_silent
from orality.testing import TranscriberTests
from orality_asr_whisper import WhisperConfig, build, decoder, decoding, languages, output_language
from orality_asr_whisper.convert import convert
from orality_asr_whisper.ctranslate import read_variables
from orality_asr_whisper.features import log_mel
from orality_asr_whisper.segments import LONGEST, cut, padded_length

RATE = 16000
WORDS = ["a", "b", "c", "d", "e", "f", "g", "h"]
SPECIALS = [
    "<|endoftext|>", "<|startoftranscript|>", "<|nocaptions|>", "<|notimestamps|>", "<|0.00|>",
]  # fmt: skip


def tokenizer_file(path: Path, specials: list[str] = SPECIALS) -> None:
    from tokenizers import AddedToken, Tokenizer
    from tokenizers.models import WordLevel

    names = {word: index for index, word in enumerate(WORDS)}
    tokenizer = Tokenizer(WordLevel(names, unk_token="a"))
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in specials])
    tokenizer.save(str(path))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import WhisperConfig as ModelConfig
    from transformers import WhisperForConditionalGeneration

    torch.manual_seed(1)
    config = ModelConfig(
        vocab_size=len(WORDS) + len(SPECIALS), num_mel_bins=80, d_model=32, encoder_layers=2,
        decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4,
        encoder_ffn_dim=64, decoder_ffn_dim=64, max_source_positions=1500,
        max_target_positions=100, pad_token_id=8, bos_token_id=8, eos_token_id=8,
        decoder_start_token_id=9, init_std=0.3,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("whisper")
    WhisperForConditionalGeneration(config).save_pretrained(folder)
    (folder / "generation_config.json").write_text(
        json.dumps({"suppress_tokens": [3], "begin_suppress_tokens": [8], "eos_token_id": 8})
    )
    tokenizer_file(folder / "tokenizer.json")
    return folder


@pytest.fixture
def transcriber(folder: Path) -> Any:
    return build(WhisperConfig(checkpoint=str(folder), device="cpu", no_speech_threshold=1.0))


def sound(seconds: float, seed: int = 0) -> Waveform:
    generator = np.random.default_rng(seed)
    tone = 440 * (1 + seed)
    samples = np.sin(2 * np.pi * tone * np.arange(int(seconds * RATE)) / RATE) * 0.2
    samples += generator.normal(0, 0.02, len(samples))
    return Waveform(samples.astype(np.float32), RATE)


def test_the_spectrogram_is_that_of_transformers() -> None:
    from transformers import WhisperFeatureExtractor

    samples = sound(1.5).samples
    wanted = WhisperFeatureExtractor()(samples, sampling_rate=RATE, return_tensors="np")
    padded = torch.zeros(1, 30 * RATE)
    padded[0, : len(samples)] = torch.from_numpy(samples)
    found = log_mel(padded).numpy()
    assert found.shape == (1, 80, 3000)
    np.testing.assert_allclose(found, wanted["input_features"], atol=2e-4)


def test_the_encoder_is_that_of_transformers_at_full_length(transcriber: Any) -> None:
    mels = torch.randn(2, 80, 3000)
    with torch.inference_mode():
        wanted = transcriber._model.model.encoder(mels).last_hidden_state
        found = decoding.encode(transcriber._model, mels)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)


def test_decoding_follows_the_likeliest_token_without_a_cache(transcriber: Any) -> None:
    model, rules = transcriber._model, transcriber._rules("en")
    states = torch.randn(2, 60, 32)
    found = decoding.greedy(decoder.Decoder(model), states, rules, [0.5, 0.5])
    for row, item in enumerate(found):
        ids, total = list(rules.prompt), 0.0
        for step in range(12):
            with torch.inference_mode():
                hidden = model.model.decoder(
                    input_ids=torch.tensor([ids]), encoder_hidden_states=states[row : row + 1]
                )
                logits = model.proj_out(hidden.last_hidden_state)[0, -1]
            logits = logits.clone()
            banned = [3, 9, 10, 11, 12] + ([8] if step == 0 else [])
            logits[banned] = -torch.inf
            best = logits.log_softmax(-1).max(-1)
            total += float(best.values)
            ids.append(int(best.indices))
            if ids[-1] == 8:
                break
        said = [i for i in ids[2:] if i != 8]
        assert item.ids == said
        assert item.mean_log_prob == pytest.approx(total / len(ids[2:]), abs=1e-4)


def test_a_batch_never_changes_a_transcript(transcriber: Any) -> None:
    sounds = [sound(0.7 + 0.4 * index, index) for index in range(6)]
    together = transcriber.transcribe(sounds)
    alone = [transcriber.transcribe([item])[0] for item in sounds]
    assert [t.text for t in together] == [t.text for t in alone]
    assert [t.confidence for t in together] == pytest.approx(
        [t.confidence for t in alone], abs=1e-5
    )
    assert len({t.text for t in together}) > 1


def test_silence_gives_an_empty_text_without_confidence(transcriber: Any) -> None:
    quiet = Waveform(np.full(RATE, 1e-4, np.float32), RATE)
    offset = Waveform(np.full(RATE, 0.5, np.float32), RATE)
    broken = Waveform(np.full(RATE, np.nan, np.float32), RATE)
    endless = Waveform(np.full(RATE, np.inf, np.float32), RATE)
    empty = Waveform(np.zeros(0, np.float32), RATE)
    for found in transcriber.transcribe([quiet, offset, broken, endless, sound(0.05), empty]):
        assert (found.text, found.confidence) == ("", None)


def test_unsure_words_in_likely_silence_are_dropped(folder: Path) -> None:
    strict = build(WhisperConfig(checkpoint=str(folder), device="cpu", no_speech_threshold=0.0))
    found = strict.transcribe([sound(1.0)])[0]
    loose = build(WhisperConfig(checkpoint=str(folder), device="cpu", no_speech_threshold=1.0))
    heard = loose.transcribe([sound(1.0)])[0]
    sure = heard.confidence is not None and np.log(heard.confidence) >= -1.0
    assert found.text == (heard.text if sure else "")


def test_a_clip_cannot_get_more_tokens_than_its_length_allows(transcriber: Any) -> None:
    rules = transcriber._rules("en")
    endless = decoding.Rules(rules.prompt, rules.end, None, (*rules.suppressed, rules.end), ())
    found = decoding.greedy(transcriber._decoder, torch.randn(2, 50, 32), endless, [0.5, 1.0])
    assert [len(item.ids) for item in found] == [12, 16]


def test_states_of_silence_follow_those_of_the_clip() -> None:
    silent = torch.arange(1500.0)[None, :, None]
    states = torch.zeros(2, 100, 1)
    extended = decoding.with_silence(states, silent)
    assert extended.shape == (2, decoding.STATES, 1)
    assert extended[1, 100:, 0].tolist() == list(range(100, decoding.STATES))
    assert decoding.with_silence(torch.zeros(1, 1400, 1), silent).shape[1] == 1500


def test_long_recordings_are_cut_at_quiet_places() -> None:
    samples = sound(70.0).samples.copy()
    samples[20 * RATE : 20 * RATE + 640] = 0.0
    pieces = [part for _, part in cut(samples)]
    assert sum(map(len, pieces)) == len(samples)
    assert max(map(len, pieces)) <= LONGEST
    assert 20 * RATE <= len(pieces[0]) <= 20 * RATE + 640


def test_silence_is_told_by_energy() -> None:
    assert is_silent(np.zeros(RATE, np.float32), RATE)
    assert is_silent(np.zeros(100, np.float32), RATE)
    click = np.zeros(RATE, np.float32)
    click[500:520] = 1.0
    assert is_silent(click, RATE)
    assert is_silent(np.full(RATE, 0.5, np.float32), RATE)  # an offset is no sound
    assert is_silent(sound(0.05).samples, RATE)
    assert not is_silent(sound(0.5).samples, RATE)


def test_padding_depends_on_the_clip_alone() -> None:
    assert padded_length(RATE) == 2 * RATE
    assert padded_length(RATE // 2) == RATE
    assert padded_length(RATE // 2 + 1) == 2 * RATE


def test_an_english_model_refuses_other_languages_and_translation(
    transcriber: Any, folder: Path
) -> None:
    with pytest.raises(CompatibilityError, match="'de'"):
        transcriber.transcribe([sound(1.0)], language="de")
    translating = build(WhisperConfig(checkpoint=str(folder), device="cpu", task="translate"))
    with pytest.raises(CompatibilityError, match="English"):
        translating.transcribe([sound(1.0)])


def test_languages_are_told_from_small_files(tmp_path: Path) -> None:
    assert languages(WhisperConfig()) == {"en"}
    (tmp_path / "config.json").write_text(json.dumps({"vocab_size": 51864}))
    assert languages(WhisperConfig(checkpoint=str(tmp_path))) == {"en"}
    (tmp_path / "config.json").write_text(json.dumps({"vocab_size": 51865}))
    assert languages(WhisperConfig(checkpoint=str(tmp_path))) is None
    (tmp_path / "generation_config.json").write_text(json.dumps({"is_multilingual": False}))
    assert languages(WhisperConfig(checkpoint=str(tmp_path))) == {"en"}
    assert languages(WhisperConfig(checkpoint="large-v2")) is None
    assert output_language(WhisperConfig(language="de", task="translate")) == "en"


def test_a_folder_that_is_no_whisper_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="transformers Whisper folder"):
        build(WhisperConfig(checkpoint=str(tmp_path)))


def ctranslate2_file(path: Path, variables: dict[str, np.ndarray[Any, Any]]) -> None:
    """Write the layout read_variables documents, by hand."""
    types = {"float32": 0, "int8": 1, "float16": 4}

    def text(value: str) -> bytes:
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    blob = struct.pack("<I", 6) + text("WhisperSpec") + struct.pack("<II", 3, len(variables))
    for name, values in variables.items():
        blob += text(name) + struct.pack("<B", values.ndim)
        blob += struct.pack(f"<{values.ndim}I", *values.shape)
        blob += struct.pack("<BI", types[values.dtype.name], values.nbytes) + values.tobytes()
    blob += struct.pack("<I", 1) + text("decoder/projection/weight")
    path.write_bytes(blob + text("decoder/embeddings/weight"))


def as_ctranslate2(model: Any) -> dict[str, np.ndarray[Any, Any]]:
    """The variables CTranslate2 would hold for a transformers model."""
    state = {k: v.numpy().astype(np.float16) for k, v in model.state_dict().items()}
    out: dict[str, np.ndarray[Any, Any]] = {}

    def pair(new: str, old: str, names: tuple[str, str] = ("weight", "bias")) -> None:
        out[f"{new}/{names[0]}"] = state[f"{old}.weight"]
        out[f"{new}/{names[1]}"] = state[f"{old}.bias"]

    def fused(new: str, old: str, parts: str) -> None:
        zero = np.zeros(len(state[f"{old}.k_proj.weight"]), np.float16)
        out[f"{new}/weight"] = np.concatenate([state[f"{old}.{p}_proj.weight"] for p in parts])
        out[f"{new}/bias"] = np.concatenate(
            [state.get(f"{old}.{p}_proj.bias", zero) for p in parts]
        )

    norm = ("gamma", "beta")
    for side in ("encoder", "decoder"):
        out[f"{side}/num_heads"] = np.array(4, np.int8)
        for i in range(2):
            new, old = f"{side}/layer_{i}", f"model.{side}.layers.{i}"
            pair(f"{new}/self_attention/layer_norm", f"{old}.self_attn_layer_norm", norm)
            fused(f"{new}/self_attention/linear_0", f"{old}.self_attn", "qkv")
            pair(f"{new}/self_attention/linear_1", f"{old}.self_attn.out_proj")
            if side == "decoder":
                pair(f"{new}/attention/layer_norm", f"{old}.encoder_attn_layer_norm", norm)
                pair(f"{new}/attention/linear_0", f"{old}.encoder_attn.q_proj")
                fused(f"{new}/attention/linear_1", f"{old}.encoder_attn", "kv")
                pair(f"{new}/attention/linear_2", f"{old}.encoder_attn.out_proj")
            pair(f"{new}/ffn/layer_norm", f"{old}.final_layer_norm", norm)
            pair(f"{new}/ffn/linear_0", f"{old}.fc1")
            pair(f"{new}/ffn/linear_1", f"{old}.fc2")
        pair(f"{side}/layer_norm", f"model.{side}.layer_norm", norm)
        positions = state[f"model.{side}.embed_positions.weight"]
        out[f"{side}/position_encodings/encodings"] = positions
    pair("encoder/conv1", "model.encoder.conv1")
    pair("encoder/conv2", "model.encoder.conv2")
    out["decoder/embeddings/weight"] = state["model.decoder.embed_tokens.weight"]
    return out


def test_a_ctranslate2_model_becomes_the_same_transformers_model(
    transcriber: Any, tmp_path: Path
) -> None:
    from transformers import WhisperForConditionalGeneration

    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    ctranslate2_file(source / "model.bin", as_ctranslate2(transcriber._model))
    (source / "config.json").write_text(
        json.dumps({"suppress_ids": [3], "suppress_ids_begin": [8]})
    )
    tokenizer_file(source / "tokenizer.json")
    convert(source, target)
    found, info = WhisperForConditionalGeneration.from_pretrained(
        target, dtype=torch.float32, output_loading_info=True
    )
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    for name, values in transcriber._model.state_dict().items():
        torch.testing.assert_close(found.state_dict()[name], values.half().float(), rtol=0, atol=0)
    read = build(WhisperConfig(checkpoint=str(target), device="cpu", no_speech_threshold=1.0))
    assert read._rules("en") == transcriber._rules("en")
    assert isinstance(read.transcribe([sound(1.0)])[0].text, str)


def test_a_file_that_is_no_ctranslate2_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(b"\x80\x04" + bytes(20))
    with pytest.raises(CheckpointError, match="binary version"):
        read_variables(path)
    ctranslate2_file(path, {"decoder/embeddings/weight": np.ones((2, 3), np.float16)})
    whole = path.read_bytes()
    assert read_variables(path)["decoder/projection/weight"].tolist() == [[1, 1, 1], [1, 1, 1]]
    path.write_bytes(whole[:60])
    with pytest.raises(CheckpointError, match="ends at byte 60"):
        read_variables(path)


def test_a_quantized_or_foreign_model_is_not_converted(tmp_path: Path) -> None:
    ctranslate2_file(
        tmp_path / "model.bin", {"decoder/embeddings/weight": np.ones((2, 3), np.int8)}
    )
    with pytest.raises(CheckpointError, match="8 bit"):
        convert(tmp_path, tmp_path)
    ctranslate2_file(
        tmp_path / "model.bin", {"decoder/embeddings/weight": np.ones((2, 3), np.float16)}
    )
    with pytest.raises(CheckpointError, match="no Whisper"):
        convert(tmp_path, tmp_path)


class TestConformance(TranscriberTests):
    name = "whisper"
    options: ClassVar[dict[str, Any]] = {}

    @pytest.fixture(autouse=True)
    def _small(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        options = {"checkpoint": str(folder), "device": "cpu"}
        monkeypatch.setattr(type(self), "options", options)
