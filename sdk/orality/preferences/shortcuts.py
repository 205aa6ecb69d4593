"""Shortcuts: rules that order a pair without listening to it, to compare a policy's accuracy with.

A policy whose dev accuracy is no higher than a shortcut's may have learned nothing but that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from orality.preferences.ties import draw_shares
from orality.types import PreferencePair

Rule = Callable[[PreferencePair], float | None]


def shortcut_accuracies(pairs: Sequence[PreferencePair]) -> dict[str, float]:
    """The accuracy of each shortcut on the pairs, in [0, 1], where a tie counts half.

    `longer_wins`: the side of more units. `likelier_wins`: the side of the higher reference
    log-probability per unit. `fewer_repeats_wins`: the side of the lower auto-BLEU. Pairs that do
    not say what a rule needs are left out of it; a rule without pairs is left out of the result.
    Alternatives of one draw share the weight of one pair.
    """
    shares = draw_shares(pairs)
    found = {}
    for name, lead in _RULES.items():
        known = [
            (share, ahead)
            for share, pair in zip(shares, pairs, strict=True)
            if (ahead := lead(pair)) is not None
        ]
        if known:
            won = sum(share * _points(ahead) for share, ahead in known)
            found[name] = won / sum(share for share, _ in known)
    return found


def _points(ahead: float) -> float:
    return 0.5 if ahead == 0 else float(ahead > 0)


def _longer(pair: PreferencePair) -> float:
    return float(len(pair.chosen) - len(pair.rejected))


def _likelier(pair: PreferencePair) -> float | None:
    if pair.reference_chosen is None or pair.reference_rejected is None:
        return None
    if not len(pair.chosen) or not len(pair.rejected):
        return None
    chosen = pair.reference_chosen / len(pair.chosen)
    return chosen - pair.reference_rejected / len(pair.rejected)


def _fewer_repeats(pair: PreferencePair) -> float | None:
    chosen, rejected = (pair.metadata.get(f"{s}_auto_bleu") for s in ("chosen", "rejected"))
    return None if chosen is None or rejected is None else float(rejected) - float(chosen)


_RULES: dict[str, Rule] = {
    "longer_wins": _longer,
    "likelier_wins": _likelier,
    "fewer_repeats_wins": _fewer_repeats,
}
