"""Headers of responses, as OpenAPI writes them. A route names those of its own in `responses`."""

from collections.abc import Mapping
from typing import Any


def header(description: str, *, required: bool = True, **schema: Any) -> dict[str, Any]:
    return {"description": description, "required": required, "schema": {"type": "string"} | schema}


REQUEST_ID = {
    "X-Request-Id": header("The request's own, if it sent one of 8 to 64 letters, digits or `_.-`.")
}
RATE_LIMIT: Mapping[str, Any] = {
    "RateLimit-Policy": header("The allowance that the request was taken from: `q` in `w` seconds."),
    "RateLimit": header("What is left of it, `r`, and the seconds `t` until it is full, or has one again."),
}
# Of keys that have such a cap.
BUDGET: Mapping[str, Any] = {
    name: header(description, required=False, type="integer", minimum=minimum)
    for name, minimum, description in (
        ("X-Budget-Limit", 0, "What the API key may spend in a month, in credits."),
        ("X-Budget-Remaining", 0, "What is left of it, without what is held."),
        ("X-Budget-Reset", 1, "In how many seconds the next month begins (UTC)."),
        ("X-Committed-Limit", 0, "What the open jobs of the API key may hold, in credits."),
        ("X-Committed-Credits", 0, "What they hold, or will."),
    )
}
RETRY_AFTER = {"Retry-After": header("In how many seconds to ask again.", type="integer", minimum=1)}
RETRY_AFTER_IF_ANY = {"Retry-After": RETRY_AFTER["Retry-After"] | {"required": False}}
SHOULD_RETRY = {
    "X-Should-Retry": header("Whether to send the request again.", enum=["true", "false"]),
}
CHALLENGE = {"WWW-Authenticate": header("`Bearer`.")}
LOCATION = {"Location": header("Where to read it again.", format="uri")}
REPLAYED = {
    "Idempotent-Replayed": header(
        "`true` if the Idempotency-Key was known, and this is what it made then.", required=False
    ),
    "Idempotency-Replayed": header("The same, under its first name.", required=False),
}
PREFERENCE_APPLIED = {"Preference-Applied": header("The wait that was granted.", required=False)}
ENTITY_TAG = {"ETag": header("Changes if what is behind the address does.")}
CACHED = {"Cache-Control": header("For how long, and by whom, the response may be kept.")}
CONTENT_RANGE = {"Content-Range": header("Which bytes of how many these are.")}
