"""Values checked against tables and against the parameters of sources, every mistake with its place."""

from __future__ import annotations

import difflib
import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from digest.config.document import Document, Key
from digest.config.tables import CredentialTable
from digest.errors import ConfigError
from digest.ports import Secret

T = TypeVar("T")
_SECRETS = ("password", "proxy_password", "key", "token")


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """A source to build: the class that `kind` names is called with `settings`."""

    kind: str
    name: str
    settings: Mapping[str, Any]
    file: Document
    keys: tuple[Key, ...]


def checked(model: type[T], document: Document, folder: Path) -> T:
    """The values of a file as its table. Raises ConfigError."""
    try:
        return TypeAdapter(model).validate_python(document.values, context=folder)
    except ValidationError as error:
        raise _config_error(error, model, document, ()) from None


def call(
    factory: Callable[..., T],
    source: SourceConfig,
    provided: Mapping[str, Callable[[], object]],
    *,
    secret: Callable[[CredentialTable], Secret],
) -> T:
    """Call the class of a source with its settings, checked against its parameters.

    `provided` makes what the program itself gives to a parameter of that name; a parameter annotated
    `Secret` is given what `secret` makes of its table. Raises ConfigError.
    """
    parameters = {
        name: parameter
        for name, parameter in inspect.signature(factory).parameters.items()
        if name != "name" and name not in provided
    }
    for key in source.settings:
        if key not in parameters:
            raise ConfigError(
                f"sources: a source of kind {source.kind!r} has no key {key!r}",
                place=source.file.place((*source.keys, key)),
                remedy=_nearest(key, ["kind", "name", *parameters]),
            )
    missing = [
        name
        for name, parameter in parameters.items()
        if parameter.default is inspect.Parameter.empty and name not in source.settings
    ]
    if missing:
        raise ConfigError(
            f"sources: a source of kind {source.kind!r} needs {', '.join(missing)}",
            place=source.file.place(source.keys),
        )
    hints = typing.get_type_hints(factory.__init__ if inspect.isclass(factory) else factory)
    arguments: dict[str, Any] = {}
    for key, value in source.settings.items():
        hint = hints.get(key, Any)
        is_secret = Secret in (hint, *typing.get_args(hint))
        try:
            checked = TypeAdapter(CredentialTable if is_secret else hint).validate_python(value)
        except ValidationError as error:
            raise _config_error(error, None, source.file, (*source.keys, key)) from None
        arguments[key] = secret(checked) if is_secret else checked
    given: dict[str, Any] = {
        name: make() for name, make in provided.items() if name in inspect.signature(factory).parameters
    }
    try:
        return factory(name=source.name, **arguments, **given)
    except ValueError as error:
        raise ConfigError(f"sources: {error}", place=source.file.place(source.keys)) from error


def _config_error(
    error: ValidationError,
    model: Any,  # noqa: ANN401
    document: Document,
    prefix: tuple[Key, ...],
) -> ConfigError:
    """All mistakes of a file in one error, each with its own place."""
    found = [
        _mistake(item, model, document, prefix)
        for item in error.errors(include_input=False, include_url=False)
    ]
    first, *others = found
    if others:
        first.remedy = "\n".join([first.remedy or "", *map(str, others)]).strip("\n")
    return first


def _mistake(
    item: Mapping[str, Any],
    model: Any,  # noqa: ANN401
    document: Document,
    prefix: tuple[Key, ...],
) -> ConfigError:
    keys = (*prefix, *(key for key in item["loc"] if not str(key).startswith("function-")))
    path = ".".join(str(key) for key in keys)
    place = document.place(keys)
    if item["type"] == "extra_forbidden":
        return ConfigError(
            f"{path}: there is no such key", place=place, remedy=_nearest(str(keys[-1]), _keys(model, keys))
        )
    if item["type"] == "missing":
        return ConfigError(f"{path}: this key is needed", place=place)
    if item["type"] in {"model_type", "model_attributes_type", "dict_type"} and str(keys[-1]) in _SECRETS:
        return ConfigError(
            f"{path}: a secret does not belong into this file",
            place=place,
            remedy=f'Store it with `digest secret set NAME` and write {keys[-1]} = {{ keyring = "NAME" }}; '
            "or use { env = … }, { file = … } or { command = … }.",
        )
    message = str(item["msg"]).removeprefix("Value error, ")
    return ConfigError(f"{path}: {message[0].lower()}{message[1:]}", place=place)


def _keys(model: Any, keys: Sequence[Key]) -> list[str]:  # noqa: ANN401 - pydantic's models are walked
    """The keys that the table around a key may have."""
    for key in keys[:-1]:
        if isinstance(key, str):
            annotation = next(
                (
                    field.annotation
                    for name, field in model.model_fields.items()
                    if key in (name, field.alias)
                ),
                None,
            )
            model = next(
                (part for part in _flat(annotation) if inspect.isclass(part) and issubclass(part, BaseModel)),
                model,
            )
    return [field.alias or name for name, field in model.model_fields.items()]


def _flat(annotation: Any) -> list[Any]:  # noqa: ANN401
    """An annotation and every part of it."""
    return [annotation, *(inner for part in typing.get_args(annotation) for inner in _flat(part))]


def _nearest(key: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f"Did you mean {near[0]}?" if near else f"There are {', '.join(known)}."
