-- Webhooks, stored before their workflows are signaled.

-- Store an event of a provider; of equal ones the first counts.
--
-- The generation's row is locked, or this would overwrite what a poll records at the same moment. An event about
-- another job than the attempt's own proves nothing, nor does one that may be taken back: the provider is polled instead
-- (`check`). A final one is also stored with the attempt, where its cost is counted.
CREATE OR REPLACE FUNCTION receive_event(
    p_provider text, p_generation text, p_ordinal bigint, p_event text, p_job text, p_is_tentative boolean,
    p_result jsonb, p_message text, p_moderated_at text, p_does_not_charge boolean, p_cost_amount numeric, p_cost_unit text
) RETURNS SETOF inbox LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    generation generations;
    is_believed boolean;
BEGIN
    SELECT * INTO generation FROM generations WHERE id = p_generation FOR UPDATE;
    IF NOT FOUND OR provider_of(generation, p_ordinal) <> p_provider THEN
        RETURN;
    END IF;
    SELECT coalesce(provider_job_id = p_job, true) AND NOT p_is_tentative INTO is_believed
    FROM attempts WHERE generation_id = p_generation AND ordinal = p_ordinal;
    is_believed := coalesce(is_believed, false);
    INSERT INTO inbox (
        provider, event_id, generation_id, ordinal, provider_job_id, status, code, moderated_at, does_not_charge, result, late
    ) VALUES (
        p_provider, p_event, p_generation, p_ordinal, p_job,
        CASE WHEN is_believed THEN p_result ->> 'status' ELSE 'check' END,
        CASE WHEN is_believed THEN p_result ->> 'code' END,
        CASE WHEN is_believed THEN p_moderated_at END,
        is_believed AND p_does_not_charge,
        CASE WHEN keeps_provider_data(generation) THEN p_result ELSE jsonb_set(p_result, '{files}', '[]') END,
        generation.finished_at IS NOT NULL
    ) ON CONFLICT (provider, event_id) DO NOTHING;
    IF NOT FOUND THEN
        PERFORM log_repeated_webhook(generation, p_ordinal, p_provider);
    ELSIF is_believed AND p_result ->> 'status' IN ('succeeded', 'failed') THEN
        PERFORM store_result(
            p_generation, p_ordinal, NULL, p_result, p_message, p_moderated_at, p_does_not_charge, p_cost_amount, p_cost_unit, false
        );
    END IF;
    RETURN QUERY SELECT * FROM inbox WHERE provider = p_provider AND event_id = p_event;
END $$;
