"""What is behind operators' routes, on the real adapters."""

from adapters.database.credits import PostgresCreditAccounts
from adapters.database.engine import Database
from adapters.database.lots import PostgresLots
from adapters.database.operator_keys import NewOperatorKey, OperatorKeyLine, PostgresOperatorKeys
from adapters.database.payments import PostgresPayments
from api.services.billing import BillingService, OperatorServices
from api.services.key_guard import KeyGuard
from api.services.operator_rates import OperatorRateLimiter
from composition.settings import ServiceSettings
from domain.tenant import Rate

__all__ = ["NewOperatorKey", "OperatorKeyLine", "lots", "operator_keys", "operator_services"]


def operator_services(settings: ServiceSettings, pool: Database) -> OperatorServices:
    keys = PostgresOperatorKeys(pool)
    return OperatorServices(
        guard=KeyGuard(keys, failures_per_minute=settings.api_failed_keys_per_minute),
        rates=OperatorRateLimiter(Rate(settings.operator_calls_per_second, settings.operator_call_burst)),
        billing=BillingService(lots(pool), PostgresPayments(pool), PostgresCreditAccounts(pool)),
    )


def operator_keys(pool: Database) -> PostgresOperatorKeys:
    return PostgresOperatorKeys(pool)


def lots(pool: Database) -> PostgresLots:
    return PostgresLots(pool)
