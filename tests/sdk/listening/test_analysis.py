"""From answers to figures, with numbers worked by hand."""

from __future__ import annotations

import csv
import json

import pytest
from listening_fakes import SYSTEMS, answer, make_samples, rating

from orality.errors import EvaluationError
from orality.evaluation import opinion_score, read_items, read_results, regenerate_tables
from orality.listening import analyze_listening_test, make_listening_test, read_responses


@pytest.fixture
def mmos(tmp_path):
    samples = make_samples(tmp_path / "samples", prompts=4)
    return tmp_path / "out", make_listening_test(samples, tmp_path / "out", seed=1, checks=2)


@pytest.fixture
def preference(tmp_path):
    samples = make_samples(tmp_path / "samples", prompts=4)
    return tmp_path / "out", make_listening_test(
        samples, tmp_path / "out", kind="preference", seed=1, checks=1
    )


def attentive(folder, key, count=4):
    """Raters 0 to 3; every second one is a point stricter."""
    return [
        answer(folder / f"r{i}.json", key, f"r{i}", rating(key, offset=-(i % 2)), seed=i)
        for i in range(count)
    ]


def preferring(key, *, system=None, lose=()):
    """A rater who prefers `system`, but on the prompts in `lose` the other; None: no difference."""

    def choose(name):
        trial = key.trials[name]
        if trial.check:
            return trial.samples[0].clip
        if system is None:
            return "tie"
        clips = {s.system: s.clip for s in trial.samples}
        wanted = system if trial.prompt[-1] not in lose else next(s for s in SYSTEMS if s != system)
        return clips[wanted]

    return choose


def test_opinion_scores_come_with_crowdmos_and_naive_intervals(mmos, tmp_path):
    out, key = mmos
    found = analyze_listening_test(out, attentive(tmp_path, key))
    # prompts 0 to 3 are rated 2 3 2 3, a strict rater's 1 2 1 2; the better system 2 more
    first = [[2, 3, 2, 3], [1, 2, 1, 2]] * 2
    expected = opinion_score(first)
    base, aligned = (found.scores[name] for name in SYSTEMS)
    assert base.mean == expected.mean == 2.0
    assert base.ci.high == pytest.approx(expected.ci.high)
    assert base.naive_ci.high == pytest.approx(expected.naive_ci.high)
    assert base.naive_ci.high < base.ci.high
    assert aligned.mean == pytest.approx(2 + (2 + 2 + 2 + 2) / 4)
    assert (base.n, base.raters, base.items) == (16, 4, 4)


def test_systems_are_compared_by_prompt(mmos, tmp_path):
    out, key = mmos
    [test] = analyze_listening_test(out, attentive(tmp_path, key)).differences
    assert (test.a, test.b, test.n) == (SYSTEMS[1], SYSTEMS[0], 4)
    assert test.difference == pytest.approx(2.0)
    assert test.p_value == test.p_holm == 0.125  # four prompts, all the same sign: 2 / 2^4


def test_who_fails_a_check_is_left_out_and_counted(mmos, tmp_path):
    out, key = mmos
    paths = attentive(tmp_path, key)
    paths.append(answer(tmp_path / "lazy.json", key, "lazy", lambda trial: 5))
    found = analyze_listening_test(out, paths)
    assert found.exclusions.failed_checks == {"lazy": 2}
    assert found.exclusions.outliers == {}
    assert (found.exclusions.raters, found.exclusions.answers) == (5, 40)
    assert found.exclusions.kept_answers == 32
    assert found.scores[SYSTEMS[0]].mean == 2.0
    lenient = analyze_listening_test(out, paths, allowed_failures=2)
    assert lenient.exclusions.failed_checks == {}


def test_an_outlier_is_left_out_and_the_scores_with_it_stand_beside(mmos, tmp_path):
    out, key = mmos
    honest = rating(key)

    def contrary(trial):
        return 1 if key.trials[trial].check else 6 - honest(trial)

    paths = [*attentive(tmp_path, key), answer(tmp_path / "no.json", key, "no", contrary)]
    found = analyze_listening_test(out, paths)
    assert list(found.exclusions.outliers) == ["no"]
    assert found.exclusions.outliers["no"] == pytest.approx(-1, abs=0.05)
    assert found.scores[SYSTEMS[0]].mean == 2.0
    assert found.before[SYSTEMS[0]].mean > 2.0
    kept = analyze_listening_test(out, paths, min_correlation=-1)
    assert kept.exclusions.outliers == {}


def test_the_judge_is_correlated_with_people(mmos, tmp_path):
    out, key = mmos
    found = analyze_listening_test(out, attentive(tmp_path, key))
    # judge 1, 1.25, 1.5, 1.75 and one more for the better system; people 1.5 2.5 1.5 2.5 and + 2
    judge = [1, 1.25, 1.5, 1.75, 2, 2.25, 2.5, 2.75]
    human = [1.5, 2.5, 1.5, 2.5, 3.5, 4.5, 3.5, 4.5]
    from scipy import stats

    assert found.judge.pearson.r == pytest.approx(stats.pearsonr(judge, human).statistic)
    assert found.judge.spearman.r == pytest.approx(stats.spearmanr(judge, human).statistic)
    assert found.judge.pearson.n == 8
    assert found.judge.pearson.ci.low < found.judge.pearson.r < found.judge.pearson.ci.high
    assert found.judge.pearson_by_prompt.ci.method == "cluster-bootstrap"


def test_preferences_have_exact_intervals_over_votes_and_prompts(preference, tmp_path):
    out, key = preference
    paths = [
        answer(tmp_path / "a.json", key, "a", preferring(key, system=SYSTEMS[1])),
        answer(tmp_path / "b.json", key, "b", preferring(key, system=SYSTEMS[1], lose="0")),
        answer(tmp_path / "c.json", key, "c", preferring(key, system=SYSTEMS[1], lose="0")),
        answer(tmp_path / "d.json", key, "d", preferring(key)),
    ]
    [found] = analyze_listening_test(out, paths).preferences
    assert (found.a, found.b) == (SYSTEMS[1], SYSTEMS[0])
    assert (found.wins, found.losses, found.ties) == (10, 2, 4)
    assert found.share == pytest.approx(10 / 12)
    # Clopper and Pearson, 10 of 12
    assert (found.ci.low, found.ci.high) == pytest.approx((0.515862, 0.979137), abs=1e-6)
    assert found.by_prompt == (3, 1, 0)
    assert found.prompt_share == 0.75
    assert found.p_value == pytest.approx(0.625)  # 2 * (C(4,0) + C(4,1)) / 2^4


def test_a_preference_check_is_failed_by_a_tie_as_well(preference, tmp_path):
    out, key = preference
    paths = [
        answer(tmp_path / "a.json", key, "a", preferring(key, system=SYSTEMS[1])),
        answer(tmp_path / "b.json", key, "b", lambda trial: "tie"),
        answer(
            tmp_path / "c.json", key, "c",
            lambda trial: key.trials[trial].backwards or "tie",
        ),
    ]  # fmt: skip
    found = analyze_listening_test(out, paths)
    assert found.exclusions.failed_checks == {"b": 1, "c": 1}
    assert found.preferences[0].wins == 4


def test_preferences_are_correlated_with_differences_of_scores(preference, tmp_path):
    out, key = preference
    paths = [answer(tmp_path / "a.json", key, "a", preferring(key, system=SYSTEMS[1]))]
    found = analyze_listening_test(out, paths)
    # the judge's difference is 1 or -1 by side, and the vote is 1 or 0 with it
    assert found.judge.pearson.r == pytest.approx(1)


def test_where_the_judge_said_nothing_no_correlation_is_claimed(tmp_path):
    from dataclasses import replace

    samples = [replace(s, score=None) for s in make_samples(tmp_path / "samples", prompts=4)]
    key = make_listening_test(samples, tmp_path / "out", seed=1)
    found = analyze_listening_test(tmp_path / "out", attentive(tmp_path, key))
    assert found.judge is None
    assert "at least three" in found.no_judge
    assert "No correlation with the judge" in (tmp_path / "out/analysis/analysis.md").read_text()


def test_a_second_answer_is_counted_and_not_used(mmos, tmp_path):
    out, key = mmos
    paths = attentive(tmp_path, key)
    again = answer(
        tmp_path / "again.json", key, "r0",
        lambda trial: 1 if key.trials[trial].check else 5,
    )  # fmt: skip
    found = analyze_listening_test(out, [*paths, again])
    assert found.exclusions.repeated_answers == 10
    assert found.scores[SYSTEMS[0]].mean == 2.0


def test_nobody_left_is_an_error_with_the_reasons(mmos, tmp_path):
    out, key = mmos
    paths = [answer(tmp_path / "lazy.json", key, "lazy", lambda trial: 5)]
    with pytest.raises(EvaluationError, match="of 1 raters 1 failed the attention checks"):
        analyze_listening_test(out, paths)


def test_the_analysis_is_written_down(mmos, tmp_path):
    out, key = mmos
    analyze_listening_test(out, attentive(tmp_path, key))
    data = json.loads((out / "analysis" / "analysis.json").read_text())
    assert data["scores"][SYSTEMS[0]]["ci"]["method"] == "crowdmos"
    assert data["scores"][SYSTEMS[0]]["naive_ci"]["method"] == "naive-normal"
    assert data["judge_name"] is None
    text = (out / "analysis" / "analysis.md").read_text()
    assert "4 raters gave 32 answers; 32 are counted." in text
    assert "| secret base | 2.00 ±" in text
    assert "| Pearson |" in text
    assert r"\begin{tabular}{lrrrrrr}" in (out / "analysis" / "table.tex").read_text()
    rows = list(csv.DictReader((out / "analysis" / "judge_vs_human.csv").open()))
    assert len(rows) == 8
    assert {row["ratings"] for row in rows} == {"4"}


def test_ratings_become_results_and_items_like_any_figure(mmos, tmp_path):
    out, key = mmos
    found = analyze_listening_test(out, attentive(tmp_path, key))
    results = read_results(out / "analysis" / "results.json")
    [metric] = {figure.metric for figure in results.results}
    assert metric.startswith("mmos/")
    assert results.find(SYSTEMS[0], metric).ci == found.scores[SYSTEMS[0]].ci
    assert results.compare(metric, SYSTEMS[1], SYSTEMS[0]).p_value == 0.125
    items = read_items(out / "analysis" / "items.jsonl")
    mine = [item.value for item in items if item.system == SYSTEMS[0]]
    assert sorted(mine) == [1.5, 1.5, 2.5, 2.5]
    regenerate_tables(out / "analysis")
    assert "| MMOS ↑ | 2.00 ±" in (out / "analysis" / "table1.md").read_text()


def test_a_rater_s_name_does_no_harm(mmos, tmp_path):
    out, key = mmos
    evil = "<b>\x1b[2J|x*\n# title"
    paths = [*attentive(tmp_path, key), answer(tmp_path / "e.json", key, evil, lambda trial: 5)]
    analyze_listening_test(out, paths)
    text = (out / "analysis" / "analysis.md").read_text()
    assert r"&lt;b>\[2J\|x\*# title: 2" in text
    assert "\x1b" not in text


def test_answers_come_as_lines_and_lists_and_folders(mmos, tmp_path):
    _out, key = mmos
    paths = attentive(tmp_path / "many", key)
    loaded = [json.loads(path.read_text()) for path in paths]
    (tmp_path / "all.jsonl").write_text("\n".join(map(json.dumps, loaded)) + "\n\n")
    (tmp_path / "all.json").write_text(json.dumps(loaded))
    expected = [(s.rater, s.answers, s.seed) for s in read_responses(paths, key)]
    for given in (tmp_path / "all.jsonl", tmp_path / "all.json", tmp_path / "many"):
        found = read_responses([given], key)
        assert [(s.rater, s.answers, s.seed) for s in found] == expected


def test_a_batch_of_mechanical_turk_is_read_by_its_workers(mmos, tmp_path):
    _out, key = mmos
    path = answer(tmp_path / "a.json", key, "", rating(key), seed=3)
    text = path.read_text()
    with (tmp_path / "batch.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["WorkerId", "AssignmentStatus", "Input.set", "Answer.results", "Answer.taskAnswers"]
        )
        writer.writerow(["W1", "Submitted", "0", text, ""])
        writer.writerow(["W2", "Approved", "0", "", json.dumps([{"results": text}])])
        writer.writerow(["W3", "Rejected", "0", text, ""])
    found = read_responses([tmp_path / "batch.csv"], key)
    assert [session.rater for session in found] == ["W1", "W2"]
    assert found[0].answers == found[1].answers
    assert found[0].seed == 3


@pytest.mark.parametrize("kind", ["mmos", "preference"])
def test_webmushra_s_table_is_read_by_rater(kind, tmp_path, request):
    _out, key = request.getfixturevalue(kind)
    choose = rating(key) if kind == "mmos" else preferring(key, system=SYSTEMS[0], lose="1")
    with (tmp_path / "lss.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["session_test_id", "rater", "trial_id", "stimuli_rating", "stimuli", "rating_time"]
        )
        for rater in ("ann", "bob"):
            for trial in key.sets[0]:
                value = choose(trial)
                if kind == "preference":
                    value = "ab"[key.trials[trial].clips.index(value)]
                # webMUSHRA writes spaces around the rating
                writer.writerow([f"{key.test}-0", rater, "trials", f" {value} ", trial, 5000])
    found = read_responses([tmp_path / "lss.csv"], key)
    assert [(session.rater, session.set) for session in found] == [("ann", 0), ("bob", 0)]
    for session in found:
        assert {a.trial: a.value for a in session.answers} == {t: choose(t) for t in key.sets[0]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test": "other"}, "answers test other"),
        ({"rater": " "}, "without a rater"),
        ({"answers": [{"trial": "nope", "answer": 3}]}, "that the test does not have"),
        ({"answers": [{"trial": None, "answer": 6}]}, "6 is no answer"),
        ({"answers": [{"trial": None, "answer": True}]}, "True is no answer"),
        ({"answers": [{"trial": None, "answer": "3"}]}, "'3' is no answer"),
        ({"answers": 3}, "cannot be read"),
    ],
)
def test_answers_that_do_not_fit_are_refused(mmos, tmp_path, change, message):
    _out, key = mmos
    path = answer(tmp_path / "a.json", key, "a", rating(key))
    data = json.loads(path.read_text()) | change
    if isinstance(data["answers"], list):
        for row in data["answers"]:
            row["trial"] = key.sets[0][0] if row["trial"] is None else row["trial"]
    path.write_text(json.dumps(data))
    with pytest.raises(EvaluationError, match=message):
        read_responses([path], key)


@pytest.mark.parametrize(
    ("name", "text"), [("a.json", "{"), ("a.csv", "x,y\n1,2\n"), ("a.txt", "5"), ("b.json", "[3]")]
)
def test_files_that_hold_no_answers_are_named(mmos, tmp_path, name, text):
    _, key = mmos
    (tmp_path / name).write_text(text)
    with pytest.raises(EvaluationError, match=name):
        read_responses([tmp_path / name], key)
    (tmp_path / "empty").mkdir()
    with pytest.raises(EvaluationError, match="holds no"):
        read_responses([tmp_path / "empty"], key)
