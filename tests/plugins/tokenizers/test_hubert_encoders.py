"""Every encoder family against transformers' own hidden states, from folders that it saved."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    HubertConfig,
    HubertForCTC,
    HubertModel,
    SeamlessM4TFeatureExtractor,
    Wav2Vec2BertConfig,
    Wav2Vec2BertForCTC,
    Wav2Vec2BertModel,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    Wav2Vec2ForPreTraining,
    Wav2Vec2ForXVector,
    Wav2Vec2Model,
    WavLMConfig,
    WavLMForXVector,
    WavLMModel,
)

from orality import CheckpointError, Waveform
from orality_tokenizer_hubert.folder import describe
from orality_tokenizer_hubert.loading import load_hubert_tokenizer
from orality_tokenizer_hubert.tokenizer import HubertTokenizer

WIDTH, LAYERS = 32, 3
SMALL: dict[str, Any] = {
    "hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": 2,
    "intermediate_size": 48, "conv_dim": [16] * 7, "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4, "vocab_size": 12,
}  # fmt: skip
LARGE: dict[str, Any] = {
    **SMALL, "feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True,
}  # fmt: skip
BERT: dict[str, Any] = {
    "hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": 2,
    "intermediate_size": 48, "feature_projection_input_dim": 160, "vocab_size": 12,
    "left_max_position_embeddings": 8, "right_max_position_embeddings": 4,
}  # fmt: skip
FAMILIES: dict[str, tuple[Any, Any]] = {
    "hubert-base": (HubertModel, HubertConfig(**SMALL)),
    "hubert-large": (HubertModel, HubertConfig(**LARGE)),
    "hubert-batch-norm": (HubertModel, HubertConfig(**SMALL, conv_pos_batch_norm=True)),
    "wavlm-base": (WavLMModel, WavLMConfig(**SMALL)),
    "wavlm-large": (WavLMModel, WavLMConfig(**LARGE)),
    "wav2vec2-base": (Wav2Vec2Model, Wav2Vec2Config(**SMALL)),
    "wav2vec2-large": (Wav2Vec2Model, Wav2Vec2Config(**LARGE)),
    "wav2vec2-adapter": (Wav2Vec2Model, Wav2Vec2Config(**SMALL, add_adapter=True)),
    "w2v-bert": (Wav2Vec2BertModel, Wav2Vec2BertConfig(**BERT)),
    "w2v-bert-adapter": (
        Wav2Vec2BertModel,
        Wav2Vec2BertConfig(**BERT, add_adapter=True, use_intermediate_ffn_before_adapter=True),
    ),
}
HEADS: dict[str, tuple[Any, Any]] = {
    "HubertForCTC": (HubertForCTC, HubertConfig(**SMALL)),
    "Wav2Vec2ForCTC": (Wav2Vec2ForCTC, Wav2Vec2Config(**SMALL)),
    "Wav2Vec2ForPreTraining": (Wav2Vec2ForPreTraining, Wav2Vec2Config(**SMALL)),
    "Wav2Vec2ForXVector": (
        Wav2Vec2ForXVector, Wav2Vec2Config(**SMALL, use_weighted_layer_sum=True)
    ),
    "WavLMForXVector": (WavLMForXVector, WavLMConfig(**SMALL)),
    "Wav2Vec2BertForCTC": (Wav2Vec2BertForCTC, Wav2Vec2BertConfig(**BERT)),
}  # fmt: skip


def saved(model_class: Any, config: Any, folder: Path) -> tuple[Path, Any]:
    """A random model as transformers saves it; running statistics and norms too are random."""
    torch.manual_seed(0)
    model = model_class(config).eval()
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if name.endswith(("norm.weight", "norm.bias", "running_mean", "original0")):
                value.add_(0.1 * torch.randn(value.shape))
    model.save_pretrained(folder)
    return folder, model


def kmeans(folder: Path, count: int = 20) -> Path:
    path = folder / "km.npy"
    rng = np.random.default_rng(0)
    np.save(path, rng.standard_normal((count, WIDTH)).astype(np.float32))
    return path


def load(folder: Path, layer: int, **options: Any) -> HubertTokenizer:
    return load_hubert_tokenizer(
        folder, kmeans=kmeans(folder), layer=layer, device="cpu", **options
    )


def noise(samples: int, seed: int = 0) -> Waveform:
    drawn = np.random.default_rng(seed).standard_normal(samples)
    return Waveform((0.1 * drawn).astype(np.float32), 16_000)


def reference(model: Any, wave: Waveform) -> Any:
    """transformers' own output, with w2v-BERT's inputs as its feature extractor makes them."""
    with torch.inference_mode():
        if isinstance(model, Wav2Vec2BertModel):
            extract = SeamlessM4TFeatureExtractor()
            inputs = extract(wave.samples, sampling_rate=16_000, return_tensors="pt")
            return model(**inputs, output_hidden_states=True)
        samples = torch.from_numpy(wave.samples)[None]
        return model(samples, output_hidden_states=True)


@pytest.mark.parametrize("family", FAMILIES)
def test_features_are_transformers_hidden_states(family: str, tmp_path: Path) -> None:
    folder, model = saved(*FAMILIES[family], tmp_path / family)
    wave = noise(16_160)  # an odd number of mel frames
    expected = reference(model, wave)
    pre_norm = getattr(model.config, "do_stable_layer_norm", False)
    for layer in range(LAYERS + 1):
        found = load(folder, layer).features(wave)
        states = expected.hidden_states[layer][0]
        if layer == LAYERS and pre_norm:
            states = expected.last_hidden_state[0]
        assert len(found) == (49 if "w2v" in family else 50)
        # what the extractor pads at the end is masked, and is no frame
        torch.testing.assert_close(found, states[: len(found)], atol=2e-5, rtol=1e-4)
        assert found.std() > 0.05


@pytest.mark.parametrize("head", HEADS)
def test_checkpoints_with_a_head_give_their_encoder(head: str, tmp_path: Path) -> None:
    folder, model = saved(*HEADS[head], tmp_path / head)
    names = load_file(folder / "model.safetensors")
    assert any(not name.startswith(model.base_model_prefix + ".") for name in names)
    encoder = getattr(model, model.base_model_prefix)
    wave = noise(8_000)
    expected = reference(encoder, wave).hidden_states[2][0]
    torch.testing.assert_close(load(folder, 2).features(wave), expected, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("family", ["wavlm-base", "wav2vec2-large", "w2v-bert"])
@pytest.mark.parametrize(
    ("change", "problem"),
    [("drop", "lacks: encoder"), ("add", r"unknown tensors: encoder\.layers\.9\.weight")],
)
def test_tensors_must_fit(family: str, change: str, problem: str, tmp_path: Path) -> None:
    folder, _ = saved(*FAMILIES[family], tmp_path / family)
    state = load_file(folder / "model.safetensors")
    if change == "drop":
        del state[next(name for name in sorted(state) if name.startswith("encoder.layers"))]
    else:
        state["encoder.layers.9.weight"] = torch.zeros(1)
    save_file(state, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=problem):
        load(folder, 1)


def test_a_tensor_that_is_no_known_head_is_an_error(tmp_path: Path) -> None:
    folder, _ = saved(*HEADS["HubertForCTC"], tmp_path / "ctc")
    state = load_file(folder / "model.safetensors") | {"decoder.weight": torch.zeros(1)}
    save_file(state, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"unknown tensors: decoder\.weight"):
        load(folder, 1)


@pytest.mark.parametrize(
    ("family", "rate"), [("hubert-base", 50.0), ("wavlm-large", 50.0), ("w2v-bert", 50.0)]
)
def test_units_are_described_by_the_folder(family: str, rate: float, tmp_path: Path) -> None:
    folder, _ = saved(*FAMILIES[family], tmp_path / family)
    described = describe(str(folder), kmeans=str(kmeans(folder)), layer=2)
    assert described == load(folder, 2).unit_spec
    assert described is not None
    assert (described.codebook, described.frame_rate) == (f"{family}/l2/km20", rate)


@pytest.mark.parametrize(
    ("family", "samples", "frames"),
    [("hubert-base", 399, 0), ("hubert-base", 400, 1), ("hubert-base", 720, 2),
     ("w2v-bert", 559, 0), ("w2v-bert", 560, 1), ("w2v-bert", 879, 1), ("w2v-bert", 880, 2)],
)  # fmt: skip
def test_the_shortest_recordings(family: str, samples: int, frames: int, tmp_path: Path) -> None:
    """Waveform models see 400 samples and step by 320; w2v-BERT sees two mel frames, 400 + 160."""
    folder, _ = saved(*FAMILIES[family], tmp_path / family)
    features = load(folder, 1).features(noise(samples))
    assert features.shape == (frames, WIDTH)
    assert torch.isfinite(features).all()


@pytest.mark.parametrize(
    ("family", "stated", "normalized"),
    [("hubert-base", True, False), ("hubert-batch-norm", True, False),
     ("hubert-large", True, True), ("hubert-large", False, False), ("hubert-large", None, False),
     ("wavlm-large", True, True)],
)  # fmt: skip
def test_recordings_are_normalized_as_the_encoder_was_trained(
    family: str, stated: bool | None, normalized: bool, tmp_path: Path
) -> None:
    folder, _ = saved(*FAMILIES[family], tmp_path / family)
    if stated is not None:
        Wav2Vec2FeatureExtractor(do_normalize=stated).save_pretrained(folder)
    wave = noise(8_000)
    found = load(folder, 2).features(wave)
    torch.testing.assert_close(found, load(folder, 2, normalize=normalized).features(wave))
    assert not torch.allclose(found, load(folder, 2, normalize=not normalized).features(wave))


def test_w2v_bert_normalizes_itself(tmp_path: Path) -> None:
    folder, _ = saved(*FAMILIES["w2v-bert"], tmp_path / "bert")
    with pytest.raises(CheckpointError, match="leave `normalize` out"):
        load(folder, 1, normalize=True)


def test_w2v_bert_may_stack_other_numbers_of_mel_frames(tmp_path: Path) -> None:
    folder, _ = saved(*FAMILIES["w2v-bert"], tmp_path / "bert")
    SeamlessM4TFeatureExtractor(stride=4, num_mel_bins=40).save_pretrained(folder)
    tokenizer = load(folder, 1)
    assert tokenizer.unit_spec.frame_rate == 25.0
    assert len(tokenizer.features(noise(16_000))) == 98 // 4  # mel frames: (16000 - 400) / 160 + 1


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "whisper"}))
    with pytest.raises(CheckpointError, match="describes a 'whisper' model; `hubert` wants one of"):
        load(tmp_path, 1)


def test_a_config_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    folder, _ = saved(*FAMILIES["hubert-base"], tmp_path / "hubert")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"conv_kernel": [10, 3]}))
    with pytest.raises(CheckpointError, match="no encoder can be built"):
        load(folder, 1)


@pytest.mark.parametrize("family", ["hubert-base", "wavlm-large", "w2v-bert"])
def test_without_onednn_the_layers_stay_as_they_are(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = saved(*FAMILIES[family], tmp_path / family)
    wave = noise(8_000)
    packed = load(folder, 2).features(wave)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    torch.testing.assert_close(load(folder, 2).features(wave), packed, atol=2e-5, rtol=1e-4)


def as_fairseq(model: HubertModel, path: Path, *, large: bool, normalize: bool) -> Path:
    """The same weights in fairseq's container, under fairseq's names."""
    config, state = model.config, {}
    norm = ".2.1." if large else ".2."
    for name, value in model.state_dict().items():
        parts = name.split(".")
        if name.startswith("feature_extractor"):
            kind = ".0." if parts[3] == "conv" else norm
            name = f"feature_extractor.conv_layers.{parts[2]}{kind}{parts[4]}"
        elif name.startswith("feature_projection.layer_norm"):
            name = f"layer_norm.{parts[2]}"
        elif name.startswith("feature_projection"):
            name = f"post_extract_proj.{parts[2]}"
        elif "pos_conv_embed" in name:
            last = {"original0": "weight_g", "original1": "weight_v", "bias": "bias"}[parts[-1]]
            name = f"encoder.pos_conv.0.{last}"
        elif name == "masked_spec_embed":
            name = "mask_emb"
        else:
            for ours, theirs in (
                (".attention.", ".self_attn."), ("feed_forward.intermediate_dense", "fc1"),
                ("feed_forward.output_dense", "fc2"),
            ):  # fmt: skip
                name = name.replace(ours, theirs)
            if ".layers." in name:
                name = name.replace(".layer_norm.", ".self_attn_layer_norm.")
        state[name] = value
    state |= {"label_embs_concat": torch.zeros(3, 2), "final_proj.weight": torch.zeros(2, 2)}
    layers = zip(config.conv_dim, config.conv_kernel, config.conv_stride, strict=True)
    cfg = {
        "model": {
            "_name": "hubert", "conv_feature_layers": str(list(layers)),
            "extractor_mode": "layer_norm" if large else "default", "conv_bias": large,
            "layer_norm_first": large, "encoder_embed_dim": WIDTH, "encoder_layers": LAYERS,
            "encoder_attention_heads": 2, "encoder_ffn_embed_dim": 48, "conv_pos": 16,
            "conv_pos_groups": 4,
        },
        "task": {"_name": "hubert_pretraining", "normalize": normalize},
    }  # fmt: skip
    torch.save({"args": None, "cfg": cfg, "model": state, "task_state": {}}, path)
    return path


@pytest.mark.parametrize("family", ["hubert-base", "hubert-large"])
def test_fairseq_files_with_weight_norm_give_the_folders_features(
    family: str, tmp_path: Path
) -> None:
    folder, model = saved(*FAMILIES[family], tmp_path / family)
    large = family == "hubert-large"
    file = as_fairseq(model, tmp_path / "hubert.pt", large=large, normalize=large)
    wave = noise(16_000)
    for layer in (0, 2):
        table = kmeans(folder)
        found = load_hubert_tokenizer(file, kmeans=table, layer=layer, device="cpu")
        expected = load(folder, layer, normalize=large)
        torch.testing.assert_close(found.features(wave), expected.features(wave))
    # fairseq's output_layer takes no final norm, not even for the last layer
    last = load_hubert_tokenizer(file, kmeans=table, layer=LAYERS, normalize=False, device="cpu")
    states = reference(model, wave).hidden_states[LAYERS][0]
    torch.testing.assert_close(last.features(wave), states, atol=2e-5, rtol=1e-4)


def test_shards_and_pickled_weights_are_read(tmp_path: Path) -> None:
    folder, model = saved(*FAMILIES["wavlm-base"], tmp_path / "wavlm-base")
    wave = noise(8_000)
    expected = load(folder, 2).features(wave)
    model.save_pretrained(tmp_path / "shards", max_shard_size="50KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 1
    torch.testing.assert_close(load(tmp_path / "shards", 2).features(wave), expected)
    pickled = tmp_path / "pickled"
    shutil.copytree(folder, pickled)
    torch.save(load_file(pickled / "model.safetensors"), pickled / "pytorch_model.bin")
    (pickled / "model.safetensors").unlink()
    torch.testing.assert_close(load(pickled, 2).features(wave), expected)


@pytest.mark.parametrize("numpy_inside", [False, True])
def test_kmeans_in_torch_files(numpy_inside: bool, tmp_path: Path) -> None:
    folder, _ = saved(*FAMILIES["hubert-base"], tmp_path / "hubert-base")
    expected = load(folder, 2)
    table = np.load(folder / "km.npy")
    content: dict[str, Any] = {
        "cluster_centers": table if numpy_inside else torch.from_numpy(table),
        "n_clusters": 20,
    }
    torch.save(content, folder / "km.pt")
    if not numpy_inside:
        torch.save(torch.from_numpy(table).double(), folder / "km_plain.pt")
    for file in folder.glob("km*.pt"):
        spec = describe(str(folder), kmeans=str(file), layer=2)
        found = load_hubert_tokenizer(folder, kmeans=file, layer=2, device="cpu")
        assert found.unit_spec == expected.unit_spec == spec
    torch.save({**content, "n_clusters": 21}, folder / "km.pt")
    with pytest.raises(CheckpointError, match="states 21 clusters and holds 20"):
        load_hubert_tokenizer(folder, kmeans=folder / "km.pt", layer=2)
