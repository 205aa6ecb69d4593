"""One phone set for all voices: the 39 ARPAbet phones in lower case, and "pau" for silence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

PAUSE = "pau"
PHONES: tuple[str, ...] = (
    "aa", "ae", "ah", "ao", "aw", "ay", "b", "ch", "d", "dh", "eh", "er", "ey", "f", "g", "hh",
    "ih", "iy", "jh", "k", "l", "m", "n", "ng", "ow", "oy", "p", "r", "s", "sh", "t", "th", "uh",
    "uw", "v", "w", "y", "z", "zh", PAUSE,
)  # fmt: skip
VOWELS = frozenset(p for p in PHONES if p[0] in "aeiou")

Span = tuple[str, float, float]  # (name, start, end) in seconds

_MISAKI = {
    "A": "ey", "I": "ay", "O": "ow", "Q": "ow", "W": "aw", "Y": "oy", "æ": "ae", "a": "ae",
    "ɑ": "aa", "ɒ": "aa", "ɔ": "ao", "ə": "ah", "ᵊ": "ah", "ɐ": "ah", "ʌ": "ah", "ɚ": "er",
    "ɜ": "er", "ɛ": "eh", "i": "iy", "ɪ": "ih", "ᵻ": "ih", "u": "uw", "ʊ": "uh", "b": "b", "d": "d",
    "f": "f", "h": "hh", "j": "y", "k": "k", "l": "l", "m": "m", "n": "n", "p": "p", "s": "s",
    "t": "t", "v": "v", "w": "w", "z": "z", "ɡ": "g", "ɹ": "r", "ɾ": "d", "T": "d", "ʔ": "t",
    "ŋ": "ng", "ʃ": "sh", "ʒ": "zh", "ʤ": "jh", "ʧ": "ch", "ð": "dh", "θ": "th", "x": "k",
}  # fmt: skip
_STRESS = "ˈˌ"
_FLITE = {
    "ax": "ah", "axr": "er", "ix": "ih", "el": "l", "em": "m", "en": "n", "dx": "d", "nx": "n",
    "hv": "hh", "ux": "uw", "h#": PAUSE, "brth": PAUSE, "ssil": PAUSE,
}  # fmt: skip
# A word gap at least this long is heard as a pause; a shorter one belongs to its neighbors.
_SHORTEST_PAUSE = 0.08


def arpabet(misaki: str) -> list[str]:
    """The ARPAbet phones of one word in misaki's alphabet; stress is dropped, schwa + r is "er"."""
    return [name for name, _, _ in phone_spans(misaki, [0.1] * len(misaki))[0] if name != PAUSE]


def phone_spans(
    symbols: str, seconds: Sequence[float]
) -> tuple[list[Span], list[tuple[float, float]]]:
    """Phone spans, and (start, end) per word, of misaki's symbols that last `seconds` each.

    Stress marks lengthen the phone that follows, length marks the one before; punctuation and long
    spaces become "pau". Words are the stretches between spaces.
    """
    phones: list[Span] = []
    words: list[tuple[float, float]] = []
    word: tuple[float, float] | None = None
    now = pending = 0.0
    after_schwa = False
    for symbol, length in zip(symbols, seconds, strict=True):
        start, now = now - pending, now + length
        if symbol in _STRESS:
            pending += length
            continue
        pending = 0.0
        name = _MISAKI.get(symbol)
        if symbol == "ɹ" and phones and phones[-1][0] in ("er", "ah") and word and after_schwa:
            phones[-1] = ("er", phones[-1][1], now)
            word = (word[0], now)
        elif name:
            phones.append((name, start, now))
            word = (word[0] if word else start, now)
        elif symbol == "ː" and phones:
            phones[-1] = (*phones[-1][:2], now)
            word = (word[0] if word else start, now)
        else:
            phones.append((PAUSE, start, now))
            if symbol == " " and word:
                words.append(word)
                word = None
        after_schwa = symbol in "ɜəɚᵊ"
    if word:
        words.append(word)
    return _without_short_pauses(phones), words


def from_flite(name: str) -> str:
    """The phone for one of flite's names."""
    return _FLITE.get(name, name)


def _without_short_pauses(phones: Iterable[Span]) -> list[Span]:
    """Neighboring pauses joined; those too short to be one shared out between their neighbors."""
    joined: list[Span] = []
    for name, start, end in phones:
        if name == PAUSE and joined and joined[-1][0] == PAUSE:
            joined[-1] = (PAUSE, joined[-1][1], end)
        else:
            joined.append((name, start, end))
    kept: list[Span] = []
    for i, (name, start, end) in enumerate(joined):
        inside = 0 < i < len(joined) - 1
        if name == PAUSE and inside and end - start < _SHORTEST_PAUSE:
            middle = (start + end) / 2
            kept[-1] = (*kept[-1][:2], middle)
            following = joined[i + 1]
            joined[i + 1] = (following[0], middle, following[2])
        else:
            kept.append((name, start, end))
    return kept
