"""Typed configuration: one YAML file read once into frozen dataclasses.

A section is a frozen dataclass. Every key is documented where it is defined, by `option(default, "what it is")`;
`example()` renders the documented example file from the same definitions. An unknown key is an error that names
the key, where it stands, and the nearest valid one.
"""

import dataclasses
import types
import typing
from collections.abc import Mapping
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from pathlib import Path
from typing import Any, TypeVar

from .errors import ConfigError

T = TypeVar("T")
_REQUIRED = object()


def option(default: Any = _REQUIRED, doc: str = "") -> Any:
    """A key of a section with its default (none: the key is required) and its documentation."""
    metadata = {"doc": doc}
    if default is _REQUIRED:
        return dataclasses.field(metadata=metadata)
    if isinstance(default, type) and dataclasses.is_dataclass(default):
        return dataclasses.field(default_factory=default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def load(path: Path, section: type[T]) -> T:
    """Read the YAML file at `path` into `section`. Raises ConfigError."""
    import yaml  # here, because the agent's worker is given its configuration and must stay small

    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"there is no configuration file {path}",
            hint="name another with --config; the command example-config prints one",
        ) from None
    except OSError as error:
        raise ConfigError(f"cannot read the configuration file {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text") from None
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"{path} is not valid YAML{place}: {getattr(error, 'problem', error)}") from None
    return parse({} if document is None else document, section, source=str(path))


def parse(document: object, section: type[T], source: str = "configuration", at: str = "") -> T:
    """Turn a YAML document (plain dicts, lists, scalars) into `section`. Raises ConfigError."""
    where = f"{source}: {at}" if at else source
    if not isinstance(document, Mapping):
        raise ConfigError(f"{where} must be a mapping of keys, not {_describe(document)}")
    hints = typing.get_type_hints(section)
    fields = {f.name: f for f in dataclasses.fields(typing.cast(Any, section))}
    values: dict[str, Any] = {}
    for key, value in document.items():
        if key not in fields:
            import difflib

            near = difflib.get_close_matches(str(key), fields, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"valid keys: {', '.join(sorted(fields))}"
            raise ConfigError(f"{where}: unknown key {key!r}", hint=hint)
        values[key] = _convert(value, hints[key], source, f"{at}.{key}" if at else str(key))
    for name, field in fields.items():
        no_default = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if no_default and name not in values:
            raise ConfigError(f"{where}: the key {name!r} is missing", hint=field.metadata.get("doc", ""))
    try:
        return section(**values)
    except ValueError as error:  # a section's own __post_init__ checks
        raise ConfigError(f"{where}: {error}") from None


def _convert(value: object, hint: Any, source: str, at: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        members = [a for a in typing.get_args(hint) if a is not type(None)]
        if value is None:
            return None
        return _convert(value, members[0], source, at)
    if dataclasses.is_dataclass(hint):
        # a section whose keys are all commented out reads as nothing: it has its defaults
        return parse({} if value is None else value, typing.cast(type, hint), source, at)
    if origin is tuple:
        if not isinstance(value, list):
            raise ConfigError(f"{source}: {at} must be a list, not {_describe(value)}")
        item = typing.get_args(hint)[0]
        return tuple(_convert(v, item, source, f"{at}[{i}]") for i, v in enumerate(value))
    return _scalar(value, hint, source, at)


def _scalar(value: object, hint: Any, source: str, at: str) -> Any:
    def wrong(expected: str) -> ConfigError:
        return ConfigError(f"{source}: {at} must be {expected}, not {_describe(value)}")

    if hint is bool:
        if not isinstance(value, bool):
            raise wrong("true or false")
        return value
    if hint is int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise wrong("a whole number")
        return value
    if hint is float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise wrong("a number")
        return float(value)
    if not isinstance(value, str):
        raise wrong("text")
    if hint is str:
        return value
    if hint is Path:
        return Path(value)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        try:
            return hint(value)
        except ValueError:
            raise wrong("one of " + ", ".join(hint)) from None
    if hint in (IPv4Network, IPv6Network):
        return parse_network(value, hint, f"{source}: {at}")
    if hint in (IPv4Address, IPv6Address):
        try:
            return hint(value)
        except ValueError:
            raise wrong(f"an {'IPv4' if hint is IPv4Address else 'IPv6'} address") from None
    raise TypeError(f"no conversion for {hint!r} at {at}")


def parse_network(text: str, kind: type[T], where: str) -> T:
    """An IPv4Network or IPv6Network; host bits set are an error that names the network that was probably meant."""
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise ConfigError(f"{where}: {text!r} is not a network", hint="write it like 192.168.1.0/24") from None
    if not isinstance(network, kind):
        raise ConfigError(f"{where}: {text!r} is not an {kind.__name__}")
    if str(network) != text and not text.startswith(f"{network.network_address}"):
        raise ConfigError(f"{where}: {text!r} is not a network address", hint=f"did you mean {network}?")
    return network


def _describe(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return repr(value)


def example(section: type[Any], indent: int = 0) -> str:
    """The documented example file of a section: every key with its documentation, defaults commented out."""
    pad = "  " * indent
    hints = typing.get_type_hints(section)
    blocks: list[str] = []
    for field in dataclasses.fields(section):
        lines = [f"{pad}# {line}" for line in field.metadata.get("doc", "").splitlines()]
        hint = hints[field.name]
        if dataclasses.is_dataclass(hint):
            lines += [f"{pad}{field.name}:", example(typing.cast(type, hint), indent + 1)]
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            lines.append(f"{pad}{field.name}: ...  # required")
        else:
            lines.append(f"{pad}# {field.name}: {_yaml_scalar(field.default)}")
        blocks.append("\n".join(lines))
    return "\n".join(blocks)


def _yaml_scalar(value: object) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(str(v) for v in value) + "]"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) or '""'
