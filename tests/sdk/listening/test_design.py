"""Which trials there are, who hears them, and what nobody can see."""

from __future__ import annotations

import random
import re
from collections import Counter

import pytest
from listening_fakes import SYSTEMS, make_run, make_samples, speak

from orality.errors import EvaluationError
from orality.listening import design_test, rater_order, samples_of_folder, samples_of_run
from orality.listening.design import mulberry32
from orality.listening.key import key_of
from orality.listening.samples import choose_samples


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    return make_samples(tmp_path_factory.mktemp("samples"), prompts=6, systems=("x", "y", "z"))


def chosen(samples, **options):
    return choose_samples(samples, draw=random.Random(0), **options)


def test_every_continuation_is_rated_once(samples):
    design = design_test(chosen(samples), draw=random.Random(1))
    real = [trial for trial in design.trials if trial.backwards is None]
    assert Counter(trial.samples[0].system for trial in real) == {"x": 6, "y": 6, "z": 6}
    assert len({(t.samples[0].prompt_id, t.samples[0].system) for t in real}) == 18
    assert sorted(design.sets[0]) == sorted(trial.id for trial in design.trials)


def test_sets_are_balanced_and_hold_no_prompt_twice(samples):
    design = design_test(chosen(samples), per_set=6, checks=1, draw=random.Random(1))
    trials = {trial.id: trial for trial in design.trials}
    assert [len(ids) for ids in design.sets] == [7, 7, 7]
    for ids in design.sets:
        real = [trials[name] for name in ids if trials[name].backwards is None]
        assert len({trial.samples[0].prompt_id for trial in real}) == 6
        assert Counter(trial.samples[0].system for trial in real) == {"x": 2, "y": 2, "z": 2}
    assert len({name for ids in design.sets for name in ids}) == 21  # no check in two sets


def test_names_say_nothing_and_follow_from_the_seed_alone(samples):
    one, same, other = (
        design_test(chosen(samples), per_set=6, draw=random.Random(seed)) for seed in (1, 1, 2)
    )
    assert one == same
    names = {name for trial in one.trials for name in (trial.id, *trial.clips)}
    assert all(re.fullmatch("[a-f][0-9a-f]{7}", name) for name in names)
    assert names.isdisjoint(name for trial in other.trials for name in (trial.id, *trial.clips))


def test_checks_look_like_all_other_trials(samples):
    for kind in ("mmos", "preference"):
        design = design_test(chosen(samples), kind=kind, checks=4, draw=random.Random(3))
        hidden = [trial for trial in design.trials if trial.backwards]
        assert len(hidden) == 4
        assert {len(trial.clips) for trial in design.trials} == {2 if kind == "mmos" else 3}
        prompts = {trial.clips[0] for trial in design.trials if trial.backwards is None}
        assert all(trial.clips[0] in prompts for trial in hidden)


def test_sides_and_pairs_are_drawn(samples):
    design = design_test(chosen(samples), kind="preference", checks=0, draw=random.Random(4))
    found = Counter(frozenset(s.system for s in trial.samples) for trial in design.trials)
    assert set(found.values()) == {6}
    first = Counter(trial.samples[0].system for trial in design.trials)
    assert len(first) == 3  # no system is always the first
    one = design_test(
        chosen(samples), kind="preference", pairs=[("x", "z")], checks=0, draw=random.Random(4)
    )
    assert {s.system for trial in one.trials for s in trial.samples} == {"x", "z"}
    with pytest.raises(EvaluationError, match="not 'w'"):
        design_test(chosen(samples), kind="preference", pairs=[("x", "w")], draw=random.Random(4))


def test_the_key_knows_what_the_page_does_not(samples):
    design = design_test(chosen(samples), kind="preference", draw=random.Random(5))
    key = key_of(design, test="t", scale="s", systems=("x", "y", "z"), seed=5)
    for trial in design.trials:
        entry = key.trials[trial.id]
        assert entry.clips == tuple(trial.clips[1:])
        assert entry.check == (trial.backwards is not None)
        assert len(entry.samples) == (1 if entry.check else 2)
        assert {s.clip for s in entry.samples} | {entry.backwards or entry.clips[0]} == set(
            entry.clips
        )


def test_the_generator_is_mulberry32():
    # the first numbers of the JavaScript original, seed 1
    state, numbers = 1, []
    for _ in range(3):
        state, share = mulberry32(state)
        numbers.append(share)
    assert numbers == pytest.approx([0.6270739405881613, 0.002735721180215478, 0.5274470399599522])


def test_orders_differ_by_rater_and_can_be_told_from_the_seed():
    trials = [f"t{i}" for i in range(12)]
    assert rater_order(7, trials) == rater_order(7, trials)
    assert sorted(rater_order(7, trials)) == sorted(trials)
    firsts = Counter(rater_order(seed, trials)[0] for seed in range(2400))
    assert all(140 < count < 260 for count in firsts.values())
    assert len(firsts) == 12


def test_only_prompts_that_all_systems_continue_are_drawn(samples):
    some = [s for s in samples if not (s.system == "y" and s.prompt_id == "secret-prompt-0")]
    groups = chosen(some, prompts=3, systems=["y", "x"])
    assert [[s.system for s in group] for group in groups] == [["y", "x"]] * 3
    assert "secret-prompt-0" not in {s.prompt_id for group in chosen(some) for s in group}
    with pytest.raises(EvaluationError, match="no system is called 'q'"):
        chosen(samples, systems=["q"])


def test_a_run_s_samples_carry_the_judge_s_scores(tmp_path):
    found = samples_of_run(make_run(tmp_path / "run"))
    assert [s.system for s in found[:6]] == [SYSTEMS[0]] * 6
    assert len(found) == 12
    assert {s.score for s in found if s.system == SYSTEMS[1]} == {3.0}
    assert all(s.audio.is_file() and s.prompt_audio.is_file() for s in found)


def test_a_missing_recording_is_named(tmp_path):
    run = make_run(tmp_path / "run")
    (run / "prompts" / "audio" / "p1.wav").unlink()
    with pytest.raises(EvaluationError, match="prompt of sample p1-0 has no recording"):
        samples_of_run(run)


def test_a_folder_is_a_further_system(tmp_path, samples):
    speak(tmp_path / "secret-prompt-2.wav", 3)
    speak(tmp_path / "unrelated.wav", 3)
    [found] = samples_of_folder("the truth", tmp_path, samples)
    assert (found.system, found.prompt_id, found.score) == ("the truth", "secret-prompt-2", None)
    with pytest.raises(EvaluationError, match="no recording named by a prompt's id"):
        samples_of_folder("x", tmp_path / "..", samples)
