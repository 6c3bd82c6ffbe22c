"""Which files the batches of a tenant need: the lines that are checked, and the images of items that wait."""

from adapters.database.tables.columns import TERMINAL

_WAITING = f"""batch_items AS item JOIN batches AS b ON b.id = item.batch_id
WHERE b.status NOT IN {TERMINAL} AND item.state = 'waiting'"""
# All of these tenants.
NEEDED_BY_BATCHES = f"""
SELECT jsonb_array_elements_text(item.request -> 'inputs') FROM {_WAITING}
    AND b.tenant_id = ANY (CAST(:tenants AS text[])) AND item.request -> 'inputs' <> '[]'
UNION
SELECT item.request ->> 'mask' FROM {_WAITING}
    AND b.tenant_id = ANY (CAST(:tenants AS text[])) AND item.request ->> 'mask' IS NOT NULL
UNION
SELECT input_file_id FROM batches
WHERE tenant_id = ANY (CAST(:tenants AS text[])) AND status = 'validating' AND input_file_id IS NOT NULL
"""  # noqa: S608 - constants
# Whether one file of a tenant is.
IS_NEEDED_BY_A_BATCH = f"""
EXISTS (SELECT FROM batches WHERE tenant_id = :tenant AND status = 'validating' AND input_file_id = :file)
OR EXISTS (
    SELECT FROM {_WAITING} AND b.tenant_id = :tenant
        AND (item.request -> 'inputs' ? :file OR item.request ->> 'mask' = :file)
)
"""  # noqa: S608 - constants
