-- One tenant with one grant, and a hold and a settle every three minutes after it; every trigger is off.
SET session_replication_role = replica;
INSERT INTO tenants (id, name, created_at) VALUES ('ten_0', 'the only one', '2025-08-01');
INSERT INTO accounts (id, tenant_id, kind)
    SELECT 'ten_0:' || kind, 'ten_0', kind FROM unnest(ARRAY['issued', 'available', 'held', 'spent', 'owed']) AS kind;
INSERT INTO transfers (id, tenant_id, kind, amount_credits, created_at)
    VALUES ('grant:ten_0:r', 'ten_0', 'grant', 1000000, '2025-08-01 00:00:00+00');
INSERT INTO entries (transfer_id, account_id, amount_credits, balance_after) VALUES
    ('grant:ten_0:r', 'ten_0:available', 1000000, 1000000), ('grant:ten_0:r', 'ten_0:issued', -1000000, -1000000);
INSERT INTO transfers (id, tenant_id, kind, hold_id, generation_id, amount_credits, created_at)
    SELECT 'gen_' || n || ':' || kind, 'ten_0', kind, 'gen_' || n || ':hold', 'gen_' || n, 1,
    timestamptz '2025-08-01 00:00:01+00' + make_interval(secs => n * 180.0 + CASE kind WHEN 'settle' THEN 5 ELSE 0 END)
    FROM generate_series(1, 50000) AS n, unnest(ARRAY['hold', 'settle']) AS kind;
INSERT INTO entries (transfer_id, account_id, amount_credits, balance_after)
    SELECT 'gen_' || n || ':' || kind, 'ten_0:' || account, change, balance FROM generate_series(1, 50000) AS n,
    LATERAL (VALUES ('hold', 'available', -1, 1000000 - n), ('hold', 'held', 1, 1), ('settle', 'held', -1, 0),
        ('settle', 'spent', 1, n)) AS moved (kind, account, change, balance);
INSERT INTO usage_days SELECT 'ten_0', (created_at AT TIME ZONE 'UTC')::date, 'm', '', count(*), count(*), count(*)
    FROM transfers WHERE kind = 'settle' GROUP BY 2;
ANALYZE;
