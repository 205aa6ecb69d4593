"""The twist plugin against the reference's numbers, and its sampling against its own scores."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, OPTConfig, Qwen2Config

from orality import (
    CheckpointError,
    CompatibilityError,
    EvaluationError,
    SamplingOptions,
    Units,
    UnitSpec,
)
from orality.evaluation import log_likelihoods
from orality_slm_twist import TwistConfig, orality_slms
from orality_slm_twist.loading import load_twist
from orality_slm_twist.slm import TwistLM

GOLDEN = Path(__file__).parents[2] / "golden" / "twist_opt350m_like"
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 23}


def units(*ids: int) -> Units:
    return Units(np.array(ids, np.int64))


def folder(path: Path, architecture: str = "opt", *, offset: int = 3, **more: object) -> Path:
    """A TWIST folder with random weights: 20 units after pad 0, BOS 1, EOS 2."""
    torch.manual_seed(0)
    common = {**SMALL, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, **more}
    if architecture == "opt":
        config = OPTConfig(
            **common, ffn_dim=64, word_embed_proj_dim=32, max_position_embeddings=64, init_std=0.3
        )
    else:
        kind = {"llama": LlamaConfig, "qwen2": Qwen2Config}[architecture]
        config = kind(
            **common, intermediate_size=64, max_position_embeddings=64, num_key_value_heads=1,
            initializer_range=0.3,
        )  # fmt: skip
    config.offset = offset
    AutoModelForCausalLM.from_config(config).save_pretrained(path)
    return path


def prompts(lengths: tuple[int, ...] = (3, 9, 6)) -> list[Units]:
    rng = np.random.default_rng(0)
    return [units(*(2 * rng.integers(0, 10, n) + np.arange(n) % 2)) for n in lengths]


@pytest.fixture
def small(tmp_path: Path) -> TwistLM:
    return load_twist(folder(tmp_path / "small"))


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    return dict(np.load(GOLDEN / "expected.npz"))


def test_log_likelihoods_are_the_references_alone_and_in_a_batch(golden):
    slm = load_twist(GOLDEN)
    batch = [Units(golden[f"units_{i}"]) for i in range(1, 8)]
    np.testing.assert_allclose(slm.log_likelihood(batch), golden["sum_ll_single"], rtol=1e-5)
    alone = [slm.log_likelihood([item])[0] for item in batch]
    np.testing.assert_allclose(alone, golden["sum_ll_single"], rtol=1e-5)


def test_greedy_continuations_are_the_references(golden):
    slm = load_twist(GOLDEN)
    for index in (3, 4):
        prompt, whole = golden[f"units_{index}"], golden[f"greedy_seq{index}"]
        ((sample,),) = slm.generate(
            [Units(prompt)], num_samples=1, max_new_units=len(whole) - len(prompt),
            sampling=SamplingOptions(temperature=0), seeds=[0],
        )  # fmt: skip
        np.testing.assert_array_equal(sample.units.ids, whole[len(prompt) :])


def test_a_single_unit_scores_nothing_and_an_empty_batch_gives_nothing(small):
    assert small.log_likelihood([units(4)]) == [0.0]
    assert small.log_likelihood([]) == []


def test_bos_eos_adds_the_first_unit_and_the_end(small):
    ids = torch.tensor([[1, 7, 8, 2]])
    with torch.no_grad():
        scores = small.module(input_ids=ids).logits.log_softmax(-1)
    expected = sum(float(scores[0, t, ids[0, t + 1]]) for t in range(3))
    assert small.log_likelihood([units(4, 5)], convention="bos_eos")[0] == pytest.approx(expected)


@pytest.mark.parametrize("architecture", ["opt", "llama", "qwen2"])
@pytest.mark.parametrize("convention", ["no_bos", "bos_eos"])
def test_packed_pairs_score_as_they_do_alone(tmp_path, architecture, convention):
    slm = load_twist(folder(tmp_path, architecture))
    pairs = [(units(4, 5, 6, 7), units(4, 5, 9)), (units(3, 3), units(8, 9, 3, 4, 5))]
    found = log_likelihoods(slm, pairs, convention=convention)
    wanted = [tuple(slm.log_likelihood(list(pair), convention=convention)) for pair in pairs]
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_a_model_without_bos_refuses_bos_eos(tmp_path):
    slm = load_twist(folder(tmp_path / "m", bos_token_id=None, eos_token_id=None))
    with pytest.raises(EvaluationError, match="no_bos"):
        slm.log_likelihood([units(1, 2)], convention="bos_eos")
    with pytest.raises(EvaluationError, match="convention 'mean'"):
        slm.log_likelihood([units(1, 2)], convention="mean")


@pytest.mark.parametrize("architecture", ["opt", "llama", "qwen2"])
def test_a_sample_carries_the_log_probability_that_scoring_finds(tmp_path, architecture):
    slm = load_twist(folder(tmp_path / "m", architecture))
    many = prompts()
    samples = slm.generate(
        many, num_samples=3, max_new_units=12, sampling=SamplingOptions(top_p=0.8), seeds=[1, 2, 3]
    )
    for prompt, found in zip(many, samples, strict=True):
        (given,) = slm.log_likelihood([prompt])
        for sample in found:
            whole = Units(np.concatenate([prompt.ids, sample.units.ids]))
            expected = slm.log_likelihood([whole])[0] - given
            assert sample.log_prob == pytest.approx(expected, abs=1e-3)


def test_samples_depend_on_their_seed_and_not_on_their_batch(small):
    def draw(chosen: list[Units], seeds: list[int], num_samples: int, length: int) -> list:
        found = small.generate(
            chosen, num_samples=num_samples, max_new_units=length,
            sampling=SamplingOptions(temperature=1.0, top_p=0.9), seeds=seeds,
        )  # fmt: skip
        return [[s.units.ids.tolist() for s in one] for one in found]

    a, b, c = prompts()
    together = draw([a, b, c], [5, 6, 7], 2, 10)
    assert together[1] == draw([b], [6], 2, 10)[0]
    assert together[2] == draw([c, a], [7, 0], 2, 10)[0]
    assert [s[:4] for s in together[0]] == draw([a], [5], 3, 4)[0][:2]
    assert together[1] != draw([b], [8], 2, 10)[0]
    assert together[0][0] != together[0][1]


def test_sampling_ends_at_eos_and_never_writes_a_special_token(small):
    with torch.no_grad():  # the tied head then prefers pad, next EOS, whatever came before
        small.module.model.decoder.final_layer_norm.bias.copy_(
            small.module.lm_head.weight[0] * 20 + small.module.lm_head.weight[2] * 19
        )
    ((sample,),) = small.generate(
        [units(3)], num_samples=1, max_new_units=5,
        sampling=SamplingOptions(temperature=0), seeds=[0],
    )  # fmt: skip
    assert sample.finished
    assert len(sample.units) == 0
    assert sample.log_prob == 0.0


def test_a_deduplicated_model_repeats_no_unit(tmp_path):
    path = folder(tmp_path / "m")
    spec = {"codebook": "toy/km20", "vocab_size": 20, "frame_rate": 25.0, "deduplicated": True}
    (path / "units.json").write_text(json.dumps(spec))
    many = prompts()
    samples = load_twist(path).generate(
        many, num_samples=4, max_new_units=40, sampling=SamplingOptions(temperature=3.0, top_p=1.0),
        seeds=[1, 2, 3],
    )  # fmt: skip
    for prompt, found in zip(many, samples, strict=True):
        for sample in found:
            whole = np.concatenate([prompt.ids[-1:], sample.units.ids])
            assert (whole[1:] != whole[:-1]).all()


def test_a_continuation_stops_where_the_context_is_full(small, caplog):
    sampling = SamplingOptions(temperature=1.0)
    ((sample,),) = small.generate(
        prompts((60,)), num_samples=1, max_new_units=30, sampling=sampling, seeds=[1]
    )
    assert len(sample.units) <= 4
    assert "context" in caplog.text
    with pytest.raises(EvaluationError, match="fills the context of 64"):
        small.generate(prompts((64,)), num_samples=1, max_new_units=1, sampling=sampling, seeds=[1])
    with pytest.raises(EvaluationError, match="the longest has 65"):
        small.log_likelihood(prompts((65,)))


def test_units_that_the_codebook_lacks_are_named(small):
    with pytest.raises(CompatibilityError, match="got id 20"):
        small.to_input_ids(units(3, 20))
    with pytest.raises(CompatibilityError, match="got id -1"):
        small.log_likelihood([units(-1)])
    with pytest.raises(CompatibilityError, match="shape"):
        small.to_input_ids(Units(np.zeros((3, 2), np.int64)))


def test_token_ids_that_are_no_units_are_dropped(small):
    back = small.to_units(torch.tensor([1, 3, 22, 0, 5, 2]))
    assert back.ids.tolist() == [0, 19, 2]
    assert small.to_input_ids(back).tolist() == [3, 22, 5]


def test_another_module_shares_everything_else(small):
    from peft import LoraConfig, get_peft_model

    before = small.log_likelihood(prompts())
    config = LoraConfig(r=2, target_modules=small.lora_targets)
    adapted = small.with_module(get_peft_model(small.module, config))
    assert adapted.lora_targets == small.lora_targets
    assert adapted.log_likelihood(prompts()) == pytest.approx(before)  # B starts at zero
    options = {"num_samples": 1, "max_new_units": 4, "sampling": SamplingOptions(), "seeds": [1]}
    assert len(adapted.generate(prompts()[:1], **options)[0]) == 1


@pytest.mark.parametrize(
    ("architecture", "last"), [("opt", "fc2"), ("llama", "down_proj"), ("qwen2", "down_proj")]
)
def test_adapters_reach_all_projections(tmp_path, architecture, last):
    slm = load_twist(folder(tmp_path / "m", architecture))
    assert slm.lora_targets[-1] == last
    assert "lm_head" not in slm.lora_targets


@pytest.mark.parametrize("layout", ["bin", "sharded", "bfloat16"])
def test_every_weight_layout_gives_the_same_float32_model(tmp_path, small, layout):
    path = tmp_path / layout
    source = tmp_path / "small"
    model = AutoModelForCausalLM.from_pretrained(source)
    tolerance = 1e-5
    if layout == "bin":
        shutil.copytree(source, path)
        (path / "model.safetensors").unlink()
        torch.save(model.state_dict(), path / "pytorch_model.bin")
    elif layout == "sharded":
        model.save_pretrained(path, max_shard_size="20KB")
        assert len(list(path.glob("*.safetensors"))) > 1
    else:
        model.bfloat16().save_pretrained(path)
        tolerance = 0.05
    slm = load_twist(path)
    assert next(slm.module.parameters()).dtype == torch.float32
    expected = small.log_likelihood(prompts())
    assert slm.log_likelihood(prompts()) == pytest.approx(expected, rel=tolerance)


def test_a_missing_or_foreign_tensor_is_refused_by_name(tmp_path):
    from safetensors.torch import load_file, save_file

    path = folder(tmp_path / "m")
    tensors = load_file(path / "model.safetensors")
    lost = tensors.pop("model.decoder.layers.1.fc1.weight")
    save_file(tensors, path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"lacks model\.decoder\.layers\.1\.fc1\.weight"):
        load_twist(path)
    tensors["model.decoder.layers.1.fc1.weight"] = lost
    tensors["model.decoder.layers.7.fc1.weight"] = lost.clone()
    save_file(tensors, path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"does not know.*layers\.7"):
        load_twist(path)


def test_a_folder_without_weights_offset_or_room_is_refused(tmp_path):
    path = folder(tmp_path / "m")
    config = json.loads((path / "config.json").read_text())
    for change, message in (
        ({"offset": None}, "offset is None"),
        ({"offset": 40}, "leaves no unit"),
    ):
        (path / "config.json").write_text(json.dumps({**config, **change}))
        with pytest.raises(CheckpointError, match=message):
            load_twist(path)
    del config["offset"]
    (path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="has no 'offset'"):
        load_twist(path)
    with pytest.raises(CheckpointError, match="is no folder"):
        load_twist(str(tmp_path / "nothing"))
    (path / "config.json").write_text(json.dumps({**config, "offset": 3}))
    (path / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        load_twist(path)


def test_a_pickle_with_code_is_not_run(tmp_path):
    path = folder(tmp_path / "m")
    (path / "model.safetensors").unlink()
    torch.save({"weights": _Touch(tmp_path / "touched")}, path / "pytorch_model.bin")
    with pytest.raises(CheckpointError):
        load_twist(path)
    assert not (tmp_path / "touched").exists()


class _Touch:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_slamkit_model_loads_without_a_hub(tmp_path):
    from safetensors.torch import load_file, save_file

    base = folder(tmp_path / "base", "qwen2", tie_word_embeddings=True)
    nested = json.loads((base / "config.json").read_text())
    path = tmp_path / "slam"
    path.mkdir()
    top = {"model_type": "speech_language_model", "vocab_size": 23, "base_config": nested}
    (path / "config.json").write_text(json.dumps(top))
    tensors = {f"lm.{k}": v for k, v in load_file(base / "model.safetensors").items()}
    save_file(tensors, path / "model.safetensors")
    slm = load_twist(path)
    assert (slm.unit_spec.vocab_size, slm.offset, slm.bos, slm.eos) == (21, 2, 1, 1)
    plain = load_twist(base)  # its units begin one token later
    assert slm.log_likelihood([units(5, 6, 9)]) == pytest.approx(
        plain.log_likelihood([units(4, 5, 8)])
    )


def test_units_are_described_without_weights(tmp_path):
    (spec,) = orality_slms()
    assert spec.describe(TwistConfig(checkpoint=str(GOLDEN))) == UnitSpec(
        "mhubert-base-25hz/l11/km500", 500, 25.0
    )
    assert spec.context_length(TwistConfig(checkpoint=str(GOLDEN))) == 512
    published = spec.describe(TwistConfig(checkpoint="twist-350m"))
    assert published is not None
    assert published.codebook == "mhubert-base-25hz/l11/km500"
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "config.json").write_text('{"offset": 2, "vocab_size": 52}')
    own = spec.describe(TwistConfig(checkpoint=str(bare), codebook="mine/l3/km50"))
    assert own == UnitSpec("mine/l3/km50", 50, 25.0)
    with pytest.raises(CheckpointError, match="has 500 units"):
        spec.describe(TwistConfig(checkpoint=str(bare), codebook="mine/km500"))


def test_describing_imports_no_torch():
    code = (
        "import sys, orality_slm_twist as p; spec, = p.orality_slms();"
        f"spec.describe(p.TwistConfig(checkpoint={str(GOLDEN)!r}));"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_nonsensical_requests_are_refused(small):
    good = {"num_samples": 1, "max_new_units": 2, "sampling": SamplingOptions(), "seeds": [1]}
    for change, message in (
        ({"seeds": []}, "1 prompts and 0 seeds"),
        ({"num_samples": -1}, "cannot be negative"),
        ({"sampling": SamplingOptions(temperature=-1)}, "temperature"),
        ({"sampling": SamplingOptions(top_p=0)}, "top_p"),
        ({"sampling": SamplingOptions(top_k=-2)}, "top_k"),
        ({"sampling": SamplingOptions(repetition_penalty=0)}, "repetition_penalty"),
    ):
        with pytest.raises(EvaluationError, match=message):
            small.generate(prompts((4,)), **{**good, **change})
