"""JSON and YAML that may come from anybody: bounded in size, nesting and unfolding.

Whatever is wrong with a document becomes one error of the caller's choice that names the document.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from orality.errors import OralityError

__all__ = ["load_json", "load_yaml", "read_json", "read_text", "read_yaml"]

MOST_BYTES = 64 << 20
MOST_YAML_BYTES = 4 << 20
MOST_LEVELS = 100  # of lists and mappings inside each other
MOST_VALUES = 200_000  # that a YAML document stands for once its anchors are unfolded

_MARKS = {  # the longer ones first: UTF-32's begins as UTF-16's does
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}

# The C loader refuses what the pure one does; the pure one is the fallback where libyaml is absent.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_text(path: Path, raises: type[OralityError], *, most_bytes: int = MOST_BYTES) -> str:
    """A text file of at most `most_bytes`, in UTF-8 or what its byte order mark says.

    `raises` names the file that cannot be read, is larger, or is in another encoding.
    """
    try:
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
    except OSError as error:
        raise raises(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > most_bytes:
        raise raises(f"{path} has over {most_bytes:,} bytes, which is more than is read")
    encoding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise raises(
            f"{path} cannot be read as {encoding.upper()}: {error}; save it as UTF-8"
        ) from error
    if encoding == "utf-8" and "\0" in text:
        raise raises(f"{path} holds NUL characters: it is not UTF-8 text; save it as UTF-8")
    return text


def load_json(text: str | bytes, name: object, raises: type[OralityError]) -> Any:
    """The value of a JSON text; `raises` says what is wrong with the document called `name`."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise raises(f"{name} cannot be read as JSON: {error}") from error
    plain = text.decode("latin-1") if isinstance(text, bytes) else text
    if plain.count("[") + plain.count("{") > MOST_LEVELS:
        _check_levels(value, name, raises)
    return value


def read_json(path: Path, raises: type[OralityError]) -> Any:
    """The value of a JSON file; `raises` names the file and what is wrong with it."""
    return load_json(read_text(path, raises), path, raises)


def load_yaml(text: str, name: object, raises: type[OralityError]) -> Any:
    """The value of a YAML text, of plain data alone.

    `raises` also for a key that is there twice, for more than `MOST_LEVELS` levels, and for anchors
    that hold themselves or unfold to more than `MOST_VALUES` values.
    """
    try:
        levels = 0
        for event in yaml.parse(text, Loader=_LOADER):  # stops early: deep nesting takes long
            levels += isinstance(event, yaml.CollectionStartEvent)
            levels -= isinstance(event, yaml.CollectionEndEvent)
            if levels > MOST_LEVELS:
                raise raises(f"{name} is nested more than {MOST_LEVELS} levels deep")
        loader = _LOADER(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _check_nodes(node, name, raises)
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise raises(f"{name} cannot be read as plain YAML: {error}") from error


def read_yaml(path: Path, raises: type[OralityError]) -> Any:
    """The value of a YAML file; `raises` names the file and what is wrong with it."""
    return load_yaml(read_text(path, raises, most_bytes=MOST_YAML_BYTES), path, raises)


def _check_levels(value: Any, name: object, raises: type[OralityError]) -> None:
    layer, levels = [value], 0
    while layer := [item for item in layer if isinstance(item, dict | list)]:
        levels += 1
        if levels > MOST_LEVELS:
            raise raises(f"{name} is nested more than {MOST_LEVELS} levels deep")
        layer = [item for held in layer for item in _items(held)]


def _items(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _check_nodes(root: Any, name: object, raises: type[OralityError]) -> None:
    """Count what the nodes stand for, each aliased one as often as it is named."""
    counted: dict[int, int] = {}
    left = [(root, False)]
    open_nodes: set[int] = set()
    while left:
        node, counts = left.pop()
        if counts:  # all its children are counted
            open_nodes.discard(id(node))
            total = 1 + sum(counted[id(child)] for child in _children(node))
            if total > MOST_VALUES:
                raise raises(f"{name} unfolds to more than {MOST_VALUES:,} values")
            counted[id(node)] = total
        elif id(node) in open_nodes:
            raise raises(f"{name} has an anchor that holds itself{_line(node)}")
        elif id(node) not in counted:
            _check_keys(node, name, raises)
            open_nodes.add(id(node))
            left.append((node, True))
            left += [(child, False) for child in _children(node)]


def _children(node: Any) -> list[Any]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _check_keys(node: Any, name: object, raises: type[OralityError]) -> None:
    if not isinstance(node, yaml.MappingNode):
        return
    lines: dict[tuple[str, str], int] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        line, which = key.start_mark.line + 1, (key.tag, key.value)
        if which in lines:
            raise raises(
                f"{name} has the key {key.value!r} twice, in lines {lines[which]} and {line}; "
                "keep one of them"
            )
        lines[which] = line


def _line(node: Any) -> str:
    return f" (line {node.start_mark.line + 1})"
