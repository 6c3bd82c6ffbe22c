-- Slots at providers: who may have a job there, and who is next.
--
-- A provider has as many rows in provider_capacity as it may have jobs; `generation_id` has the slot. A slot is taken by
-- a row that nobody else has locked, so no request waits for another. Where others wait already, a request joins them,
-- and one at a time hands out what is free: `grant_slots`, which nobody waits for either. The database releases a slot
-- in the transaction that ends the provider's work: `release_slot` deletes the row in provider_slots, and the foreign
-- key frees the capacity.

-- Return whether an attempt is in the queue of a provider. Ordered, so that the index of the queue is used: most rows of
-- the table may be in it, but the first ones that a scan of the table finds may be long dead.
CREATE OR REPLACE FUNCTION is_slot_wanted(p_provider text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT (
        SELECT true FROM provider_slots WHERE provider = p_provider AND granted_at IS NULL AND not_before IS NULL
        ORDER BY endpoint, tenant_id, rank, requested_at, generation_id LIMIT 1
    ) IS NOT NULL
$$;

-- Return whether whoever releases a slot has to grant it once that is committed: somebody waits, or was not notified, or
-- may be about to wait without being seen yet. Nobody is while another slot is free besides the one that is released.
CREATE OR REPLACE FUNCTION is_grant_due(p_provider text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT is_slot_wanted(p_provider) OR EXISTS (
        SELECT FROM provider_slots WHERE provider = p_provider AND granted_at IS NOT NULL AND notified_at IS NULL
    ) OR EXISTS (SELECT FROM provider_capacity WHERE provider = p_provider) AND (
        SELECT count(*) FROM (
            SELECT FROM provider_capacity WHERE provider = p_provider AND generation_id IS NULL LIMIT 2
        ) AS free
    ) < 2
$$;

-- Make the rows of a provider's capacity, once. Jobs from before they were there get rows above the limit.
CREATE OR REPLACE FUNCTION number_slots(p_provider text, p_limit bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM provider_capacity WHERE provider = p_provider AND number = p_limit;
    IF FOUND THEN
        RETURN;
    END IF;
    INSERT INTO provider_capacity (provider, number)
    SELECT p_provider, number FROM generate_series(1, p_limit) AS number ON CONFLICT DO NOTHING;
    INSERT INTO provider_capacity (provider, number, generation_id)
    SELECT provider, p_limit + row_number() OVER (ORDER BY generation_id), generation_id FROM provider_slots
    WHERE provider = p_provider AND granted_at IS NOT NULL
        AND generation_id NOT IN (SELECT generation_id FROM provider_capacity WHERE generation_id IS NOT NULL)
    ON CONFLICT DO NOTHING;
END $$;

-- Lock free slots, at most p_most, and return their numbers. Those that another transaction has locked are passed over.
-- Jobs that have a number above the limit count, too: as many of the free slots, the highest, are left.
CREATE OR REPLACE FUNCTION lock_free_slots(p_provider text, p_limit bigint, p_most bigint)
RETURNS bigint[] LANGUAGE plpgsql AS $$
BEGIN
    PERFORM number_slots(p_provider, p_limit);
    RETURN ARRAY(
        SELECT number FROM provider_capacity
        WHERE provider = p_provider AND generation_id IS NULL AND number <= (
            SELECT number FROM provider_capacity
            WHERE provider = p_provider AND generation_id IS NULL AND number <= p_limit
            ORDER BY number DESC LIMIT 1 OFFSET (
                SELECT count(*) FROM provider_capacity
                WHERE provider = p_provider AND number > p_limit AND generation_id IS NOT NULL
            )
        )
        ORDER BY number LIMIT p_most FOR UPDATE SKIP LOCKED
    );
END $$;

-- Choose who is next, at most p_most, and lock them. p_closed: endpoints whose jobs are passed over. p_only: the one
-- endpoint whose jobs count, all of them if null. p_as_probe: prefer those that were pushed back least.
--
-- The next slot goes to the tenant that has the fewest, counting its own queue in order: a tenant with 500 jobs and one
-- with a single job take turns. A queue is never read as a whole: `tenants` hops over the index from one waiting tenant
-- (and model) to the next, and of each no more rows are read than can be its turns. So the cost grows with the tenants
-- that wait, not with their jobs. `rank` orders a tenant's own queue, and gives it no more turns. Rows that a transaction is about to delete are passed over, so a few more are looked at.
CREATE OR REPLACE FUNCTION choose_next(
    p_provider text, p_most bigint, p_closed text[], p_only text, p_as_probe boolean
) RETURNS text[] LANGUAGE sql AS $$
    WITH RECURSIVE tenants AS (
        (
            SELECT endpoint, tenant_id FROM provider_slots
            WHERE provider = p_provider AND granted_at IS NULL AND not_before IS NULL
            ORDER BY endpoint, tenant_id LIMIT 1
        ) UNION ALL
        SELECT hop.endpoint, hop.tenant_id FROM tenants CROSS JOIN LATERAL (
            SELECT slot.endpoint, slot.tenant_id FROM provider_slots AS slot
            WHERE provider = p_provider AND granted_at IS NULL AND not_before IS NULL
                AND (slot.endpoint, slot.tenant_id) > (tenants.endpoint, tenants.tenant_id)
            ORDER BY slot.endpoint, slot.tenant_id LIMIT 1
        ) AS hop
    ), counted AS (
        SELECT endpoint, tenant_id, coalesce(slots, 0) AS slots FROM tenants LEFT JOIN (
            SELECT tenant_id, count(*) AS slots FROM provider_slots
            WHERE provider = p_provider AND granted_at IS NOT NULL GROUP BY tenant_id
        ) AS taken USING (tenant_id)
        WHERE endpoint <> ALL (p_closed) AND (p_only IS NULL OR endpoint = p_only)
    ), last_turn AS (
        SELECT max(slots) + (p_most + 10 + count(*) - 1) / count(*) AS turn FROM counted HAVING count(*) > 0
    ), candidates AS (
        SELECT first.*, slots + row_number() OVER (
            PARTITION BY tenant_id ORDER BY first.rank, first.requested_at, first.generation_id
        ) AS turn
        FROM counted CROSS JOIN last_turn CROSS JOIN LATERAL (
            SELECT generation_id, rank, requested_at, pushbacks FROM provider_slots AS slot
            WHERE provider = p_provider AND granted_at IS NULL AND not_before IS NULL
                AND slot.endpoint = counted.endpoint AND slot.tenant_id = counted.tenant_id
            ORDER BY rank, requested_at, generation_id LIMIT last_turn.turn - counted.slots
        ) AS first
    ), chosen AS (
        SELECT generation_id, row_number() OVER (
            ORDER BY CASE WHEN p_as_probe THEN pushbacks ELSE 0 END, turn, requested_at, generation_id
        ) AS place
        FROM candidates ORDER BY place LIMIT p_most + 10
    )
    SELECT ARRAY(
        SELECT slot.generation_id FROM chosen JOIN provider_slots AS slot USING (generation_id)
        WHERE slot.granted_at IS NULL ORDER BY place LIMIT p_most FOR UPDATE OF slot SKIP LOCKED
    )
$$;

-- Grant free slots to those who are next; return their generations. p_limit: null for a provider without a limit.
CREATE OR REPLACE FUNCTION grant_waiting(
    p_provider text, p_limit bigint, p_most bigint, p_closed text[], p_only text, p_as_probe boolean
) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    numbers bigint[] := ARRAY[]::bigint[];
    chosen text[];
BEGIN
    IF p_limit IS NOT NULL THEN
        numbers := lock_free_slots(p_provider, p_limit, p_most);
        p_most := cardinality(numbers);
    END IF;
    IF p_most <= 0 THEN
        RETURN ARRAY[]::text[];
    END IF;
    chosen := choose_next(p_provider, p_most, p_closed, p_only, p_as_probe);
    UPDATE provider_capacity SET generation_id = pair.generation_id
    FROM unnest(numbers, chosen) AS pair (number, generation_id)
    WHERE provider = p_provider AND provider_capacity.number = pair.number AND pair.generation_id IS NOT NULL;
    UPDATE provider_slots SET granted_at = clock_timestamp(), not_before = NULL WHERE generation_id = ANY (chosen);
    RETURN chosen;
END $$;

-- Grant one slot, to the attempt that finds out whether jobs are taken again.
CREATE OR REPLACE FUNCTION grant_probe(p_provider text, p_limit bigint, p_endpoint text, p_closed text[])
RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    granted CONSTANT text[] := grant_waiting(p_provider, p_limit, 1, p_closed, nullif(p_endpoint, ''), true);
BEGIN
    UPDATE provider_closures SET probe = granted[1], probe_at = clock_timestamp()
    WHERE provider = p_provider AND endpoint = p_endpoint AND granted[1] IS NOT NULL;
    RETURN granted;
END $$;

-- Grant what is free to those who wait; return their generations. One transaction at a time does this for a provider, so
-- that turns are exact. Nobody waits for it: who comes meanwhile gets null, and asks again in a moment.
CREATE OR REPLACE FUNCTION grant_slots(p_provider text, p_limit bigint) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    shut text[];
    probed text[];
    endpoint text;
    granted text[] := ARRAY[]::text[];
    chosen text[];
BEGIN
    IF NOT pg_try_advisory_xact_lock(7237002, hashtext(p_provider)) THEN
        RETURN NULL;
    END IF;
    SELECT coalesce(array_agg(closed.endpoint) FILTER (WHERE is_shut), '{}'),
        coalesce(array_agg(closed.endpoint) FILTER (WHERE NOT is_shut), '{}')
    INTO shut, probed FROM closed_endpoints(p_provider) AS closed;
    IF '' = ANY (shut) THEN
        RETURN granted;
    END IF;
    IF '' = ANY (probed) THEN
        RETURN grant_probe(p_provider, p_limit, '', shut);
    END IF;
    FOREACH endpoint IN ARRAY probed LOOP
        granted := granted || grant_probe(p_provider, p_limit, endpoint, ARRAY[]::text[]);
    END LOOP;
    -- Of a tenant no more are looked at than can be its turns, if the others have as many: so until all is granted.
    LOOP
        chosen := grant_waiting(p_provider, p_limit, 1000 - cardinality(granted), shut || probed, NULL, false);
        EXIT WHEN cardinality(chosen) = 0;
        granted := granted || chosen;
    END LOOP;
    RETURN granted;
END $$;

-- Grant what is free, if anybody wants it.
--
-- to_notify: who was granted a slot, and who was not notified of one in a second, as pairs of generation and ordinal.
-- is_busy: whether another transaction granted at the same time, so that this one granted nothing and is to be called again.
CREATE OR REPLACE FUNCTION grant_free_slots(p_provider text, p_limit bigint)
RETURNS TABLE (to_notify jsonb, is_busy boolean) LANGUAGE plpgsql AS $$
DECLARE
    granted text[] := ARRAY[]::text[];
BEGIN
    IF is_slot_wanted(p_provider) THEN
        granted := grant_slots(p_provider, p_limit);
    END IF;
    is_busy := granted IS NULL;
    SELECT coalesce(jsonb_agg(jsonb_build_array(generation_id, ordinal)), '[]') INTO to_notify FROM (
        SELECT generation_id, ordinal FROM provider_slots
        WHERE provider = p_provider AND granted_at IS NOT NULL AND notified_at IS NULL
            AND (generation_id = ANY (granted) OR granted_at < clock_timestamp() - interval '1 second')
        LIMIT 1000
    ) AS slot;
    RETURN NEXT;
END $$;

-- Return whether the submit will only return what is stored: a job, or the refusal of one. So it is after a Reset in
-- Temporal. Such a run must neither wait for what it has, nor give it up.
CREATE OR REPLACE FUNCTION needs_no_slot(p_generation generations, p_ordinal bigint) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM attempts WHERE generation_id = p_generation.id
        AND (may_be_charged(state) OR (ordinal = p_ordinal AND state <> 'not_sent'))
    )
$$;

-- Put an attempt into its provider's queue, or give it a free slot at once if nobody waits there.
CREATE OR REPLACE FUNCTION add_slot(p_generation generations, p_ordinal bigint, p_limit bigint)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    target CONSTANT text := provider_of(p_generation, p_ordinal);
    free_number bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM closed_endpoints(target)) AND NOT is_slot_wanted(target) THEN
        free_number := (lock_free_slots(target, p_limit, 1))[1];
    END IF;
    INSERT INTO provider_slots (
        generation_id, ordinal, provider, endpoint, tenant_id, has_fallback, rank, granted_at, notified_at
    ) VALUES (
        p_generation.id, p_ordinal, target, endpoint_of(p_generation, p_ordinal), p_generation.tenant_id,
        p_ordinal = 1 AND p_generation.fallback IS NOT NULL, slot_rank(p_generation),
        CASE WHEN free_number IS NOT NULL THEN clock_timestamp() END,
        CASE WHEN free_number IS NOT NULL THEN clock_timestamp() END
    );
    UPDATE provider_capacity SET generation_id = p_generation.id
    WHERE provider = target AND number = free_number;
END $$;

-- Take a slot, or a position in the queue. Granted without a slot is an attempt that needs none.
--
-- p_limits: jobs at once, by provider; one that is not named is unlimited. others: those that were granted one by the way,
-- as pairs of generation and ordinal. released_provider: where the generation gave up its slot for this one. is_closed:
-- whether the provider, or this model there, takes no jobs now. is_busy: as `grant_free_slots` has it.
CREATE OR REPLACE FUNCTION request_slot(p_generation text, p_ordinal bigint, p_limits jsonb)
RETURNS TABLE (provider text, is_granted boolean, others jsonb, released_provider text, is_closed boolean, is_busy boolean)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    generation generations;
    slot provider_slots;
    slot_limit bigint;
    granted text[] := ARRAY[]::text[];
BEGIN
    SELECT * INTO generation FROM generations WHERE id = p_generation FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    provider := provider_of(generation, p_ordinal);
    slot_limit := p_limits ->> provider;
    is_granted := true;
    is_closed := false;
    is_busy := false;
    others := '[]';
    SELECT * INTO slot FROM provider_slots WHERE generation_id = p_generation;
    -- One that asks for the first time has nothing stored.
    IF generation.finished_at IS NOT NULL
        OR (slot.generation_id IS NOT NULL OR generation.stage NOT IN ('reserving', 'throttled'))
            AND needs_no_slot(generation, p_ordinal)
    THEN
        RETURN NEXT;
        RETURN;
    END IF;
    IF slot.ordinal <> p_ordinal THEN
        released_provider := slot.provider;
        DELETE FROM provider_slots WHERE generation_id = p_generation;
        slot := NULL;
    END IF;
    IF slot.generation_id IS NULL THEN
        IF slot_limit IS NULL THEN
            RETURN NEXT;
            RETURN;
        END IF;
        PERFORM add_slot(generation, p_ordinal, slot_limit);
    ELSIF slot.not_before IS NOT NULL THEN
        -- An attempt that was told to wait asks again when its time has come.
        UPDATE provider_slots SET not_before = NULL WHERE generation_id = p_generation;
    END IF;
    IF NOT EXISTS (SELECT FROM provider_slots WHERE generation_id = p_generation AND granted_at IS NOT NULL) THEN
        granted := grant_slots(provider, slot_limit);
        is_busy := granted IS NULL;
    END IF;
    -- Another transaction may have granted it meanwhile.
    UPDATE provider_slots SET notified_at = coalesce(notified_at, clock_timestamp())
    WHERE generation_id = p_generation AND granted_at IS NOT NULL;
    is_granted := FOUND;
    IF NOT is_granted THEN
        UPDATE generations SET stage = 'throttled', status = CASE status WHEN 'created' THEN 'queued' ELSE status END
        WHERE id = p_generation AND stage <> 'throttled';
        is_closed := (SELECT code IS NOT NULL FROM closure_for(provider, endpoint_of(generation, p_ordinal), p_generation));
    END IF;
    others := (
        SELECT coalesce(jsonb_agg(jsonb_build_array(generation_id, ordinal)), '[]') FROM provider_slots
        WHERE generation_id = ANY (granted) AND generation_id <> p_generation
    );
    RETURN NEXT;
END $$;
