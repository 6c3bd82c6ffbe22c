-- Why a generation went from one provider to another, for those who ask.

-- Note why the attempt before this one was left; once, so that a run that is repeated after a Reset changes nothing.
CREATE OR REPLACE FUNCTION note_route(p_generation text, p_ordinal bigint, p_reason text) RETURNS void LANGUAGE sql AS $$
    UPDATE generations SET routing = routing || jsonb_build_array(jsonb_build_object(
        'ordinal', p_ordinal - 1, 'model', model, 'provider', provider_of(generations, p_ordinal - 1), 'reason', p_reason
    ))
    WHERE id = p_generation AND finished_at IS NULL
        AND NOT routing @> jsonb_build_array(jsonb_build_object('ordinal', p_ordinal - 1))
$$;

-- Take a slot, or a position in the queue, at the provider of a later attempt; note why the one before was left. As
-- `request_slot` otherwise.
CREATE OR REPLACE FUNCTION request_next_slot(p_generation text, p_ordinal bigint, p_limits jsonb, p_reason text)
RETURNS TABLE (provider text, is_granted boolean, others jsonb, released_provider text, is_closed boolean, is_busy boolean)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM note_route(p_generation, p_ordinal, p_reason);
    RETURN QUERY SELECT * FROM request_slot(p_generation, p_ordinal, p_limits);
END $$;
