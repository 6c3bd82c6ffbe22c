"""`/v1/moderations`: flags what has a `[sim:flag]` marker or one of a few words."""

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from simulator.core.faults.kinds import Phase
from simulator.core.faults.switches import Fault, FaultInvalid, Target, without_markers
from simulator.core.provider import Context
from simulator.core.rejected import Rejected
from simulator.core.wire import answer
from simulator.openai.errors import rejection, server_error
from simulator.openai.routes import common_headers, let_in, new_request_id
from simulator.openai.uploads import read_fields

DEFAULT_MODEL = "omni-moderation-latest"
MODEL = "omni-moderation-2024-09-26"
MAX_INPUTS = 100
CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)
_SEEN_IN_IMAGES = {
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "violence",
    "violence/graphic",
}
WORDS = {
    "murder": "violence",
    "massacre": "violence",
    "gore": "violence/graphic",
    "porn": "sexual",
    "suicide": "self-harm",
}


class Moderations:
    """Returns one result for each text; texts and images in one list of parts have one result together."""

    def __init__(self, context: Context) -> None:
        self._store = context.store
        self._switches = context.switches
        self._key = context.options.key

    async def serve(self, request: Request) -> Response:
        request_id, prompt = new_request_id(), ""
        headers = common_headers(request_id)
        try:
            let_in(request, self._key)
            fields = (await read_fields(request)).fields
            inputs = _inputs(fields.get("input"))
            prompt = "\n".join(text for text, _ in inputs)
            results = [self._result(str(fields.get("model", DEFAULT_MODEL)), *each) for each in inputs]
        except Rejected as refusal:
            self._store.log("submit_rejected", None, prompt, path=request.url.path, status=refusal.status)
            return answer(refusal.body, refusal.status, headers | refusal.headers)
        flagged = any(result["flagged"] for result in results)
        self._store.log("moderation_checked", request_id, prompt, flagged=flagged, inputs=len(inputs))
        return answer({"id": f"modr-{request_id[4:]}", "model": MODEL, "results": results}, headers=headers)

    def _result(self, model: str, text: str, images: int) -> dict[str, Any]:
        active = self._active_faults(Target(model, text))
        if error := active.get("check_error"):
            raise server_error(int(error.number("status")))
        hits = {category for word, category in WORDS.items() if _has_word(text, word)}
        if flag := active.get("flag"):
            hits.add(flag.text("category"))
        types = ["text"] * bool(text) + ["image"] * bool(images)
        return {
            "flagged": bool(hits),
            "categories": {category: category in hits for category in CATEGORIES},
            "category_scores": {category: 0.97 if category in hits else 0.0001 for category in CATEGORIES},
            "category_applied_input_types": {
                category: types if category in _SEEN_IN_IMAGES else types[:1] if text else []
                for category in CATEGORIES
            },
        }

    def _active_faults(self, target: Target) -> dict[str, Fault]:
        try:
            return self._switches.active_faults(Phase.CHECK, target)
        except FaultInvalid as error:
            raise rejection(400, f"simulator: {error}", param="input", code="invalid_value") from error


def _has_word(text: str, word: str) -> bool:
    return re.search(rf"\b{word}\b", without_markers(text), re.IGNORECASE) is not None


def _inputs(given: Any) -> list[tuple[str, int]]:
    """Return each text with the number of its images. Raises Rejected."""
    if isinstance(given, str):
        return [(given, 0)]
    if isinstance(given, list) and 0 < len(given) <= MAX_INPUTS:
        if all(isinstance(item, str) for item in given):
            return [(item, 0) for item in given]
        if all(_is_part(item) for item in given):
            texts = [item["text"] for item in given if item["type"] == "text"]
            return [("\n".join(texts), len(given) - len(texts))]
    message = "Invalid 'input': expected a text, texts, or parts of type `text` and `image_url`."
    raise rejection(400, message, param="input", code="invalid_type")


def _is_part(item: Any) -> bool:
    if not isinstance(item, dict):
        return False
    if item.get("type") == "text":
        return isinstance(item.get("text"), str)
    url = item.get("image_url")
    return item.get("type") == "image_url" and isinstance(url, dict) and isinstance(url.get("url"), str)
