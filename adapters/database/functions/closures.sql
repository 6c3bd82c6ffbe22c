-- When a provider is closed: on evidence about the account or a model (`endpoint`), never after one request's 429.
--
-- A row of provider_closures counts the different generations that were pushed back since one was last taken. With
-- enough of them nobody is granted a slot for as long as the provider asked; then one job is, as a probe. A probe that
-- was neither taken nor pushed back in ten seconds, such as a call that takes a minute, passes.

-- Return what is known of a provider when this generation is about to be submitted. code: why it is closed; null if the
-- generation may be submitted.
CREATE OR REPLACE FUNCTION closure_for(p_provider text, p_endpoint text, p_generation text)
RETURNS TABLE (has_evidence boolean, code text, seconds double precision) LANGUAGE sql STABLE AS $$
    SELECT count(*) > 0, min(closure.code) FILTER (WHERE closes), coalesce(max(left_seconds) FILTER (WHERE closes), 0)
    FROM (
        SELECT code, greatest(0, extract(epoch FROM closed_until - clock_timestamp()))::double precision AS left_seconds,
            coalesce(closed_until > clock_timestamp(), false) OR coalesce(
                probe_at > clock_timestamp() - interval '10 seconds' AND probe <> p_generation, false
            ) AS closes
        FROM provider_closures WHERE provider = p_provider AND endpoint IN ('', p_endpoint)
    ) AS closure
$$;

-- Return the endpoints of a provider that are closed, '' for all of them. is_shut: nobody may be granted a slot; else
-- one job may, as a probe.
CREATE OR REPLACE FUNCTION closed_endpoints(p_provider text)
RETURNS TABLE (endpoint text, is_shut boolean) LANGUAGE sql STABLE AS $$
    SELECT endpoint, closed_until > clock_timestamp() OR EXISTS (
        SELECT FROM provider_slots AS slot
        WHERE slot.generation_id = closure.probe AND slot.granted_at IS NOT NULL
            AND closure.probe_at > clock_timestamp() - interval '10 seconds'
    )
    FROM provider_closures AS closure WHERE provider = p_provider AND closed_until IS NOT NULL
$$;
