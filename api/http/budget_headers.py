"""What is left of the caps of an API key, in header fields of the responses that spend from them."""

from collections.abc import Iterator
from contextlib import suppress
from http import HTTPStatus

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.errors import TransientError
from domain.key_budgets import KeyBudget

_STATE = "key_budget"
SHOWN_ON = (
    *(HTTPStatus.OK, HTTPStatus.ACCEPTED),
    *(HTTPStatus.PAYMENT_REQUIRED, HTTPStatus.TOO_MANY_REQUESTS),
)


class BudgetHeadersMiddleware:
    """Adds the header fields where a route asked for them and the key has a cap."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            read = scope.get("state", {}).get(_STATE)
            if (
                message["type"] == "http.response.start"
                and read is not None
                and message["status"] in SHOWN_ON
            ):
                # The response stands as it is if the database goes away now.
                with suppress(TransientError):
                    MutableHeaders(scope=message).update(dict(_fields(await read())))
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _fields(budget: KeyBudget) -> Iterator[tuple[str, str]]:
    if budget.limit_credits is not None:
        yield "X-Budget-Limit", str(budget.limit_credits)
        yield "X-Budget-Remaining", str(budget.remaining_credits)
        yield "X-Budget-Reset", str(budget.reset_seconds)
    if budget.max_held_credits is not None:
        yield "X-Committed-Limit", str(budget.max_held_credits)
        yield "X-Committed-Credits", str(budget.committed_credits)
