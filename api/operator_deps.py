"""The dependencies of operators' routes. Who calls was found before: api/http/operator_door.py."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated

from fastapi import Depends, Request

from api.deps import ServicesDep
from api.http.declarations import declares
from api.http.operator_door import operator_of
from api.http.response_headers import RATE_LIMIT
from domain.errors import (
    DatabaseUnavailable,
    RateLimited,
    ScopeMissing,
    TooManyAtOnce,
    TooManyFailedKeys,
    Unauthenticated,
)
from domain.operators import Operator, OperatorScope


def _with_scope(scope: OperatorScope) -> Callable[..., Awaitable[Operator]]:
    """Return a dependency that checks the scope, and takes the request from the key's allowance."""

    @declares(
        *(Unauthenticated, TooManyFailedKeys, TooManyAtOnce, DatabaseUnavailable, ScopeMissing, RateLimited),
        security=("operator",),
        scope=scope,
        headers=RATE_LIMIT,
    )
    async def check(request: Request, services: ServicesDep) -> Operator:
        operator, limiter = operator_of(request), services.operators.rates
        request.state.rate_allowance = partial(limiter.allowance, operator)
        limiter.take(operator)
        operator.require(scope)
        return operator

    return check


CanReadGrants = Annotated[Operator, Depends(_with_scope(OperatorScope.READ_GRANTS))]
CanWriteGrants = Annotated[Operator, Depends(_with_scope(OperatorScope.WRITE_GRANTS))]
