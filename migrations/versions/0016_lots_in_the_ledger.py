"""Credits in lots: the functions that hold, charge and return them, and one lot for what each tenant has.

Needs no stop: processes of the version before call the same functions by the same names, and a call that
waits for this migration goes on in lots. Steps of the ledger wait while it runs.
"""

from alembic import op

from adapters.database.functions import statements

revision = "0016"
down_revision = "0015"
# Of the functions that this migration installs.
FUNCTIONS_SHA256 = "4a276a3178b70609ac5e7b298c3d7d97023f05a8cb9501d6b6a2e6cd56fb1a43"

# A step that is inside a function goes on in its old body, past the lots. So this waits for each, and lets
# none begin: all lock their generation first, operators the accounts, and only this mode keeps them out.
LOCK = "LOCK TABLE generations, accounts IN EXCLUSIVE MODE"

# What a tenant has becomes one lot, paid and without expiry. What was withdrawn of it is not owed when a
# payment is taken back.
LOTS = """
INSERT INTO lots (
    id, tenant_id, reference, category, priority, granted_credits, remaining_credits, held_credits,
    spent_credits, withdrawn_credits, owed_credits, effective_at, created_at, begun_at, closed_at
)
SELECT 'lot_' || replace(gen_random_uuid()::text, '-', ''), tenants.id, '', 'paid', 50,
    has.available + has.held + has.spent + was.withdrawn,
    has.available, has.held, has.spent, was.withdrawn, has.owed, tenants.created_at, tenants.created_at,
    now(),
    CASE WHEN has.available + has.held + has.owed = 0 THEN now() END
FROM tenants CROSS JOIN LATERAL (
    SELECT sum(balance_credits) FILTER (WHERE kind = 'available') AS available,
        sum(balance_credits) FILTER (WHERE kind = 'held') AS held,
        sum(balance_credits) FILTER (WHERE kind = 'spent') AS spent,
        -coalesce(sum(balance_credits) FILTER (WHERE kind = 'owed'), 0) AS owed
    FROM accounts WHERE tenant_id = tenants.id
) AS has CROSS JOIN LATERAL (
    SELECT coalesce(sum(entries.amount_credits), 0) AS withdrawn
    FROM entries JOIN transfers ON transfers.id = transfer_id
    WHERE account_id = tenants.id || ':issued' AND kind = 'withdraw'
) AS was
WHERE EXISTS (SELECT FROM entries WHERE account_id = tenants.id || ':available')
"""

# Open holds are held in it, so that they are resolved like those to come.
OPENING_ENTRIES = """
INSERT INTO lot_entries (lot_id, remaining_change, held_change)
SELECT id, remaining_credits + held_credits, 0 FROM lots
"""
OPEN_HOLDS = """
INSERT INTO lot_entries (lot_id, transfer_id, remaining_change, held_change)
SELECT lots.id, hold.id, -hold.amount_credits, hold.amount_credits
FROM transfers AS hold JOIN lots ON lots.tenant_id = hold.tenant_id
WHERE hold.kind = 'hold' AND hold.amount_credits > 0 AND NOT EXISTS (
    SELECT FROM transfers WHERE hold_id = hold.id AND kind <> 'hold'
)
"""

KEY_SPENDING = """
INSERT INTO key_spending (api_key_id, month, held_credits, charged_credits)
SELECT api_key_id, date_trunc('month', hold.created_at AT TIME ZONE 'UTC')::date,
    coalesce(sum(held_credits) FILTER (WHERE finished_at IS NULL), 0), sum(charged_credits)
FROM generations JOIN transfers AS hold ON hold.id = generations.id || ':hold'
WHERE api_key_id IS NOT NULL
GROUP BY 1, 2
"""
USAGE = """
INSERT INTO usage_days (tenant_id, day, model, api_key_id, generations, images, charged_credits)
SELECT generations.tenant_id, (settle.created_at AT TIME ZONE 'UTC')::date, model, coalesce(api_key_id, ''),
    count(*), sum(CASE status WHEN 'completed' THEN (
        SELECT least(count(*), n) FROM images WHERE generation_id = generations.id
    ) ELSE 0 END), sum(settle.amount_credits)
FROM transfers AS settle JOIN generations ON generations.id = settle.generation_id
WHERE settle.kind = 'settle'
GROUP BY 1, 2, 3, 4
"""

# Processes of the version before write these tables, by the functions, before `bootstrap` sets all rights.
RIGHTS = """
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'darkroom_serving') THEN
        GRANT SELECT, INSERT, UPDATE ON lots, key_spending, usage_days, payments, take_backs
            TO darkroom_serving;
        GRANT SELECT, INSERT ON lot_entries TO darkroom_serving;
        GRANT SELECT, INSERT, UPDATE, DELETE ON credit_thresholds TO darkroom_serving;
    END IF;
END $$
"""

TRIGGERS = (
    "CREATE TRIGGER lot_entries_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON lot_entries"
    " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
)

# The ledger without lots. Functions of rows of tables that go are dropped.
WITHOUT = (
    "DROP FUNCTION lots_to_spend, lot_of_grant, grant_credits, is_same_grant, write_grant, remove_from_lot,"
    " repay_from_lot, take_back_of_lot",
    "CREATE OR REPLACE FUNCTION take_from_lots("
    "p_tenant text, p_transfer text, p_kind text, p_credits bigint, p_at timestamptz)"
    " RETURNS void LANGUAGE sql AS $$ SELECT $$",
    "CREATE OR REPLACE FUNCTION resolve_in_lots("
    "p_generation generations, p_transfer text, p_kind text, p_charged bigint)"
    " RETURNS void LANGUAGE sql AS $$ SELECT $$",
    "CREATE OR REPLACE FUNCTION count_held(p_key text, p_credits bigint, p_at timestamptz)"
    " RETURNS void LANGUAGE sql AS $$ SELECT $$",
    "CREATE OR REPLACE FUNCTION count_resolved(p_generation generations, p_charged bigint)"
    " RETURNS void LANGUAGE sql AS $$ SELECT $$",
    "CREATE OR REPLACE FUNCTION count_usage("
    "p_generation generations, p_images bigint, p_charged bigint, p_at timestamptz)"
    " RETURNS void LANGUAGE sql AS $$ SELECT $$",
    "CREATE OR REPLACE FUNCTION refusal_of_key(p_key text, p_price bigint, p_at timestamptz)"
    " RETURNS text LANGUAGE sql STABLE AS $$ SELECT NULL::text $$",
    "CREATE OR REPLACE FUNCTION begin_lots(p_tenant text, p_at timestamptz)"
    " RETURNS void LANGUAGE sql AS $$ SELECT $$",
    "CREATE OR REPLACE FUNCTION tell_if_low(p_tenant text) RETURNS void LANGUAGE sql AS $$ SELECT $$",
    "CREATE OR REPLACE FUNCTION spendable_credits("
    "p_tenant text, p_at timestamptz DEFAULT statement_timestamp()) RETURNS bigint LANGUAGE sql STABLE"
    " AS $$ SELECT balance_credits FROM accounts WHERE id = p_tenant || ':available' $$",
    "CREATE OR REPLACE FUNCTION move_credits(p_transfer text, p_tenant text, p_kind text, p_generation text,"
    " p_amount bigint, p_accounts text[], p_changes bigint[]) RETURNS void LANGUAGE sql AS"
    " $$ SELECT write_transfer($1, $2, $3, $4, $5, $6, $7) $$",
)


def upgrade() -> None:
    _run(LOCK, *statements(), RIGHTS, LOTS, OPENING_ENTRIES, OPEN_HOLDS, KEY_SPENDING, USAGE, *TRIGGERS)


def downgrade() -> None:
    """Leave the functions, which know no lots any more."""
    _run(
        LOCK,
        *WITHOUT,
        "DROP TRIGGER lot_entries_immutable ON lot_entries",
        "DELETE FROM lot_entries",
        "UPDATE payments SET lot_id = NULL, granted_credits = NULL",
        "DELETE FROM lots",
        "DELETE FROM key_spending",
        "DELETE FROM usage_days",
    )


def _run(*statements: str) -> None:
    for statement in statements:
        op.get_bind().exec_driver_sql(statement)
