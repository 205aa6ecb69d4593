"""Every way in which a TWIST-like checkpoint lies on disk, and what is none."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    LlamaConfig,
    OPTConfig,
    Qwen2Config,
)

import orality
from orality import CheckpointError, EvaluationError, Units
from orality.checkpoints import noted_checkpoints
from orality.weights import file_sha256, weight_files
from orality_slm_twist import TwistConfig, orality_slms

GOLDEN = Path(__file__).parents[2] / "golden" / "twist_opt350m_like"
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 23,
         "max_position_embeddings": 64}  # fmt: skip
GATED = {"intermediate_size": 64, "num_key_value_heads": 1, "initializer_range": 0.3}
KINDS = {
    "opt": (OPTConfig, {"ffn_dim": 64, "word_embed_proj_dim": 16, "init_std": 0.3,
                        "do_layer_norm_before": False}),
    "llama": (LlamaConfig, GATED),
    "qwen2": (Qwen2Config, {**GATED, "tie_word_embeddings": True}),
}  # fmt: skip
SEQUENCES = [[4, 5, 9, 0, 19], [7], [1, 2], [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8]]


def units(ids) -> Units:
    return Units(np.array(ids, np.int64))


def build(path: Path, **more):
    return orality.build("slm", "twist", checkpoint=str(path), device="cpu", **more)


def folder(path: Path, kind: str = "opt", *, offset: int | None = 3, **more) -> Path:
    """Random weights: 20 units after pad 0, BOS 1, EOS 2."""
    torch.manual_seed(0)
    config_class, sizes = KINDS[kind]
    special = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    config = config_class(**{**SMALL, **sizes, **special, **more})
    if offset is not None:
        config.offset = offset
    AutoModelForCausalLM.from_config(config).save_pretrained(path)
    return path


def change(path: Path, **values) -> Path:
    """Set keys of config.json, or remove those that are Ellipsis."""
    config = json.loads((path / "config.json").read_text()) | values
    kept = {key: value for key, value in config.items() if value is not ...}
    (path / "config.json").write_text(json.dumps(kept))
    return path


def by_hand(path: Path, ids: list[int], *, offset: int = 3, ends: tuple[int, int] | None = None):
    """The sum from transformers' own logits in float64, one row, one term after another."""
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float64).eval()
    tokens = [unit + offset for unit in ids]
    if ends:
        tokens = [ends[0], *tokens, ends[1]]
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([tokens])).logits[0]
    assert logits.dtype == torch.float64
    total = 0.0
    for t in range(1, len(tokens)):
        row = logits[t - 1]
        total += float(row[tokens[t]] - torch.logsumexp(row, 0))
    return total


def zipped(target: Path, source: Path, *, top: str = "") -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(source.iterdir()):
            archive.write(file, top + file.name)
    return target


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ORALITY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("kind", ["opt", "llama", "qwen2"])
def test_log_likelihoods_are_sums_over_transformers_logits(tmp_path, kind):
    path = folder(tmp_path / "m", kind)
    slm = build(path)
    batch = [units(ids) for ids in SEQUENCES]
    expected = [by_hand(path, ids) for ids in SEQUENCES]
    assert expected[1] == 0.0
    assert slm.log_likelihood(batch, convention="no_bos") == pytest.approx(expected, rel=1e-5)
    expected = [by_hand(path, ids, ends=(1, 2)) for ids in SEQUENCES]
    assert slm.log_likelihood(batch, convention="bos_eos") == pytest.approx(expected, rel=1e-5)


def test_one_token_may_begin_and_end_as_in_the_golden_folder():
    golden = np.load(GOLDEN / "expected.npz")
    ids = golden["units_3"].tolist()
    found = build(GOLDEN).log_likelihood([units(ids)], convention="bos_eos")
    assert found == pytest.approx([by_hand(GOLDEN, ids, offset=10, ends=(2, 2))], rel=1e-5)


@pytest.mark.parametrize("missing", [None, ...])
def test_a_folder_without_bos_or_eos_says_so(tmp_path, missing):
    for number, key in enumerate(("bos_token_id", "eos_token_id")):
        path = change(folder(tmp_path / str(number)), **{key: missing})
        slm = build(path)
        assert slm.log_likelihood([units([1, 2])], convention="no_bos")[0] < 0
        with pytest.raises(EvaluationError, match="use convention 'no_bos'"):
            slm.log_likelihood([units([1, 2])], convention="bos_eos")


def test_a_bos_that_is_a_unit_in_truth_is_none(tmp_path):
    slm = build(change(folder(tmp_path / "m"), bos_token_id=5))
    with pytest.raises(EvaluationError, match="no BOS and EOS outside its units"):
        slm.log_likelihood([units([1, 2])], convention="bos_eos")


def repackaged(target: Path, layout: str) -> Path:
    """The golden folder, its weights laid out differently."""
    model = AutoModelForCausalLM.from_pretrained(GOLDEN, dtype=torch.float32)
    target.mkdir()
    if layout.startswith("safetensors"):
        model.save_pretrained(target, max_shard_size="40KB" if "sharded" in layout else "1GB")
    state = model.state_dict()
    state.pop("lm_head.weight")  # tied
    if layout.startswith("bin of"):  # torch's format until 2020
        torch.save(state, target / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    elif layout == "bin":
        torch.save(state, target / "pytorch_model.bin")
    elif layout == "bin sharded":
        halves = [dict(list(state.items())[::2]), dict(list(state.items())[1::2])]
        names = [f"pytorch_model-0000{i}-of-00002.bin" for i in (1, 2)]
        weight_map = {}
        for name, half in zip(names, halves, strict=True):
            torch.save(half, target / name)
            weight_map |= dict.fromkeys(half, name)
        index = {"metadata": {}, "weight_map": weight_map}
        (target / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    shutil.copy(GOLDEN / "config.json", target)
    return target


@pytest.mark.parametrize(
    "layout", ["safetensors", "safetensors sharded", "bin", "bin of old", "bin sharded"]
)
def test_the_golden_numbers_come_out_of_every_layout(tmp_path, layout):
    golden = np.load(GOLDEN / "expected.npz")
    path = repackaged(tmp_path / "m", layout)
    assert (len(list(path.glob("*-of-*"))) > 1) == ("sharded" in layout)
    batch = [Units(golden[f"units_{i}"]) for i in range(1, 8)]
    np.testing.assert_allclose(
        build(path).log_likelihood(batch, convention="no_bos"), golden["sum_ll_single"], rtol=1e-5
    )
    archive = zipped(tmp_path / "TWIST-tiny.zip", path, top="TWIST-tiny/")
    np.testing.assert_allclose(
        build(archive).log_likelihood(batch), golden["sum_ll_single"], rtol=1e-5
    )


def test_a_zip_file_is_described_in_place_and_unpacked_once(tmp_path, cache):
    archive = zipped(tmp_path / "TWIST-350M.zip", GOLDEN)
    (spec,) = orality_slms()
    config = TwistConfig(checkpoint=str(archive))
    assert spec.describe(config).codebook == "mhubert-base-25hz/l11/km500"
    assert spec.context_length(config) == 512
    assert not cache.exists()
    first = build(archive)
    (entry,) = (p for p in (cache / "checkpoints").iterdir() if p.is_dir())
    assert entry.name.startswith("TWIST-350M-")
    stamp = (entry / "pytorch_model.bin").stat().st_mtime_ns
    renamed = tmp_path / "elsewhere" / "TWIST-350M.zip"
    renamed.parent.mkdir()
    archive.rename(renamed)
    second = build(renamed)
    assert (entry / "pytorch_model.bin").stat().st_mtime_ns == stamp
    assert first.log_likelihood([units([1, 2, 3])]) == second.log_likelihood([units([1, 2, 3])])


def test_a_run_can_vouch_for_what_came_out_of_a_zip_file(tmp_path):
    archive = zipped(tmp_path / "m.zip", GOLDEN)
    with noted_checkpoints() as noted:
        build(archive)
    (weights,) = weight_files(noted)
    assert weights.file.endswith("/pytorch_model.bin")
    assert weights.sha256 == file_sha256(GOLDEN / "pytorch_model.bin")
    assert weights.hashed == "when fetched"


def test_describing_a_zip_file_imports_no_torch(tmp_path):
    archive = zipped(tmp_path / "m.zip", GOLDEN)
    code = (
        "import sys, orality_slm_twist as p; spec, = p.orality_slms();"
        f"spec.describe(p.TwistConfig(checkpoint={str(archive)!r}));"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_a_mac_adds_and_deeper_folders_do_not_matter(tmp_path):
    archive = zipped(tmp_path / "m.zip", folder(tmp_path / "m"), top="ckpts/TWIST-350M/")
    with zipfile.ZipFile(archive, "a") as more:
        more.writestr("__MACOSX/ckpts/TWIST-350M/._config.json", "x")
        more.writestr("ckpts/.DS_Store", "x")
    assert build(archive).offset == 3


def test_a_zip_file_that_is_no_model_is_refused_before_it_is_unpacked(tmp_path, cache):
    bad = tmp_path / "bad.zip"
    bad.write_bytes(b"no zip at all")
    with pytest.raises(CheckpointError, match=r"bad\.zip cannot be unpacked"):
        build(bad)
    source = change(folder(tmp_path / "m"), offset=40)
    with pytest.raises(CheckpointError, match=r"m\.zip/config\.json: offset 40 leaves no unit"):
        build(zipped(tmp_path / "m.zip", source))
    empty = tmp_path / "empty.zip"
    with zipfile.ZipFile(empty, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(CheckpointError, match=r"empty\.zip/config\.json cannot be read"):
        build(empty)
    with zipfile.ZipFile(tmp_path / "up.zip", "w") as archive:
        archive.writestr("config.json", (GOLDEN / "config.json").read_text())
        archive.writestr("../evil", "x")
    with pytest.raises(CheckpointError, match="unsafe member"):
        build(tmp_path / "up.zip")
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", bytes(2**21))
    with pytest.raises(CheckpointError, match="at most 1048576 are accepted"):
        build(tmp_path / "bomb.zip")
    assert not cache.exists()
    with pytest.raises(CheckpointError, match="such a folder.s zip file"):
        build(tmp_path / "nothing.zip")


def test_an_option_gives_the_offset_that_a_folder_lacks(tmp_path):
    path = folder(tmp_path / "m", "llama", offset=None)
    with pytest.raises(CheckpointError, match="set the option `offset`"):
        build(path)
    slm = build(path, offset=3)
    assert slm.log_likelihood([units([4, 5, 9])]) == pytest.approx([by_hand(path, [4, 5, 9])])
    assert slm.unit_spec.vocab_size == 20
    (spec,) = orality_slms()
    assert spec.describe(TwistConfig(checkpoint=str(path), offset=3)).vocab_size == 20
    with pytest.raises(CheckpointError, match="the offset is 3, not 2 as configured"):
        build(folder(tmp_path / "n"), offset=2)
    with pytest.raises(CheckpointError, match="offset 23 leaves no unit"):
        build(path, offset=23)


def slamkit(path: Path, *, tied: bool, shards: int = 1, kind: str = "safetensors") -> Path:
    """A UnitLM folder: Qwen2, 21 units after pad 0 and `<S>` 1, weights under `lm.`."""
    base = folder(path.with_name(path.name + "-base"), "qwen2", offset=None,
                  tie_word_embeddings=tied)  # fmt: skip
    nested = json.loads((base / "config.json").read_text()) | {"torch_dtype": None}
    tensors = {f"lm.{name}": t for name, t in load_file(base / "model.safetensors").items()}
    assert ("lm.lm_head.weight" in tensors) != tied
    path.mkdir()
    top = {"model_type": "speech_language_model", "base_model_name": "Qwen/Qwen2.5-0.5B",
           "vocab_size": 23, "base_config": nested, "tie_word_embeddings": tied}  # fmt: skip
    (path / "config.json").write_text(json.dumps(top))
    suffix, stem = ("safetensors", "model") if kind == "safetensors" else ("bin", "pytorch_model")
    names = [f"{stem}-{i + 1:05}-of-{shards:05}.{suffix}" for i in range(shards)]
    if shards == 1:
        names = [f"{stem}.{suffix}"]
    weight_map = {}
    for number, name in enumerate(names):
        part = dict(list(tensors.items())[number::shards])
        if kind == "safetensors":
            save_file(part, path / name, metadata={"format": "pt"})
        else:
            torch.save(part, path / name)
        weight_map |= dict.fromkeys(part, name)
    if shards > 1:
        index = {"metadata": {}, "weight_map": weight_map}
        (path / f"{stem}.{suffix}.index.json").write_text(json.dumps(index))
    return path


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize(("shards", "kind"), [(1, "safetensors"), (3, "safetensors"), (2, "bin")])
def test_slamkit_folders_score_as_their_base_model(tmp_path, tied, shards, kind):
    path = slamkit(tmp_path / "m", tied=tied, shards=shards, kind=kind)
    base = tmp_path / "m-base"
    slm = build(path)
    assert (slm.offset, slm.bos, slm.eos, slm.context_length) == (2, 1, 1, 64)
    assert slm.unit_spec.vocab_size == 21
    assert next(slm.module.parameters()).dtype == torch.float32
    expected = by_hand(base, [4, 5, 20], offset=2)
    assert slm.log_likelihood([units([4, 5, 20])]) == pytest.approx([expected], rel=1e-5)
    expected = by_hand(base, [4, 5, 20], offset=2, ends=(1, 1))
    found = slm.log_likelihood([units([4, 5, 20])], convention="bos_eos")
    assert found == pytest.approx([expected], rel=1e-5)


def test_a_damaged_slamkit_folder_is_refused(tmp_path):
    path = slamkit(tmp_path / "m", tied=False)
    tensors = load_file(path / "model.safetensors")
    del tensors["lm.lm_head.weight"]
    save_file(tensors, path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"lacks lm_head\.weight"):
        build(path)
    with pytest.raises(CheckpointError, match="the offset is 2, not 4"):
        build(path, offset=4)
    config = json.loads((path / "config.json").read_text())
    del config["base_config"]
    (path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"base model was 'Qwen/Qwen2\.5-0\.5B'"):
        build(path)


@pytest.mark.parametrize("kind", ["llama", "slamkit"])
@pytest.mark.parametrize("asked", ["float32", "bfloat16", "float16"])
def test_weights_have_the_asked_dtype_whatever_they_are_stored_in(tmp_path, kind, asked):
    path = (
        folder(tmp_path / "m", "llama") if kind == "llama" else slamkit(tmp_path / "m", tied=True)
    )
    tensors = load_file(path / "model.safetensors")
    halves = {name: tensor.bfloat16() for name, tensor in tensors.items()}
    save_file(halves, path / "model.safetensors", metadata={"format": "pt"})
    change(path, dtype="bfloat16")
    slm = build(path, dtype=asked)
    assert {p.dtype for p in slm.module.parameters()} == {getattr(torch, asked)}
    if asked == "float32":  # exactly the stored values
        stored = halves[next(iter(n for n in halves if n.endswith("embed_tokens.weight")))]
        assert torch.equal(slm.module.get_input_embeddings().weight, stored.float())


def test_the_context_is_what_the_config_calls_it(tmp_path):
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=23, n_positions=48, n_embd=32, n_layer=1, n_head=2,
                        bos_token_id=1, eos_token_id=2)  # fmt: skip
    config.offset = 3
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "m")
    assert build(tmp_path / "m").context_length == 48


def test_missing_shards_are_named_before_weights_are_read(tmp_path, monkeypatch):
    path = repackaged(tmp_path / "m", "bin sharded")
    (path / "pytorch_model-00002-of-00002.bin").unlink()
    monkeypatch.setattr(
        AutoModelForCausalLM, "from_pretrained", lambda *_, **__: pytest.fail("read")
    )
    with pytest.raises(CheckpointError, match=r"lacks 1 of the 2 shards.*00002-of-00002\.bin"):
        build(path)
    index = path / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "../other.bin"}}))
    with pytest.raises(CheckpointError, match="no plain file name"):
        build(path)
    index.write_text(json.dumps({"weight_map": {}}))
    with pytest.raises(CheckpointError, match="names no shards"):
        build(path)
    index.unlink()
    with pytest.raises(CheckpointError, match=r"has the shard .*00001.* but no index"):
        build(path)
    (path / "pytorch_model-00001-of-00002.bin").unlink()
    with pytest.raises(CheckpointError, match="holds no weights"):
        build(path)
    (path / "adapter_config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="adapter without its base model"):
        build(path)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"upsample_rates": [5, 4], "num_embeddings": 500}, "describes a vocoder"),
        ({"model_type": "hubert", "vocab_size": 32}, "describes a speech encoder"),
        ({"model_type": "whisper", "vocab_size": 51865}, "describes a transcriber"),
        ({"model_type": "mimi"}, "audio codec"),
        ({"model_type": "llama", "auto_map": {"AutoModelForCausalLM": "evil.M"}}, "auto_map"),
        ({"model_type": "speech_language_model", "vocab_size": 502,
          "base_config": {"model_type": "qwen2", "auto_map": {"AutoConfig": "e.C"}}}, "auto_map"),
        ({"model_type": "speech_language_model", "vocab_size": 502,
          "base_config": {"model_type": "qwen2"}, "auto_map": {"AutoConfig": "e.C"}}, "auto_map"),
    ],
)  # fmt: skip
def test_what_is_no_spoken_language_model_is_said_before_weights_are_read(
    tmp_path, config, message
):
    (tmp_path / "config.json").write_text(json.dumps({"offset": 2, **config}))
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / "evil.py").write_text("raise SystemExit\n")
    (spec,) = orality_slms()
    with pytest.raises(CheckpointError, match=message):
        spec.describe(TwistConfig(checkpoint=str(tmp_path)))
    with pytest.raises(CheckpointError, match=message):
        build(tmp_path)


def test_a_vocoders_folder_is_named_as_such():
    with pytest.raises(CheckpointError, match="name it as the vocoder's checkpoint"):
        build(GOLDEN.parent / "vocoder_lj25")


def test_weights_of_another_size_than_the_config_says_are_refused(tmp_path):
    path = change(folder(tmp_path / "m", "llama"), vocab_size=40)
    with pytest.raises(CheckpointError, match="m"):
        build(path)
    path = folder(tmp_path / "n", "llama")
    size = (path / "model.safetensors").stat().st_size
    with (path / "model.safetensors").open("r+b") as file:
        file.truncate(size // 2)
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        build(path)
