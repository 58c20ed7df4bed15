"""The reference of the REST API, from the document that the panel itself serves (OpenAPI)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from typing import Any

from pregao.settings import keep_quiet, settings

Json = dict[str, Any]

_HEAD = """\
# The REST API

What the panel's page uses, and what a script may. The panel serves the same as OpenAPI at `/api/openapi.json`. Bodies
and answers are JSON. Where the panel asks for a password, a script sends a token (`pregao token`) as
`Authorization: Bearer …`.

```sh
curl http://127.0.0.1:7860{example}
```
"""


def document() -> Json:
    """The OpenAPI document of the panel, made in a folder of its own so that it sees no data."""
    keep_quiet()
    home = os.environ.get("PREGAO_HOME")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PREGAO_HOME"] = folder
        settings.cache_clear()
        try:
            from pregao_ui.app import create_app

            made: Json = create_app().openapi()
        finally:
            os.environ.pop("PREGAO_HOME")
            if home is not None:
                os.environ["PREGAO_HOME"] = home
            settings.cache_clear()
    return made


def page(made: Json | None = None) -> str:
    """The page of a document (the panel's unless given) as Markdown: routes by subject, then their shapes."""
    made = made or document()
    example = next(path for path in made["paths"] if path.endswith("/health"))
    parts = [_HEAD.format(example=example)]
    subjects: dict[str, list[str]] = {}
    for path, operations in made["paths"].items():
        for method, operation in operations.items():
            [subject, *_] = operation.get("tags") or ["other"]
            subjects.setdefault(subject, []).append("\n".join(_operation(method, path, operation)))
    for subject, told in subjects.items():
        parts += [f"## {subject.capitalize()}\n", *told]
    parts.append("## Shapes\n")
    for name, schema in sorted(made["components"]["schemas"].items()):
        parts.append("\n".join(_shape(name, schema)))
    return "\n".join(parts)


def _operation(method: str, path: str, operation: Json) -> Iterator[str]:
    yield f"### {method.upper()} `{path}`\n"
    yield _text(operation.get("description", "")) + "\n"
    if parameters := operation.get("parameters"):
        yield "| parameter | in | type | default | |"
        yield "|---|---|---|---|---|"
        for one in parameters:
            default = "required" if one.get("required") else _value(one["schema"])
            told = _cell(one.get("description", ""))
            yield f"| `{one['name']}` | {one['in']} | {_type(one['schema'])} | {default} | {told} |"
        yield ""
    if body := operation.get("requestBody"):
        yield f"Body: {_content(body)}\n"
    by_content: dict[str, list[str]] = {}
    for status, answer in operation["responses"].items():
        by_content.setdefault(_content(answer), []).append(status)
    answers = [f"{', '.join(statuses)} {content}".strip() for content, statuses in by_content.items()]
    yield f"Answers: {'; '.join(answers)}\n"


def _shape(name: str, schema: Json) -> Iterator[str]:
    yield f"### {name}\n"
    if schema.get("description"):
        yield _text(schema["description"]) + "\n"
    if "enum" in schema:
        yield ", ".join(f"`{value}`" for value in schema["enum"]) + "\n"
    if properties := schema.get("properties"):
        needed = set(schema.get("required", ()))
        yield "| field | type | default | |"
        yield "|---|---|---|---|"
        for field, inner in properties.items():
            default = "required" if field in needed else _value(inner)
            yield f"| `{field}` | {_type(inner)} | {default} | {_cell(inner.get('description', ''))} |"
        yield ""


def _content(holder: Json) -> str:
    """What a body or an answer holds, as types with links; its media types where they are not JSON."""
    told = []
    for media, inner in holder.get("content", {}).items():
        schema = inner.get("schema") or {}
        told.append(_type(schema) if media == "application/json" and schema else f"`{media}`")
    return " or ".join(told)


def _type(schema: Json) -> str:
    """A type in a few words, with links to the shapes."""
    if reference := schema.get("$ref"):
        name = reference.rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            return " or ".join(_type(inner) for inner in schema[word])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    kind = schema.get("type", "anything")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    limits = [f"{sign} {schema[key]:g}" for key, sign in _LIMITS.items() if key in schema]
    return " ".join((kind, *limits))


_LIMITS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def _value(schema: Json) -> str:
    default = schema.get("default")
    return "–" if default is None or default == "" else f"`{default}`"


def _text(text: str) -> str:
    return text.replace("``", "`").strip()


def _cell(text: str) -> str:
    return " ".join(_text(text).split()).replace("|", "\\|")
