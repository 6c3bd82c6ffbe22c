-- The step into storing images, and the end of it.

-- Enter the stage `storing`, unless a cancel or another end came first; from then on a cancel is too late.
--
-- state: storing, canceled or already_terminal. result: the newest report on the files: the attempt's own if it
-- succeeded, else a webhook's (p_inbox, if not null). recorded: images that an earlier run has recorded. unstored:
-- indexes of those whose bytes are kept here. generation: its row. is_grant_due: whether somebody may get the slot that is free now.
CREATE OR REPLACE FUNCTION begin_storing(p_generation text, p_ordinal bigint, p_inbox bigint)
RETURNS TABLE (
    state text, result jsonb, recorded jsonb, unstored bigint[], age_seconds double precision, is_grant_due boolean,
    generation generations
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    SELECT * INTO generation FROM generations WHERE id = p_generation FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    state := CASE
        WHEN generation.finished_at IS NOT NULL THEN 'already_terminal'
        WHEN generation.stage IN ('storing', 'settling') THEN 'storing'
        WHEN is_cancel_wanted(generation) THEN 'canceled'
        ELSE 'storing' END;
    IF state = 'storing' THEN
        IF generation.stage NOT IN ('storing', 'settling') THEN
            UPDATE generations SET stage = 'storing', status = 'processing' WHERE id = p_generation
            RETURNING * INTO generation;
        END IF;
        SELECT attempts.result INTO result FROM attempts
        WHERE generation_id = p_generation AND ordinal = p_ordinal AND attempts.result ->> 'status' = 'succeeded';
        IF NOT FOUND THEN
            SELECT inbox.result INTO result FROM inbox
            WHERE generation_id = p_generation AND ordinal = p_ordinal AND status = 'succeeded'
                AND (p_inbox IS NULL OR id = p_inbox)
            ORDER BY id LIMIT 1;
        END IF;
        recorded := (
            SELECT jsonb_agg(to_jsonb(image) - 'generation_id' - 'created_at' ORDER BY index)
            FROM images AS image WHERE generation_id = p_generation
        );
        unstored := ARRAY(SELECT index FROM unstored_images WHERE generation_id = p_generation ORDER BY index);
        age_seconds := extract(epoch FROM clock_timestamp() - generation.storing_at);
        is_grant_due := is_grant_due(provider_of(generation, p_ordinal));
    END IF;
    RETURN NEXT;
END $$;

-- Record all images at once, charge for them and complete the generation, in one transaction.
--
-- keeps_images: whether the objects stay; not if the generation ended without them. On a run again, or when an activity
-- outlived its workflow, the first record of the images stays.
CREATE OR REPLACE FUNCTION finish_storing(p_generation text, p_images jsonb, p_undelivered jsonb)
RETURNS TABLE (keeps_images boolean, status text, code text, charged_credits bigint, images bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    generation generations;
    is_recorded boolean;
BEGIN
    SELECT * INTO generation FROM generations WHERE id = p_generation FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    DELETE FROM unstored_images WHERE generation_id = p_generation;
    is_recorded := EXISTS (SELECT FROM images WHERE generation_id = p_generation);
    IF generation.finished_at IS NULL THEN
        IF is_recorded THEN
            p_undelivered := generation.undelivered;
        ELSE
            INSERT INTO images (
                generation_id, index, key, width, height, content_type, size_bytes, sha256, source_sha256
            ) SELECT p_generation, image.* FROM jsonb_to_recordset(p_images) AS image (
                index bigint, key text, width bigint, height bigint, content_type text, size_bytes bigint,
                sha256 text, source_sha256 text
            );
            is_recorded := true;
        END IF;
        PERFORM complete_generation(
            generation, (SELECT count(*) FROM images WHERE generation_id = p_generation), p_undelivered
        );
    END IF;
    RETURN QUERY SELECT is_recorded AND generation.images_erased_at IS NULL, outcome.*
    FROM outcome_of(p_generation) AS outcome;
END $$;

-- Finish several generations, in one transaction. p_finished: objects of `generation`, `images` and `undelivered`. Returns
-- no row for one that was locked.
CREATE OR REPLACE FUNCTION finish_storing_of_all(p_finished jsonb)
RETURNS TABLE (
    generation_id text, keeps_images boolean, status text, code text, charged_credits bigint, images bigint
) LANGUAGE plpgsql AS $$
DECLARE
    locked CONSTANT text[] := lock_all(ARRAY(SELECT each ->> 'generation' FROM jsonb_array_elements(p_finished) AS each));
BEGIN
    RETURN QUERY SELECT each.generation, finished.*
    FROM jsonb_to_recordset(p_finished) AS each (generation text, images jsonb, undelivered jsonb)
    CROSS JOIN LATERAL finish_storing(each.generation, each.images, each.undelivered) AS finished
    WHERE each.generation = ANY (locked);
END $$;
