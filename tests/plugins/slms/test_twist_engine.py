"""Writing with prompts kept once: the same draws in any company, and those of transformers."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    OPTConfig,
    OPTForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from orality import CheckpointError, EvaluationError, Sample, SamplingOptions, Units, UnitSpec
from orality_slm_twist import TwistConfig, orality_slms
from orality_slm_twist.architectures import bare, reason_against
from orality_slm_twist.engine import Room, eager, room_for, write
from orality_slm_twist.generation import Running
from orality_slm_twist.graphs import replayed
from orality_slm_twist.jobs import Job, make_jobs, pieces_of
from orality_slm_twist.sampling import rules_of
from orality_slm_twist.slm import TwistLM

EOS, OFFSET, UNITS = 2, 3, 20
COMMON = {
    "hidden_size": 32, "num_attention_heads": 4, "vocab_size": 23, "pad_token_id": 0,
    "bos_token_id": 1, "eos_token_id": EOS, "max_position_embeddings": 96,
}  # fmt: skip
ROTARY = {**COMMON, "num_hidden_layers": 2, "intermediate_size": 48, "initializer_range": 0.3}
OPT = {**COMMON, "num_hidden_layers": 2, "ffn_dim": 48, "init_std": 0.3, "dropout": 0.1}
MODULES = {
    "opt": lambda: OPTForCausalLM(OPTConfig(**OPT, word_embed_proj_dim=32)),
    "opt-350m": lambda: OPTForCausalLM(
        OPTConfig(
            **OPT, word_embed_proj_dim=16, do_layer_norm_before=False, activation_function="gelu"
        )
    ),
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**ROTARY, num_key_value_heads=2)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**ROTARY, num_key_value_heads=1)),
    "mistral": lambda: MistralForCausalLM(
        MistralConfig(**ROTARY, num_key_value_heads=4, sliding_window=None)
    ),
}
MANY = [3, 17, 9, 40, 16, 5, 33, 12, 1]
SAMPLING = SamplingOptions(temperature=1.2, top_p=0.9, repetition_penalty=1.1)


def language_model(kind: str = "opt", **running: object) -> TwistLM:
    torch.manual_seed(1)
    module = MODULES[kind]()
    return TwistLM(
        module, unit_spec=UnitSpec("toy/km20", UNITS, 25.0), offset=OFFSET, bos=1, eos=EOS,
        context_length=96, mask_repeats=kind == "opt", running=Running(**running),
    )  # fmt: skip


def prompts(lengths: list[int] = MANY) -> list[Units]:
    rng = np.random.default_rng(0)
    return [Units(rng.integers(0, UNITS, length)) for length in lengths]


def generate(
    slm: TwistLM, chosen: list[int], *, num_samples: int = 5, length: int = 18,
    sampling: SamplingOptions = SAMPLING,
) -> dict[int, list[Sample]]:  # fmt: skip
    """Samples of some of the prompts, by the prompt's number, which is its seed too."""
    known = prompts()
    found = slm.generate(
        [known[index] for index in chosen], num_samples=num_samples, max_new_units=length,
        sampling=sampling, seeds=chosen,
    )  # fmt: skip
    return dict(zip(chosen, found, strict=True))


def assert_same(found: list[Sample], wanted: list[Sample]) -> None:
    for mine, theirs in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(mine.units.ids, theirs.units.ids)
        assert mine.log_prob == pytest.approx(theirs.log_prob, abs=1e-4)
        assert mine.finished == theirs.finished


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("kind", ["opt", "llama"])
def test_a_prompts_samples_are_the_same_in_any_company(kind) -> None:
    together = generate(language_model(kind, rows=1000), list(range(9)))
    assert len({sample.finished for found in together.values() for sample in found}) == 2
    companies = [
        (1, [[0]]),  # one row at a time, every sample a piece of its own
        (5, [[8, 1], [2]]),  # one prompt at a time
        (7, [[0, 1, 2, 3]]),
        (10, [[3, 2, 1, 0, 8, 7, 6, 5, 4]]),  # ended rows go to the next prompts
        (15, [[4, 4, 4, 4, 4, 4, 0]]),  # the same prompt several times at once
        (80, [[5], [6, 7, 8]]),
    ]
    for rows, batches in companies:
        torch.set_num_threads(2 if rows == 15 else 1)
        slm = language_model(kind, rows=rows)
        for batch in batches:
            for index, found in generate(slm, batch).items():
                assert_same(found, together[index])


def test_fewer_samples_are_the_first_ones_and_shorter_ones_the_beginnings() -> None:
    slm = language_model()
    long = generate(slm, [1, 2, 3])
    short = generate(slm, [3, 1], num_samples=2, length=7)
    for index, found in short.items():
        for mine, theirs in zip(found, long[index][:2], strict=True):
            np.testing.assert_array_equal(mine.units.ids, theirs.units.ids[:7])


@pytest.mark.parametrize(
    ("kind", "sampling"),
    [
        *((kind, SAMPLING) for kind in MODULES),
        ("opt", SamplingOptions(temperature=0.0)),
        ("llama", SamplingOptions(temperature=0.7, top_k=4)),
    ],
)
def test_the_draws_are_those_of_transformers_own_forward(kind, sampling) -> None:
    ours = language_model(kind, engine="torch", rows=20)
    theirs = language_model(kind, engine="transformers", rows=1000)
    wanted = generate(theirs, list(range(9)), sampling=sampling)
    for index, found in generate(ours, list(range(9)), sampling=sampling).items():
        assert_same(found, wanted[index])


def test_half_precision_runs_and_knows_its_own_log_probabilities() -> None:
    slm = language_model("llama")
    slm.module.bfloat16()
    for index, found in generate(slm, [0, 3, 4]).items():
        prompt = prompts()[index]
        for sample in found:
            whole = Units(np.concatenate([prompt.ids, sample.units.ids]))
            given, all_ = slm.log_likelihood([prompt, whole])
            if len(sample.units):
                assert sample.log_prob == pytest.approx(all_ - given, rel=0.03, abs=0.3)


def test_weights_are_read_anew_at_every_call() -> None:
    slm = language_model()
    before = generate(slm, [1])
    with torch.no_grad():
        for weight in slm.module.parameters():
            weight.data.mul_(1.5)
    after = generate(slm, [1])
    assert [s.log_prob for s in before[1]] != [s.log_prob for s in after[1]]
    fresh = language_model()
    fresh.module.load_state_dict(slm.module.state_dict())
    assert_same(after[1], generate(fresh, [1])[1])


def test_rows_that_reach_their_limit_make_room_before_the_next_step() -> None:
    slm = language_model()
    slm.eos = None
    tokens = torch.tensor([4, 5, 6])
    limits = [8, 2, 2, 2, 2, 2, 2, 2]
    jobs = [Job(index, tokens, index, limit) for index, limit in enumerate(limits)]
    with torch.inference_mode():
        decoder = bare(slm.module.eval())
        room = Room(
            homes=2, samples=1, own=16, slots=4, prompt=16, stride=16, reads=1024, patience=1,
            grows=True, context=96,
        )  # fmt: skip
        steps = []
        step = eager(decoder)

        def counted(cache, view, last, positions):
            steps.append(len(last))
            return step(cache, view, last, positions)

        rules = rules_of(slm, SAMPLING, 23)
        found = write(decoder, pieces_of(jobs, 1, 1), rules, room, counted)
    assert [len(found[index, 0].tokens) for index in range(8)] == limits
    # The first needs 7 steps after its prompt, the others one each, side by side with it.
    assert steps == [2] * 7


def test_a_free_row_that_is_older_than_those_in_use_does_no_harm() -> None:
    slm = language_model(rows=5)
    slm.eos = None
    tokens = torch.tensor([4, 5, 6])
    # Row 0 ends with 16 tokens and has no successor, while rows that began 2 steps later go on.
    limits = [16, 2, 2, 2, 2, 30, 30, 30, 30]
    jobs = [Job(index, tokens, index, limit) for index, limit in enumerate(limits)]
    with torch.inference_mode():
        decoder = bare(slm.module.eval())
        room = room_for(decoder, jobs, 1, rows=5, cache_bytes=2**20, context_length=96)
        assert (room.homes, room.stride) == (5, 16)
        rules, step = rules_of(slm, SAMPLING, 23), eager(decoder)
        found = write(decoder, pieces_of(jobs, 1, 1), rules, room, step)
        alone = write(decoder, pieces_of(jobs[5:6], 1, 1), rules, room, step)
    assert [len(found[index, 0].tokens) for index in range(9)] == limits
    assert found[5, 0].tokens.tolist() == alone[5, 0].tokens.tolist()


def test_room_is_bounded_by_rows_and_by_bytes() -> None:
    decoder = bare(language_model("llama").module)
    # 2 (keys, values) x 2 layers x 2 heads x 8 numbers x 4 bytes
    assert decoder.bytes_per_token == 256
    jobs = [Job(index, torch.arange(20), 0, 30) for index in range(100)]

    def room(rows: int, tokens: int) -> tuple[int, int, int]:
        found = room_for(
            decoder, jobs, 5, rows=rows, cache_bytes=tokens * 256, context_length=96
        )  # fmt: skip
        assert (found.own, found.prompt) == (32, 32)
        held = found.homes * found.samples * 32 + found.slots * 32
        assert held <= max(tokens, 3 * 32)
        return found.homes, found.samples, found.slots

    assert room(80, 10**6) == (16, 5, 32)
    assert room(12, 10**6) == (2, 5, 4)
    assert room(3, 10**6) == (1, 3, 2)
    # a home of 5 rows and two slots: 5 x 32 + 2 x 32 = 224 tokens
    assert room(80, 3 * 224) == (3, 5, 6)
    assert room(80, 4 * 32) == (1, 2, 2)
    assert room(80, 1) == (1, 1, 2)


def test_results_do_not_depend_on_the_memory_at_hand() -> None:
    plenty = generate(language_model(), [0, 1, 2, 3])
    scarce = generate(language_model(cache_gib=400 * 256 / 2**30), [0, 1, 2, 3])
    for index, found in scarce.items():
        assert_same(found, plenty[index])


def test_more_columns_than_are_summed_at_once_change_nothing() -> None:
    def long(rows: int, chosen: list[int]) -> dict[int, list[Sample]]:
        slm = language_model("opt", rows=rows)
        torch.manual_seed(2)
        config = OPTConfig(**{**OPT, "max_position_embeddings": 400}, word_embed_proj_dim=32)
        slm = slm.with_module(OPTForCausalLM(config))
        slm._context_length, slm.eos = 400, None
        rng = np.random.default_rng(1)
        known = [Units(rng.integers(0, UNITS, length)) for length in (20, 170)]
        found = slm.generate(
            [known[index] for index in chosen], num_samples=2, max_new_units=150,
            sampling=SAMPLING, seeds=chosen,
        )  # fmt: skip
        return dict(zip(chosen, found, strict=True))

    together = long(4, [0, 1])
    for index in (0, 1):
        assert_same(long(2, [index])[index], together[index])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: m.lm_head.register_forward_hook(lambda *_: None), "lm_head has hooks"),
        (lambda m: setattr(m.model.decoder.layers[0], "fc1", torch.nn.Identity()), "fc1 is Ident"),
        (lambda m: m.model.decoder.layers[0].half(), "several precisions"),
    ],
)
def test_what_a_bare_decoder_would_miss_is_left_to_transformers(change, reason) -> None:
    module = language_model().module
    assert reason_against(module) is None
    change(module)
    assert reason in reason_against(module)


def test_a_sliding_window_and_other_architectures_are_left_to_transformers(caplog) -> None:
    sizes = {**ROTARY, "num_key_value_heads": 2}
    sliding = MistralForCausalLM(MistralConfig(**sizes, sliding_window=4))
    assert "does not reach" in reason_against(sliding)
    slm = replace_module(language_model(), sliding)
    with caplog.at_level(logging.INFO):
        assert len(generate(slm, [8], num_samples=2, length=3)[8]) == 2
    assert "transformers' own forward writes: its attention does not reach" in caplog.text
    with pytest.raises(EvaluationError, match="reaches 4 tokens back, .* have up to 5"):
        generate(slm, [8], num_samples=2, length=4)
    slm.running = replace(slm.running, engine="torch")
    with pytest.raises(CheckpointError, match="'torch' cannot run this model: its attention"):
        generate(slm, [0])


def replace_module(slm: TwistLM, module: torch.nn.Module) -> TwistLM:
    found = slm.with_module(module)
    assert found.running is slm.running
    return found


def test_an_adapter_is_left_to_transformers() -> None:
    from peft import LoraConfig, get_peft_model

    slm = language_model()
    adapted = get_peft_model(slm.module, LoraConfig(r=2, target_modules=["q_proj"]))
    assert "PeftModel" in reason_against(adapted)


def test_a_recorded_step_writes_what_the_plain_one_writes(caplog) -> None:
    slm, recordings = language_model(), []
    jobs = make_jobs(slm, prompts(), range(9), 24)

    def record(compute):
        # As a CUDA graph: what is computed again lies where it lay the first time.
        recordings.append(1)
        result = compute().clone()
        return lambda: result.copy_(compute()), result

    def fail(compute):
        raise RuntimeError("no graphs here")

    with torch.inference_mode():
        decoder = bare(slm.module.eval())
        room = room_for(decoder, jobs, 3, rows=9, cache_bytes=2**20, context_length=96)
        rules, pieces = rules_of(slm, SAMPLING, 23), pieces_of(jobs, 3, 3)
        plain = write(decoder, pieces, rules, room, eager(decoder))
        for how in (record, fail):
            found = write(decoder, pieces, rules, room, replayed(eager(decoder), how))
            assert found.keys() == plain.keys()
            for key, one in found.items():
                assert one.tokens.tolist() == plain[key].tokens.tolist()
    assert 2 < len(recordings) < 40
    assert "cannot be recorded, its kernels start one by one: no graphs here" in caplog.text


@pytest.mark.gpu
@pytest.mark.parametrize("kind", MODULES)
def test_a_gpu_writes_what_a_processor_writes(kind) -> None:
    on_cpu = generate(language_model(kind), list(range(9)))
    for graphs in (False, True):
        slm = language_model(kind, rows=20, cuda_graphs=graphs)
        slm.module.to("cuda")
        for index, found in generate(slm, list(range(9))).items():
            assert_same(found, on_cpu[index])


def test_settings_of_speed_and_memory_are_neutral() -> None:
    assert TwistConfig.neutral == {"rows", "cache_gib", "cuda_graphs"}
    assert TwistConfig.neutral < set(TwistConfig.model_fields)


def test_as_many_prompts_are_asked_for_as_keep_the_rows_in_use() -> None:
    (spec,) = orality_slms()
    sizes = [{}, {"rows": 10}, {"rows": 100}, {"device": "cuda:1"}]
    assert [spec.batch_size(TwistConfig(**size)) for size in sizes] == [64, 8, 40, 409]
