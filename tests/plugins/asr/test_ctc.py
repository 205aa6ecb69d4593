"""The `ctc` transcriber: on a script of letters, and on a real model with random weights."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import orality
from orality import CheckpointError, CompatibilityError, Waveform
from orality.testing import TranscriberTests
from orality_asr_ctc.loading import alphabet
from orality_asr_ctc.transcriber import Alphabet, CtcTranscriber

RATE, STRIDE = 16_000, 320
VOCABULARY = {"<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3, "|": 4, "A": 5, "B": 6, "C": 7}
LETTERS = Alphabet({"A": 5, "B": 6, "C": 7}, blank=0, space=4)


class Script:
    """A model that hears a letter of its script every 20 ms: `-` for blank, `|` between words."""

    device, dtype = torch.device("cpu"), torch.float32

    def __init__(self, script: str) -> None:
        self.script = script
        self.config = SimpleNamespace(inputs_to_logits_ratio=STRIDE, vocab_size=len(VOCABULARY))
        self.heard: list[int] = []
        self.done = 0

    def __call__(self, input_values: torch.Tensor) -> Any:
        assert abs(float(input_values.mean())) < 1e-4  # normalized
        self.heard.append(input_values.shape[1])
        frames = (input_values.shape[1] - 400) // STRIDE + 1
        logits = torch.zeros(1, frames, len(VOCABULARY))
        part = self.script[self.done : self.done + frames].ljust(frames, "-")
        self.done += frames + 1  # the frame that convolutions lose at the end
        for frame, letter in enumerate(part):
            logits[0, frame, 0 if letter == "-" else VOCABULARY[letter]] = 12.0
        return SimpleNamespace(logits=logits)


def sound(frames: int) -> Waveform:
    samples = np.random.default_rng(0).normal(0.1, 0.1, frames * STRIDE + 80)
    return Waveform(samples.astype(np.float32), RATE)


def times(words: Any) -> list[tuple[str, int, int]]:
    """In frames."""
    return [(word.text, round(word.start * 50), round(word.end * 50)) for word in words]


def test_letters_are_put_together_and_words_have_times():
    model = Script("--AA-B|C--C||-|A-")
    transcriber = CtcTranscriber(model, LETTERS, timestamps=True)
    (found,) = transcriber.transcribe([sound(17)])
    assert found.text == "ab cc a"
    assert times(found.words) == [("ab", 2, 6), ("cc", 7, 11), ("a", 15, 16)]
    assert found.confidence is not None
    assert 0.99 < found.confidence <= 1
    assert CtcTranscriber(Script("A"), LETTERS).transcribe([sound(5)])[0].words == ()


def test_a_text_is_aligned_whatever_its_capitals_and_signs():
    transcriber = CtcTranscriber(Script("--AA-B|C--C||-|A-"), LETTERS, name="small")
    (found,) = transcriber.align([sound(17)], ["Ab, C'c a."])
    assert found is not None
    assert found.text == "Ab, C'c a."
    assert times(found.words) == [("Ab,", 2, 6), ("C'c", 7, 11), ("a.", 15, 16)]
    assert transcriber.aligner == "ctc small"


def test_a_word_that_is_written_otherwise_lies_where_something_is_said():
    (found,) = CtcTranscriber(Script("AA--|-BCB-|-A"), LETTERS).align([sound(13)], ["a 62 a"])
    assert found is not None
    first, middle, last = times(found.words)
    assert first[2] <= middle[1] < middle[2] <= last[1]
    assert 6 <= middle[1] < middle[2] <= 9


def test_another_text_has_little_confidence():
    right, wrong = (
        CtcTranscriber(Script("-A-|-B-"), LETTERS).align([sound(7)], [text])[0]
        for text in ("a b", "c c")
    )
    assert right is not None
    assert wrong is not None
    assert right.confidence > 0.9
    assert wrong.confidence < 0.01


def test_silence_no_text_and_too_much_text_are_not_aligned():
    transcriber = CtcTranscriber(Script("A" * 100), LETTERS)
    silent = Waveform(np.zeros(RATE, np.float32), RATE)
    given = [silent, sound(10), sound(10)]
    assert transcriber.align(given, ["a", " ", "abc " * 9]) == [None, None, None]


def test_long_recordings_are_heard_in_pieces_at_their_own_times():
    frames = 50 * 70
    script = ["-"] * frames
    places = {100: "A", 1800: "B", 3300: "C"}  # 2, 36 and 66 s
    samples = sound(frames).samples
    model = Script("")
    transcriber = CtcTranscriber(model, LETTERS)
    transcriber.transcribe([Waveform(samples, RATE)])
    lengths = model.heard
    assert len(lengths) == 3
    assert max(lengths) <= 30 * RATE
    for place, letter in places.items():
        script[place] = letter

    # Each piece hears its own part of the script.
    class Pieces(Script):
        def __call__(self, input_values: torch.Tensor) -> Any:
            self.done = round(sum(self.heard) / STRIDE)
            return super().__call__(input_values)

    found = CtcTranscriber(Pieces("".join(script)), Alphabet(LETTERS.letters, 0, None)).align(
        [Waveform(samples, RATE)], ["a b c"]
    )[0]
    assert found is not None
    for (_, start, end), place in zip(times(found.words), places, strict=True):
        assert abs(start - place) <= 1
        assert end - start <= 2


def test_another_language_than_the_model_s_is_refused():
    with pytest.raises(CompatibilityError, match="writes 'en' as configured, not 'de'"):
        CtcTranscriber(Script(""), LETTERS).transcribe([sound(5)], language="de")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real wav2vec 2.0 with random weights, saved as transformers does."""
    from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("ctc") / "small"
    config = Wav2Vec2Config(
        vocab_size=len(VOCABULARY), hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=48, conv_dim=(16,) * 7, num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2, pad_token_id=0,
    )  # fmt: skip
    Wav2Vec2ForCTC(config).save_pretrained(path)
    (path / "vocab.json").write_text(json.dumps(VOCABULARY))
    (path / "preprocessor_config.json").write_text('{"sampling_rate": 16000}')
    return path


def build(checkpoint: Path, **options: Any) -> Any:
    return orality.build("transcriber", "ctc", checkpoint=str(checkpoint), device="cpu", **options)


class TestCtc(TranscriberTests):
    name = "ctc"

    @pytest.fixture(autouse=True)
    def choose_the_folder(self, folder: Path) -> None:
        type(self).options = {"checkpoint": str(folder), "device": "cpu"}


def test_the_model_hears_what_it_hears_in_transformers(folder):
    from transformers import AutoModelForCTC, Wav2Vec2FeatureExtractor

    waveform = sound(100)
    extractor = Wav2Vec2FeatureExtractor(do_normalize=True)
    values = extractor(waveform.samples, sampling_rate=RATE, return_tensors="pt").input_values
    with torch.inference_mode():
        wanted = AutoModelForCTC.from_pretrained(folder)(values).logits[0].log_softmax(-1).numpy()
    found = build(folder)._log_probs(waveform.samples)
    assert len(found) == 101  # a frame for each 20 ms that have begun
    np.testing.assert_allclose(found[: len(wanted)], wanted, atol=1e-4)
    assert (found[len(wanted) :].argmax(axis=1) == 0).all()


def test_the_alphabet_is_the_folder_s(folder, tmp_path):
    config = SimpleNamespace(vocab_size=8, pad_token_id=0)
    assert alphabet(folder, config) == LETTERS
    (tmp_path / "vocab.json").write_text('{"<pad>": 0, "a": 1, "_": 2}')
    (tmp_path / "tokenizer_config.json").write_text('{"word_delimiter_token": "_"}')
    assert alphabet(tmp_path, config) == Alphabet({"a": 1}, blank=0, space=2)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("vocab.json", '{"eng": {"a": 1}}', "several languages"),
        ("vocab.json", '{"<pad>": 0}', "no letters in its vocabulary"),
        ("vocab.json", '{"a": 99}', "more tokens than the model's 8"),
        ("config.json", '{"model_type": "wav2vec2-bert"}', "is a 'wav2vec2-bert'; wanted one of"),
        ("model.safetensors", "nothing", "cannot be read as a CTC model"),
    ],
)
def test_what_is_no_such_model_is_named(folder, tmp_path, name, content, said):
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / name).write_text(content)
    with pytest.raises(CheckpointError, match=said):
        build(tmp_path)


def test_a_model_without_a_head_is_refused(folder, tmp_path):
    from transformers import Wav2Vec2Model

    Wav2Vec2Model.from_pretrained(folder).save_pretrained(tmp_path)
    for name in ("vocab.json", "preprocessor_config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(CheckpointError, match=r"lacks lm_head.* with a CTC head"):
        build(tmp_path)
