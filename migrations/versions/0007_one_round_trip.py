"""The steps of a generation as functions, and slots that are taken without a lock that everybody waits for.

Needs no stop: processes of the version before may grant slots beside processes of this one, which count them.
"""

from alembic import op

from adapters.database.functions import statements

revision = "0007"
down_revision = "0006"
# Of the functions that this migration installs.
FUNCTIONS_SHA256 = "01874704cce86e8268ddcf0e2281c9eaae83a2b232631ada9f496bcc4f105dff"

UPGRADE = """
CREATE TABLE provider_capacity (
    provider TEXT NOT NULL,
    number BIGINT NOT NULL,
    generation_id TEXT,
    PRIMARY KEY (provider, number),
    UNIQUE (generation_id),
    FOREIGN KEY(generation_id) REFERENCES provider_slots (generation_id) ON DELETE SET NULL
);
CREATE INDEX provider_capacity_free ON provider_capacity (provider, number) WHERE generation_id IS NULL
"""

FOLLOW_GRANT = """
CREATE FUNCTION follow_grant() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.granted_at IS NULL THEN
        UPDATE provider_capacity SET generation_id = NULL WHERE generation_id = NEW.generation_id;
    ELSIF NOT EXISTS (SELECT FROM provider_capacity WHERE generation_id = NEW.generation_id) THEN
        INSERT INTO provider_capacity (provider, number, generation_id)
        SELECT NEW.provider, max(number) + 1, NEW.generation_id FROM provider_capacity
        WHERE provider = NEW.provider HAVING count(*) > 0;
    END IF;
    RETURN NULL;
END $$
"""
TRIGGER = """
CREATE TRIGGER provider_slots_capacity AFTER UPDATE OF granted_at ON provider_slots
    FOR EACH ROW EXECUTE FUNCTION follow_grant()
"""


def upgrade() -> None:
    _run(*UPGRADE.split(";"), FOLLOW_GRANT, TRIGGER, *statements(without=("lots", "grants")))


def downgrade() -> None:
    """Leave the functions: no process of the version before calls them."""
    _run(
        "DROP TRIGGER provider_slots_capacity ON provider_slots",
        "DROP FUNCTION follow_grant",
        "DROP TABLE provider_capacity",
    )


def _run(*statements: str) -> None:
    for statement in statements:
        op.get_bind().exec_driver_sql(statement)
