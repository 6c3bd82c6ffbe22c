-- What processes of the version before lots call, and what a call waits in that began before the migration.

-- Move credits, as every step did before there were lots.
CREATE OR REPLACE FUNCTION move_credits(
    p_transfer text, p_tenant text, p_kind text, p_generation text, p_amount bigint, p_accounts text[], p_changes bigint[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    reference CONSTANT text := substr(p_transfer, length(p_kind) + length(p_tenant) + 3);
    generation generations;
    done boolean;
BEGIN
    IF p_kind = 'grant' THEN
        done := (
            SELECT granted.state = 'granted'
            FROM grant_credits(p_tenant, reference, p_amount, 'paid', 50, NULL, NULL, false) AS granted
        );
    ELSIF p_kind = 'withdraw' THEN
        done := withdraw_credits(p_tenant, reference, p_amount) = 'withdrawn';
    END IF;
    IF done THEN
        RETURN;
    ELSIF NOT done THEN
        -- Where this returns, it tells its operator of success.
        RAISE EXCEPTION 'no % of % credits of %', p_kind, p_amount, p_tenant USING ERRCODE = 'check_violation';
    END IF;
    SELECT * INTO generation FROM generations WHERE id = p_generation;
    IF p_kind = 'hold' THEN
        PERFORM hold_credits(generation, clock_timestamp());
    ELSE
        PERFORM resolve_hold(
            generation, p_kind, CASE p_kind WHEN 'settle' THEN p_amount ELSE 0 END,
            (SELECT count(*) FROM images WHERE generation_id = p_generation)
        );
    END IF;
END $$;

-- Resolve a hold, where nobody has counted the images.
CREATE OR REPLACE FUNCTION resolve_hold(p_generation generations, p_kind text, p_charged bigint)
RETURNS void LANGUAGE sql AS $$
    SELECT resolve_hold(
        p_generation, p_kind, p_charged, (SELECT count(*) FROM images WHERE generation_id = p_generation.id)
    )
$$;
