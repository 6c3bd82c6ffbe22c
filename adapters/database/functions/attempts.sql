-- The record of each submit, written before a byte leaves for the provider, and how it ended.
--
-- Whatever races, an attempt goes through its states in the order of domain/attempt.py: a writer that comes too late
-- changes nothing. The generation's row is locked first. The trigger `advance_attempt` refuses everything else.

-- Return the provider that an attempt goes to: the client's model's, or its fallback's.
CREATE OR REPLACE FUNCTION provider_of(p_generation generations, p_ordinal bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN p_ordinal > 1 AND p_generation.fallback IS NOT NULL
        THEN p_generation.fallback ->> 'provider' ELSE p_generation.provider END
$$;

CREATE OR REPLACE FUNCTION endpoint_of(p_generation generations, p_ordinal bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN p_ordinal > 1 AND p_generation.fallback IS NOT NULL
        THEN p_generation.fallback ->> 'endpoint' ELSE p_generation.endpoint END
$$;

-- Return whether what a provider says may be stored: not once it was erased, however late it comes.
CREATE OR REPLACE FUNCTION keeps_provider_data(p_generation generations) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT p_generation.content_erased_at IS NULL AND p_generation.provider_data_erased_at IS NULL
$$;

-- Record the job that the provider has; a result that has come before it stays. p_urls: not changed if null.
CREATE OR REPLACE FUNCTION accept_job(
    p_generation text, p_ordinal bigint, p_job text, p_urls jsonb, p_cost_amount numeric, p_cost_unit text
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE attempts SET
        state = CASE WHEN state IN ('sending', 'unknown', 'not_sent') THEN 'accepted' ELSE state END,
        provider_job_id = p_job,
        provider_urls = coalesce(p_urls, provider_urls),
        cost_amount = coalesce(p_cost_amount, cost_amount),
        cost_unit = coalesce(p_cost_unit, cost_unit),
        answered_at = clock_timestamp()
    WHERE generation_id = p_generation AND ordinal = p_ordinal;
    IF FOUND THEN
        UPDATE generations SET stage = 'generating', status = 'processing'
        WHERE id = p_generation AND stage IN ('submitting', 'submit_unknown');
    END IF;
END $$;

-- Take the job from a webhook: one at this attempt's own address proves that the provider has a job.
CREATE OR REPLACE FUNCTION adopt_webhook(p_generation text, p_ordinal bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    job text;
BEGIN
    PERFORM FROM attempts WHERE generation_id = p_generation AND ordinal = p_ordinal
        AND provider_job_id IS NULL AND state <> 'rejected';
    IF FOUND THEN
        SELECT provider_job_id INTO job FROM inbox
        WHERE generation_id = p_generation AND ordinal = p_ordinal ORDER BY id LIMIT 1;
        IF FOUND THEN
            PERFORM accept_job(p_generation, p_ordinal, job, NULL, NULL, NULL);
        END IF;
    END IF;
END $$;

-- Record that it is unknown whether the provider has the job.
CREATE OR REPLACE FUNCTION set_unknown(p_generation text, p_ordinal bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE attempts SET state = 'unknown' WHERE generation_id = p_generation AND ordinal = p_ordinal;
    UPDATE generations SET stage = 'submit_unknown', status = 'processing'
    WHERE id = p_generation AND stage = 'submitting';
END $$;

-- Claim the right to submit, once.
--
-- result: `submit` if the attempt is to be submitted now, as the try that began at `begun_at`; `stored` for what is
-- known of it already; `canceled`; `not_started_in_time`; `already_terminal`; `taken_by_earlier` or `taken_by_later` if another attempt may be
-- charged. generation: its row. closed_code: why the provider takes no jobs now. has_evidence: whether anything speaks against it.
CREATE OR REPLACE FUNCTION begin_submit(p_generation text, p_ordinal bigint)
RETURNS TABLE (
    result text, begun_at timestamptz, closed_code text, closed_seconds double precision, has_evidence boolean,
    generation generations
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    attempt_state text;
    other bigint;
BEGIN
    SELECT * INTO generation FROM generations WHERE id = p_generation FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    result := 'submit';
    IF generation.finished_at IS NOT NULL THEN
        result := 'already_terminal';
        RETURN NEXT;
        RETURN;
    END IF;
    PERFORM FROM attempts WHERE generation_id = p_generation AND ordinal = p_ordinal;
    IF FOUND THEN
        -- The provider took it after all, whatever the submit had returned, if a webhook came.
        PERFORM adopt_webhook(p_generation, p_ordinal);
        SELECT state INTO attempt_state FROM attempts WHERE generation_id = p_generation AND ordinal = p_ordinal;
        IF attempt_state = 'sending' THEN
            PERFORM set_unknown(p_generation, p_ordinal);
        END IF;
        IF attempt_state <> 'not_sent' THEN
            result := 'stored';
            RETURN NEXT;
            RETURN;
        END IF;
    END IF;
    IF is_cancel_wanted(generation) OR is_past_start_by(generation) THEN
        result := CASE WHEN is_cancel_wanted(generation) THEN 'canceled' ELSE 'not_started_in_time' END;
        RETURN NEXT;
        RETURN;
    END IF;
    SELECT ordinal INTO other FROM attempts
    WHERE generation_id = p_generation AND ordinal <> p_ordinal AND may_be_charged(state) LIMIT 1;
    IF FOUND THEN
        -- After a Reset in Temporal the workflow continues at the later attempt.
        result := CASE WHEN other > p_ordinal THEN 'taken_by_later' ELSE 'taken_by_earlier' END;
        RETURN NEXT;
        RETURN;
    END IF;
    PERFORM log_slot(generation, p_ordinal);
    begun_at := clock_timestamp();
    INSERT INTO attempts AS attempt (generation_id, ordinal, provider, endpoint, state, started_at)
    VALUES (
        p_generation, p_ordinal, provider_of(generation, p_ordinal), endpoint_of(generation, p_ordinal), 'sending', begun_at
    ) ON CONFLICT (generation_id, ordinal) DO UPDATE SET state = 'sending', started_at = excluded.started_at;
    UPDATE generations SET stage = 'submitting', status = CASE status WHEN 'created' THEN 'queued' ELSE status END
    WHERE id = p_generation;
    SELECT closure.code, closure.seconds, closure.has_evidence INTO closed_code, closed_seconds, has_evidence
    FROM closure_for(provider_of(generation, p_ordinal), endpoint_of(generation, p_ordinal), p_generation) AS closure;
    RETURN NEXT;
END $$;

-- Record the job of a submit. Returns nothing for an attempt that was never begun.
CREATE OR REPLACE FUNCTION record_accepted(
    p_generation text, p_ordinal bigint, p_job text, p_urls jsonb, p_cost_amount numeric, p_cost_unit text
) RETURNS SETOF attempts LANGUAGE plpgsql AS $$
DECLARE
    generation generations;
BEGIN
    SELECT * INTO generation FROM generations WHERE id = p_generation FOR UPDATE;
    PERFORM accept_job(
        p_generation, p_ordinal, p_job, CASE WHEN keeps_provider_data(generation) THEN p_urls END,
        p_cost_amount, p_cost_unit
    );
    RETURN QUERY SELECT * FROM attempts WHERE generation_id = p_generation AND ordinal = p_ordinal;
END $$;

-- Store what a poll, a webhook or a response reports, unless an end is stored: the first report stands. p_job: the job of
-- a response, recorded first; null if it is known. Returns nothing for an attempt that was never begun.
--
-- It never fails for what is stored. A later report is kept where it says more: that what took nothing, or was free of
-- charge, is charged after all; what it cost; with p_has_fresh_files, new addresses of a success. late_at is set where
-- nothing waits for the result any more: the generation has ended, or went on to another attempt after this one was
-- begun. (The ordinal does not show that: after a Reset in Temporal the first may be begun again after the second.)
CREATE OR REPLACE FUNCTION store_result(
    p_generation text, p_ordinal bigint, p_job text, p_result jsonb, p_message text, p_moderated_at text,
    p_does_not_charge boolean, p_cost_amount numeric, p_cost_unit text, p_has_fresh_files boolean
) RETURNS SETOF attempts LANGUAGE plpgsql AS $$
DECLARE
    generation generations;
    attempt attempts;
    is_success CONSTANT boolean := p_result ->> 'status' = 'succeeded';
    new_state CONSTANT text := CASE
        WHEN is_success THEN 'succeeded' WHEN p_does_not_charge THEN 'failed_uncharged' ELSE 'failed' END;
BEGIN
    SELECT * INTO generation FROM generations WHERE id = p_generation FOR UPDATE;
    IF p_job IS NOT NULL THEN
        PERFORM accept_job(p_generation, p_ordinal, p_job, NULL, NULL, NULL);
    END IF;
    SELECT * INTO attempt FROM attempts WHERE generation_id = p_generation AND ordinal = p_ordinal;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF NOT keeps_provider_data(generation) THEN
        p_result := jsonb_set(p_result, '{files}', '[]');
    END IF;
    IF NOT keeps_message(generation) THEN
        p_message := NULL;
    END IF;
    IF attempt.state = 'succeeded' AND is_success THEN
        IF p_has_fresh_files THEN
            attempt.result := p_result;
            attempt.cost_amount := coalesce(p_cost_amount, attempt.cost_amount);
            attempt.cost_unit := coalesce(p_cost_unit, attempt.cost_unit);
        END IF;
    ELSIF attempt.state IN ('sending', 'unknown', 'not_sent', 'accepted') THEN
        attempt.state := new_state;
        attempt.result := p_result;
        attempt.code := p_result ->> 'code';
        attempt.provider_message := p_message;
        attempt.moderated_at := p_moderated_at;
        attempt.cost_amount := coalesce(p_cost_amount, attempt.cost_amount);
        attempt.cost_unit := coalesce(p_cost_unit, attempt.cost_unit);
        IF generation.finished_at IS NOT NULL OR EXISTS (
            SELECT FROM attempts WHERE generation_id = p_generation AND started_at > attempt.started_at
        ) THEN
            attempt.late_at := clock_timestamp();
        END IF;
    ELSIF may_be_charged(attempt.state) OR (NOT is_success AND p_does_not_charge) THEN
        IF attempt.cost_amount IS NULL THEN
            attempt.cost_amount := p_cost_amount;
            attempt.cost_unit := p_cost_unit;
        END IF;
        IF is_success THEN -- of a call that was given up, or a job that had failed
            attempt.late_at := clock_timestamp();
        END IF;
    ELSE
        attempt.state := 'failed';
        attempt.result := coalesce(attempt.result, jsonb_build_object(
            'status', 'failed', 'code', attempt.code, 'files', '[]'::jsonb, 'images', '[]'::jsonb,
            'sources', '{}'::jsonb, 'undelivered', '[]'::jsonb
        ));
        attempt.cost_amount := coalesce(p_cost_amount, attempt.cost_amount);
        attempt.cost_unit := coalesce(p_cost_unit, attempt.cost_unit);
        attempt.late_at := clock_timestamp();
    END IF;
    UPDATE attempts SET
        state = attempt.state,
        result = attempt.result,
        code = attempt.code,
        provider_message = attempt.provider_message,
        moderated_at = attempt.moderated_at,
        cost_amount = attempt.cost_amount,
        cost_unit = attempt.cost_unit,
        late_at = attempt.late_at
    WHERE generation_id = p_generation AND ordinal = p_ordinal;
    RETURN NEXT attempt;
END $$;

-- Store a poll that did not end the job, and write an event of it: where it brought something new, else every 30 s at
-- most, and 200 of an attempt. p_said: what the provider says of how far it is; null if it did not say, which leaves what
-- it said before. The log is not in the event: its words are the provider's. Once the attempt or its generation has ended,
-- or the attempt was never begun, it does nothing.
CREATE OR REPLACE FUNCTION record_poll(p_generation text, p_ordinal bigint, p_status text, p_code text, p_said jsonb)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    generation generations;
    before jsonb;
    after jsonb;
    polled_at timestamptz;
BEGIN
    SELECT * INTO generation FROM generations WHERE id = p_generation FOR UPDATE;
    SELECT coalesce(progress, '{"polls": 0, "events": 0}') INTO before FROM attempts
    WHERE generation_id = p_generation AND ordinal = p_ordinal AND result IS NULL AND state <> 'rejected';
    IF NOT FOUND OR generation.finished_at IS NOT NULL THEN
        RETURN;
    END IF;
    polled_at := clock_timestamp();
    after := before || jsonb_build_object(
        'polls', CAST(before ->> 'polls' AS bigint) + 1, 'polled_at', polled_at, 'status', p_status, 'code', p_code
    );
    IF p_said IS NOT NULL THEN
        after := after || jsonb_build_object('said', p_said, 'said_at', polled_at);
    END IF;
    IF CAST(before ->> 'events' AS bigint) < 200 AND (
        (before -> 'status', before -> 'code', before #> '{said,queue_position}', before #> '{said,percent}')
            IS DISTINCT FROM
            (after -> 'status', after -> 'code', after #> '{said,queue_position}', after #> '{said,percent}')
        OR CAST(before ->> 'event_at' AS timestamptz) <= polled_at - interval '30 seconds'
    ) THEN
        after := after || jsonb_build_object('events', CAST(before ->> 'events' AS bigint) + 1, 'event_at', polled_at);
        PERFORM write_event(
            generation.tenant_id, p_generation, 'attempt.polled', jsonb_strip_nulls(jsonb_build_object(
                'ordinal', p_ordinal, 'number', after -> 'polls', 'status', p_status, 'code', p_code,
                'queue_position', p_said -> 'queue_position', 'percent', p_said -> 'percent'
            ))
        );
    END IF;
    UPDATE attempts SET progress = after WHERE generation_id = p_generation AND ordinal = p_ordinal;
END $$;
