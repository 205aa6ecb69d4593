import pytest

from orality.audio import AudioLimits
from orality.corpus import Utterance
from orality.corpus.recording import FileSlice
from orality.feedback import collect_prompts
from orality.feedback.schemas import PROMPTS
from orality.store import put_shard, shard_path


def collect(folder, splits, limits, skipped=None):
    corpus = [
        Utterance(f"u{place}", FileSlice(b"none"), None, (), split, "en", AudioLimits())
        for place, split in enumerate(splits)
    ]

    def cut(chunks):
        for chunk in chunks:
            rows = [
                dict.fromkeys(PROMPTS.names)
                | {"id": corpus[item].id, "skipped": skipped, "unreadable": False}
                for item in chunk.items
            ]
            put_shard(shard_path(folder, chunk.shard), rows, PROMPTS)

    return collect_prompts(
        corpus, folder=folder, cut=cut, limits=limits, shard_size=4, max_failures=0.5, seed=0
    )


@pytest.mark.parametrize(
    ("splits", "limits", "announced"),
    [
        (["train"] * 3, {}, ["dev", "test"]),
        (["train", "dev"], {}, ["test"]),
        (["dev", "test"], {}, ["train"]),
        (["train", "dev"], {"test": 0}, []),
        (["train", "dev", "test"], {}, []),
    ],
)
def test_a_split_of_nothing_is_announced_once(tmp_path, caplog, splits, limits, announced):
    collect(tmp_path / "prompts", splits, limits)
    said = [record.getMessage() for record in caplog.records]
    assert [s for s in ("train", "dev", "test") if sum(f"'{s}'" in m for m in said)] == announced
    assert len(said) == len(announced)


def test_utterances_in_another_language_are_counted_and_the_way_out_is_named(tmp_path):
    with pytest.raises(Exception, match=r"none of the 2 .*other_languages: keep"):
        collect(
            tmp_path / "prompts", ["train"] * 2, {"dev": 0, "test": 0}, "its language is 'pl', no"
        )
