-- Credits that come to a tenant, and that go back: grants, withdrawals, take-backs.
--
-- Each locks all of the tenant's accounts first, and is safe to repeat: what it makes is named by its reference. `state`
-- says how it went; where it is not the first word of its list, and not `repeated`, nothing was changed.

-- Lock a tenant's accounts, and notice what is effective now; return whether it exists and is not erased.
CREATE OR REPLACE FUNCTION lock_accounts(p_tenant text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM accounts WHERE tenant_id = p_tenant ORDER BY id FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM begin_lots(p_tenant, clock_timestamp());
    RETURN EXISTS (SELECT FROM tenants WHERE id = p_tenant AND erasure_requested_at IS NULL);
END $$;

-- Find the lot of a grant: its own, or for one from before there were lots, the tenant's first.
CREATE OR REPLACE FUNCTION lot_of_grant(p_tenant text, p_reference text) RETURNS lots LANGUAGE sql STABLE AS $$
    SELECT lots.* FROM transfers JOIN lots ON lots.tenant_id = p_tenant
        AND (lots.grant_id = transfers.id OR lots.grant_id IS NULL)
    WHERE transfers.id = 'grant:' || p_tenant || ':' || p_reference
    ORDER BY lots.grant_id NULLS LAST LIMIT 1
$$;

-- Give a tenant credits, once per reference.
--
-- state: granted; repeated; differs, for a reference with another amount or other terms; other_tenant, for a payment of
-- another tenant; over, where it would expire before it can be spent; no_tenant. p_is_payment: whether the reference is one
-- payment in all of the service. p_effective_at: null for now.
CREATE OR REPLACE FUNCTION grant_credits(
    p_tenant text, p_reference text, p_credits bigint, p_category text, p_priority bigint, p_effective_at timestamptz,
    p_expires_at timestamptz, p_is_payment boolean
) RETURNS TABLE (state text, lot lots) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    transfer CONSTANT text := 'grant:' || p_tenant || ':' || p_reference;
    earlier transfers;
    at timestamptz;
BEGIN
    IF NOT lock_accounts(p_tenant) THEN
        RETURN QUERY SELECT 'no_tenant', NULL::lots;
        RETURN;
    END IF;
    SELECT * INTO earlier FROM transfers WHERE id = transfer;
    lot := lot_of_grant(p_tenant, p_reference);
    IF earlier.id IS NOT NULL AND NOT is_same_grant(earlier, lot, p_credits, p_category, p_priority, p_effective_at, p_expires_at)
    THEN
        RETURN QUERY SELECT 'differs', lot;
        RETURN;
    END IF;
    at := clock_timestamp();
    IF earlier.id IS NULL AND p_expires_at <= greatest(at, p_effective_at) THEN
        RETURN QUERY SELECT 'over', NULL::lots;
        RETURN;
    END IF;
    IF p_is_payment AND NOT claim_payment(p_tenant, p_reference) THEN
        RETURN QUERY SELECT 'other_tenant', NULL::lots;
        RETURN;
    END IF;
    IF earlier.id IS NULL THEN
        lot := write_grant(p_tenant, p_reference, p_credits, p_category, p_priority, p_effective_at, p_expires_at);
    END IF;
    -- Also by a grant that nobody called a payment, and that is known as one by a refund of it only.
    UPDATE payments SET lot_id = lot.id, granted_credits = p_credits
    WHERE reference = p_reference AND tenant_id = p_tenant AND lot_id IS NULL;
    PERFORM apply_take_backs(p_tenant, p_reference);
    IF earlier.id IS NULL THEN
        PERFORM repay_owed(lot.id);
        PERFORM rearm_thresholds(p_tenant);
    END IF;
    RETURN QUERY SELECT CASE WHEN earlier.id IS NULL THEN 'granted' ELSE 'repeated' END, lots
    FROM lots WHERE id = lot.id;
END $$;

-- Return whether a grant is the same as one before. Of one from before there were lots, only the amount is known.
CREATE OR REPLACE FUNCTION is_same_grant(
    p_earlier transfers, p_lot lots, p_credits bigint, p_category text, p_priority bigint, p_effective_at timestamptz,
    p_expires_at timestamptz
) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT p_earlier.amount_credits = p_credits AND (p_lot.grant_id IS NULL OR (
        p_lot.category = p_category AND p_lot.priority = p_priority
        AND p_lot.expires_at IS NOT DISTINCT FROM p_expires_at
        AND p_lot.effective_at = coalesce(p_effective_at, p_lot.created_at)
    ))
$$;

-- Say that a payment is this tenant's; return whether it is.
CREATE OR REPLACE FUNCTION claim_payment(p_tenant text, p_reference text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO payments (reference, tenant_id) VALUES (p_reference, p_tenant) ON CONFLICT (reference) DO NOTHING;
    RETURN EXISTS (SELECT FROM payments WHERE reference = p_reference AND tenant_id = p_tenant);
END $$;

CREATE OR REPLACE FUNCTION write_grant(
    p_tenant text, p_reference text, p_credits bigint, p_category text, p_priority bigint, p_effective_at timestamptz,
    p_expires_at timestamptz
) RETURNS lots LANGUAGE plpgsql AS $$
DECLARE
    transfer CONSTANT text := 'grant:' || p_tenant || ':' || p_reference;
    at CONSTANT timestamptz := write_transfer(
        transfer, p_tenant, 'grant', NULL, p_credits, ARRAY['available', 'issued'], ARRAY[p_credits, -p_credits]
    );
    lot lots;
BEGIN
    INSERT INTO lots (
        id, tenant_id, grant_id, reference, category, priority, granted_credits, remaining_credits,
        effective_at, expires_at, created_at, begun_at
    ) VALUES (
        'lot_' || replace(gen_random_uuid()::text, '-', ''), p_tenant, transfer, p_reference, p_category, p_priority,
        p_credits, p_credits, coalesce(p_effective_at, at), p_expires_at, at,
        CASE WHEN coalesce(p_effective_at, at) <= at THEN at END
    ) RETURNING * INTO lot;
    INSERT INTO lot_entries (lot_id, transfer_id, remaining_change, held_change) VALUES (lot.id, transfer, p_credits, 0);
    RETURN lot;
END $$;

-- Pay what the tenant owes with a new lot: what has been owed for longest first.
CREATE OR REPLACE FUNCTION repay_owed(p_lot text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    lot lots;
    owing record;
    left_over bigint;
    paid bigint;
    repaid bigint;
BEGIN
    SELECT * INTO lot FROM lots WHERE id = p_lot;
    repaid := least(lot.remaining_credits, -coalesce(
        (SELECT balance_credits FROM accounts WHERE id = lot.tenant_id || ':owed'), 0
    ));
    IF repaid = 0 THEN
        RETURN;
    END IF;
    PERFORM repay_from_lot(lot, 'repay:' || lot.grant_id, NULL, repaid);
    left_over := repaid;
    FOR owing IN
        SELECT id, owed_credits FROM lots WHERE tenant_id = lot.tenant_id AND closed_at IS NULL AND owed_credits > 0
        ORDER BY created_at, id
    LOOP
        paid := least(owing.owed_credits, left_over);
        UPDATE lots SET owed_credits = owed_credits - paid,
            closed_at = CASE WHEN remaining_credits + held_credits + owed_credits - paid = 0 THEN clock_timestamp() END
        WHERE id = owing.id;
        left_over := left_over - paid;
        EXIT WHEN left_over = 0;
    END LOOP;
END $$;

-- Withdraw credits that may be spent now, once per reference.
-- state: withdrawn, repeated, differs, insufficient, no_tenant.
CREATE OR REPLACE FUNCTION withdraw_credits(p_tenant text, p_reference text, p_credits bigint)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    transfer CONSTANT text := 'withdraw:' || p_tenant || ':' || p_reference;
    earlier bigint;
    at timestamptz;
BEGIN
    IF NOT lock_accounts(p_tenant) THEN
        RETURN 'no_tenant';
    END IF;
    SELECT amount_credits INTO earlier FROM transfers WHERE id = transfer;
    IF FOUND THEN
        RETURN CASE earlier WHEN p_credits THEN 'repeated' ELSE 'differs' END;
    END IF;
    at := clock_timestamp();
    IF spendable_credits(p_tenant, at) < p_credits THEN
        RETURN 'insufficient';
    END IF;
    PERFORM write_transfer(
        transfer, p_tenant, 'withdraw', NULL, p_credits, ARRAY['available', 'issued'], ARRAY[-p_credits, p_credits]
    );
    PERFORM take_from_lots(p_tenant, transfer, 'withdraw', p_credits, at);
    PERFORM tell_if_low(p_tenant);
    RETURN 'withdrawn';
END $$;

-- Take back what was granted for a payment, once per reference of a refund; before the grant, note it.
--
-- state: applied; pending; repeated; differs, for a reference with another amount; too_much, where more would be taken back
-- than was granted; other_tenant; no_tenant. p_credits: null for all of the payment.
CREATE OR REPLACE FUNCTION take_back_credits(p_tenant text, p_payment text, p_reference text, p_credits bigint)
RETURNS TABLE (state text, amount_credits bigint, applied_credits bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    earlier take_backs;
    payment payments;
    lot lots;
BEGIN
    IF NOT lock_accounts(p_tenant) THEN
        state := 'no_tenant';
    ELSIF NOT claim_payment(p_tenant, p_payment) THEN
        state := 'other_tenant';
    ELSE
        lot := lot_of_grant(p_tenant, p_payment);
        UPDATE payments SET lot_id = lot.id, granted_credits = (
            SELECT amount_credits FROM transfers WHERE id = 'grant:' || p_tenant || ':' || p_payment
        ) WHERE reference = p_payment AND lot_id IS NULL AND lot.id IS NOT NULL;
        SELECT * INTO payment FROM payments WHERE reference = p_payment;
        SELECT * INTO earlier FROM take_backs WHERE payment_reference = p_payment AND reference = p_reference;
        IF FOUND THEN
            state := CASE WHEN earlier.amount_credits IS DISTINCT FROM p_credits THEN 'differs' ELSE 'repeated' END;
        ELSIF payment.lot_id IS NOT NULL AND p_credits > payment.granted_credits - coalesce(
            (SELECT sum(applied_credits) FROM take_backs WHERE payment_reference = p_payment), 0
        ) THEN
            state := 'too_much';
        ELSE
            INSERT INTO take_backs (payment_reference, reference, amount_credits, created_at)
            VALUES (p_payment, p_reference, p_credits, clock_timestamp());
            PERFORM apply_take_backs(p_tenant, p_payment);
            state := CASE WHEN payment.lot_id IS NULL THEN 'pending' ELSE 'applied' END;
        END IF;
    END IF;
    SELECT amount_credits, applied_credits INTO amount_credits, applied_credits
    FROM take_backs WHERE payment_reference = p_payment AND reference = p_reference
        AND state NOT IN ('no_tenant', 'other_tenant');
    RETURN NEXT;
END $$;

-- Apply what is to be taken back of a payment, if that was granted: together at most what was granted.
CREATE OR REPLACE FUNCTION apply_take_backs(p_tenant text, p_payment text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    pending take_backs;
    payment payments;
    unclaimed bigint;
BEGIN
    SELECT * INTO payment FROM payments WHERE reference = p_payment AND tenant_id = p_tenant AND lot_id IS NOT NULL;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    FOR pending IN
        SELECT * FROM take_backs WHERE payment_reference = p_payment AND applied_at IS NULL ORDER BY created_at, reference
    LOOP
        unclaimed := payment.granted_credits - coalesce(
            (SELECT sum(applied_credits) FROM take_backs WHERE payment_reference = p_payment), 0
        );
        PERFORM take_back_of_lot(payment, pending.reference, least(coalesce(pending.amount_credits, unclaimed), unclaimed));
    END LOOP;
END $$;

-- Take back so much of a payment: what is left of its lot. What had gone back before, expired or voided, is not owed; what was
-- spent, or is held, is.
CREATE OR REPLACE FUNCTION take_back_of_lot(p_payment payments, p_reference text, p_credits bigint)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    -- With a length, as both references may have colons.
    transfer CONSTANT text := 'take_back:' || p_payment.tenant_id || ':' || length(p_payment.reference) || ':'
        || p_payment.reference || ':' || p_reference;
    lot lots;
    taken bigint;
    owed bigint;
    before record;
BEGIN
    SELECT * INTO lot FROM lots WHERE id = p_payment.lot_id;
    taken := least(lot.remaining_credits, p_credits);
    SELECT coalesce(sum(applied_credits), 0) AS applied, coalesce(sum(take_backs.owed_credits), 0) AS owed INTO before
    FROM take_backs JOIN payments ON payments.reference = payment_reference WHERE payments.lot_id = lot.id;
    owed := greatest(0, least(
        p_credits - taken,
        before.applied + p_credits - lot.taken_back_credits - taken - before.owed
            - lot.expired_credits - lot.voided_credits - lot.withdrawn_credits
    ));
    -- Not before it is needed: processes of the version before lots can read no tenant that has this account.
    INSERT INTO accounts (id, tenant_id, kind) SELECT p_payment.tenant_id || ':owed', p_payment.tenant_id, 'owed'
    WHERE owed > 0 ON CONFLICT DO NOTHING;
    PERFORM write_transfer(
        transfer, p_payment.tenant_id, 'take_back', NULL, taken + owed,
        ARRAY['available', 'issued', 'owed'], ARRAY[-taken, taken + owed, -owed]
    );
    UPDATE lots SET owed_credits = owed_credits + owed, closed_at = CASE WHEN owed = 0 THEN closed_at END WHERE id = lot.id;
    PERFORM change_lot(lot.id, transfer, 'take_back', -taken, 0);
    UPDATE take_backs SET applied_credits = p_credits, owed_credits = owed, applied_at = clock_timestamp()
    WHERE payment_reference = p_payment.reference AND reference = p_reference;
    PERFORM tell_if_low(p_payment.tenant_id);
END $$;
