-- Rows as a busy installation has them; every trigger is off.
SET session_replication_role = replica;
INSERT INTO tenants (id, name) SELECT 'ten_' || n, 'many' FROM generate_series(0, 99) AS n;
INSERT INTO accounts (id, tenant_id, kind, balance_credits)
    SELECT 'ten_' || n || ':' || kind, 'ten_' || n, kind, 0
    FROM generate_series(0, 99) AS n, unnest(ARRAY['issued', 'available', 'held', 'spent']) AS kind;
INSERT INTO generations (id, tenant_id, fingerprint, model, provider, endpoint, prompt, parameters, metadata, n,
    price_credits, status, stage, created_at, checked_at, finished_at, error_code, storing_at, cancel_requested_at)
SELECT 'gen_' || n, 'ten_' || CASE WHEN n % 2 = 0 THEN 0 ELSE n % 100 END, 'f',
    CASE WHEN n % 50000 = 6 THEN 'rare' WHEN n % 8 = 0 THEN 'other' ELSE 'm' END,
    CASE WHEN n % 60000 = 6 THEN 'bfl' ELSE 'fal' END, 'e',
    CASE WHEN n % 40000 = 8 THEN 'a fox' ELSE 'a cat' END, '{}', jsonb_build_object('user', 'u' || n % 1000, 'app', 'a'),
    1, 1, status, CASE WHEN status = 'processing' THEN 'generating' ELSE status END,
    now() - make_interval(secs => n), now() - make_interval(secs => n),
    CASE WHEN status IN ('completed', 'failed') THEN now() - make_interval(secs => n) END,
    CASE WHEN status = 'failed' THEN 'provider_failed' END, now(),
    CASE WHEN status = 'processing' AND n % 997 = 0 THEN now() END
FROM (SELECT n, CASE WHEN n % 4 = 1 THEN 'processing' WHEN n % 1000 = 2 THEN 'created'
    WHEN n % 10000 = 4 THEN 'failed' ELSE 'completed' END AS status FROM generate_series(1, 400000) AS n) AS made;
INSERT INTO generation_terms (generation_id, tenant_id, model, provider, created_at, terms)
    SELECT id, tenant_id, model, provider, created_at,
        terms_of(tenant_id, model, provider, string_to_array(prompt, ' '), metadata) FROM generations;
-- Some whose time is over, of more that have one.
UPDATE generations SET cancel_after_seconds = CASE WHEN id LIKE '%13' THEN 1 ELSE 86400000 END
    WHERE status = 'processing' AND id LIKE '%3';
UPDATE generations SET images_expire_at = finished_at + CASE WHEN id LIKE '%00' THEN interval '0' ELSE interval '90 days' END
    WHERE status = 'completed' AND id LIKE '%0';
INSERT INTO transfers (id, tenant_id, kind, hold_id, generation_id, amount_credits, created_at)
    SELECT 'gen_' || n || ':hold', 'ten_0', 'hold', 'gen_' || n || ':hold', 'gen_' || n, 1,
    now() - make_interval(secs => 10 * (400000 - n))
    FROM generate_series(1, 400000) AS n;
INSERT INTO transfers (id, tenant_id, kind, amount_credits, created_at)
    SELECT 'grant:ten_' || n % 100 || ':r' || n, 'ten_' || n % 100, 'grant', 1, now() - make_interval(secs => 40 * n)
    FROM generate_series(1, 100000) AS n;
INSERT INTO entries (transfer_id, account_id, amount_credits, balance_after)
    SELECT 'gen_' || n || ':hold', 'ten_' || n % 100 || ':' || CASE WHEN n % 3 = 0 THEN 'held' ELSE 'available' END,
    1, 1 FROM generate_series(1, 400000) AS n;
INSERT INTO provider_slots (generation_id, ordinal, provider, tenant_id, endpoint, requested_at, granted_at)
    SELECT 'gen_' || n, 1, 'fal', 'ten_' || n % 100, 'e', now() - make_interval(secs => n),
    CASE WHEN n <= 40 THEN now() END FROM generate_series(1, 100000) AS n;
INSERT INTO input_files (id, tenant_id, key, width, height, content_type, size_bytes, sha256, expires_at)
    SELECT 'file_' || n, 'ten_' || n % 100, 'k' || n, 1, 1, 'image/png', 1, repeat('a', 64),
    now() - make_interval(secs => n - 30000) FROM generate_series(1, 60000) AS n;
INSERT INTO inbox (provider, event_id, generation_id, ordinal, provider_job_id, status, result, relayed_at)
    SELECT 'fal', 'e' || n, 'gen_' || n, 1, 'j', 'succeeded', '{}', CASE WHEN n % 1000 > 0 THEN now() END
    FROM generate_series(1, 200000) AS n;
INSERT INTO image_requests (generation_id, connection_id, api_key_id, route, fingerprint, retry_count, created_at,
    connected_until)
    SELECT 'gen_' || n, 'c' || n, 'key', 'route', 'f' || n, 0, now() - make_interval(secs => n),
    now() - make_interval(secs => n - 10)
    FROM generate_series(1, 100000) AS n;
INSERT INTO lots (id, tenant_id, grant_id, reference, category, priority, granted_credits, remaining_credits,
    spent_credits, effective_at, expires_at, created_at, begun_at, closed_at)
    SELECT 'lot_' || n, 'ten_' || n % 100, 'grant:ten_' || n % 100 || ':r' || n, 'r' || n, 'paid', 50, 1, 0, 1,
    now() - interval '1 day', CASE WHEN n % 2 = 0 THEN now() - interval '1 hour' END,
    now() - make_interval(secs => 40 * n), now(), now() FROM generate_series(1, 100000) AS n;
INSERT INTO lot_entries (lot_id, transfer_id, remaining_change, held_change)
    SELECT 'lot_' || n % 100000 + 1, 'gen_' || n || ':hold', -1, 1 FROM generate_series(1, 400000) AS n;
INSERT INTO payments (reference, tenant_id, lot_id, granted_credits)
    SELECT 'r' || n, 'ten_' || n % 100, 'lot_' || n, 1 FROM generate_series(1, 100000) AS n;
INSERT INTO take_backs (payment_reference, reference) SELECT 'r' || n, 'b' FROM generate_series(1, 50000) AS n;
INSERT INTO key_spending (api_key_id, month) SELECT 'key_' || n % 5000, date '2020-01-01' + make_interval(months => n / 5000)
    FROM generate_series(1, 100000) AS n;
INSERT INTO usage_days (tenant_id, day, model, api_key_id, generations, images, charged_credits)
    SELECT 'ten_' || n % 100, date '2020-01-01' + n / 100, 'm', '', 1, 1, 1 FROM generate_series(1, 100000) AS n;
INSERT INTO credit_thresholds (tenant_id, threshold_credits)
    SELECT 'ten_' || n % 100, n FROM generate_series(1, 50000) AS n;
-- For steps that are taken, one after the other.
UPDATE accounts SET balance_credits = 1000 WHERE id = 'ten_1:available';
INSERT INTO lots (id, tenant_id, reference, category, priority, granted_credits, remaining_credits, effective_at, begun_at)
    VALUES ('lot_open', 'ten_1', 'open', 'paid', 50, 1000, 1000, now(), now());
INSERT INTO generations (id, tenant_id, fingerprint, model, provider, endpoint, prompt, parameters, metadata, n,
    price_credits, status, stage)
SELECT 'gen_new_' || n, 'ten_1', 'f', 'm', 'fal', 'e', 'p', '{}', '{}', 1, 1, 'created', 'created'
    FROM generate_series(1, 20) AS n;
ANALYZE;
