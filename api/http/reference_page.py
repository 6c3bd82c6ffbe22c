"""A page for people, written from the OpenAPI document.

It is whole without scripts. With them, each operation can be tried: `reference_page.js` builds the forms from
what is in `data-operation`.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from shlex import quote
from typing import Any

_METHODS = ("get", "post", "put", "patch", "delete")
_MAX_DEPTH = 8
_PROBLEM = "application/problem+json"

STYLE = Path(__file__).with_suffix(".css").read_text()
SCRIPT = Path(__file__).with_suffix(".js").read_text()


def render(openapi: Mapping[str, Any], *, tries: bool) -> str:
    """Return the page: every operation with its parameters, body, responses and a call with curl.

    tries: whether the calls can be made from the page, which is so where the API is served too.
    """
    title = escape(openapi["info"]["title"])
    summary = escape(openapi["info"].get("summary", ""))
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width">',
            f"<title>{title}</title>",
            '<link rel="stylesheet" href="docs/style.css">',
            *(['<script src="docs/try.js" defer></script>'] if tries else []),
            "</head><body>",
            f"<h1>{title} {escape(openapi['info']['version'])}</h1><p>{summary} The same for programs: "
            '<a href="openapi.json">openapi.json</a>.</p>',
            "<p>Calls under <code>/v1/</code> need <code>Authorization: Bearer dk_…</code>, except webhooks "
            'and signed image links.</p><div id="key"></div>',
            *(line for tag in openapi["tags"] for line in _section(tag, openapi)),
            "</body></html>",
        ]
    )


def _section(tag: Mapping[str, str], openapi: Mapping[str, Any]) -> Iterator[str]:
    yield f"<h2>{escape(tag['name'])}</h2><p>{_text(tag['description'])}</p>"
    for path, methods in openapi["paths"].items():
        for method in _METHODS:
            operation = methods.get(method)
            if operation is not None and tag["name"] in operation["tags"]:
                yield from _operation(method, path, operation, openapi)


def _operation(
    method: str, path: str, operation: Mapping[str, Any], openapi: Mapping[str, Any]
) -> Iterator[str]:
    call = _call(method, path, operation)
    name = escape(operation["operationId"])
    yield f'<section id="{name}" data-operation="{escape(json.dumps(call))}">'
    gone = ' <span class="deprecated">deprecated</span>' if operation.get("deprecated") else ""
    yield f"<h3>{method.upper()} {escape(path)}{gone}</h3>"
    yield f"<p>{_text(operation.get('description', operation.get('summary', '')))}</p>"
    yield from _parameters(operation.get("parameters", ()))
    yield f'<pre class="curl">{escape(_curl(openapi["servers"][0]["url"], call))}</pre>'
    yield from _bodies("Body", operation.get("requestBody", {}), openapi)
    for status, response in operation["responses"].items():
        yield from _bodies(f"{status} {response['description']}", response, openapi)
    yield from _refusals(operation["responses"])
    yield "</section>"


def _text(described: str) -> str:
    """Return a description as HTML: what it has in backquotes is code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(described))


def _call(method: str, path: str, operation: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a call of an operation needs, with its first example."""
    parameters = [
        {key: each.get(key) for key in ("name", "in", "required", "example")}
        for each in operation.get("parameters", ())
    ]
    kinds = operation.get("requestBody", {}).get("content", {})
    media_type = next(iter(kinds), None)
    examples = kinds.get(media_type, {}).get("examples", {})
    body = next((example["value"] for example in examples.values()), None)
    keyed = any("bearer" in way for way in operation.get("security", ()))
    return {
        "method": method.upper(),
        "path": path,
        "parameters": parameters,
        "mediaType": media_type,
        "body": body,
        "keyed": keyed,
    }


def _curl(url: str, call: Mapping[str, Any]) -> str:
    path = call["path"]
    for parameter in call["parameters"]:
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", str(parameter["example"]))
    words = [f"curl -X {call['method']} {quote(url.rstrip('/') + path)}"]
    if call["keyed"]:
        words.append('-H "Authorization: Bearer $API_KEY"')
    if call["mediaType"] == "multipart/form-data":
        words.append("-F file=@image.png")
    elif call["body"] is not None:
        words.append(f"-H {quote('Content-Type: ' + call['mediaType'])}")
        words.append(f"-d {quote(json.dumps(call['body']))}")
    return " \\\n  ".join(words)


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
        if media_type != _PROBLEM:
            schema = json.dumps(_resolved(content.get("schema", {}), openapi), indent=2)
            yield f"<details><summary>{escape(heading)}, {escape(media_type)}</summary>"
            yield f"<pre>{escape(schema)}</pre></details>"


def _refusals(responses: Mapping[str, Any]) -> Iterator[str]:
    """Yield the codes of problem+json by their status."""
    yield "<details><summary>Errors, application/problem+json</summary><table>"
    for status, response in sorted(responses.items()):
        if codes := response.get("content", {}).get(_PROBLEM, {}).get("examples"):
            named = ", ".join(f"<code>{escape(code)}</code>" for code in codes)
            yield f"<tr><td>{status}</td><td>{named}</td></tr>"
    yield "</table></details>"


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
