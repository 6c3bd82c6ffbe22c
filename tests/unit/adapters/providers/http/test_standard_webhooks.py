"""Standard Webhooks: the published vector is genuine, several secrets count, and nothing forged passes."""

import pytest

from adapters.providers.http.standard_webhooks import StandardWebhooks
from domain.errors import SignatureInvalid
from tests.unit.adapters.providers.http.webhook_signing import (
    BODY,
    GENUINE,
    NOW,
    OTHER,
    SECRET,
    SIGNATURE,
    signed,
)


@pytest.mark.parametrize("secrets", [[SECRET], [OTHER, SECRET], [SECRET, OTHER]])
def test_the_published_vector_is_genuine_with_any_second_secret(secrets: list[str]) -> None:
    assert StandardWebhooks(secrets).verify(GENUINE, BODY, NOW) == "msg_p5jXN8AQM9LWM0D4loKWxJek"


@pytest.mark.parametrize(
    "signatures",
    [
        f"v1,AAAA {SIGNATURE}",
        f"{SIGNATURE} v1,AAAA",
        f"v1a,AAAA v2,{'A' * 64} {SIGNATURE}",
        f"  {SIGNATURE}",
        f"garbage v1 v1, {SIGNATURE}",
    ],
)
def test_one_genuine_signature_among_others_is_enough(signatures: str) -> None:
    StandardWebhooks([SECRET]).verify({**GENUINE, "webhook-signature": signatures}, BODY, NOW)


@pytest.mark.parametrize("offset", [-300, 0, 300])
def test_five_minutes_either_way_are_fresh(offset: int) -> None:
    StandardWebhooks([SECRET]).verify(GENUINE, BODY, NOW + offset)


@pytest.mark.parametrize("offset", [-301, -300.5, 300.5, 301])
def test_anything_beyond_is_stale(offset: float) -> None:
    with pytest.raises(SignatureInvalid):
        StandardWebhooks([SECRET]).verify(GENUINE, BODY, NOW + offset)


FORGED = {
    "nothing": {},
    **{f"no {name}": {key: GENUINE[key] for key in GENUINE if key != name} for name in GENUINE},
    "no version": {**GENUINE, "webhook-signature": SIGNATURE.removeprefix("v1,")},
    "another version": {**GENUINE, "webhook-signature": SIGNATURE.replace("v1,", "v1a,")},
    "cut": {**GENUINE, "webhook-signature": SIGNATURE[:-5]},
    "empty": {**GENUINE, "webhook-signature": "v1,"},
    "not ascii": {**GENUINE, "webhook-signature": "v1,\u00e9"},
    "surrogate": {**GENUINE, "webhook-signature": "v1,\ud800"},
    "the twenty-first": {**GENUINE, "webhook-signature": "v1,AAAA " * 20 + SIGNATURE},
    "another secret": signed(BODY, secret=OTHER),
    "another id": {**GENUINE, "webhook-id": "msg_2"},
    "another time": {**GENUINE, "webhook-timestamp": str(NOW + 1)},
    "a moved dot": {**GENUINE, "webhook-id": f"msg_p5jXN8AQM9LWM0D4loKWxJek.{NOW}", "webhook-timestamp": "1"},
}


@pytest.mark.parametrize("headers", FORGED.values(), ids=FORGED)
def test_forged_headers_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(SignatureInvalid):
        StandardWebhooks([SECRET]).verify(headers, BODY, NOW)


@pytest.mark.parametrize("body", [b"", BODY + b"\n", BODY[:-1], b'{"test":2432232314}'])
def test_a_body_that_was_not_signed_is_refused(body: bytes) -> None:
    with pytest.raises(SignatureInvalid):
        StandardWebhooks([SECRET]).verify(GENUINE, body, NOW)


@pytest.mark.parametrize("message_id", ["", "two words", "x" * 4001, "nul\0", "\u00e9"])
def test_a_signed_id_that_cannot_be_stored_is_refused(message_id: str) -> None:
    with pytest.raises(SignatureInvalid):
        StandardWebhooks([SECRET]).verify(signed(BODY, webhook_id=message_id), BODY, NOW)


@pytest.mark.parametrize(
    "timestamp",
    ["", "0", f"{NOW}.0", f" {NOW}", f"+{NOW}", "1_614_265_330", "9" * 5000, "nan", "\u0661" * 10],
)
def test_a_time_in_another_form_is_refused_though_signed(timestamp: str) -> None:
    with pytest.raises(SignatureInvalid):
        StandardWebhooks([SECRET]).verify(signed(BODY, webhook_timestamp=timestamp), BODY, NOW)


@pytest.mark.parametrize(
    "secrets", [[], [""], ["whsec_"], ["whsec_not base64"], [SECRET[6:]], [SECRET, "\u00e9"]]
)
def test_a_secret_that_is_none_is_found_out_at_once(secrets: list[str]) -> None:
    with pytest.raises(ValueError, match="secret"):
        StandardWebhooks(secrets)
