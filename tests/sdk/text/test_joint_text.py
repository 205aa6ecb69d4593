import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from orality.text.joint_text import joint_ids

WORDS = ["my", "old", "kite", "flew", "off"]


def sentencepiece():
    """Like Llama's: a space before whatever it is given, and spaces inside the tokens."""
    vocab, merges = {"<unk>": 0, "\u2581": 1}, []
    for letter in sorted(set("".join(WORDS))):
        vocab[letter] = len(vocab)
    for word in WORDS:
        made = "\u2581"
        for letter in word:
            merges.append((made, letter))
            made += letter
            vocab.setdefault(made, len(vocab))
    found = Tokenizer(models.BPE(vocab, list(dict.fromkeys(merges)), unk_token="<unk>"))
    found.normalizer = normalizers.Sequence(
        [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]
    )
    return PreTrainedTokenizerFast(tokenizer_object=found, unk_token="<unk>")


def by_word():
    vocab = {"<unk>": 0} | {word: place for place, word in enumerate(WORDS, start=1)}
    found = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    found.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=found, unk_token="<unk>")


class InPython:
    """A tokenizer that cannot say where its tokens are."""

    is_fast = False

    def __init__(self, made):
        self._made = made

    def __call__(self, text, add_special_tokens):
        return {"input_ids": self._made(text, add_special_tokens=False)["input_ids"]}


@pytest.mark.parametrize("wrap", [lambda made: made, InPython], ids=["offsets", "prefix"])
@pytest.mark.parametrize("make", [sentencepiece, by_word])
def test_prompt_and_text_have_the_tokens_of_the_joint_text(make, wrap):
    tokenizer = make()
    whole = tokenizer("my old kite flew off", add_special_tokens=False)["input_ids"]
    before, own = joint_ids(wrap(tokenizer), " my old ", "kite flew off ")
    assert before + own == whole
    assert len(own) == 3


def test_a_text_alone_and_an_empty_one_have_their_own_tokens():
    tokenizer = by_word()
    assert joint_ids(tokenizer, "", "old kite") == ([], [2, 3])
    assert joint_ids(tokenizer, "old kite", " ") == ([2, 3], [])


def test_a_token_across_the_border_belongs_to_the_text():
    vocab = {"<unk>": 0, "我": 1, "去": 2, "了": 3, "去了": 4}
    made = Tokenizer(models.BPE(vocab, [("去", "了")], unk_token="<unk>"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>")
    assert joint_ids(tokenizer, "我去", "了") == ([1], [4])
