"""The `nemo` transcriber on real NeMo models, built, trained for seconds and saved right here.

The language: each letter is a tone, words are letters without a gap, and silence lies between them.
How to install NeMo and run this is in the plugin's README.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import soundfile
import torch

import orality
from orality import CheckpointError, CompatibilityError, Waveform
from orality.testing import TranscriberTests

if importlib.util.find_spec("nemo") is None:
    pytest.skip(
        'NeMo is not installed: pip install "nemo_toolkit[asr]==3.0.0" -c constraints.txt',
        allow_module_level=True,
    )

RATE = 16_000
LETTERS = "abcdef"
LABELS = [" ", *LETTERS]
LETTER, GAP = 0.14, 0.3  # seconds
TEXTS = ["fab", "ab cd ef", "c", "bad cab", "fed a", "dac fe b"]

PREPROCESSOR = {
    "_target_": "nemo.collections.asr.modules.AudioToMelSpectrogramPreprocessor",
    "sample_rate": RATE, "features": 40, "window_size": 0.025, "window_stride": 0.01,
    "n_fft": 512, "dither": 1e-5, "normalize": "per_feature", "window": "hann", "log": True,
    "frame_splicing": 1, "pad_to": 16,
}  # fmt: skip


def block(filters: int, stride: int = 1) -> dict[str, Any]:
    return {
        "filters": filters, "repeat": 1, "kernel": [5], "stride": [stride], "dilation": [1],
        "dropout": 0.0, "residual": False, "separable": True,
    }  # fmt: skip


ENCODER = {
    "_target_": "nemo.collections.asr.modules.ConvASREncoder", "feat_in": 40,
    "activation": "relu", "conv_mask": True, "jasper": [block(64, 2), block(64, 2), block(64)],
}  # fmt: skip
CTC_DECODER = {
    "_target_": "nemo.collections.asr.modules.ConvASRDecoder", "feat_in": 64,
    "num_classes": len(LABELS), "vocabulary": LABELS,
}  # fmt: skip
CTC = {
    "sample_rate": RATE, "labels": LABELS, "preprocessor": PREPROCESSOR, "encoder": ENCODER,
    "decoder": CTC_DECODER, "optim": {"name": "adam", "lr": 0.01},
}  # fmt: skip
HYBRID = {
    "sample_rate": RATE, "labels": LABELS, "preprocessor": PREPROCESSOR, "encoder": ENCODER,
    "model_defaults": {"enc_hidden": 64, "pred_hidden": 32, "joint_hidden": 48},
    "decoder": {
        "_target_": "nemo.collections.asr.modules.RNNTDecoder", "normalization_mode": None,
        "random_state_sampling": False, "blank_as_pad": True, "vocab_size": len(LABELS),
        "prednet": {"pred_hidden": 32, "pred_rnn_layers": 1, "t_max": None, "dropout": 0.0},
    },
    "joint": {
        "_target_": "nemo.collections.asr.modules.RNNTJoint", "log_softmax": None,
        "fuse_loss_wer": False, "fused_batch_size": 4, "num_classes": len(LABELS),
        "vocabulary": LABELS,
        "jointnet": {
            "joint_hidden": 48, "activation": "relu", "dropout": 0.0, "encoder_hidden": 64,
            "pred_hidden": 32,
        },
    },
    "decoding": {"strategy": "greedy_batch", "greedy": {"max_symbols": 5}},
    "loss": {"loss_name": "pytorch"},
    "aux_ctc": {"ctc_loss_weight": 0.3, "decoder": CTC_DECODER, "decoding": {"strategy": "greedy"}},
    "optim": {"name": "adam", "lr": 0.01},
}  # fmt: skip


def spoken(
    text: str, lead: float = 0.2, noise: int = 1000
) -> tuple[Waveform, list[tuple[str, float, float]]]:
    """The sound of a text, and its words with the times at which they are said."""
    parts, words, now = [np.zeros(round(lead * RATE))], [], lead
    for word in text.split():
        for letter in word:
            time = np.arange(round(LETTER * RATE)) / RATE
            tone = np.sin(2 * np.pi * 300 * 1.45 ** LETTERS.index(letter) * time)
            parts.append(0.3 * tone * np.hanning(len(time)) ** 0.25)
        words.append((word, now, now + LETTER * len(word)))
        parts.append(np.zeros(round(GAP * RATE)))
        now = words[-1][2] + GAP
    samples = np.concatenate(parts)
    samples += np.random.default_rng(noise).normal(0, 1e-3, len(samples))
    return Waveform(samples.astype(np.float32), RATE), words


def batch(texts: list[str], noise: int) -> tuple[torch.Tensor, ...]:
    waves = [
        torch.from_numpy(spoken(text, noise=noise + i)[0].samples) for i, text in enumerate(texts)
    ]
    targets = [torch.tensor([LABELS.index(letter) for letter in text]) for text in texts]
    pad = torch.nn.utils.rnn.pad_sequence
    return (
        pad(waves, batch_first=True), torch.tensor([len(w) for w in waves]),
        pad(targets, batch_first=True), torch.tensor([len(t) for t in targets]),
    )  # fmt: skip


def ctc_loss(model: Any, waves: Any, lengths: Any, targets: Any, counts: Any) -> torch.Tensor:
    log_probs, frames, _ = model(input_signal=waves, input_signal_length=lengths)
    return model.loss(
        log_probs=log_probs, targets=targets, input_lengths=frames, target_lengths=counts
    )


def hybrid_loss(model: Any, waves: Any, lengths: Any, targets: Any, counts: Any) -> torch.Tensor:
    encoded, frames = model(input_signal=waves, input_signal_length=lengths)
    predicted, counts, _ = model.decoder(targets=targets, target_length=counts)
    joint = model.joint(encoder_outputs=encoded, decoder_outputs=predicted)
    rnnt = model.loss(log_probs=joint, targets=targets, input_lengths=frames, target_lengths=counts)
    ctc = model.ctc_loss(
        log_probs=model.ctc_decoder(encoder_output=encoded), targets=targets,
        input_lengths=frames, target_lengths=counts,
    )  # fmt: skip
    return rnnt + ctc


def trained(model: Any, loss: Any, path: Path, *, steps: int) -> str:
    """The few texts are learned by heart, under ever new noise."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: min(1, 2 * (1 - n / steps)))
    model.train()
    for step in range(steps):
        optimizer.zero_grad()
        loss(model, *batch(TEXTS, noise=10 * step)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    model.save_to(str(path))
    return str(path)


@pytest.fixture(scope="module")
def ctc(tmp_path_factory: pytest.TempPathFactory) -> str:
    from nemo.collections.asr.models import EncDecCTCModel
    from omegaconf import OmegaConf

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("nemo") / "ctc.nemo"
    return trained(EncDecCTCModel(cfg=OmegaConf.create(CTC)), ctc_loss, path, steps=100)


@pytest.fixture(scope="module")
def hybrid(tmp_path_factory: pytest.TempPathFactory) -> str:
    from nemo.collections.asr.models import EncDecHybridRNNTCTCModel
    from omegaconf import OmegaConf

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("nemo") / "hybrid.nemo"
    model = EncDecHybridRNNTCTCModel(cfg=OmegaConf.create(HYBRID))
    return trained(model, hybrid_loss, path, steps=140)


def build(checkpoint: str, **options: Any) -> Any:
    return orality.build("transcriber", "nemo", checkpoint=checkpoint, device="cpu", **options)


def check_texts(transcriber: Any) -> None:
    heard = transcriber.transcribe([spoken(text)[0] for text in TEXTS])
    assert [item.text for item in heard] == TEXTS
    alone = [transcriber.transcribe([spoken(text)[0]])[0].text for text in TEXTS]
    assert alone == TEXTS


def check_words(transcriber: Any, texts: list[str] = TEXTS) -> None:
    """The words are the text's, in order, and each is about where it is said.

    Models that learned by heart look ahead, so a word may begin in the pause before it.
    """
    heard = transcriber.transcribe([spoken(text)[0] for text in texts])
    for text, item in zip(texts, heard, strict=True):
        waveform, truth = spoken(text)
        assert [word.text for word in item.words] == text.split()
        times = [time for word in item.words for time in (word.start, word.end)]
        assert times == sorted(times)
        assert times[0] >= 0
        assert times[-1] <= waveform.duration
        for word, (_, start, end) in zip(item.words, truth, strict=True):
            assert (word.start + word.end) / 2 == pytest.approx((start + end) / 2, abs=0.35)


def check_against_nemo(transcriber: Any, folder: Path) -> None:
    """Texts and times are those that NeMo gives for the same recordings as files."""
    paths, sounds = [], [spoken(text)[0] for text in TEXTS]
    for number, waveform in enumerate(sounds):
        paths.append(str(folder / f"{number}.wav"))
        soundfile.write(paths[-1], waveform.samples, RATE, subtype="FLOAT")
    wanted = transcriber.model.transcribe(
        paths, batch_size=16, timestamps=True, verbose=False, num_workers=0
    )
    transcriber.model.eval()
    for hypothesis, item in zip(wanted, transcriber.transcribe(sounds), strict=True):
        assert item.text == hypothesis.text
        now = 0.0
        for word, own in zip(item.words, hypothesis.timestamp["word"], strict=True):
            # NeMo's words may overlap by a frame or more; here each begins when the last has ended.
            now = max(own["start"], now)
            assert (word.text, word.start) == (own["word"], pytest.approx(now))
            now = max(own["end"], now)
            assert word.end == pytest.approx(now)


def test_a_hybrid_writes_what_was_said(hybrid):
    transcriber = build(hybrid)
    assert transcriber.model.cur_decoder == "rnnt"
    check_texts(transcriber)


@pytest.mark.parametrize("decoder", ["rnnt", "ctc"])
def test_either_decoder_of_a_hybrid_writes_and_times_what_nemo_does(hybrid, decoder, tmp_path):
    transcriber = build(hybrid, decoder=decoder, timestamps=True)
    assert transcriber.model.cur_decoder == decoder
    check_against_nemo(transcriber, tmp_path)
    assert all(item.words for item in transcriber.transcribe([spoken(text)[0] for text in TEXTS]))


def test_a_ctc_model_writes_what_was_said_in_any_batch(ctc):
    check_texts(build(ctc))
    check_texts(build(ctc, batch_size=2))


def test_a_ctc_model_tells_when_words_are_said(ctc):
    check_words(build(ctc, timestamps=True))


def test_a_given_text_is_aligned_in_any_batch(ctc):
    transcriber = build(ctc)
    assert isinstance(transcriber, orality.SupportsAlignment)
    assert transcriber.aligner == "ctc ctc.nemo"
    sounds = [spoken(text)[0] for text in TEXTS]
    found = transcriber.align(sounds, [text.upper() for text in TEXTS])
    for text, item in zip(TEXTS, found, strict=True):
        waveform, truth = spoken(text)
        assert [word.text.lower() for word in item.words] == text.split()
        assert 0.5 < item.confidence <= 1
        for word, (_, start, end) in zip(item.words, truth, strict=True):
            assert (word.start + word.end) / 2 == pytest.approx((start + end) / 2, abs=0.35)
            assert word.end <= waveform.duration
    alone = [transcriber.align([s], [text])[0] for s, text in zip(sounds, TEXTS, strict=True)]
    assert [[(w.start, w.end) for w in item.words] for item in alone] == [
        [(w.start, w.end) for w in item.words] for item in found
    ]


@pytest.mark.parametrize("decoder", ["rnnt", "ctc"])
def test_a_hybrid_aligns_by_its_ctc_decoder_whichever_writes(hybrid, decoder):
    """The likeliest path of the likeliest text is the likeliest token at each frame."""
    transcriber = build(hybrid, decoder=decoder)
    assert transcriber.aligner == "ctc hybrid.nemo"
    for text in TEXTS:
        waveform, _ = spoken(text)
        samples = torch.from_numpy(waveform.samples)[None]
        with torch.inference_mode():
            encoded, _ = transcriber.model.forward(
                input_signal=samples, input_signal_length=torch.tensor([len(samples[0])])
            )
            likeliest = transcriber.model.ctc_decoder(encoder_output=encoded)[0].argmax(-1).tolist()
        letters = [
            (LABELS[token], frame * 0.04)
            for frame, token in enumerate(likeliest)
            if token < len(LABELS) and (frame == 0 or likeliest[frame - 1] != token)
        ]
        written = "".join(letter for letter, _ in letters)
        (item,) = transcriber.align([waveform], [written])
        starts = [
            time
            for place, (letter, time) in enumerate(letters)
            if letter != " " and (place == 0 or letters[place - 1][0] == " ")
        ]
        assert [word.start for word in item.words] == pytest.approx(starts)


def test_what_cannot_be_aligned_is_none_and_unknown_words_lie_between(ctc):
    transcriber = build(ctc)
    waveform, truth = spoken("ab cd ef")
    silent = Waveform(np.zeros(RATE, np.float32), RATE)
    short = Waveform(spoken("c")[0].samples[: RATE // 4], RATE)
    nothing, misfit, unknown = transcriber.align(
        [silent, short, waveform], ["ab", "bad cab " * 20, "ab 57 ef"]
    )
    assert nothing is None
    assert misfit is None
    first, middle, last = unknown.words
    assert middle.text == "57"
    assert first.end <= middle.start < middle.end <= last.start
    assert (middle.start + middle.end) / 2 == pytest.approx(
        (truth[1][1] + truth[1][2]) / 2, abs=0.3
    )


def test_an_array_is_read_as_the_same_file_is(ctc, tmp_path):
    """NeMo pads arrays below a second, not files; the plugin's text is the files'."""
    transcriber = build(ctc)
    for text in ("c", "fab", "ab cd ef"):
        waveform, _ = spoken(text)
        path = tmp_path / "speech.wav"
        orality.write_audio(path, waveform)
        from_file = transcriber.model.transcribe([str(path)], verbose=False, num_workers=0)
        transcriber.model.eval()
        assert transcriber.transcribe([waveform])[0].text == from_file[0].text == text


def test_word_times_are_nemo_s_own(ctc, tmp_path):
    check_against_nemo(build(ctc, timestamps=True), tmp_path)


def test_the_model_stays_in_eval_mode(ctc):
    transcriber = build(ctc)
    for _ in range(2):
        transcriber.transcribe([spoken("ab cd")[0]])
        assert not any(module.training for module in transcriber.model.modules())


def test_nothing_is_heard_in_silence_and_the_shortest_sounds_pass(ctc, hybrid):
    rng = np.random.default_rng(0)
    quiet = [
        Waveform(np.zeros(RATE, np.float32), RATE),
        Waveform(np.full(RATE, 0.3, np.float32), RATE),
        Waveform(rng.normal(0, 5e-4, RATE).astype(np.float32), RATE),
        Waveform(np.zeros(0, np.float32), RATE),
    ]
    short = [Waveform(spoken("c", lead=0.0)[0].samples[:n], RATE) for n in (800, 960, 1100, 1600)]
    for checkpoint in (ctc, hybrid):
        heard = build(checkpoint, timestamps=True).transcribe([*quiet, *short])
        assert [item.text for item in heard[:4]] == [""] * 4
        assert all(set(item.text) <= set(LABELS) for item in heard[4:])


def test_another_rate_is_resampled(ctc):
    waveform, _ = spoken("ab cd ef")
    fast = orality.resample(waveform, 44_100)
    assert build(ctc).transcribe([fast])[0].text == "ab cd ef"


def test_an_unpacked_checkpoint_and_its_folder_are_read(ctc, tmp_path):
    from orality_asr_nemo.archive import unpack

    folder = tmp_path / "model"
    folder.mkdir()
    unpack(Path(ctc), folder)
    assert build(str(folder)).transcribe([spoken("fab")[0]])[0].text == "fab"
    assert (folder / "model_weights.ckpt").exists()


def test_what_the_model_cannot_do_is_refused(ctc, hybrid, tmp_path):
    with pytest.raises(CompatibilityError, match="hybrid"):
        build(ctc, decoder="rnnt")
    with pytest.raises(CompatibilityError, match="Canary"):
        build(ctc, task="translate", target_language="de")


def test_weights_that_do_not_fit_the_configuration_are_refused(ctc, tmp_path):
    from orality_asr_nemo.archive import unpack

    unpack(Path(ctc), tmp_path)
    weights = tmp_path / "model_weights.ckpt"
    state = torch.load(weights, weights_only=True)
    torch.save({name: value for name, value in state.items() if "decoder" not in name}, weights)
    with pytest.raises(CheckpointError, match="NeMo cannot load"):
        build(str(tmp_path))


def test_nemo_itself_refuses_what_a_configuration_s_names_do_not_show(ctc, tmp_path):
    """A class that only looks like NeMo's: the second line of defense is NeMo's own."""
    from orality_asr_nemo.archive import unpack

    unpack(Path(ctc), tmp_path)
    config = tmp_path / "model_config.yaml"
    text = config.read_text()
    wanted = PREPROCESSOR["_target_"]
    config.write_text(
        text.replace(wanted, "nemo.collections.asr.models.asr_model.PretrainedModelInfo")
    )
    with pytest.raises(CheckpointError, match="NeMo cannot load"):
        build(str(tmp_path))


# Canary: "en" writes the letters that are said, "de" writes each as the letter beside it here.
GERMAN = str.maketrans(LETTERS, "uvwxyz")
HIDDEN = 64
# NeMo pads what is shorter than a second, and "c" was learned by heart as it is.
CANARY_TEXTS = [text for text in TEXTS if text != "c"]
LANGUAGES = {"spl_tokens": "", "en": LETTERS, "de": LETTERS.translate(GERMAN)}


def canary_config(folder: Path) -> dict[str, Any]:
    from nemo.collections.common.tokenizers.canary_tokenizer import CanaryTokenizer
    from nemo.collections.common.tokenizers.sentencepiece_tokenizer import create_spt_model

    for name, letters in LANGUAGES.items():
        if not letters:
            tokens = ["en", "de", "transcribe", "translate"]
            CanaryTokenizer.build_special_tokenizer(tokens, folder / name)
            continue
        text = folder / f"{name}.txt"
        text.write_text("\n".join([" ".join(letters), letters, letters[::-1]] * 20))
        (folder / name).mkdir()
        create_spt_model(
            str(text), vocab_size=len(letters) + 2, sample_size=-1, do_lower_case=False,
            tokenizer_type="char", output_dir=str(folder / name),
        )  # fmt: skip
    modules = "nemo.collections.asr.modules"
    return {
        "sample_rate": RATE, "prompt_format": "canary", "preprocessor": PREPROCESSOR,
        "tokenizer": {
            "type": "agg", "dir": None,
            "langs": {name: {"dir": str(folder / name), "type": "bpe"} for name in LANGUAGES},
            "custom_tokenizer": {
                "_target_":
                "nemo.collections.common.tokenizers.canary_tokenizer.CanaryTokenizer",
                "tokenizers": None,
            },
        },
        "model_defaults": {
            "asr_enc_hidden": HIDDEN, "lm_enc_hidden": HIDDEN, "lm_dec_hidden": HIDDEN,
        },
        "encoder": {
            "_target_": f"{modules}.ConformerEncoder", "feat_in": 40, "feat_out": -1,
            "n_layers": 2, "d_model": HIDDEN, "subsampling": "dw_striding",
            "subsampling_factor": 4, "subsampling_conv_channels": 32, "n_heads": 4,
            "ff_expansion_factor": 2, "conv_kernel_size": 9, "dropout": 0.0,
            "dropout_emb": 0.0, "dropout_att": 0.0, "dropout_pre_encoder": 0.0,
        },
        "transf_encoder": {"num_layers": 0},
        "transf_decoder": {
            "_target_": f"{modules}.transformer.get_nemo_transformer", "model_name": None,
            "pretrained": False, "encoder": False, "pre_ln_final_layer_norm": True,
            "config_dict": {
                "max_sequence_length": 128, "num_token_types": 0, "hidden_size": HIDDEN,
                "inner_size": 128, "num_layers": 2, "num_attention_heads": 4, "hidden_act": "relu",
                "pre_ln": True, "vocab_size": None,
            },
        },
        "head": {
            "_target_": "nemo.collections.asr.parts.submodules.token_classifier.TokenClassifier",
            "num_layers": 1, "activation": "relu", "log_softmax": True, "hidden_size": HIDDEN,
            "num_classes": None, "dropout": 0.0, "use_transformer_init": True,
        },
        "decoding": {"strategy": "beam", "beam": {"beam_size": 1, "max_generation_delta": 20}},
        "loss": {
            "_target_":
            "nemo.collections.common.losses.smoothed_cross_entropy.SmoothedCrossEntropyLoss",
            "label_smoothing": 0.0, "pad_id": None,
        },
        "optim": {"name": "adam", "lr": 0.01},
    }  # fmt: skip


def canary_batch(model: Any, noise: int) -> tuple[torch.Tensor, ...]:
    rows = []
    for target, task in (("en", "asr"), ("de", "ast")):
        for text in CANARY_TEXTS:
            slots = {"source_lang": "en", "target_lang": target, "task": task, "pnc": "yes"}
            prompt = model.prompt.encode_dialog(turns=[{"role": "user", "slots": slots}])
            said = text if target == "en" else text.translate(GERMAN)
            ids = model.tokenizer.text_to_ids(said, target)
            end = torch.tensor([*ids, model.tokenizer.eos_id])
            rows.append(torch.cat([prompt["context_ids"], end]))
    pad = model.tokenizer.pad_id
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=pad)
    waves, lengths, _, _ = batch(CANARY_TEXTS, noise)
    return waves.repeat(2, 1), lengths.repeat(2), ids, torch.tensor([len(row) for row in rows])


@pytest.fixture(scope="module")
def canary(tmp_path_factory: pytest.TempPathFactory) -> str:
    from nemo.collections.asr.models import EncDecMultiTaskModel
    from omegaconf import OmegaConf

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("canary")
    model = EncDecMultiTaskModel(cfg=OmegaConf.create(canary_config(folder)))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    model.train()
    for step in range(100):
        waves, lengths, ids, counts = canary_batch(model, 10 * step)
        optimizer.zero_grad()
        log_probs, *_ = model(
            input_signal=waves, input_signal_length=lengths, transcript=ids[:, :-1],
            transcript_length=counts - 1,
        )  # fmt: skip
        model.loss(log_probs=log_probs, labels=ids[:, 1:]).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    path = folder / "canary.nemo"
    model.save_to(str(path))
    return str(path)


def test_a_canary_transcribes_and_translates(canary):
    sounds = [spoken(text)[0] for text in CANARY_TEXTS]
    heard = build(canary).transcribe(sounds)
    assert [item.text for item in heard] == CANARY_TEXTS
    assert {(item.language, item.task) for item in heard} == {("en", "transcribe")}
    translating = build(canary, task="translate", target_language="de")
    heard = translating.transcribe(sounds)
    assert [item.text for item in heard] == [text.translate(GERMAN) for text in CANARY_TEXTS]
    assert {(item.language, item.task) for item in heard} == {("de", "translate")}
    # NeMo merges all arrays of such a call into one text unless told not to.
    one_by_one = build(canary, batch_size=1).transcribe(sounds)
    assert [item.text for item in one_by_one] == CANARY_TEXTS
    with pytest.raises(CompatibilityError, match="'fr'"):
        translating.transcribe(sounds, language="fr")


def test_a_canary_without_timestamps_says_so(canary):
    with pytest.raises(CompatibilityError, match="timestamps"):
        build(canary, timestamps=True)


def test_a_canary_with_an_aligner_tells_when_words_are_said(canary, ctc, tmp_path):
    """Later Canaries carry a CTC model of their own to place words with."""
    from orality_asr_nemo.archive import unpack

    unpack(Path(canary), tmp_path)
    inner = tmp_path / "inner"
    inner.mkdir()
    unpack(Path(ctc), inner)
    (inner / "model_config.yaml").rename(tmp_path / "timestamps_asr_model_config.yaml")
    (inner / "model_weights.ckpt").rename(tmp_path / "timestamps_asr_model_weights.ckpt")
    check_words(build(str(tmp_path), timestamps=True), CANARY_TEXTS)
    assert (
        build(str(tmp_path), timestamps=True, batch_size=1)
        .transcribe([spoken(text)[0] for text in CANARY_TEXTS[:2]])[1]
        .text
        == TEXTS[1]
    )


class TestConformance(TranscriberTests):
    name = "nemo"
    options: ClassVar[dict[str, Any]] = {}

    @pytest.fixture(autouse=True)
    def _small(self, ctc: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(type(self), "options", {"checkpoint": ctc, "device": "cpu"})
