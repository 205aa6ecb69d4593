"""Metrics that listen, with small random models, fakes of packages, and clear refusals."""

from __future__ import annotations

import importlib
import re
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from orality.errors import CheckpointError, EvaluationError
from orality.evaluation import dnsmos, f0_of, nisqa, resynthesis_error_rates, speaker_similarity
from orality.evaluation.metrics.dns_mos import mel_bank, mel_spectrogram
from orality.evaluation.metrics.sound import samples_at
from orality.evaluation.metrics.ssl_mos import ssl_mos
from orality.evaluation.text_lm import text_nlls
from orality.testing.tones import ToneTokenizer, ToneTranscriber, ToneVocoder, whistle
from orality.types import Units, Waveform

TUNE = whistle(Units(np.array([1, 5, 3, 8, 2])))


def noise(seconds, rate=16_000, seed=0):
    rng = np.random.default_rng(seed)
    return Waveform((0.1 * rng.standard_normal(int(seconds * rate))).astype(np.float32), rate)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros(0, np.float32), "with samples"),
        (np.zeros((2, 5), np.float32), r"got shape \(2, 5\)"),
        (np.array([0.0, np.nan], np.float32), "no finite numbers"),
        (np.array([np.inf], np.float32), "no finite numbers"),
    ],
)
def test_recordings_of_nonsense_are_refused(samples, message):
    with pytest.raises(EvaluationError, match=message):
        samples_at(Waveform(samples, 16_000), 16_000)


def test_recordings_are_resampled_and_kept_within_bounds():
    loud = Waveform(np.full(8_000, 3.0, np.float32), 8_000)
    found = samples_at(loud, 16_000)
    assert len(found) == 16_000
    assert found.max() == 1.0


@pytest.fixture
def networks(tmp_path, monkeypatch):
    """Two networks that answer with what they hear, in place of onnxruntime and speechmos."""

    class Session:
        def __init__(self, path, options, providers):
            self.listens = path.endswith("sig_bak_ovr.onnx")

        def run(self, names, inputs):
            (given,) = inputs.values()
            if self.listens:
                return [np.full((1, 3), abs(given).max())]
            return [np.array([[given.shape[1]]], dtype=np.float32)]

    folder = tmp_path / "speechmos" / "dnsmos_models"
    folder.mkdir(parents=True)
    for name in ("sig_bak_ovr.onnx", "model_v8.onnx"):
        (folder / name).touch()
    fake = ModuleType("onnxruntime")
    fake.InferenceSession, fake.SessionOptions = Session, SimpleNamespace
    monkeypatch.setitem(sys.modules, "onnxruntime", fake)
    (tmp_path / "speechmos" / "__init__.py").touch()
    monkeypatch.delitem(sys.modules, "speechmos", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    return folder


def test_dnsmos_maps_what_the_networks_say(networks):
    (found,) = dnsmos([Waveform(np.full(16_000 * 10, 0.5, np.float32), 16_000)])
    # at 0.5: -0.08397278 / 4 + 1.22083953 / 2 + 0.0052439
    assert found.speech == pytest.approx(0.5946705, abs=1e-6)
    assert found.overall == pytest.approx(0.5868420, abs=1e-6)
    assert found.background == pytest.approx(0.3756149, abs=1e-6)
    assert found.p808 == 900  # frames of 10 ms in 9.01 s less one


def test_dnsmos_repeats_what_is_short(networks):
    assert dnsmos([Waveform(np.full(100, 0.5, np.float32), 16_000)])[0].p808 == 900


def test_dnsmos_says_what_to_install(networks, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(EvaluationError, match=r"pip install 'orality\[mos\]'"):
        dnsmos([TUNE])


def test_dnsmos_misses_its_networks_by_name(networks):
    (networks / "model_v8.onnx").unlink()
    with pytest.raises(EvaluationError, match=r"holds no model_v8\.onnx"):
        dnsmos([TUNE])


def test_the_spectrogram_is_librosas():
    # 440 Hz and 1000 Hz, librosa 0.11: melspectrogram(n_fft=321, hop_length=160, n_mels=120),
    # power_to_db(ref=max), (x + 40) / 40; the loudest bands of a frame and the mean of all.
    time = np.arange(16_000) / 16_000
    tone = 0.5 * np.sin(2 * np.pi * 440 * time) + 0.25 * np.sin(2 * np.pi * 1000 * time)
    found = mel_spectrogram(tone.astype(np.float32), mel_bank())
    assert found.shape == (100, 120)
    assert found.max() == 1.0
    wanted = [-1.0, -0.6611, -0.4001, -1.0, 0.4782, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0]
    np.testing.assert_allclose(found[50, ::10], wanted, atol=2e-4)
    assert float(found.mean()) == pytest.approx(-0.70264, abs=1e-4)


def fairseq_name(key):
    for theirs, ours in (
        (r"feature_extractor.conv_layers.\1.0.", r"^feature_extractor\.conv_layers\.(\d+)\.conv\."),
        ("feature_extractor.conv_layers.0.2.", r"^feature_extractor\.conv_layers\.0\.layer_norm\."),
        ("post_extract_proj.", r"^feature_projection\.projection\."),
        ("layer_norm.", r"^feature_projection\.layer_norm\."),
        ("mask_emb", r"^masked_spec_embed$"),
        ("encoder.pos_conv.0.weight_g", r"^encoder\.pos_conv_embed\.conv.*original0$"),
        ("encoder.pos_conv.0.weight_v", r"^encoder\.pos_conv_embed\.conv.*original1$"),
        ("encoder.pos_conv.0.bias", r"^encoder\.pos_conv_embed\.conv\.bias$"),
        (r"encoder.layers.\1.self_attn.", r"^encoder\.layers\.(\d+)\.attention\."),
        (r"encoder.layers.\1.self_attn_layer_norm.", r"^encoder\.layers\.(\d+)\.layer_norm\."),
        (r"encoder.layers.\1.fc1.", r"^encoder\.layers\.(\d+)\.feed_forward\.intermediate_dense\."),
        (r"encoder.layers.\1.fc2.", r"^encoder\.layers\.(\d+)\.feed_forward\.output_dense\."),
    ):
        renamed = re.sub(ours, theirs, key)
        if renamed != key:
            return renamed
    return key


@pytest.fixture(scope="module")
def mosnet():
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 1,
             "intermediate_size": 96, "conv_dim": (16,) * 7, "num_conv_pos_embeddings": 16,
             "num_conv_pos_embedding_groups": 4}  # fmt: skip
    model = Wav2Vec2Model(Wav2Vec2Config(**sizes)).eval()
    output = torch.nn.Linear(64, 1)
    state = {f"ssl_model.{fairseq_name(key)}": value for key, value in model.state_dict().items()}
    state["ssl_model.final_proj.weight"] = torch.zeros(3)  # a leftover of the pretraining
    state |= {f"output_layer.{key}": value for key, value in output.state_dict().items()}
    return model, output, state


def test_a_mosnet_under_fairseq_s_names_gives_what_it_gave_under_its_own(mosnet, tmp_path):
    model, output, state = mosnet
    torch.save(state, tmp_path / "ckpt_w2vsmall")
    speech = noise(1.0)
    with torch.inference_mode():
        frames = model(torch.from_numpy(speech.samples)[None]).last_hidden_state
        wanted = float(output(frames.mean(1)))
    assert ssl_mos([speech, TUNE, speech], tmp_path / "ckpt_w2vsmall")[::2] == pytest.approx(
        [wanted] * 2, abs=1e-5
    )


def test_a_moment_of_sound_has_an_opinion_too(mosnet, tmp_path):
    torch.save(mosnet[2], tmp_path / "c.pt")
    (found,) = ssl_mos([noise(0.01)], tmp_path / "c.pt")
    assert np.isfinite(found)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: {"a": torch.zeros(1)}, "no SSL-MOS predictor"),
        (lambda state: {**state, "ssl_model.odd": torch.zeros(1)}, r"unknown \['odd'\]"),
        (
            lambda state: {k: v for k, v in state.items() if "layers.1.fc2.bias" not in k},
            "missing .*output_dense.bias",
        ),
        (
            lambda state: {k: v for k, v in state.items() if "conv_layers.0.2" not in k},
            "another model than wav2vec_small",
        ),
        (lambda state: {"epoch": 3}, "no state dict"),
    ],
)
def test_other_weights_are_refused(mosnet, tmp_path, change, message):
    torch.save(change(mosnet[2]), tmp_path / "c.pt")
    with pytest.raises(CheckpointError, match=message):
        ssl_mos([TUNE], tmp_path / "c.pt")


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath("sprung").touch, ())

    torch.save({"output_layer.weight": Trap()}, tmp_path / "c.pt")
    with pytest.raises(CheckpointError, match="cannot be read as weights alone"):
        ssl_mos([TUNE], tmp_path / "c.pt")
    assert not (tmp_path / "sprung").exists()


@pytest.fixture(scope="module")
def speakers(tmp_path_factory):
    from transformers import Wav2Vec2FeatureExtractor, WavLMConfig, WavLMForXVector

    folder = tmp_path_factory.mktemp("wavlm")
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
             "intermediate_size": 32, "conv_dim": (16,) * 7, "num_conv_pos_embeddings": 16,
             "num_conv_pos_embedding_groups": 4, "tdnn_dim": (16, 16, 16, 16, 24),
             "xvector_output_dim": 12}  # fmt: skip
    WavLMForXVector(WavLMConfig(**sizes)).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    return folder


def test_a_speaker_is_like_itself(speakers):
    a, b = noise(1.0), TUNE
    same, other, back = speaker_similarity([a, a, b], [a, b, a], speakers)
    assert same == pytest.approx(1.0)
    assert other == pytest.approx(back)
    assert -1 <= other < 0.9999


def test_a_similarity_of_nonsense_is_refused(speakers, tmp_path):
    with pytest.raises(EvaluationError, match="got 1 for 2"):
        speaker_similarity([TUNE], [TUNE, TUNE], speakers)
    with pytest.raises(EvaluationError, match=r"0\.30 s are too short"):
        speaker_similarity([noise(1.0)], [noise(0.3)], speakers)
    with pytest.raises(CheckpointError, match="cannot be read as a WavLM x-vector model"):
        speaker_similarity([TUNE], [TUNE], tmp_path)


def test_nisqa_hands_over_to_torchmetrics(monkeypatch):
    heard = []

    def assess(samples, rate):
        heard.append((len(samples), rate))
        return torch.tensor([3.5, 3.0, 4.0, 4.5, 2.5])

    module = ModuleType("torchmetrics.functional.audio.nisqa")
    module.non_intrusive_speech_quality_assessment = assess
    names = ("torchmetrics", "torchmetrics.functional", "torchmetrics.functional.audio", "librosa")
    for name in (*names, "requests"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    (found,) = nisqa([noise(1.0)])
    assert (found.overall, found.coloration, found.loudness) == (3.5, 4.5, 2.5)
    assert heard == [(48_000, 48_000)]


@pytest.mark.parametrize(
    ("measure", "package", "extra"), [(nisqa, "librosa", "nisqa"), (None, "pyworld", "prosody")]
)
def test_a_missing_package_names_its_extra(monkeypatch, measure, package, extra):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(EvaluationError, match=rf"pip install 'orality\[{extra}\]'"):
        measure([TUNE]) if measure else f0_of(TUNE)


def test_f0_is_asked_of_harvest(monkeypatch):
    asked = {}

    def harvest(samples, rate, **options):
        asked.update(options, rate=rate, dtype=samples.dtype)
        return np.array([0.0, 120.0]), None

    monkeypatch.setitem(sys.modules, "pyworld", SimpleNamespace(harvest=harvest))
    assert f0_of(noise(0.04)).tolist() == [0.0, 120.0]
    assert asked == {
        "rate": 16_000, "dtype": np.float64, "f0_floor": 71.0, "f0_ceil": 500.0, "frame_period": 20.0,  # noqa: E501
    }  # fmt: skip


def test_a_round_trip_through_units_is_transcribed_twice():
    tunes = [TUNE, whistle(Units(np.array([4, 1, 4])))]
    stack = {"tokenizer": ToneTokenizer(), "vocoder": ToneVocoder(), "transcriber": ToneTranscriber()}  # noqa: E501  # fmt: skip
    found = resynthesis_error_rates(tunes, **stack)
    assert list(found.texts) == list(found.originals)
    assert (found.wer.micro, found.cer.micro) == (0.0, 0.0)
    against = resynthesis_error_rates(tunes, references=["x " + t for t in found.texts], **stack)
    assert against.wer.errors == 2
    with pytest.raises(EvaluationError, match="at least one recording"):
        resynthesis_error_rates([], **stack)
    with pytest.raises(EvaluationError, match="got 1 references for 2"):
        resynthesis_error_rates(tunes, references=["a"], **stack)


def test_a_vocoder_that_falls_silent_has_deleted_all():
    class Mute(ToneVocoder):
        def synthesize(self, batch):
            return [Waveform(np.zeros(0, np.float32), 16_000) for _ in batch]

    found = resynthesis_error_rates(
        [TUNE], tokenizer=ToneTokenizer(), vocoder=Mute(), transcriber=ToneTranscriber()
    )
    assert found.texts == [""]
    assert found.wer.micro == 1.0


@pytest.fixture(scope="module")
def text_model(tmp_path_factory):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("lm")
    words = {"<s>": 0, "a": 1, "b": 2, "c": 3, "[UNK]": 4}
    raw = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<s>").save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
             "num_attention_heads": 2, "max_position_embeddings": 12}  # fmt: skip
    LlamaForCausalLM(LlamaConfig(vocab_size=5, **sizes)).save_pretrained(folder)
    return folder


def test_texts_are_measured_given_their_prompts_or_not(text_model):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(text_model).eval()

    def nll(ids, first):
        with torch.no_grad():
            rows = model(torch.tensor([ids])).logits[0].log_softmax(-1)
        return -sum(float(rows[k - 1, ids[k]]) for k in range(first, len(ids)))

    given = text_nlls(["b c", ""], text_model, prompts=["a a", "a"])
    assert given == [(pytest.approx(nll([0, 1, 1, 2, 3], 3), abs=1e-4), 2), (0.0, 0)]
    alone = text_nlls(["b c"], text_model)
    assert alone == [(pytest.approx(nll([0, 2, 3], 1), abs=1e-4), 2)]


def test_texts_that_cannot_be_measured_are_refused(text_model, tmp_path):
    with pytest.raises(EvaluationError, match="got 1 prompts for 2 texts"):
        text_nlls(["a", "b"], text_model, prompts=["a"])
    with pytest.raises(EvaluationError, match="13 tokens, the model holds 12"):
        text_nlls(["a " * 12], text_model)
    with pytest.raises(CheckpointError, match="cannot be read as a causal language model"):
        text_nlls(["a"], tmp_path)
