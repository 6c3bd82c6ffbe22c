-- The history of generations {first} to {last}, as if all had been made: half of them by one tenant, the rest by
-- 99 others. One in fifty failed and was refunded. Every trigger is off; balances stay as they are, so each
-- tenant's entries add up to what was charged and granted elsewhere.
SET session_replication_role = replica;
SET synchronous_commit = off;
INSERT INTO tenants (id, name) SELECT 'ten_past_' || n, 'past' FROM generate_series(1, 99) AS n
    ON CONFLICT DO NOTHING;
INSERT INTO accounts (id, tenant_id, kind, balance_credits)
    SELECT 'ten_past_' || n || ':' || kind, 'ten_past_' || n, kind, 0
    FROM generate_series(1, 99) AS n, unnest(ARRAY['issued', 'available', 'held', 'spent']) AS kind
    ON CONFLICT DO NOTHING;
CREATE TEMPORARY TABLE past ON COMMIT DROP AS
SELECT 'gen_past_' || n AS id, CASE WHEN n % 2 = 0 THEN '{tenant}' ELSE 'ten_past_' || n % 99 + 1 END AS tenant_id,
    n % 50 <> 0 AS is_completed, now() - make_interval(secs => 8000000 - n * 7) AS moment
FROM generate_series({first}, {last}) AS n;
INSERT INTO generations (id, tenant_id, idempotency_key, fingerprint, model, provider, endpoint, prompt, parameters,
    metadata, n, price_credits, held_credits, charged_credits, refunded_credits, status, stage, error_code, created_at,
    queued_at, processing_at, storing_at, finished_at, checked_at, moved_at, objects_deleted_at)
SELECT id, tenant_id, id, repeat('f', 64), 'flux-schnell', 'fal', 'fal-ai/flux/schnell', 'A lighthouse in the fog',
    '{{"size": "512x512", "output_format": "jpeg"}}', '{{}}', 1, 1, 1, is_completed::int, 1 - is_completed::int,
    CASE WHEN is_completed THEN 'completed' ELSE 'failed' END, CASE WHEN is_completed THEN 'completed' ELSE 'failed' END,
    CASE WHEN NOT is_completed THEN 'provider_failed' END, moment, moment, moment, moment, moment + interval '3 s',
    moment, moment, CASE WHEN NOT is_completed THEN moment END
FROM past;
INSERT INTO attempts (generation_id, ordinal, provider, endpoint, state, provider_job_id, result, started_at,
    answered_at)
SELECT id, 1, 'fal', 'fal-ai/flux/schnell', CASE WHEN is_completed THEN 'succeeded' ELSE 'failed' END, id,
    '{{"images": [{{"url": "https://example.com/image.jpg"}}]}}', moment, moment FROM past;
INSERT INTO images (generation_id, index, key, width, height, content_type, size_bytes, sha256, source_sha256)
SELECT id, 0, id || '/0', 512, 512, 'image/jpeg', 50000, repeat('a', 64), repeat('b', 64)
FROM past WHERE is_completed;
INSERT INTO inbox (provider, event_id, generation_id, ordinal, provider_job_id, status, result, received_at, relayed_at)
SELECT 'fal', id, id, 1, id, CASE WHEN is_completed THEN 'succeeded' ELSE 'failed' END,
    '{{"images": [{{"url": "https://example.com/image.jpg"}}]}}', moment, moment FROM past;
INSERT INTO transfers (id, tenant_id, kind, hold_id, generation_id, amount_credits)
SELECT id || ':' || kind, tenant_id, kind, id || ':hold', id, 1
FROM past, unnest(ARRAY['hold', CASE WHEN is_completed THEN 'settle' ELSE 'refund' END]) AS kind;
INSERT INTO entries (transfer_id, account_id, amount_credits, balance_after)
SELECT id || ':' || change.kind, tenant_id || ':' || account, amount, 0
FROM past CROSS JOIN LATERAL (
    VALUES ('hold', 'available', -1), ('hold', 'held', 1),
        (CASE WHEN is_completed THEN 'settle' ELSE 'refund' END, 'held', -1),
        (CASE WHEN is_completed THEN 'settle' ELSE 'refund' END,
            CASE WHEN is_completed THEN 'spent' ELSE 'available' END, 1)
) AS change (kind, account, amount);
INSERT INTO lots (id, tenant_id, reference, category, priority, granted_credits, remaining_credits, spent_credits,
    effective_at, begun_at, closed_at)
SELECT 'lot_past_' || tenant_id, tenant_id, '', 'paid', 50, 0, 0, 0, now(), now(), now() FROM past GROUP BY tenant_id
    ON CONFLICT DO NOTHING;
INSERT INTO lot_entries (lot_id, transfer_id, remaining_change, held_change)
SELECT 'lot_past_' || tenant_id, id || ':' || change.kind, change.remaining, change.held
FROM past CROSS JOIN LATERAL (
    VALUES ('hold', -1, 1),
        (CASE WHEN is_completed THEN 'settle' ELSE 'refund' END, CASE WHEN is_completed THEN 0 ELSE 1 END, -1)
) AS change (kind, remaining, held);
