"""Finding components: a loader that survives broken plugins, and the registry it returns."""

from __future__ import annotations

import difflib
import importlib.metadata
import logging
import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Literal, overload

import pluggy
from packaging.requirements import InvalidRequirement, Requirement
from pydantic import ValidationError

from orality import hookspecs
from orality.errors import OralityError, PluginError, RecipeError
from orality.protocols import Judge, SpeechLM, SpeechTokenizer, Transcriber, Vocoder
from orality.specs import (
    KINDS,
    ComponentConfig,
    ComponentSpec,
    JudgeSpec,
    SLMSpec,
    TokenizerSpec,
    TranscriberSpec,
    VocoderSpec,
)
from orality.untrusted.validation import listed, mistakes

logger = logging.getLogger(__name__)

ENTRY_POINT_GROUP = "orality"
HOOKS: dict[str, tuple[str, type[ComponentSpec[Any, Any]]]] = {
    "tokenizer": ("orality_tokenizers", TokenizerSpec),
    "slm": ("orality_slms", SLMSpec),
    "vocoder": ("orality_vocoders", VocoderSpec),
    "transcriber": ("orality_transcribers", TranscriberSpec),
    "judge": ("orality_judges", JudgeSpec),
}


def is_local_only() -> bool:
    """Whether ORALITY_LOCAL_ONLY forbids components that send data away."""
    return os.environ.get("ORALITY_LOCAL_ONLY", "").lower() in {"1", "true", "yes", "on"}


@dataclass(frozen=True, slots=True)
class PluginStatus:
    """What became of one plugin. `status`: loaded, disabled, incompatible or broken."""

    name: str
    distribution: str
    version: str
    status: str
    detail: str = ""
    provides: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Component:
    """A spec and where it came from."""

    kind: str
    spec: ComponentSpec[Any, Any]
    distribution: str
    version: str

    def build(self, config: ComponentConfig) -> Any:
        """Build it; PluginError where it needs a package that is not installed."""
        try:
            return self.spec.build(config)
        except OralityError:
            raise
        except ImportError as error:
            raise PluginError(
                f"the {self.kind} {self.spec.name!r} of {self.distribution} {self.version} needs a "
                f"package that is not installed: {error}"
            ) from error


@dataclass(frozen=True, slots=True)
class Registry:
    """Every component that was found, and the fate of every plugin."""

    components: tuple[Component, ...]
    statuses: tuple[PluginStatus, ...]

    def names(self, kind: str) -> list[str]:
        """The names that can be asked for, sorted."""
        return sorted({item.spec.name for item in self.components if item.kind == kind})

    def find(self, kind: str, name: str) -> Component:
        """The component of that kind and name; PluginError says why there is none, or two."""
        if kind not in KINDS:
            raise PluginError(f"there is no component kind {kind!r}; kinds are {', '.join(KINDS)}")
        found = [item for item in self.components if (item.kind, item.spec.name) == (kind, name)]
        if len(found) == 1:
            return found[0]
        if found:
            owners = " and ".join(f"{item.distribution} {item.version}" for item in found)
            raise PluginError(
                f"the {kind} {name!r} is provided by {owners}; uninstall one of them or set "
                "ORALITY_DISABLE_PLUGINS to the entry point of the other"
            )
        raise PluginError(self._why_missing(kind, name))

    def _why_missing(self, kind: str, name: str) -> str:
        names = self.names(kind)
        message = f"no {kind} is called {name!r}; installed: {', '.join(names) or 'none'}"
        close = difflib.get_close_matches(name, names, n=1)
        if close:
            message += f"; did you mean {close[0]!r}?"
        for status in self.statuses:
            if status.status != "loaded":
                message += (
                    f"\n  plugin {status.name!r} of {status.distribution} {status.version} is "
                    f"{status.status}: {status.detail}"
                )
        if not close:
            message += f"\n  a {kind} comes with its own distribution: pip install it first"
        return message

    def configure(self, kind: str, name: str, **config: Any) -> tuple[Component, ComponentConfig]:
        """The component and its validated configuration; RecipeError lists every wrong key.

        PluginError when ORALITY_LOCAL_ONLY=1 and the component would send data away.
        """
        component = self.find(kind, name)
        try:
            settings = component.spec.config(**config)
        except ValidationError as error:
            known = ", ".join(sorted(component.spec.config.model_fields))
            lines = listed(mistakes(error, within=kind))
            raise RecipeError(
                f"the {kind} {name!r} cannot be configured so:{lines}\n  it knows: {known}"
            ) from error
        if is_local_only() and not component.spec.is_local(settings):
            raise PluginError(
                f"the {kind} {name!r} sends data to another machine, and ORALITY_LOCAL_ONLY "
                f"forbids that: choose a local {kind}, or unset ORALITY_LOCAL_ONLY"
            )
        return component, settings

    def build(self, kind: str, name: str, **config: Any) -> Any:
        """The built component."""
        component, settings = self.configure(kind, name, **config)
        return component.build(settings)


def load(
    extra: Iterable[object] = (),
    *,
    entry_points: Iterable[importlib.metadata.EntryPoint] | None = None,
) -> Registry:
    """Collect the components of every installed plugin and of the `extra` plugin objects.

    A plugin that fails is reported in `statuses` and never stops the others. The environment
    variable ORALITY_DISABLE_PLUGINS (names, comma-separated) leaves plugins out, and
    ORALITY_STRICT_PLUGINS=1 turns a broken plugin into a PluginError.
    """
    disabled = {name.strip() for name in os.environ.get("ORALITY_DISABLE_PLUGINS", "").split(",")}
    strict = os.environ.get("ORALITY_STRICT_PLUGINS") == "1"
    if entry_points is None:
        entry_points = importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)
    components: list[Component] = []
    statuses: list[PluginStatus] = []
    for entry_point in entry_points:
        status, found = _load_one(entry_point, disabled, strict)
        statuses.append(status)
        components += found
    for plugin in extra:
        name = getattr(plugin, "__name__", type(plugin).__name__)
        found = _collect(plugin, name, "given")
        components += found
        provides = tuple(f"{item.kind}:{item.spec.name}" for item in found)
        statuses.append(PluginStatus(name, name, "given", "loaded", provides=provides))
    return Registry(tuple(components), tuple(statuses))


def _load_one(
    entry_point: importlib.metadata.EntryPoint, disabled: Collection[str], strict: bool
) -> tuple[PluginStatus, list[Component]]:
    """What became of one plugin, and its components."""
    distribution = entry_point.dist.name if entry_point.dist else "an unknown distribution"
    version = entry_point.dist.version if entry_point.dist else "?"

    def status(name: str, detail: str = "", provides: tuple[str, ...] = ()) -> PluginStatus:
        return PluginStatus(entry_point.name, distribution, version, name, detail, provides)

    if entry_point.name in disabled:
        return status("disabled", "ORALITY_DISABLE_PLUGINS names it"), []
    mismatch = _version_mismatch(entry_point)
    if mismatch:
        return status("incompatible", mismatch), []
    try:
        found = _collect(entry_point.load(), distribution, version)
    except Exception as error:
        detail = f"{type(error).__name__}: {error}"
        if strict:
            raise PluginError(
                f"plugin {entry_point.name!r} of {distribution} {version} is broken: {detail}"
            ) from error
        logger.warning(
            "plugin %r of %s %s is broken and left out: %s",
            entry_point.name, distribution, version, detail,
        )  # fmt: skip
        logger.debug("plugin %r is broken", entry_point.name, exc_info=error)
        return status("broken", detail), []
    provides = tuple(f"{item.kind}:{item.spec.name}" for item in found)
    return status("loaded", provides=provides), found


@overload
def build(kind: Literal["tokenizer"], name: str, **config: Any) -> SpeechTokenizer: ...
@overload
def build(kind: Literal["slm"], name: str, **config: Any) -> SpeechLM: ...
@overload
def build(kind: Literal["vocoder"], name: str, **config: Any) -> Vocoder: ...
@overload
def build(kind: Literal["transcriber"], name: str, **config: Any) -> Transcriber: ...
@overload
def build(kind: Literal["judge"], name: str, **config: Any) -> Judge: ...
@overload
def build(kind: str, name: str, **config: Any) -> Any: ...
def build(kind: str, name: str, **config: Any) -> Any:
    """Build a component: `build("slm", "twist", checkpoint="tiny")`.

    `kind`: tokenizer, slm, vocoder, transcriber or judge. Raises PluginError when it is not
    installed and RecipeError when `config` does not fit it.
    """
    return load().build(kind, name, **config)


def _collect(plugin: object, distribution: str, version: str) -> list[Component]:
    """Call every hook the plugin implements; a misspelled hook or a foreign value is an error."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(plugin)
    manager.check_pending()
    found: list[Component] = []
    for kind, (hook, spec_type) in HOOKS.items():
        for specs in getattr(manager.hook, hook)():
            for spec in specs:
                if not isinstance(spec, spec_type):
                    raise PluginError(
                        f"{hook} yields {type(spec).__name__}, it must yield {spec_type.__name__}"
                    )
                found.append(Component(kind, spec, distribution, version))
    return found


def _version_mismatch(entry_point: importlib.metadata.EntryPoint) -> str:
    """Why this plugin was not made for this orality, read from its metadata without importing."""
    if entry_point.dist is None:
        return ""
    try:
        installed = importlib.metadata.version("orality")
    except importlib.metadata.PackageNotFoundError:
        return ""
    for line in entry_point.dist.requires or []:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if requirement.name != "orality" or not applies:
            continue
        if not requirement.specifier.contains(installed, prereleases=True):
            return f"it wants orality{requirement.specifier}, installed is {installed}"
    return ""
