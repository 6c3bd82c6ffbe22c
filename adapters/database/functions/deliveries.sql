-- Webhooks to clients: deliveries are made from the log of events, and each attempt is recorded.

CREATE OR REPLACE FUNCTION new_delivery_id() RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT 'msg_' || lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0')
        || substr(replace(gen_random_uuid()::text, '-', ''), 1, 20)
$$;

-- Whether an endpoint gets events of a type: by default those that end a generation. Deliveries are not told of by others.
CREATE OR REPLACE FUNCTION is_subscribed(p_types jsonb, p_type text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN p_type LIKE 'delivery.%' THEN false
        WHEN p_types = '[]' THEN p_type IN ('generation.completed', 'generation.failed', 'generation.canceled')
        ELSE p_types ? p_type END
$$;

-- Make the deliveries of the next events of the log, in the order in which nothing can come before what was read.
--
-- Whoever has the cursor's row locked reads; others find nothing to do. An event that comes again, as after a restore, makes
-- no second delivery to an endpoint. No endpoint gets what is older than itself, nor the news that it was disabled.
CREATE OR REPLACE FUNCTION dispatch_events(p_limit bigint)
RETURNS TABLE (events_read bigint, deliveries_made bigint, is_waited_for boolean) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    place event_cursors;
    horizon bigint := pg_snapshot_xmin(pg_current_snapshot())::text::bigint;
BEGIN
    -- Most looks find nothing, and write nothing.
    SELECT * INTO place FROM event_cursors WHERE name = 'deliveries';
    events_read := 0;
    deliveries_made := 0;
    is_waited_for := EXISTS (SELECT FROM webhook_endpoints WHERE deleted_at IS NULL);
    -- By its order, or the planner might look for the first from the beginning of the table.
    IF place.transaction_id <= horizon AND (
        SELECT id FROM events
        WHERE (transaction_id, id) > (place.transaction_id, place.event_id) AND transaction_id < horizon
        ORDER BY transaction_id, id LIMIT 1
    ) IS NULL THEN
        RETURN NEXT;
        RETURN;
    END IF;
    SELECT * INTO place FROM event_cursors WHERE name = 'deliveries' FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN NEXT;
        RETURN;
    END IF;
    IF NOT is_waited_for THEN -- an endpoint that comes now is younger than all of them
        UPDATE event_cursors SET transaction_id = horizon - 1, event_id = 9223372036854775807 WHERE name = 'deliveries';
        RETURN NEXT;
        RETURN;
    END IF;
    horizon := pg_snapshot_xmin(pg_current_snapshot())::text::bigint;
    IF place.transaction_id > horizon THEN -- of the server that the dump was made of: see rebase_events
        place.transaction_id := 0;
        place.event_id := 0;
    END IF;
    RETURN QUERY
    WITH found AS MATERIALIZED (
        SELECT * FROM events
        WHERE (transaction_id, id) > (place.transaction_id, place.event_id) AND transaction_id < horizon
        ORDER BY transaction_id, id LIMIT p_limit
    ), wanted AS (
        SELECT found.*, endpoint.id AS endpoint_id, NULL::text AS url
        FROM found JOIN webhook_endpoints AS endpoint ON endpoint.tenant_id = found.tenant_id
        WHERE endpoint.url IS NOT NULL AND endpoint.deleted_at IS NULL AND endpoint.is_enabled
            AND endpoint.created_at <= found.created_at AND is_subscribed(endpoint.event_types, found.type)
            AND coalesce(found.data ->> 'endpoint_id' <> endpoint.id, true)
        UNION ALL
        SELECT found.*, endpoint.id, generation.webhook_url
        FROM found JOIN generations AS generation ON generation.id = found.generation_id
        JOIN webhook_endpoints AS endpoint ON endpoint.tenant_id = found.tenant_id
        WHERE generation.webhook_url IS NOT NULL AND endpoint.url IS NULL AND endpoint.deleted_at IS NULL
            AND is_subscribed(generation.webhook_events, found.type)
    ), made AS (
        INSERT INTO deliveries (
            id, tenant_id, endpoint_id, event_id, generation_id, number, type, data, url, status, occurred_at, next_attempt_at
        )
        SELECT new_delivery_id(), tenant_id, endpoint_id, id, generation_id, number, type, data, url, 'pending',
            created_at, now()
        FROM wanted ORDER BY transaction_id, id
        ON CONFLICT (endpoint_id, event_id) DO NOTHING RETURNING 1
    ), moved AS (
        UPDATE event_cursors SET transaction_id = last.transaction_id, event_id = last.id
        FROM (SELECT transaction_id, id FROM found ORDER BY transaction_id DESC, id DESC LIMIT 1) AS last
        WHERE name = 'deliveries'
    )
    SELECT (SELECT count(*) FROM found), (SELECT count(*) FROM made), is_waited_for;
END $$;

-- Record an attempt, once, and what follows from it for its delivery and its endpoint; return the delivery's status.
--
-- p_status: of the delivery after it. A delivery that has ended meanwhile stays as it is. An endpoint is disabled if it is
-- gone, or has done nothing but fail for so long; never the one of single jobs, as their addresses have no part in each other.
CREATE OR REPLACE FUNCTION record_delivery_attempt(
    p_delivery text, p_number bigint, p_status text, p_response_status bigint, p_duration_ms bigint, p_error text,
    p_excerpt text, p_next_seconds float8, p_disable_seconds float8
) RETURNS text LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    delivery deliveries;
BEGIN
    -- Its generation first, like everybody who writes an event of it.
    IF p_status <> 'pending' THEN
        PERFORM FROM generations WHERE id = (SELECT generation_id FROM deliveries WHERE id = p_delivery) FOR UPDATE;
    END IF;
    SELECT * INTO delivery FROM deliveries WHERE id = p_delivery FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 'canceled';
    END IF;
    INSERT INTO delivery_attempts (delivery_id, number, response_status, duration_ms, error_code, excerpt)
    VALUES (p_delivery, p_number, p_response_status, p_duration_ms, p_error, p_excerpt)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN delivery.status;
    END IF;
    UPDATE deliveries SET attempts = greatest(attempts, p_number) WHERE id = p_delivery;
    PERFORM note_endpoint_response(delivery.endpoint_id, p_status = 'succeeded', p_error, p_disable_seconds);
    IF delivery.status <> 'pending' THEN
        RETURN delivery.status;
    END IF;
    UPDATE deliveries SET status = p_status, finished_at = CASE WHEN p_status <> 'pending' THEN now() END,
        next_attempt_at = CASE WHEN p_status = 'pending' THEN now() + make_interval(secs => p_next_seconds) END
    WHERE id = p_delivery;
    IF p_status <> 'pending' THEN
        PERFORM write_event(
            delivery.tenant_id, delivery.generation_id,
            CASE p_status WHEN 'succeeded' THEN 'delivery.succeeded' ELSE 'delivery.failed' END,
            jsonb_build_object(
                'delivery_id', delivery.id, 'endpoint_id', delivery.endpoint_id, 'type', delivery.type,
                'status', p_status, 'attempts', p_number, 'response_status', p_response_status, 'error_code', p_error
            )
        );
    END IF;
    RETURN p_status;
END $$;

-- Keep since when an endpoint only fails, and disable one that is gone or does so for too long.
CREATE OR REPLACE FUNCTION note_endpoint_response(
    p_endpoint text, p_is_success boolean, p_error text, p_disable_seconds float8
) RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    endpoint webhook_endpoints;
BEGIN
    IF p_is_success THEN
        UPDATE webhook_endpoints SET failing_since = NULL WHERE id = p_endpoint AND failing_since IS NOT NULL;
        RETURN;
    END IF;
    UPDATE webhook_endpoints SET failing_since = now()
    WHERE id = p_endpoint AND url IS NOT NULL AND failing_since IS NULL;
    UPDATE webhook_endpoints
    SET is_enabled = false, disabled_reason = CASE p_error WHEN 'gone' THEN 'gone' ELSE 'failing' END
    WHERE id = p_endpoint AND url IS NOT NULL AND is_enabled AND deleted_at IS NULL
        AND (p_error = 'gone' OR failing_since <= now() - make_interval(secs => p_disable_seconds))
    RETURNING * INTO endpoint;
    IF FOUND THEN
        PERFORM write_event(endpoint.tenant_id, NULL, 'webhook_endpoint.disabled', jsonb_build_object(
            'endpoint_id', p_endpoint, 'reason', endpoint.disabled_reason
        ));
    END IF;
END $$;

-- Send what an endpoint missed since a moment: what made no delivery because it was disabled, then what did not succeed.
-- Return how many deliveries go, and whether that was all; each call does a part. Deliveries refer to the endpoint while it
-- is locked: with its key locked, too, those of all tenants would wait for this.
CREATE OR REPLACE FUNCTION resend_deliveries(p_endpoint text, p_since timestamptz, p_limit bigint)
RETURNS TABLE (started bigint, is_complete boolean) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    endpoint webhook_endpoints;
    made bigint;
    again bigint;
BEGIN
    SELECT * INTO endpoint FROM webhook_endpoints WHERE id = p_endpoint FOR NO KEY UPDATE;
    WITH missed AS (
        SELECT * FROM events
        WHERE tenant_id = endpoint.tenant_id AND endpoint.url IS NOT NULL
            AND created_at >= greatest(p_since, endpoint.created_at)
            AND transaction_id < pg_snapshot_xmin(pg_current_snapshot())::text::bigint
            AND is_subscribed(endpoint.event_types, type) AND coalesce(data ->> 'endpoint_id' <> endpoint.id, true)
            AND NOT EXISTS (SELECT FROM deliveries WHERE endpoint_id = p_endpoint AND event_id = events.id)
        ORDER BY transaction_id, id LIMIT p_limit
    )
    INSERT INTO deliveries (
        id, tenant_id, endpoint_id, event_id, generation_id, number, type, data, status, occurred_at, next_attempt_at
    )
    SELECT new_delivery_id(), tenant_id, p_endpoint, id, generation_id, number, type, data, 'pending', created_at, now()
    FROM missed ON CONFLICT (endpoint_id, event_id) DO NOTHING;
    GET DIAGNOSTICS made = ROW_COUNT;
    WITH failed AS (
        SELECT id FROM deliveries
        WHERE endpoint_id = p_endpoint AND occurred_at >= p_since AND status IN ('failed', 'exhausted', 'canceled')
        ORDER BY created_at, id LIMIT p_limit - made FOR UPDATE
    )
    UPDATE deliveries
    SET status = 'pending', run = run + 1, started_at = NULL, finished_at = NULL, next_attempt_at = now()
    FROM failed WHERE deliveries.id = failed.id;
    GET DIAGNOSTICS again = ROW_COUNT;
    RETURN QUERY SELECT made + again, made + again < p_limit;
END $$;
