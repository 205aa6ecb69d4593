"""Single words in a carrier phrase, and pairs of a word and a non-word that differ in one phoneme.

Every word is heard in training, but in other carriers than the one it is tested in.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Mapping
from functools import cache
from hashlib import blake2b
from typing import Any

from orality.errors import CorpusError
from orality.pretraining.stories.grammar import Split, split_of
from orality.pretraining.stories.pairs import Pair
from orality.pretraining.stories.phones import VOWELS, arpabet
from orality.pretraining.stories.phrases import topics, words

_CARRIERS: Mapping[str, tuple[str, ...]] = {
    "noun": ("the {}.", "my {}.", "this {}.", "our {}.", "her {}.", "that {}."),
    "verb": ("they {}.", "she {}.", "we {}.", "you {}.", "he {}.", "who {}?"),
    "adjective": ("very {}.", "so {}.", "too {}.", "not {}.", "it was {}.", "quite {}."),
}
# More of them, for training alone: a word is learned from many neighbors.
_MORE: Mapping[str, tuple[str, ...]] = {
    "noun": (
        "a {}.", "one {}.", "your {}.", "their {}.", "his {}.", "a big {}.", "I see the {}.",
        "look at the {}.", "it is a {}.", "the {} again.",
    ),
    "verb": (
        "they all {}.", "I {}.", "and {}.", "then they {}.", "the boys {}.", "the girl {}.",
        "the men {}.", "someone {}.",
    ),
    "adjective": (
        "really {}.", "how {}.", "it is {}.", "they were {}.", "he was {}.", "she is {}.",
        "always {}.", "we are {}.",
    ),
}  # fmt: skip
# Sentences of several words of the vocabulary, by their classes.
_SENTENCES = (
    "The {adjective} {noun} {verb}.",
    "My {noun} was {adjective}.",
    "A {adjective} {noun} and a {noun2}.",
    "We saw the {noun} and the {noun2}.",
    "He {verb} with the {noun}.",
    "They were {adjective} and {adjective2}.",
    "I have a {noun} and a {noun2}.",
)
_STRESS = "ˈˌ"
# The full phonemes: reduced sounds are neither changed nor put in. Sounds that speakers of English
# merge count as one.
_PHONEMES = "AIOWYæɑɔɛɪiuʊʌbdfhjklmnpstvwzɡɹŋʃʤʧðθ"
_SAME = str.maketrans(
    {"ᵊ": "ʌ", "ə": "ʌ", "ɐ": "ʌ", "ɜ": "ʌ", "ᵻ": "ɪ", "ɾ": "t", "T": "t", "u": "ʊ", "ɔ": "ɑ"}
)
# A sequence of three phonemes is English when this many pronunciations in the lexicon have it.
_ENGLISH = 15
_SPELLING = {
    "aa": "o", "ae": "a", "ah": "u", "ao": "aw", "aw": "ow", "ay": "igh", "ch": "ch", "dh": "th",
    "eh": "e", "er": "er", "ey": "ay", "hh": "h", "ih": "i", "iy": "ee", "jh": "j", "ng": "ng",
    "ow": "oa", "oy": "oy", "sh": "sh", "th": "th", "uh": "oo", "uw": "oo", "y": "y", "zh": "zh",
}  # fmt: skip


def vocabulary() -> dict[str, str]:
    """The words that are tested, each with its class: "noun", "verb" or "adjective"."""
    lists = words()
    nouns = [one for one, _ in lists.beings + lists.things] + list(lists.more_nouns)
    nouns += [one for topic in topics() for one, _ in topic.objects if " " not in one]
    verbs = [forms[3] for forms in lists.verbs + lists.transitive] + list(lists.more_verbs)
    adjectives = lists.adjectives + lists.moods + lists.more_adjectives
    found: dict[str, str] = {}
    for kind, group in (("noun", nouns), ("verb", verbs), ("adjective", adjectives)):
        for word in group:
            found.setdefault(word, kind)
    return found


def carriers(word: str, kind: str, split: Split) -> list[str]:
    """The carriers of a word in a split: one for test, one for dev, by its hash; the others for
    training."""
    every = _CARRIERS[kind]
    first = blake2b(word.encode(), digest_size=1).digest()[0] % len(every)
    turned = every[first:] + every[:first]
    if split == "test":
        return [turned[0]]
    if split == "dev":
        return [turned[1]]
    return [*turned[2:], *_MORE[kind]] if split == "train" else []


def single_words(split: Split) -> list[str]:
    """Sentences of one word in its carriers, and in training also alone: "My kite.", "Kite."."""
    texts: dict[str, None] = {}
    for word, kind in vocabulary().items():
        for carrier in carriers(word, kind, split):
            texts[_sentence(carrier.format(word))] = None
        if split == "train":
            texts[f"{word.capitalize()}."] = None
    return list(texts)


def word_sentences(rng: random.Random, count: int, split: Split) -> list[str]:
    """`count` different sentences of the split that hold several words of the vocabulary."""
    kinds: dict[str, list[str]] = {"noun": [], "verb": [], "adjective": []}
    for word, kind in vocabulary().items():
        kinds[kind].append(word)
    texts: dict[str, None] = {}
    while len(texts) < count:
        drawn = {f"{kind}{n}": rng.choice(kinds[kind]) for kind in kinds for n in ("", "2")}
        text = _sentence(rng.choice(_SENTENCES).format(**drawn))
        if split_of(text) == split:
            texts[text] = None
    return list(texts)


def _sentence(text: str) -> str:
    """With a capital in front, and "an" where a vowel follows."""
    text = re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", text)
    return text[0].upper() + text[1:]


def word_pairs(rng: random.Random, count: int, split: Split) -> list[Pair]:
    """`count` pairs like "the kite." and "the [kipe](/kˈIp/).", evenly over the vocabulary.

    The non-word has one phoneme changed for another of its kind, is in no lexicon of the hibari
    voice, and holds only phoneme sequences that English words have. CorpusError without hibari-tts.
    """
    lexicon = _lexicon()
    rivals: dict[str, list[str]] = {}
    for word in vocabulary():
        own = lexicon.pronounce(word)
        found = lexicon.neighbors(own)
        if len(arpabet(own)) >= 3 and found:
            rng.shuffle(found)
            rivals[word] = found
    pairs: list[Pair] = []
    while len(pairs) < count:
        order = [w for w in rivals if rivals[w]]
        if not order:
            raise CorpusError(
                f"only {len(pairs)} of {count} non-words can be made from the vocabulary"
            )
        rng.shuffle(order)
        for word in order[: count - len(pairs)]:
            kind = vocabulary()[word]
            rival = rivals[word].pop()
            carrier = carriers(word, kind, split)[0]
            marked = f"[{spell(rival)}](/{rival}/)"
            pairs.append(
                Pair(
                    "word",
                    carrier.format(word).capitalize(),
                    carrier.format(marked)[0].upper() + carrier.format(marked)[1:],
                    kind,
                    group=word,
                )
            )
    return pairs


def spell(phonemes: str) -> str:
    """A readable spelling of a word in misaki's alphabet."""
    return "".join(_SPELLING.get(p, p) for p in arpabet(phonemes))


class _Lexicon:
    """All pronunciations in the hibari voice's dictionaries, and their sequences of phonemes."""

    def __init__(self) -> None:
        try:
            from hibari.g2p import G2P
        except ImportError as error:
            raise CorpusError(
                "non-words need the lexicon of hibari-tts, which is not installed: "
                'pip install "orality[stories]"'
            ) from error
        self._g2p: Any = G2P()
        lexicon = self._g2p.lexicon
        self._known: set[str] = set()
        self._trigrams: Counter[str] = Counter()
        for entries in (lexicon.golds.d, lexicon.silvers.d):
            for entry in entries.values():
                for sound in entry.values() if isinstance(entry, dict) else (entry,):
                    if sound:
                        bare = plain(sound)
                        self._known.update((bare, *inflected(bare)))
                        self._trigrams.update(_trigrams(bare))

    def pronounce(self, word: str) -> str:
        """The word's phonemes, with stress."""
        sound: str = self._g2p(word)
        return sound

    def neighbors(self, sound: str) -> list[str]:
        """Non-words that differ from the sound in one phoneme."""
        found: list[str] = []
        for i, old in enumerate(sound):
            if old not in _PHONEMES:
                continue
            for new in _PHONEMES:
                rival = sound[:i] + new + sound[i + 1 :]
                same_kind = (arpabet(old)[0] in VOWELS) == (arpabet(new)[0] in VOWELS)
                if (
                    same_kind
                    and arpabet(rival) != arpabet(sound)
                    and self._is_nonword(plain(rival))
                ):
                    found.append(rival)
        return found

    def _is_nonword(self, bare: str) -> bool:
        return bare not in self._known and all(
            self._trigrams[t] >= _ENGLISH for t in _trigrams(bare)
        )


def plain(sound: str) -> str:
    """A pronunciation without stress and with sounds that may be merged written alike."""
    return "".join(s for s in sound if s not in _STRESS).translate(_SAME).replace("iɹ", "ɪɹ")


def inflected(bare: str) -> tuple[str, str]:
    """The sounds of a word with -s and with -ed: the dictionaries leave regular forms out."""
    last = bare[-1]
    plural = "ɪz" if last in "szʃʒʧʤ" else "s" if last in "ptkfθ" else "z"
    past = "ɪd" if last in "td" else "t" if last in "pkfθsʃʧ" else "d"
    return bare + plural, bare + past


def _trigrams(bare: str) -> list[str]:
    padded = f"#{bare}#"
    return [padded[i : i + 3] for i in range(len(padded) - 2)]


@cache
def _lexicon() -> _Lexicon:
    return _Lexicon()
