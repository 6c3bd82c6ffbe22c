"""Examples of requests and responses in the description of the API.

tests/integration/api/test_examples.py sends every request to a running service, with real ids in place of
these.
"""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from api.http import batch_examples, credit_examples, key_examples, operator_examples, webhook_examples
from api.http.problems import problem_body, status_of
from domain.errors import ServiceError, every_error

GENERATION_ID = "gen_01a219b34dc62c1c11e4f67917192003"
FILE_ID = "file_01a219b2f0a95d07b7d2c4e86f1a3b5c"
_DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_ADDRESS = f"https://api.example.com/v1/generations/{GENERATION_ID}"
_WATCHING = f"wt_0a1b2c3d.1796249600.{'5f' * 32}"
_MOMENTS = {
    "created_at": "2026-11-26T20:15:02.418Z",
    "queued_at": "2026-11-26T20:15:02.457Z",
    "processing_at": "2026-11-26T20:15:02.731Z",
    "finished_at": "2026-11-26T20:15:06.102Z",
}

# By the name of a parameter in a path or a query.
PARAMETERS: Mapping[str, Any] = {
    **operator_examples.PARAMETERS,
    **webhook_examples.PARAMETERS,
    **key_examples.PARAMETERS,
    **credit_examples.PARAMETERS,
    **batch_examples.PARAMETERS,
    "generation_id": GENERATION_ID,
    "file_id": FILE_ID,
    "model_id": "flux-schnell",
    "index": 0,
    "provider": "fal",
    "token": "1.0.Zm9yZ2Vk",
    "limit": 20,
    "status": "completed",
    "model": "flux-schnell",
    "created_after": "2026-11-26T00:00:00Z",
    "created_before": "2026-11-27T00:00:00Z",
    "q": "lighthouse dusk",
    "sort": "-cost",
    "live": False,
    "Idempotency-Key": "order-4711",
    "Prefer": "wait=30",
    "wait": 0,
}
# By the id of an operation, and by a name of their own. Those that are no success of anybody are not here.
BODIES: Mapping[str, Mapping[str, Any]] = {
    **webhook_examples.BODIES,
    **key_examples.BODIES,
    **credit_examples.BODIES,
    **batch_examples.BODIES,
    "create_generation": {
        "from_a_prompt": {"model": "flux-schnell", "prompt": "a lighthouse at dusk", "size": "512x512"},
        "with_metadata": {
            "model": "flux-schnell",
            "prompt": "a red door in a white wall",
            "n": 2,
            "seed": 7,
            "metadata": {"order": "4711"},
        },
        "with_a_life_of_its_own": {
            "model": "flux-schnell",
            "prompt": "a letter with a seal",
            "priority": "high",
            "expires_in": 3600,
            "store_prompt": False,
        },
        "from_an_image": {
            "model": "flux-kontext",
            "prompt": "the same picture in winter",
            "inputs": [FILE_ID],
        },
    },
    "estimate_generation": {
        "of_a_prompt": {"model": "flux-schnell", "prompt": "a lighthouse at dusk", "size": "512x512"},
        "of_an_image": {"model": "flux-kontext", "prompt": "the same in winter", "inputs": [FILE_ID]},
    },
    "create_openai_images": {
        "from_a_prompt": {"model": "flux-schnell", "prompt": "a lighthouse at dusk", "size": "512x512"},
    },
    "edit_openai_images": {
        "from_a_file": {
            "model": "flux-kontext",
            "prompt": "the same picture in winter",
            "images": [{"file_id": FILE_ID}],
        },
    },
    "create_watch_token": {"for_a_quarter": {"generation_id": GENERATION_ID, "ttl_seconds": 900}},
}
_IMAGE = {
    "index": 0,
    "url": f"{_ADDRESS}/images/0?signature=1.1796249600.3q2-7w",
    "width": 512,
    "height": 512,
    "content_type": "image/jpeg",
    "size_bytes": 48_213,
    "sha256": _DIGEST,
    "source_sha256": _DIGEST,
}
_GENERATION: Mapping[str, Any] = {
    "id": GENERATION_ID,
    "status": "completed",
    "stage": "completed",
    "model": "flux-schnell",
    "prompt": "a lighthouse at dusk",
    "inputs": [],
    "mask": None,
    "images": [_IMAGE],
    "undelivered": [],
    "cost": {
        "estimated": 1,
        "reserved": 1,
        "charged": 1,
        "refunded": 0,
        "cancel_after_submit": "charge",
        "moderation": "refund",
    },
    "error": None,
    "metadata": {"order": "4711"},
    **_MOMENTS,
    "deleted_at": None,
    "images_erased_at": None,
    "images_expire_at": None,
    "cancel_at": "2026-11-26T20:20:02.418Z",
    "canceled_by": None,
    "start_by": None,
    "priority": "normal",
    "retry_of": None,
    "batch_id": None,
    "urls": {
        "self": _ADDRESS,
        "cancel": f"{_ADDRESS}/cancel",
        "events": f"{_ADDRESS}/events",
        "images": f"{_ADDRESS}/images",
    },
    "routing": [{"ordinal": 1, "model": "flux-schnell", "provider": "fal", "taken": True, "reason": "taken"}],
}
_MODEL: Mapping[str, Any] = {
    "id": "flux-schnell",
    "object": "model",
    "created": 0,
    "owned_by": "fal",
    "title": "FLUX.1 [schnell]",
    "kind": "text_to_image",
    "kinds": ["text_to_image"],
    "provider": "fal",
    "available": True,
    "parameters": {"n": {"type": "integer", "minimum": 1, "maximum": 4, "default": 1}},
    "inputs": None,
    "price": {
        "per_image": 1,
        "by": None,
        "steps": {},
        "per_megapixel": False,
        "default_megapixels": 1,
        "per_partial_image": 0,
    },
    "typical_seconds": 3.0,
    "max_seconds": 780.0,
    "webhook": True,
    "fallback": None,
    "cancel_after_submit": "refund",
    "moderation": "refund",
}
_EVENT: Mapping[str, Any] = {
    "id": "evt_812_4077",
    "type": "generation.processing",
    "generation_id": GENERATION_ID,
    "number": 4,
    "created_at": _MOMENTS["processing_at"],
    "data": {"status": "processing", "stage": "generating"},
}
# By the name of the schema of a response.
VIEWS: Mapping[str, Any] = {
    **webhook_examples.VIEWS,
    **key_examples.VIEWS,
    **credit_examples.VIEWS,
    **batch_examples.VIEWS,
    "GenerationView": _GENERATION,
    "GenerationPage": {"data": [_GENERATION], "next_cursor": None},
    "ImageList": {"data": [_IMAGE], "undelivered": []},
    "EstimateView": {
        "model": "flux-schnell",
        "price_credits": 1,
        "expected_seconds": {"typical": 3.0, "p50": 3.412, "p95": 6.087, "samples": 200},
        "stages": {
            "queue": {"p50": 0.042, "p95": 1.203},
            "generating": {"p50": 2.911, "p95": 4.552},
            "storing": {"p50": 0.381, "p95": 0.644},
        },
        "would_be_refused": [],
    },
    "EventPage": {"data": [_EVENT], "next_cursor": None, "last_event_id": _EVENT["id"]},
    "WatchTokenView": {
        "token": _WATCHING,
        "generation_id": GENERATION_ID,
        "expires_at": "2026-11-26T20:30:02Z",
        "events_url": f"{_ADDRESS}/events?token={_WATCHING}",
    },
    "FileView": {
        "id": FILE_ID,
        "purpose": "image",
        "width": 1024,
        "height": 768,
        "content_type": "image/png",
        "size_bytes": 310_554,
        "sha256": _DIGEST,
        "has_alpha": False,
        "created_at": "2026-11-26T20:14:40.120Z",
        "expires_at": "2026-11-27T20:14:40.120Z",
    },
    "ModelView": _MODEL,
    "ModelList": {"object": "list", "data": [_MODEL]},
    "ImagesView": {
        "created": 1_795_724_106,
        "output_format": "png",
        "size": "1024x1024",
        "data": [{"b64_json": "iVBORw0KGgo="}],
    },
    "SessionView": {
        "tenant_id": "ten_01a219b34d2b7f6ca1d1c0ffee15beef",
        "key": {
            "id": "0123456789abcdef",
            "name": "The shop",
            "scopes": ["generations:read", "generations:write", "credits:read"],
            "created_at": "2026-11-01T09:00:00Z",
            "expires_at": None,
            "monthly_budget_credits": 500,
            "max_held_credits": None,
        },
        "rates": [
            {"policy": "create", "quota": 2000, "window_seconds": 20, "remaining": 1999, "reset_seconds": 1}
        ],
        "limits": {
            "open_generations": {"used": 3, "max": 10_000},
            "waiting_generations": {"used": 1, "max": 5000},
            "files": {"used": 2, "max": 10_000},
            "file_bytes": {"used": 621_108, "max": 10_000_000_000},
            "uncharged_credits": {"used": 0, "max": 10_000},
        },
        "credits": credit_examples.BALANCE,
    },
    "HealthView": {"status": "ok"},
    "ReadinessView": {"status": "ok", "dependencies": {"postgres": "ok", "temporal": "ok", "s3": "ok"}},
    "ReceivedView": {"status": "received"},
}
# What is no error of `domain/errors.py`, as only HTTP knows it.
HTTP_CODES = {
    "request_timeout": HTTPStatus.REQUEST_TIMEOUT,
    "range_not_satisfiable": HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
}


def problems() -> dict[str, Any]:
    """Return the body of every refusal, by its code."""
    refusals = {code: (status_of(error), error.message) for code, error in every_error().items()}
    refusals[ServiceError.code] = (status_of(ServiceError), ServiceError.message)
    refusals |= {code: (status, status.phrase) for code, status in HTTP_CODES.items()}
    return {
        code: {"value": problem_body(status, code, detail).model_dump(mode="json")}
        for code, (status, detail) in refusals.items()
    }


def add(openapi: Mapping[str, Any]) -> None:
    """Put the examples into a description, beside the schemas that they are of."""
    all_bodies, views = {**BODIES, **operator_examples.BODIES}, {**VIEWS, **operator_examples.VIEWS}
    for methods in openapi["paths"].values():
        for operation in methods.values():
            _add_to_parameters(operation)
            for kind, content in operation.get("requestBody", {}).get("content", {}).items():
                if kind == "application/json" and (bodies := all_bodies.get(operation["operationId"])):
                    content["examples"] = {name: {"value": body} for name, body in bodies.items()}
            for content, view in _views(operation):
                if view in views:
                    content["examples"] = {"response": {"value": views[view]}}


def _add_to_parameters(operation: Mapping[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        name = f"{operation['operationId']} {parameter['name']}"
        if (example := PARAMETERS.get(name, PARAMETERS.get(parameter["name"]))) is not None:
            parameter["example"] = example


def _views(operation: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    for response in operation["responses"].values():
        content = response.get("content", {}).get("application/json")
        if content is not None:
            yield content, content.get("schema", {}).get("$ref", "").rpartition("/")[2]
