-- The log of what happens to generations and to their tenants' credits: one row for each change, in its transaction.
--
-- `number` counts the events of a generation. Whoever writes one has the generation's row locked, so they are committed in
-- the order of their numbers. Data holds no prompt, no address of a result and no words of a provider.

-- Write an event. p_generation: null for what belongs to a tenant only.
--
-- Fails, to be tried again, where a transaction that began later has written to the generation before: it would stand
-- before that one's event, with a larger number. Only one that locks several generations can come into it, as a transaction
-- begins, in this sense, with its first lock.
CREATE OR REPLACE FUNCTION write_event(p_tenant text, p_generation text, p_type text, p_data jsonb)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    last_number bigint;
    last_transaction bigint;
BEGIN
    IF p_generation IS NOT NULL THEN
        SELECT number, transaction_id INTO last_number, last_transaction
        FROM events WHERE generation_id = p_generation ORDER BY number DESC LIMIT 1;
        IF NOT FOUND THEN
            last_number := (SELECT purged_events FROM generations WHERE id = p_generation);
        -- Not what another server has numbered, and was restored here: see rebase_events.
        ELSIF last_transaction > pg_current_xact_id()::text::bigint
            AND last_transaction < pg_snapshot_xmax(pg_current_snapshot())::text::bigint
        THEN
            RAISE EXCEPTION 'events of generation % would be out of order', p_generation
                USING ERRCODE = 'serialization_failure';
        END IF;
    END IF;
    INSERT INTO events (tenant_id, generation_id, number, type, data)
    VALUES (p_tenant, p_generation, last_number + 1, p_type, p_data);
END $$;

-- Status and stage, and what the client asked for.
CREATE OR REPLACE FUNCTION log_generation() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    progress CONSTANT jsonb := jsonb_build_object('status', NEW.status, 'stage', NEW.stage);
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO events (tenant_id, generation_id, number, type, data) VALUES (
            NEW.tenant_id, NEW.id, 1, 'generation.created', progress || jsonb_build_object('model', NEW.model)
        );
        RETURN NULL;
    END IF;
    IF NEW.cancel_requested_at IS NOT NULL AND OLD.cancel_requested_at IS NULL THEN
        PERFORM write_event(NEW.tenant_id, NEW.id, 'generation.cancel_requested', progress);
    END IF;
    IF NEW.finished_at IS NOT NULL AND OLD.finished_at IS NULL THEN
        PERFORM write_event(NEW.tenant_id, NEW.id, 'generation.' || NEW.status, progress || jsonb_build_object(
            'error_code', NEW.error_code, 'charged_credits', NEW.charged_credits,
            'refunded_credits', NEW.refunded_credits, 'undelivered', jsonb_array_length(NEW.undelivered),
            'canceled_by', NEW.canceled_by
        ));
    ELSIF NEW.status <> OLD.status THEN
        PERFORM write_event(NEW.tenant_id, NEW.id, 'generation.' || NEW.status, progress);
    ELSIF NEW.stage <> OLD.stage THEN
        PERFORM write_event(NEW.tenant_id, NEW.id, 'generation.stage_changed', progress);
    END IF;
    IF NEW.deleted_at IS NOT NULL AND OLD.deleted_at IS NULL THEN
        PERFORM write_event(NEW.tenant_id, NEW.id, 'generation.deleted', progress);
    END IF;
    RETURN NULL;
END $$;

-- Submits, and how they ended.
CREATE OR REPLACE FUNCTION log_attempt() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    tenant CONSTANT text := (SELECT tenant_id FROM generations WHERE id = NEW.generation_id);
    facts CONSTANT jsonb := jsonb_build_object(
        'ordinal', NEW.ordinal, 'provider', NEW.provider, 'provider_job_id', NEW.provider_job_id,
        'code', NEW.code, 'late', NEW.late_at IS NOT NULL, 'may_be_charged', may_be_charged(NEW.state)
    );
BEGIN
    IF TG_OP = 'INSERT' OR NEW.state <> OLD.state THEN
        PERFORM write_event(tenant, NEW.generation_id, CASE NEW.state
            WHEN 'sending' THEN 'attempt.started' WHEN 'failed_uncharged' THEN 'attempt.failed'
            ELSE 'attempt.' || NEW.state END, facts);
    ELSE
        PERFORM write_event(tenant, NEW.generation_id, 'attempt.late_result', facts);
    END IF;
    RETURN NULL;
END $$;

-- Webhooks of providers. Of one that comes again, `receive_event` writes.
CREATE OR REPLACE FUNCTION log_inbox() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM write_event(generations.tenant_id, NEW.generation_id, 'attempt.webhook_received', jsonb_build_object(
        'ordinal', NEW.ordinal, 'provider', NEW.provider, 'status', NEW.status, 'code', NEW.code,
        'late', NEW.late, 'repeated', false
    )) FROM generations WHERE id = NEW.generation_id;
    RETURN NULL;
END $$;

-- Write that a webhook came again: of the first few, as anybody may repeat what was sent once.
CREATE OR REPLACE FUNCTION log_repeated_webhook(p_generation generations, p_ordinal bigint, p_provider text)
RETURNS void LANGUAGE sql AS $$
    SELECT write_event(p_generation.tenant_id, p_generation.id, 'attempt.webhook_received', jsonb_build_object(
        'ordinal', p_ordinal, 'provider', p_provider, 'repeated', true
    ))
    WHERE (
        SELECT count(*) FROM events WHERE generation_id = p_generation.id AND type = 'attempt.webhook_received'
    ) < 10
$$;

-- Holds, charges and refunds; what belongs to no generation, such as grants.
CREATE OR REPLACE FUNCTION log_transfer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM write_event(NEW.tenant_id, NEW.generation_id, 'credits.' || CASE NEW.kind
        WHEN 'hold' THEN 'held' WHEN 'settle' THEN 'settled' WHEN 'refund' THEN 'refunded'
        WHEN 'expire' THEN 'expired' WHEN 'grant' THEN 'granted' WHEN 'withdraw' THEN 'withdrawn'
        WHEN 'expire_lot' THEN 'lot_expired' WHEN 'void_lot' THEN 'lot_voided' WHEN 'take_back' THEN 'taken_back'
        WHEN 'repay' THEN 'repaid' END,
        jsonb_build_object('transfer_id', NEW.id, 'amount_credits', NEW.amount_credits));
    RETURN NULL;
END $$;

-- The images of a generation, which are recorded together.
CREATE OR REPLACE FUNCTION log_images() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM write_event(generations.tenant_id, generations.id, 'images.stored', jsonb_build_object(
        'images', stored.images, 'size_bytes', stored.size_bytes
    )) FROM (
        SELECT generation_id, count(*) AS images, sum(size_bytes) AS size_bytes FROM written GROUP BY generation_id
    ) AS stored JOIN generations ON generations.id = stored.generation_id;
    RETURN NULL;
END $$;

-- Write that an attempt has its slot: with its submit, where the generation's row is locked. Grants lock no generation.
CREATE OR REPLACE FUNCTION log_slot(p_generation generations, p_ordinal bigint) RETURNS void LANGUAGE sql AS $$
    SELECT write_event(p_generation.tenant_id, p_generation.id, 'slot.granted', jsonb_build_object(
        'ordinal', ordinal, 'provider', provider,
        'granted_at', to_char(granted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'waited_seconds',
        round(extract(epoch FROM granted_at - requested_at), 3)
    ))
    FROM provider_slots
    WHERE generation_id = p_generation.id AND ordinal = p_ordinal AND granted_at IS NOT NULL
$$;

-- Delete events from before this moment, the oldest first, and return how many. Numbers go on from where they were. Only
-- the oldest are looked at: where none of them is due, there is no other to find.
CREATE OR REPLACE FUNCTION purge_events(p_before timestamptz, p_limit bigint) RETURNS bigint LANGUAGE sql AS $$
    WITH oldest AS MATERIALIZED (
        SELECT transaction_id, id, generation_id, number, created_at FROM events ORDER BY transaction_id, id LIMIT p_limit
    ), due AS MATERIALIZED (
        SELECT * FROM oldest WHERE created_at < p_before
    ), locked AS MATERIALIZED (
        SELECT id FROM generations WHERE id IN (SELECT generation_id FROM due) ORDER BY id FOR UPDATE
    ), counted AS (
        UPDATE generations SET purged_events = greatest(purged_events, last.number)
        FROM (SELECT generation_id, max(number) AS number FROM due GROUP BY generation_id) AS last
        WHERE generations.id = last.generation_id AND generations.id IN (SELECT id FROM locked)
    ), deleted AS (
        DELETE FROM events USING due
        WHERE events.transaction_id = due.transaction_id AND events.id = due.id RETURNING events.id
    )
    SELECT count(*) FROM deleted
$$;

-- Put events that come from another server before all that this one will write, in the order of their ids; return how many.
-- A dump keeps the numbers of transactions of the server that it was made of, and this one counts its own.
CREATE OR REPLACE FUNCTION rebase_events() RETURNS bigint LANGUAGE sql AS $$
    WITH foreign_events AS (
        DELETE FROM events WHERE transaction_id > CAST(CAST(pg_current_xact_id() AS text) AS bigint) RETURNING *
    ), rebased AS (
        INSERT INTO events (transaction_id, id, tenant_id, generation_id, number, type, data, created_at)
        OVERRIDING SYSTEM VALUE
        SELECT 0, id, tenant_id, generation_id, number, type, data, created_at FROM foreign_events RETURNING id
    )
    SELECT count(*) FROM rebased
$$;
