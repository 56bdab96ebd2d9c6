"""Values checked against tables and against the parameters of sources, every mistake with its place."""

from __future__ import annotations

import difflib
import inspect
import json
import re
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
Table = TypeVar("Table", bound=BaseModel)
_LONGEST = 60  # characters of a value that is shown
_SECRETS = ("password", "proxy_password", "key", "token")


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """A source to build: the class that `kind` names is called with `settings`."""

    kind: str
    name: str
    settings: Mapping[str, Any]
    file: Document
    keys: tuple[Key, ...]


def checked(model: type[Table], document: Document, folder: Path) -> Table:
    """The values of a file as its table. Raises ConfigError."""
    try:
        return model.model_validate(document.values, context=folder)
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
            table = CredentialTable if is_secret else None
            raise _config_error(error, table, source.file, (*source.keys, key)) from None
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
    found = [_mistake(item, model, document, prefix) for item in error.errors(include_url=False)]
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
        known = _keys(model, keys)
        if len(keys) > 1 and keys[-1] in _keys(model, ()) and keys[-1] not in known:
            remedy = "It belongs to the whole file: write it above the first line that begins with [."
        else:
            remedy = _nearest(str(keys[-1]), known)
        return ConfigError(f"{path}: there is no such key", place=place, remedy=remedy)
    if item["type"] == "missing":
        return ConfigError(f"{path}: this key is needed", place=place, remedy=_FORMS.get(str(keys[-1])))
    if item["type"] in {"model_type", "model_attributes_type", "dict_type"} and str(keys[-1]) in _SECRETS:
        return ConfigError(
            f"{path}: a secret does not belong into this file",
            place=place,
            remedy=f'Store it with `digest secret set NAME` and write {keys[-1]} = {{ keyring = "NAME" }}; '
            "or use { env = … }, { file = … } or { command = … }.",
        )
    if item["type"] in _KINDS:
        what = _KINDS[item["type"]]
        return ConfigError(f"{path}: {what}", place=place, remedy=_expected(str(keys[-1]), item))
    message = str(item["msg"]).removeprefix("Value error, ")
    return ConfigError(f"{path}: {message[0].lower()}{message[1:]}", place=place)


_LISTS = ("list_type", "sequence_str", "tuple_type")

_KINDS = {
    **dict.fromkeys(_LISTS, "this should be a list"),
    "string_type": "this should be a text in quotes",
    "int_type": "this should be a whole number, without quotes",
    "float_type": "this should be a number, without quotes",
    "bool_type": "this should be true or false, without quotes",
    "model_type": "this should be a table",
}

_FORMS = {
    "sources": 'Write [[sources]], and below it kind = "huggingface".',
    "interests": 'Write [[interests]], and below it name = "vision" and keywords = ["Swin"].',
    "name": 'Write name = "me".',
    "kind": 'Write kind = "huggingface", or another kind of source.',
    "from": 'Write from = "Digest <me@example.org>".',
    "url": 'Write url = "https://…".',
    "host": 'Write host = "mail.example.org".',
}


def _expected(key: str, item: Mapping[str, Any]) -> str | None:
    """How a value of another kind is written, with its own words unless they may be a secret's."""
    value = item["input"]
    if item["type"] in _LISTS and isinstance(value, dict) and key in _FORMS:
        return f"Write [[{key}]], with two brackets."
    if item["type"] == "model_type" and isinstance(value, list) and not key.isdecimal():
        return f"Write [{key}], with one bracket, once."
    if item["type"] in _LISTS and isinstance(value, str):
        text = "…" if key == "command" or len(value) > _LONGEST else value
        return f"Write {key} = [{json.dumps(text, ensure_ascii=False)}]."
    if item["type"] == "int_type" and isinstance(value, str) and re.fullmatch(r"\d{1,9}", value):
        return f"Write {key} = {value}."
    return _FORMS.get(key)


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
