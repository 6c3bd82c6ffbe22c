-- Credits in double entry: every hold, charge and refund.
--
-- A call is one transaction. It locks the generation's row, then the tenant's accounts in the order of their ids. What
-- must never happen is refused by the tables: `transfers_one_hold`, `transfers_one_resolution`, `accounts_no_overdraft`,
-- the checks of `generations` and `lots`, and the triggers. The conditions here turn a repeat into the stored outcome.
-- A function that finds no such generation returns no row.

-- Write a transfer, its entries and the new balances; return its moment. An account without a change gets no entry, unless no
-- account has one. The entries are one statement, because the database checks that the rows of a statement balance.
-- Moments are read under the lock of the accounts: a tenant's transfers have them in the order of their entries.
CREATE OR REPLACE FUNCTION write_transfer(
    p_transfer text, p_tenant text, p_kind text, p_generation text, p_amount bigint, p_accounts text[], p_changes bigint[]
) RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE
    is_of_zero CONSTANT boolean := 0 = ALL (p_changes);
    at timestamptz;
BEGIN
    PERFORM FROM accounts WHERE tenant_id = p_tenant AND kind = ANY (p_accounts) ORDER BY id FOR UPDATE;
    at := clock_timestamp();
    INSERT INTO transfers (id, tenant_id, kind, hold_id, generation_id, amount_credits, created_at) VALUES (
        p_transfer, p_tenant, p_kind,
        CASE WHEN p_kind IN ('hold', 'settle', 'refund', 'expire') THEN p_generation || ':hold' END,
        p_generation, p_amount, at
    );
    WITH moved AS (
        UPDATE accounts SET balance_credits = balance_credits + change.amount
        FROM unnest(p_accounts, p_changes) WITH ORDINALITY AS change (kind, amount, position)
        WHERE tenant_id = p_tenant AND accounts.kind = change.kind AND (change.amount <> 0 OR is_of_zero)
        RETURNING change.position, change.amount, accounts.id, accounts.balance_credits
    )
    INSERT INTO entries (transfer_id, account_id, amount_credits, balance_after)
    SELECT p_transfer, id, amount, balance_credits FROM moved ORDER BY position;
    RETURN at;
END $$;

-- Hold the price of a generation: in its tenant's accounts, in lots, and for its key.
CREATE OR REPLACE FUNCTION hold_credits(p_generation generations, p_at timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    price CONSTANT bigint := p_generation.price_credits;
    at CONSTANT timestamptz := write_transfer(
        p_generation.id || ':hold', p_generation.tenant_id, 'hold', p_generation.id, price,
        ARRAY['available', 'held'], ARRAY[-price, price]
    );
BEGIN
    PERFORM take_from_lots(p_generation.tenant_id, p_generation.id || ':hold', 'hold', price, p_at);
    PERFORM count_held(p_generation.api_key_id, price, at);
END $$;

-- Resolve the hold of a generation: so much is spent, the rest is available again. p_images: how many were delivered.
CREATE OR REPLACE FUNCTION resolve_hold(p_generation generations, p_kind text, p_charged bigint, p_images bigint)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    transfer CONSTANT text := p_generation.id || ':' || p_kind;
    at CONSTANT timestamptz := write_transfer(
        transfer, p_generation.tenant_id, p_kind, p_generation.id,
        CASE p_kind WHEN 'settle' THEN p_charged ELSE p_generation.held_credits END,
        CASE p_kind WHEN 'settle' THEN ARRAY['available', 'held', 'spent'] ELSE ARRAY['available', 'held'] END,
        ARRAY[p_generation.held_credits - p_charged, -p_generation.held_credits]
            || CASE p_kind WHEN 'settle' THEN ARRAY[p_charged] ELSE ARRAY[]::bigint[] END
    );
BEGIN
    PERFORM resolve_in_lots(p_generation, transfer, p_kind, p_charged);
    PERFORM count_resolved(p_generation, p_charged);
    PERFORM count_usage(p_generation, p_images, p_charged, at) WHERE p_kind = 'settle';
END $$;

-- Return how a generation ended. Images count only where they were paid for.
CREATE OR REPLACE FUNCTION outcome_of(p_generation text)
RETURNS TABLE (status text, code text, charged_credits bigint, images bigint) LANGUAGE sql STABLE AS $$
    SELECT status, error_code, charged_credits, CASE status
        WHEN 'completed' THEN (SELECT count(*) FROM images WHERE generation_id = p_generation) ELSE 0 END
    FROM generations WHERE id = p_generation AND finished_at IS NOT NULL
$$;

-- End a generation whose row is locked: return its hold, if there is one, but what its end costs.
-- p_error_stage: where it failed, if that is not the stage it is in.
CREATE OR REPLACE FUNCTION end_generation(
    p_generation generations, p_status text, p_code text, p_attention text, p_error_stage text
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    has_hold CONSTANT boolean := EXISTS (SELECT FROM transfers WHERE id = p_generation.id || ':hold');
    attention CONSTANT text := coalesce(p_attention, p_generation.needs_attention);
    charged bigint := 0;
    uncharged bigint := 0;
BEGIN
    IF has_hold THEN
        SELECT undelivered.charged, undelivered.uncharged INTO charged, uncharged
        FROM charge_undelivered(p_generation, p_status, p_code, attention) AS undelivered;
    END IF;
    -- First, so that the end of a generation is the last of its events.
    IF has_hold THEN
        PERFORM resolve_hold(p_generation, CASE
            WHEN charged > 0 THEN 'settle' WHEN p_code = 'workflow_lost' THEN 'expire' ELSE 'refund' END, charged, 0);
    END IF;
    UPDATE generations SET
        status = p_status,
        stage = p_status,
        error_code = CASE p_status WHEN 'failed' THEN p_code END,
        error_stage = CASE p_status WHEN 'failed' THEN coalesce(p_error_stage, stage) END,
        canceled_by = CASE p_status WHEN 'canceled' THEN canceled_by(p_generation, p_code) END,
        needs_attention = attention,
        charged_credits = charged,
        refunded_credits = held_credits - charged
    WHERE id = p_generation.id;
    PERFORM count_uncharged(p_generation.tenant_id, uncharged) WHERE uncharged > 0;
END $$;

-- Complete a generation whose row is locked: charge for the images that are stored, return the rest of the hold.
-- p_undelivered: images that did not come, as pairs of index and code.
CREATE OR REPLACE FUNCTION complete_generation(p_generation generations, p_delivered bigint, p_undelivered jsonb)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    price CONSTANT bigint := p_generation.price_credits;
    n CONSTANT bigint := p_generation.n;
    charged CONSTANT bigint := price * least(p_delivered, n) / n;
    -- Images that the provider had made, or looked at, and refused: nobody pays for them.
    refused CONSTANT bigint := (
        SELECT count(*) FROM jsonb_array_elements(p_undelivered) AS missing
        WHERE missing ->> 1 = 'content_rejected'
    );
    uncharged CONSTANT bigint := price * least(refused, n) / n;
BEGIN
    PERFORM resolve_hold(p_generation, 'settle', charged, least(p_delivered, n));
    UPDATE generations SET
        status = 'completed',
        stage = 'completed',
        undelivered = p_undelivered,
        charged_credits = charged,
        refunded_credits = held_credits - charged
    WHERE id = p_generation.id;
    PERFORM count_uncharged(p_generation.tenant_id, uncharged) WHERE uncharged > 0;
END $$;

-- Hold the price, or end the generation where that cannot be.
-- state: held, insufficient (of the balance, or of what the key may spend), canceled, not_started_in_time or already_terminal. queued_seconds: since the price was first held.
CREATE OR REPLACE FUNCTION reserve_credits(p_generation text)
RETURNS TABLE (
    state text, status text, code text, charged_credits bigint, images bigint, queued_seconds double precision
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    generation generations;
    price bigint;
    available bigint;
    at timestamptz;
    refusal text;
    result text := 'held';
BEGIN
    SELECT * INTO generation FROM generations WHERE id = p_generation FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    price := generation.price_credits;
    IF generation.finished_at IS NOT NULL THEN
        result := 'already_terminal';
    ELSIF is_cancel_wanted(generation) THEN
        PERFORM end_generation(generation, 'canceled', NULL, NULL, NULL);
        result := 'canceled';
    ELSIF is_past_start_by(generation) THEN
        PERFORM end_generation(generation, 'failed', 'not_started_in_time', NULL, NULL);
        result := 'not_started_in_time';
    ELSIF NOT EXISTS (SELECT FROM transfers WHERE id = p_generation || ':hold') THEN
        PERFORM FROM accounts WHERE id = generation.tenant_id || ':available' FOR UPDATE;
        at := clock_timestamp();
        PERFORM begin_lots(generation.tenant_id, at);
        available := spendable_credits(generation.tenant_id, at);
        refusal := CASE WHEN available >= price THEN refusal_of_key(generation.api_key_id, price, at)
            ELSE 'insufficient_credits' END;
        IF refusal IS NULL THEN
            UPDATE generations SET
                held_credits = price,
                stage = 'throttled',
                status = CASE status WHEN 'created' THEN 'queued' ELSE status END
            WHERE id = p_generation;
            PERFORM hold_credits(generation, at);
            PERFORM tell_if_low(generation.tenant_id) FROM accounts
            WHERE id = generation.tenant_id || ':available' AND low_at_credits > available - price;
        ELSE
            PERFORM end_generation(generation, 'failed', refusal, NULL, 'reserving');
            result := 'insufficient';
        END IF;
    END IF;
    IF result = 'held' THEN
        RETURN QUERY SELECT result, NULL, NULL, NULL::bigint, NULL::bigint,
            extract(epoch FROM clock_timestamp() - queued_at)::double precision
        FROM generations WHERE id = p_generation;
    ELSE
        RETURN QUERY SELECT result, outcome.*, NULL::double precision FROM outcome_of(p_generation) AS outcome;
    END IF;
END $$;

-- Lock the rows of several generations and what their steps lock later, all in the one order; return whose step can be
-- taken now. One that is locked is left out, so that it holds up no other. One alone locks as it goes.
CREATE OR REPLACE FUNCTION lock_all(p_generations text[]) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    locked text[];
BEGIN
    IF cardinality(p_generations) = 1 THEN
        RETURN p_generations;
    END IF;
    locked := ARRAY(SELECT id FROM generations WHERE id = ANY (p_generations) ORDER BY id FOR UPDATE SKIP LOCKED);
    PERFORM FROM accounts WHERE kind <> 'issued' AND tenant_id IN (
        SELECT tenant_id FROM generations WHERE id = ANY (locked)
    ) ORDER BY id FOR UPDATE;
    RETURN locked;
END $$;

-- Hold the prices of several generations, in one transaction, in this order. Returns no row for one that was locked.
CREATE OR REPLACE FUNCTION reserve_credits_of_all(p_generations text[])
RETURNS TABLE (
    generation_id text, state text, status text, code text, charged_credits bigint, images bigint,
    queued_seconds double precision
) LANGUAGE plpgsql AS $$
DECLARE
    locked CONSTANT text[] := lock_all(p_generations);
BEGIN
    RETURN QUERY SELECT reserving.id, reserved.*
    FROM unnest(p_generations) AS reserving (id) CROSS JOIN LATERAL reserve_credits(reserving.id) AS reserved
    WHERE reserving.id = ANY (locked);
END $$;

-- Charge for the stored images and complete the generation. Returns no status if it is open and nothing is stored.
CREATE OR REPLACE FUNCTION settle_credits(p_generation text)
RETURNS TABLE (status text, code text, charged_credits bigint, images bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    generation generations;
    delivered bigint;
BEGIN
    SELECT * INTO generation FROM generations WHERE id = p_generation FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF generation.finished_at IS NULL THEN
        SELECT count(*) INTO delivered FROM images WHERE generation_id = p_generation;
        IF delivered = 0 THEN
            RETURN QUERY SELECT NULL, NULL, NULL::bigint, NULL::bigint;
            RETURN;
        END IF;
        PERFORM complete_generation(generation, delivered, generation.undelivered);
    END IF;
    RETURN QUERY SELECT * FROM outcome_of(p_generation);
END $$;

-- End a generation in this state and return its hold, if there is one.
-- p_unless_submitted: change nothing, and return no status, if a provider may have the job, and may bill it.
CREATE OR REPLACE FUNCTION refund_credits(
    p_generation text, p_status text, p_code text, p_attention text, p_error_stage text, p_unless_submitted boolean
) RETURNS TABLE (status text, code text, charged_credits bigint, images bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    generation generations;
BEGIN
    SELECT * INTO generation FROM generations WHERE id = p_generation FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF generation.finished_at IS NULL THEN
        IF p_unless_submitted AND EXISTS (
            SELECT FROM attempts WHERE generation_id = p_generation AND may_be_charged(state)
        ) THEN
            RETURN QUERY SELECT NULL, NULL, NULL::bigint, NULL::bigint;
            RETURN;
        END IF;
        PERFORM end_generation(generation, p_status, p_code, p_attention, p_error_stage);
    END IF;
    RETURN QUERY SELECT * FROM outcome_of(p_generation);
END $$;

-- End a generation that no workflow continues. It is completed if its images are stored already: they are paid for.
-- Returns no status if it has ended before.
CREATE OR REPLACE FUNCTION end_lost_generation(
    p_generation text, p_status text, p_code text, p_attention text, p_error_stage text
) RETURNS TABLE (status text, code text, charged_credits bigint, images bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    generation generations;
    delivered bigint;
BEGIN
    SELECT * INTO generation FROM generations WHERE id = p_generation FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF generation.finished_at IS NOT NULL THEN
        RETURN QUERY SELECT NULL, NULL, NULL::bigint, NULL::bigint;
        RETURN;
    END IF;
    SELECT count(*) INTO delivered FROM images WHERE generation_id = p_generation;
    IF delivered > 0 THEN
        PERFORM complete_generation(generation, delivered, generation.undelivered);
    ELSE
        PERFORM end_generation(generation, p_status, p_code, p_attention, p_error_stage);
    END IF;
    RETURN QUERY SELECT * FROM outcome_of(p_generation);
END $$;
