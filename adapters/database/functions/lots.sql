-- Lots: which credits are spent first, and where each of them goes.
--
-- Whoever changes a lot has the tenant's available account locked, so lots need no order of their own. All moments are of
-- this database's clock, read after that lock.

-- Return what a tenant may spend: its available account, but for what is not effective yet and what has expired and is not
-- swept. Null for a tenant that does not exist.
CREATE OR REPLACE FUNCTION spendable_credits(p_tenant text, p_at timestamptz DEFAULT statement_timestamp())
RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT (balance_credits
        - coalesce((
            SELECT sum(remaining_credits) FROM lots
            WHERE tenant_id = p_tenant AND closed_at IS NULL AND effective_at > p_at
        ), 0)
        - coalesce((
            SELECT sum(remaining_credits) FROM lots
            WHERE tenant_id = p_tenant AND closed_at IS NULL AND expires_at <= p_at AND effective_at <= p_at
        ), 0))::bigint
    FROM accounts WHERE id = p_tenant || ':available'
$$;

-- Return the lots that may be spent at this moment, those that are spent first before the others: by priority, then what
-- expires soonest, then promotional before paid, then the oldest.
CREATE OR REPLACE FUNCTION lots_to_spend(p_tenant text, p_at timestamptz) RETURNS SETOF lots LANGUAGE sql STABLE AS $$
    SELECT * FROM lots
    WHERE tenant_id = p_tenant AND closed_at IS NULL AND remaining_credits > 0
        AND effective_at <= p_at AND (expires_at IS NULL OR expires_at > p_at)
    ORDER BY priority, expires_at, category DESC, created_at, id
$$;

-- Change one lot by one transfer. What leaves it goes where the kind of the transfer says.
CREATE OR REPLACE FUNCTION change_lot(p_lot text, p_transfer text, p_kind text, p_remaining bigint, p_held bigint)
RETURNS void LANGUAGE sql AS $$
    WITH moved AS (SELECT -(p_remaining + p_held) AS credits), changed AS (
        UPDATE lots SET
            remaining_credits = remaining_credits + p_remaining,
            held_credits = held_credits + p_held,
            spent_credits = spent_credits + CASE p_kind WHEN 'settle' THEN credits ELSE 0 END,
            expired_credits = expired_credits + CASE p_kind WHEN 'expire_lot' THEN credits ELSE 0 END,
            voided_credits = voided_credits + CASE p_kind WHEN 'void_lot' THEN credits ELSE 0 END,
            withdrawn_credits = withdrawn_credits + CASE p_kind WHEN 'withdraw' THEN credits ELSE 0 END,
            taken_back_credits = taken_back_credits + CASE p_kind WHEN 'take_back' THEN credits ELSE 0 END,
            repaid_credits = repaid_credits + CASE p_kind WHEN 'repay' THEN credits ELSE 0 END,
            closed_at = CASE WHEN remaining_credits + p_remaining + held_credits + p_held + owed_credits = 0
                THEN clock_timestamp() END
        FROM moved WHERE id = p_lot
    )
    INSERT INTO lot_entries (lot_id, transfer_id, remaining_change, held_change)
    VALUES (p_lot, p_transfer, p_remaining, p_held)
$$;

-- Take so many credits out of the lots that are spent first, or hold them there.
-- Fails where the lots have less than the account: the caller has compared.
CREATE OR REPLACE FUNCTION take_from_lots(
    p_tenant text, p_transfer text, p_kind text, p_credits bigint, p_at timestamptz
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    lot record;
    missing bigint := p_credits;
    taken bigint;
BEGIN
    WHILE missing > 0 LOOP
        -- One at a time, by the index in this order: all of many lots would be sorted.
        SELECT id, remaining_credits INTO lot FROM lots_to_spend(p_tenant, p_at) LIMIT 1;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'the lots of % have % credits fewer than its account', p_tenant, missing
                USING ERRCODE = 'check_violation';
        END IF;
        taken := least(lot.remaining_credits, missing);
        PERFORM change_lot(lot.id, p_transfer, p_kind, -taken, CASE p_kind WHEN 'hold' THEN taken ELSE 0 END);
        missing := missing - taken;
    END LOOP;
END $$;

-- Spend so much of what a generation holds, of the lots that are spent first, and return the rest to its lots.
-- What returns to a lot that owes, or is over, goes on at once.
CREATE OR REPLACE FUNCTION resolve_in_lots(p_generation generations, p_transfer text, p_kind text, p_charged bigint)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    lot record;
    unpaid bigint := p_charged;
    spent bigint;
BEGIN
    FOR lot IN
        SELECT lots.id, lot_entries.held_change AS held,
            owed_credits > 0 OR expired_at IS NOT NULL OR voided_at IS NOT NULL
                OR coalesce(expires_at <= clock_timestamp(), false) AS passes_on
        FROM lot_entries JOIN lots ON lots.id = lot_entries.lot_id
        WHERE transfer_id = p_generation.id || ':hold'
        ORDER BY priority, expires_at, category DESC, lots.created_at, lots.id
    LOOP
        spent := least(lot.held, unpaid);
        unpaid := unpaid - spent;
        PERFORM change_lot(lot.id, p_transfer, p_kind, lot.held - spent, -lot.held);
        IF lot.passes_on AND lot.held > spent THEN
            PERFORM pass_on(lot.id, lot.held - spent, p_generation.id);
        END IF;
    END LOOP;
END $$;

-- Move on what a generation returned to a lot: to what is owed of the lot first. The rest goes the way of the lot, if that
-- was voided or has expired.
CREATE OR REPLACE FUNCTION pass_on(p_lot text, p_returned bigint, p_generation text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    lot lots;
    repaid bigint;
BEGIN
    SELECT * INTO lot FROM lots WHERE id = p_lot;
    repaid := least(lot.owed_credits, p_returned);
    IF repaid > 0 THEN
        PERFORM repay_from_lot(lot, 'repay:' || p_lot || ':' || p_generation, p_generation, repaid);
        UPDATE lots SET owed_credits = owed_credits - repaid,
            closed_at = CASE WHEN remaining_credits + held_credits + owed_credits - repaid = 0 THEN clock_timestamp() END
        WHERE id = p_lot;
    END IF;
    IF p_returned > repaid AND lot.voided_at IS NOT NULL THEN
        PERFORM remove_from_lot(lot, 'void_lot', 'void:' || p_lot || ':' || p_generation, p_generation, p_returned - repaid);
    ELSIF p_returned > repaid AND (lot.expired_at IS NOT NULL OR lot.expires_at <= clock_timestamp()) THEN
        PERFORM remove_from_lot(
            lot, 'expire_lot', 'expire:' || p_lot || ':' || p_generation, p_generation, p_returned - repaid
        );
    END IF;
END $$;

-- Return so many credits of a lot to whoever issued them, by a transfer of their own.
CREATE OR REPLACE FUNCTION remove_from_lot(p_lot lots, p_kind text, p_transfer text, p_generation text, p_credits bigint)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM write_transfer(
        p_transfer, p_lot.tenant_id, p_kind, p_generation, p_credits,
        ARRAY['available', 'issued'], ARRAY[-p_credits, p_credits]
    );
    PERFORM change_lot(p_lot.id, p_transfer, p_kind, -p_credits, 0);
END $$;

-- Pay so much of what a tenant owes with the credits of a lot.
CREATE OR REPLACE FUNCTION repay_from_lot(p_lot lots, p_transfer text, p_generation text, p_credits bigint)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM write_transfer(
        p_transfer, p_lot.tenant_id, 'repay', p_generation, p_credits,
        ARRAY['available', 'owed'], ARRAY[-p_credits, p_credits]
    );
    PERFORM change_lot(p_lot.id, p_transfer, 'repay', -p_credits, 0);
END $$;

-- End a lot: what remains of it goes back, and what a hold returns later goes the same way. Return how much that was.
CREATE OR REPLACE FUNCTION end_lot(p_lot text, p_kind text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    lot lots;
BEGIN
    SELECT * INTO lot FROM lots WHERE id = p_lot;
    IF lot.voided_at IS NOT NULL OR p_kind = 'expire_lot' AND lot.expired_at IS NOT NULL THEN
        RETURN 0;
    END IF;
    IF lot.remaining_credits > 0 THEN
        PERFORM remove_from_lot(
            lot, p_kind, CASE p_kind WHEN 'void_lot' THEN 'void:' ELSE 'expire:' END || p_lot, NULL, lot.remaining_credits
        );
    END IF;
    UPDATE lots SET
        begun_at = coalesce(begun_at, clock_timestamp()),
        voided_at = CASE p_kind WHEN 'void_lot' THEN clock_timestamp() END,
        expired_at = CASE p_kind WHEN 'expire_lot' THEN clock_timestamp() ELSE expired_at END
    WHERE id = p_lot;
    PERFORM tell_if_low(lot.tenant_id);
    RETURN lot.remaining_credits;
END $$;

-- Notice which of a tenant's lots are effective now. Whoever takes credits does so first: what such a lot lifted the balance
-- to may be gone before a sweep comes by.
CREATE OR REPLACE FUNCTION begin_lots(p_tenant text, p_at timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM lots WHERE tenant_id = p_tenant AND begun_at IS NULL AND effective_at <= p_at) THEN
        UPDATE lots SET begun_at = clock_timestamp()
        WHERE tenant_id = p_tenant AND begun_at IS NULL AND effective_at <= p_at;
        PERFORM rearm_thresholds(p_tenant);
    END IF;
END $$;

-- Expire lots. One whose tenant's books are wrong is left as it is, and keeps no other tenant's from expiring.
CREATE OR REPLACE FUNCTION expire_lots(p_lots text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    lot text;
BEGIN
    PERFORM end_lot(id, 'expire_lot') FROM unnest(p_lots) AS id;
EXCEPTION WHEN check_violation THEN
    IF cardinality(p_lots) = 1 THEN
        RAISE WARNING 'lot % cannot expire: %', p_lots[1], SQLERRM;
        RETURN;
    END IF;
    FOREACH lot IN ARRAY p_lots LOOP
        PERFORM expire_lots(ARRAY[lot]);
    END LOOP;
END $$;

-- Take away what has expired, and notice what is effective now; return how many lots that were.
CREATE OR REPLACE FUNCTION sweep_lots(p_limit bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    ended CONSTANT text[] := ARRAY(
        SELECT id FROM lots
        WHERE closed_at IS NULL AND expired_at IS NULL AND voided_at IS NULL AND expires_at <= now()
        ORDER BY expires_at LIMIT p_limit
    );
    begun CONSTANT text[] := ARRAY(
        SELECT id FROM lots WHERE begun_at IS NULL AND effective_at <= now() ORDER BY effective_at LIMIT p_limit
    );
BEGIN
    PERFORM FROM accounts WHERE tenant_id IN (SELECT tenant_id FROM lots WHERE id = ANY (ended || begun))
    ORDER BY id FOR UPDATE;
    PERFORM begin_lots(tenant_id, now()) FROM (SELECT DISTINCT tenant_id FROM lots WHERE id = ANY (begun)) AS tenants;
    PERFORM expire_lots(ended);
    RETURN cardinality(ended) + cardinality(begun);
END $$;
