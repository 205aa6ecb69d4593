"""Names, counts and files from elsewhere that must not be believed."""

from __future__ import annotations

import stat

import pytest

from orality import CheckpointError, JudgeError
from orality.judging import Answer, AnswerCache, Asking, Budget, Question, Usage
from orality.judging.answers import Then, failure_of_status, retry_after
from orality.tracking.options import MlflowOptions
from orality.weights.resolve import parse

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    "name", ["a/b@main", "a/b@v1", f"../../x@{COMMIT}", f"a/b@{COMMIT[:-1]}", f"a/b/c@{COMMIT}"]
)
def test_a_name_of_the_hub_without_a_whole_commit_is_refused(name):
    with pytest.raises(CheckpointError, match="OWNER/NAME@COMMIT"):
        parse(f"hub:{name}")


def test_a_name_of_the_hub_with_its_commit_is_taken():
    (source,) = parse(f"hub:a/b@{COMMIT}").sources
    assert (source.repository, source.revision) == ("a/b", COMMIT)


@pytest.mark.parametrize("uri", ["databricks", "databricks://profile", "databricks-uc"])
def test_databricks_is_not_this_machine(uri):
    assert not MlflowOptions(name="mlflow", tracking_uri=uri).is_local
    assert MlflowOptions(name="mlflow", tracking_uri="sqlite:///own.db").is_local


@pytest.mark.parametrize("code", ["insufficient_quota", "billing_not_active"])
def test_an_account_that_cannot_pay_is_no_rate_limit(code):
    failure = failure_of_status(429, "no", {}, code=code)
    assert (failure.retry, failure.then) == (False, Then.STOP)
    assert "billing" in failure.reason
    assert failure_of_status(429, "slowly", {}).retry


def test_absurd_counts_and_dates_are_none():
    assert [Usage(n, 1).is_possible for n in (7, -1, 10**400)] == [True, False, False]
    assert retry_after({"retry-after": "Fri, 31 Dec 9999999 23:59:59 GMT"}) is None


def test_only_its_owner_reads_the_cache_of_answers(tmp_path, monkeypatch):
    monkeypatch.setenv("ORALITY_CACHE", str(tmp_path / "cache"))
    cache = AnswerCache(None, name="own")
    cache.add("k", Answer(3.0, "said", Usage(1, 1)), 0.0)
    files = list(cache.path.parent.glob("own.sqlite*"))
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE(cache.path.parent.stat().st_mode) == 0o700


def test_replies_without_a_score_stop_the_run_with_their_reason(tmp_path):
    asked = []
    asking = Asking(
        name="j", cache=AnswerCache(tmp_path / "c", name="j"), budget=Budget(None, lambda: 0.0),
        concurrency=1, max_failures=3,
    )  # fmt: skip

    def call(question):
        asked.append(question.key)
        return Answer(None, "", Usage(1, 1), "the reply was cut")

    questions = [Question(str(n), "{}", "en", Usage(1, 1)) for n in range(9)]
    with pytest.raises(JudgeError, match="3 items in a row.*the reply was cut"):
        asking.ask(questions, call)
    assert len(asked) == 3
