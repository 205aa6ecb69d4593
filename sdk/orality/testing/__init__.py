"""For plugin authors: conformance suites to subclass, and toy components to test against.

The suites need pytest, the toy components do not, so the suites are imported when first named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orality.testing.conformance import (
        JudgeTests,
        SLMTests,
        TokenizerTests,
        TranscriberTests,
        VocoderTests,
    )

__all__ = ["JudgeTests", "SLMTests", "TokenizerTests", "TranscriberTests", "VocoderTests"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from orality.testing import conformance

    return getattr(conformance, name)
