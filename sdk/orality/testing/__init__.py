"""For plugin authors: conformance suites to subclass, and toy components to test against."""

from orality.testing.conformance import (
    JudgeTests,
    SLMTests,
    TokenizerTests,
    TranscriberTests,
    VocoderTests,
)

__all__ = ["JudgeTests", "SLMTests", "TokenizerTests", "TranscriberTests", "VocoderTests"]
