-- What keys may spend, what was spent, and who is told that little is left. All under the lock of the tenant's accounts.

-- Return the first day of a moment's month, in UTC.
CREATE OR REPLACE FUNCTION month_of(p_at timestamptz) RETURNS date LANGUAGE sql IMMUTABLE AS $$
    SELECT date_trunc('month', p_at AT TIME ZONE 'UTC')::date
$$;

-- Return why a key may not hold so much more, as the code of an error; null if it may. A budget counts what was charged and is
-- held of the month's holds, the other cap what is held of all months. What costs nothing is within both, however far they
-- were lowered.
CREATE OR REPLACE FUNCTION refusal_of_key(p_key text, p_price bigint, p_at timestamptz)
RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    budget bigint;
    max_held bigint;
BEGIN
    IF p_price = 0 THEN
        RETURN NULL;
    END IF;
    SELECT monthly_budget_credits, max_held_credits INTO budget, max_held FROM api_keys WHERE id = p_key;
    IF budget < p_price + coalesce((
        SELECT held_credits + charged_credits FROM key_spending WHERE api_key_id = p_key AND month = month_of(p_at)
    ), 0) THEN
        RETURN 'key_budget_exceeded';
    ELSIF max_held < p_price + coalesce((SELECT sum(held_credits) FROM key_spending WHERE api_key_id = p_key), 0) THEN
        RETURN 'too_many_held_credits';
    END IF;
    RETURN NULL;
END $$;

-- Count what a key holds from now on.
CREATE OR REPLACE FUNCTION count_held(p_key text, p_credits bigint, p_at timestamptz) RETURNS void LANGUAGE sql AS $$
    INSERT INTO key_spending (api_key_id, month, held_credits) SELECT p_key, month_of(p_at), p_credits WHERE p_key IS NOT NULL
    ON CONFLICT (api_key_id, month) DO UPDATE SET held_credits = key_spending.held_credits + excluded.held_credits
$$;

-- Count that a generation holds nothing any more, and what it was charged: in the month in which the credits were held.
CREATE OR REPLACE FUNCTION count_resolved(p_generation generations, p_charged bigint) RETURNS void LANGUAGE sql AS $$
    UPDATE key_spending SET
        held_credits = held_credits - p_generation.held_credits, charged_credits = charged_credits + p_charged
    FROM transfers
    WHERE transfers.id = p_generation.id || ':hold'
        AND api_key_id = p_generation.api_key_id AND month = month_of(transfers.created_at)
$$;

-- Add a settled generation to what was used that day (UTC).
CREATE OR REPLACE FUNCTION count_usage(p_generation generations, p_images bigint, p_charged bigint, p_at timestamptz)
RETURNS void LANGUAGE sql AS $$
    INSERT INTO usage_days (tenant_id, day, model, api_key_id, generations, images, charged_credits)
    VALUES (
        p_generation.tenant_id, (p_at AT TIME ZONE 'UTC')::date, p_generation.model,
        coalesce(p_generation.api_key_id, ''), 1, p_images, p_charged
    )
    ON CONFLICT (tenant_id, day, model, api_key_id) DO UPDATE SET
        generations = usage_days.generations + 1,
        images = usage_days.images + excluded.images,
        charged_credits = usage_days.charged_credits + excluded.charged_credits
$$;

-- Tell the tenant of each threshold that what it may spend fell below, once.
CREATE OR REPLACE FUNCTION tell_if_low(p_tenant text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    available CONSTANT bigint := spendable_credits(p_tenant, clock_timestamp());
BEGIN
    IF NOT EXISTS (SELECT FROM accounts WHERE id = p_tenant || ':available' AND low_at_credits > available) THEN
        RETURN;
    END IF;
    PERFORM write_event(p_tenant, NULL, 'credits.low', jsonb_build_object(
        'threshold_credits', threshold_credits, 'available_credits', available
    )) FROM credit_thresholds
    WHERE tenant_id = p_tenant AND told_at IS NULL AND threshold_credits > available ORDER BY threshold_credits DESC;
    UPDATE credit_thresholds SET told_at = clock_timestamp()
    WHERE tenant_id = p_tenant AND told_at IS NULL AND threshold_credits > available;
    PERFORM follow_thresholds(p_tenant);
END $$;

-- Tell again of thresholds that a grant has lifted the balance above.
CREATE OR REPLACE FUNCTION rearm_thresholds(p_tenant text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE credit_thresholds SET told_at = NULL
    WHERE tenant_id = p_tenant AND told_at IS NOT NULL
        AND threshold_credits <= spendable_credits(p_tenant, clock_timestamp());
    PERFORM follow_thresholds(p_tenant) WHERE FOUND;
END $$;

-- Note with the account which threshold is the next, so that a hold need not look for it.
CREATE OR REPLACE FUNCTION follow_thresholds(p_tenant text) RETURNS void LANGUAGE sql AS $$
    UPDATE accounts SET low_at_credits = (
        SELECT max(threshold_credits) FROM credit_thresholds WHERE tenant_id = p_tenant AND told_at IS NULL
    ) WHERE id = p_tenant || ':available'
$$;

-- Replace a tenant's thresholds; those that stay keep whether they were told. Return whether the tenant exists.
CREATE OR REPLACE FUNCTION set_thresholds(p_tenant text, p_thresholds bigint[]) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF NOT lock_accounts(p_tenant) THEN
        RETURN false;
    END IF;
    DELETE FROM credit_thresholds WHERE tenant_id = p_tenant AND threshold_credits <> ALL (p_thresholds);
    INSERT INTO credit_thresholds (tenant_id, threshold_credits) SELECT p_tenant, unnest(p_thresholds)
    ON CONFLICT DO NOTHING;
    PERFORM follow_thresholds(p_tenant);
    PERFORM tell_if_low(p_tenant);
    RETURN true;
END $$;
