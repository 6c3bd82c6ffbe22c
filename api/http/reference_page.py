"""A page for people, written from the OpenAPI document."""

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

_METHODS = ("get", "post", "put", "patch", "delete")
_MAX_DEPTH = 8

STYLE = """\
body { font: 16px/1.5 system-ui, sans-serif; color: #222; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code, pre, h2 { font-family: ui-monospace, monospace; }
h2 { font-size: 1.05rem; margin: 2.5rem 0 0.25rem; border-top: 1px solid #ccc; padding-top: 1rem; }
h3 { font-size: 0.95rem; margin: 1rem 0 0.25rem; }
pre { background: #f6f6f6; padding: 0.75rem; overflow-x: auto; font-size: 0.85rem; max-height: 24rem; }
table { border-collapse: collapse; font-size: 0.9rem; }
td { border: 1px solid #ddd; padding: 0.25rem 0.5rem; vertical-align: top; }
@media (prefers-color-scheme: dark) {
  body { background: #181818; color: #ddd; }
  pre { background: #262626; }
  td, h2 { border-color: #444; }
  a { color: #8ab4f8; }
}
"""


def render(openapi: Mapping[str, Any]) -> str:
    """Return the page: every operation with its parameters, body and responses."""
    title = escape(openapi["info"]["title"])
    summary = escape(openapi["info"].get("summary", ""))
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width">',
            f"<title>{title}</title>",
            '<link rel="stylesheet" href="docs/style.css"></head><body>',
            f"<h1>{title}</h1><p>{summary} The same for programs: "
            '<a href="openapi.json">openapi.json</a>.</p>',
            "<p>Calls under <code>/v1/</code> need <code>Authorization: Bearer dk_…</code>, except webhooks "
            "and signed image links.</p>",
            *_operations(openapi),
            "</body></html>",
        ]
    )


def _operations(openapi: Mapping[str, Any]) -> Iterator[str]:
    for path, methods in openapi["paths"].items():
        for method in _METHODS:
            if operation := methods.get(method):
                yield f"<h2>{method.upper()} {escape(path)}</h2>"
                yield f"<p>{escape(operation.get('description', operation.get('summary', '')))}</p>"
                yield from _parameters(operation.get("parameters", ()))
                yield from _bodies("Body", operation.get("requestBody", {}), openapi)
                for status, response in operation["responses"].items():
                    yield from _bodies(f"{status} {response['description']}", response, openapi)


def _parameters(parameters: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not parameters:
        return
    yield "<table>"
    for parameter in parameters:
        need = "required" if parameter.get("required") else "optional"
        cells = (parameter["name"], f"{parameter['in']}, {need}", json.dumps(parameter.get("schema", {})))
        name, place, schema = map(escape, cells)
        yield f"<tr><td><code>{name}</code></td><td>{place}</td><td><code>{schema}</code></td></tr>"
    yield "</table>"


def _bodies(heading: str, holder: Mapping[str, Any], openapi: Mapping[str, Any]) -> Iterator[str]:
    for media_type, content in holder.get("content", {}).items():
        schema = json.dumps(_resolved(content.get("schema", {}), openapi), indent=2)
        yield f"<h3>{escape(heading)}, {escape(media_type)}</h3><pre>{escape(schema)}</pre>"


def _resolved(schema: Any, openapi: Mapping[str, Any], depth: int = 0) -> Any:
    """Return a schema with what it refers to in its place."""
    if isinstance(schema, list):
        return [_resolved(each, openapi, depth) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema and depth < _MAX_DEPTH:
        name = schema["$ref"].rpartition("/")[2]
        return _resolved(openapi["components"]["schemas"][name], openapi, depth + 1)
    return {name: _resolved(value, openapi, depth) for name, value in schema.items()}
