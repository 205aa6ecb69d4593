"""The likelihood judge on a tiny random language model whose scores can be recomputed plainly."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from orality import CheckpointError, JudgeRequest
from orality.testing import JudgeTests
from orality_judge_likelihood import LikelihoodConfig, build, languages, scoring
from orality_judge_likelihood.calibrate import calibrate
from orality_judge_likelihood.calibration import (
    Calibration,
    area_under_curve,
    fit,
    read,
    write,
)
from orality_judge_likelihood.examples import KINDS, make
from orality_judge_likelihood.judge import LikelihoodJudge, read_model
from orality_judge_likelihood.text import normalize, repeated_share

WORDS = [
    "tom", "lost", "his", "kite", "in", "the", "park", "and", "then", "he", "went", "home",
    "she", "smiled", "at", "last",
]  # fmt: skip
CURVE = Calibration(0.5, ((-6.0, 1.0), (-4.0, 2.0), (-3.0, 3.0), (-2.0, 4.0), (-1.0, 5.0)))
PROMPT = "Tom lost his kite in the park."


@pytest.fixture(scope="module")
def parts() -> tuple[Any, Any]:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    names = ["<s>", "<unk>", *dict.fromkeys(WORDS)]
    inner = Tokenizer(WordLevel({w: i for i, w in enumerate(names)}, unk_token="<unk>"))
    inner.pre_tokenizer = Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", unk_token="<unk>")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(names), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=128, initializer_range=0.4,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval(), tokenizer


@pytest.fixture
def judge(parts: tuple[Any, Any]) -> LikelihoodJudge:
    return LikelihoodJudge(*parts, CURVE, batch_tokens=64)


@pytest.fixture(scope="module")
def folder(parts: tuple[Any, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("likelihood")
    for part in parts:
        part.save_pretrained(folder / "model")
    write(folder / "curve.json", CURVE)
    return folder


def request(continuation: str | None, prompt: str | None = PROMPT) -> JudgeRequest:
    return JudgeRequest(prompt_text=prompt, continuation_text=continuation)


def plainly(parts: tuple[Any, Any], prompt: str, continuation: str) -> float:
    """The sum of log-probabilities from an ordinary forward pass over bos, prompt, continuation."""
    model, tokenizer = parts
    before = [0, *tokenizer(prompt)["input_ids"]]
    after = tokenizer(continuation)["input_ids"]
    with torch.no_grad():
        logits = model(torch.tensor([before + after])).logits[0].log_softmax(-1)
    return sum(float(logits[len(before) - 1 + i, token]) for i, token in enumerate(after))


def test_packed_likelihoods_are_those_of_ordinary_forward_passes(
    judge: LikelihoodJudge, parts: tuple[Any, Any]
) -> None:
    prompt, texts = "tom lost his kite", ["in the park", "she smiled", "and then he went home"]
    for text, found in zip(texts, judge.likelihoods([(prompt, t) for t in texts]), strict=True):
        assert found is not None
        assert found.tokens == len(text.split())
        assert found.conditional == pytest.approx(plainly(parts, prompt, text), abs=1e-4)
        assert found.unconditional == pytest.approx(plainly(parts, "", text), abs=1e-4)


def test_a_batch_never_changes_a_score(judge: LikelihoodJudge) -> None:
    requests = [
        request(" ".join(WORDS[start : start + size]), " ".join(WORDS[:length]))
        for start in range(4)
        for size in (2, 5, 9)
        for length in (1, 7)
    ]
    together = [verdict.score for verdict in judge.score(requests)]
    alone = [judge.score([item])[0].score for item in requests]
    assert together == pytest.approx(alone, abs=1e-4)
    assert len({round(score or 0.0, 3) for score in together}) > 6


def test_the_score_is_the_calibrated_information_and_fluency(
    judge: LikelihoodJudge, parts: tuple[Any, Any]
) -> None:
    verdict = judge.score([request("And then he went home!")])[0]
    conditional = plainly(parts, normalize(PROMPT), "and then he went home") / 5
    unconditional = plainly(parts, "", "and then he went home") / 5
    raw = (conditional - unconditional) + 0.5 * unconditional
    assert verdict.metrics["raw"] == pytest.approx(raw, abs=1e-4)
    assert verdict.score == pytest.approx(CURVE.score(raw), abs=1e-4)
    assert verdict.perplexity == pytest.approx(math.exp(-conditional), rel=1e-3)
    assert verdict.tokens == 5


def test_silence_gets_the_lowest_score_and_a_missing_text_none(judge: LikelihoodJudge) -> None:
    silence, only_marks, no_text, no_prompt, empty_prompt = judge.score(
        [request(""), request(" ... "), request(None), request("home", None), request("home", "")]
    )
    assert (silence.score, silence.rationale) == (1.0, "no speech")
    assert only_marks.score == 1.0
    assert (no_text.score, no_text.rationale) == (None, "no continuation text")
    assert (no_prompt.score, no_prompt.rationale) == (None, "no prompt text")
    assert empty_prompt.score is None


def test_case_and_punctuation_do_not_count(judge: LikelihoodJudge) -> None:
    plain, written = judge.score(
        [request("and then he went home"), request("And then, he went home.")]
    )
    assert plain == written


def test_a_short_continuation_scores_lower_in_proportion(parts: tuple[Any, Any]) -> None:
    flat = Calibration(0.5, ((-100.0, 1.0), (-99.0, 5.0)))
    judge = LikelihoodJudge(*parts, flat, min_words=4)
    texts = ["she", "she smiled", "she smiled at", "she smiled at last"]
    assert [v.score for v in judge.score([request(t) for t in texts])] == [2.0, 3.0, 4.0, 5.0]


def test_an_echo_and_a_loop_are_no_good_continuations(parts: tuple[Any, Any]) -> None:
    flat = Calibration(0.5, ((-100.0, 1.0), (-99.0, 5.0)))
    judge = LikelihoodJudge(*parts, flat)
    echo, loop = judge.score([request(PROMPT), request("then he went then he went then he went")])
    assert echo.score == 1.0
    # 7 trigrams, of which the first 3 are new
    assert loop.score == pytest.approx(1.0 + 4.0 * 3 / 7)


def test_repeated_trigrams_are_counted_in_prompt_and_continuation() -> None:
    assert repeated_share("a b c d", "b c d e") == 0.5
    assert repeated_share("a b", "x y x y x") == pytest.approx(1 / 3)
    assert repeated_share("a b c", "b c") == 0.0


def test_a_prompt_longer_than_the_model_can_hold_is_cut_at_its_start(
    judge: LikelihoodJudge,
) -> None:
    long = " ".join(WORDS * 20)
    assert judge.score([request("she smiled at last", long)])[0].score is not None


def test_a_model_that_ignores_the_mask_is_refused(parts: tuple[Any, Any]) -> None:
    model, _ = parts

    class Deaf(torch.nn.Module):
        device, dtype = torch.device("cpu"), torch.float32

        def forward(self, input_ids: torch.Tensor, **options: Any) -> Any:
            return model(input_ids=input_ids)

    with pytest.raises(CheckpointError, match="mask"):
        scoring.check(Deaf())
    scoring.check(model)


def test_the_curve_is_linear_between_its_points_and_flat_beyond() -> None:
    assert [CURVE.score(x) for x in (-9.0, -6.0, -5.0, -3.5, -1.5, 0.0)] == [
        1.0, 1.0, 1.5, 2.5, 4.5, 5.0,
    ]  # fmt: skip


def test_the_curve_is_fitted_to_quantiles() -> None:
    curve = fit(
        true=[-2.0, -1.0, 0.0],
        mismatched=[-4.0, -3.0, -2.0],
        garbage=[-8.0, -7.0, -6.0],
        fluency=0.5,
        provenance={},
    )
    assert curve.points == ((-7.0, 1.0), (-6.4, 2.0), (-3.0, 3.0), (-1.0, 4.0), (-0.4, 5.0))


def test_a_model_that_cannot_tell_true_from_wrong_gives_no_curve() -> None:
    with pytest.raises(CheckpointError, match="cannot tell"):
        fit([-5.0, -4.0], [-3.0, -2.0], [-8.0, -7.0], fluency=0.5, provenance={})


def test_a_calibration_survives_its_file(tmp_path: Path) -> None:
    write(tmp_path / "c.json", CURVE)
    assert read(tmp_path / "c.json") == CURVE


@pytest.mark.parametrize(
    "content",
    [
        "not json",
        "{}",
        json.dumps({"fluency": 0.5, "points": [[0, 1]]}),
        json.dumps({"fluency": 0.5, "points": [[0, 1], [-1, 5]]}),
        json.dumps({"fluency": 0.5, "points": [[0, 2], [1, 5]]}),
        '{"fluency": 0.5, "points": [[0, 1], [NaN, 5]]}',
    ],
)
def test_a_calibration_that_is_no_rising_curve_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "c.json").write_text(content)
    with pytest.raises(CheckpointError):
        read(tmp_path / "c.json")


def test_area_under_curve_counts_ties_half() -> None:
    assert area_under_curve([1.0, 2.0], [0.0, 1.0]) == 3.5 / 4


def test_examples_are_of_four_kinds_from_the_same_words() -> None:
    stories = [" ".join(f"w{story}x{word}" for word in range(60)) for story in range(5)]
    examples = make(stories, seed=1)
    assert [item.kind for item in examples] == [*KINDS] * 5
    true, mismatched, shuffled, noise = examples[:4]
    words = true.continuation.split()
    assert f"{true.prompt} {true.continuation}" in stories[0]
    assert sorted(shuffled.continuation.split()) == sorted(words)
    assert shuffled.continuation != true.continuation
    assert not set(mismatched.continuation.split()) & set(words)
    assert len(noise.continuation.split()) == len(words)
    assert examples == make(stories, seed=1)


def test_a_calibration_states_where_it_comes_from(judge: LikelihoodJudge) -> None:
    # A random model cannot rank real examples, so each kind gets the likelihoods of other words.
    from orality_judge_likelihood.examples import Example

    texts = [" ".join(WORDS[i : i + 3]) for i in range(12)]
    ranked = sorted(texts, key=lambda text: judge.score([request(text, "tom")])[0].metrics["raw"])
    kinds = ["shuffled"] * 3 + ["noise"] * 3 + ["mismatched"] * 3 + ["true"] * 3
    data = [Example("tom", text, kind) for text, kind in zip(ranked, kinds, strict=True)]
    fitted = calibrate(judge, data, about={"model": "toy"})
    assert fitted.provenance["model"] == "toy"
    assert fitted.provenance["area_under_curve"] == {
        "mismatched": 1.0, "shuffled": 1.0, "noise": 1.0,
    }  # fmt: skip
    assert fitted.provenance["examples"] == dict.fromkeys(KINDS, 3)
    with pytest.raises(CheckpointError, match="noise"):
        calibrate(judge, [item for item in data if item.kind != "noise"])


def test_a_folder_needs_a_calibration_of_its_own(folder: Path) -> None:
    with pytest.raises(CheckpointError, match="calibrate"):
        build(LikelihoodConfig(checkpoint=str(folder / "model")))


def test_a_folder_that_is_no_model_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="causal language model"):
        build(LikelihoodConfig(checkpoint=str(tmp_path), calibration=str(folder / "curve.json")))


def test_languages_are_those_of_the_text_model() -> None:
    assert languages(LikelihoodConfig()) == {"en"}
    assert languages(LikelihoodConfig(checkpoint="elsewhere")) is None
    assert languages(LikelihoodConfig(checkpoint="elsewhere", language="fi")) == {"fi"}


class TestConformance(JudgeTests):
    name = "likelihood"
    options: ClassVar[dict[str, Any]] = {}

    @pytest.fixture(autouse=True)
    def _small(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        options = {
            "checkpoint": str(folder / "model"),
            "calibration": str(folder / "curve.json"),
            "device": "cpu",
        }
        monkeypatch.setattr(type(self), "options", options)


@pytest.mark.slow
def test_the_shipped_model_prefers_true_endings() -> None:
    judge = build(LikelihoodConfig())
    prompt = "One sunny day Tom went to the park with a red kite. He"
    texts = [
        "wanted to fly the kite with his friend.",
        "and the stock market fell by two percent on Monday",
        "fly kite wanted his with the friend to",
        "",
    ]
    scores = [v.score for v in judge.score([request(text, prompt) for text in texts])]
    assert scores[0] is not None
    assert scores[0] > 4.0
    assert max(score or 0.0 for score in scores[1:]) < 3.0
    assert scores[3] == 1.0


def test_scaled_logits_go_through_the_whole_model(parts: tuple[Any, Any]) -> None:
    model, _ = parts
    body, head = scoring._parts(model)
    assert (body, head) == (model.model, model.lm_head)
    model.config.logit_scale = 0.5
    try:
        assert scoring._parts(model) == (None, None)
    finally:
        del model.config.logit_scale


@pytest.mark.parametrize(("native", "bits"), [(True, 16.0), (False, 32.0)])
def test_auto_computes_in_bfloat16_only_where_the_processor_has_it(
    parts: tuple[Any, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    native: bool,
    bits: float,
) -> None:
    for part in parts:
        part.save_pretrained(tmp_path)
    capabilities = {"avx512_f": True, "avx512_bf16": native}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    config = LikelihoodConfig(checkpoint=str(tmp_path), device="cpu")
    judge = LikelihoodJudge(*read_model(config), CURVE)
    (verdict,) = judge.score([request("and then he went home")])
    assert verdict.metrics["bits"] == bits


def test_equal_texts_are_read_once(judge: LikelihoodJudge, monkeypatch: pytest.MonkeyPatch) -> None:
    packed: list[int] = []
    pack = scoring.pack

    def counted(prompt: Any, continuations: Any) -> Any:
        packed.append(len(continuations))
        return pack(prompt, continuations)

    monkeypatch.setattr(scoring, "pack", counted)
    found = judge.score([request("he went home"), request("she smiled"), request("He went home.")])
    assert packed == [2]
    assert found[0] == found[2] != found[1]
