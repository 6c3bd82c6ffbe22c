-- Work that a provider took on and that is not delivered: what the client pays, and what nobody pays.

-- Return whether a provider bills an attempt in this state, or may.
CREATE OR REPLACE FUNCTION may_be_charged(p_state text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT p_state IN ('sending', 'unknown', 'accepted', 'succeeded', 'failed')
$$;

-- Add to what the tenant caused today and did not pay.
CREATE OR REPLACE FUNCTION count_uncharged(p_tenant text, p_credits bigint) RETURNS void LANGUAGE sql AS $$
    INSERT INTO uncharged_costs (tenant_id, day, generations, price_credits)
    VALUES (p_tenant, (now() AT TIME ZONE 'UTC')::date, 1, p_credits)
    ON CONFLICT (tenant_id, day) DO UPDATE SET
        generations = uncharged_costs.generations + 1,
        price_credits = uncharged_costs.price_credits + excluded.price_credits
$$;

-- Return the whole credits that a policy charges, from 0 to the price. A cost that is unknown, or in a unit without
-- a rate, counts as nothing. p_rates: credits per unit, by the unit's name.
CREATE OR REPLACE FUNCTION policy_charge(p_policy text, p_price bigint, p_cost numeric, p_unit text, p_rates jsonb)
RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE p_policy
        WHEN 'charge' THEN p_price
        WHEN 'provider_cost'
            THEN least(p_price, greatest(0, ceil(coalesce(p_cost * (p_rates ->> p_unit)::numeric, 0))))::bigint
        ELSE 0
    END
$$;

-- Return what one attempt costs the client, by the policies of the model that it was for: the client's, or its
-- fallback. Processes of a version before wrote `charges_rejected` only.
CREATE OR REPLACE FUNCTION attempt_charge(p_generation generations, p_attempt attempts, p_is_refused boolean)
RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    other CONSTANT jsonb := p_generation.fallback_charging;
    policy text := p_generation.cancel_after_submit;
    rates jsonb := p_generation.credits_per_cost_unit;
BEGIN
    IF p_attempt.provider <> p_generation.provider THEN
        policy := other ->> CASE WHEN p_is_refused THEN 'moderation' ELSE 'cancel_after_submit' END;
        rates := other -> 'credits_per_cost_unit';
    ELSIF p_is_refused THEN
        policy := CASE WHEN p_generation.charges_rejected THEN 'charge' ELSE p_generation.moderation END;
    END IF;
    RETURN policy_charge(policy, p_generation.held_credits, p_attempt.cost_amount, p_attempt.cost_unit, rates);
END $$;

-- Return whether its client stopped the generation, also by the time it had set, and nothing else was wrong with it.
CREATE OR REPLACE FUNCTION is_canceled_by_client(p_generation generations, p_status text, p_code text, p_attention text)
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT p_status = 'canceled' AND p_attention IS NULL AND canceled_by(p_generation, p_code) <> 'operator'
$$;

-- Return what the end of a generation with a hold costs its client, by the policies on its row.
--
-- Only a client's own cancel and content that a provider refused can cost anything: no deadline of ours, no unknown
-- submit, no operator's cancel, no fault of ours. uncharged: what a provider had taken on and the client does not pay.
CREATE OR REPLACE FUNCTION charge_undelivered(
    p_generation generations, p_status text, p_code text, p_attention text, OUT charged bigint, OUT uncharged bigint
) LANGUAGE plpgsql STABLE AS $$
DECLARE
    is_refused CONSTANT boolean := p_status = 'failed' AND p_code = 'content_rejected';
    is_taken_on boolean;
BEGIN
    charged := 0;
    uncharged := 0;
    IF NOT is_refused AND NOT is_canceled_by_client(p_generation, p_status, p_code, p_attention) THEN
        RETURN;
    END IF;
    SELECT
        least(p_generation.held_credits, coalesce(sum(attempt_charge(p_generation, attempt, is_refused)), 0)),
        -- Neither a submit without a clear response, nor what the provider does not bill.
        coalesce(bool_or(attempt.state IN ('accepted', 'succeeded', 'failed')), false)
    INTO charged, is_taken_on
    FROM attempts AS attempt
    WHERE generation_id = p_generation.id AND CASE
        WHEN is_refused THEN code = 'content_rejected' AND state <> 'failed_uncharged'
        -- What a cancel stops: a job that the provider has, or had finished. One that failed costs nobody more.
        ELSE state IN ('accepted', 'succeeded')
    END;
    IF is_taken_on THEN
        uncharged := p_generation.price_credits - charged;
    END IF;
END $$;
