-- What generations are found by: the words of prompt and metadata, and each pair of the metadata.

-- Return the first 100 different words of a text, in its order, each cut after 40 characters: what stands between blanks
-- and punctuation, without case and accents. A Chinese or Japanese character, or an emoji, is a word of its own. The
-- result is the same in every database, whatever its collation.
CREATE OR REPLACE FUNCTION words_of(p_text text) RETURNS text[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    folded text := p_text;
BEGIN
    IF octet_length(folded) > char_length(folded) THEN
        folded := regexp_replace(normalize(folded, NFKD), '[\u0300-\u036f]+', '', 'g');
        folded := regexp_replace(
            normalize(folded, NFKC),
            '([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00010000-\U0010ffff])', ' \1 ', 'g'
        );
        -- Upper case that is not ASCII and has no accent.
        folded := translate(
            folded,
            'ÆÐØÞĐŁŒΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩАБВГДЕЖЗИКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯЂЄЅІЈЉЊЋЏҐ',
            'æðøþđłœαβγδεζηθικλμνξοπρστυφχψωабвгдежзиклмнопрстуфхцчшщъыьэюяђєѕіјљњћџґ'
        );
    END IF;
    RETURN coalesce((
        SELECT array_agg(word ORDER BY place) FROM (
            SELECT left(part, 40) AS word, min(number) AS place
            FROM regexp_split_to_table(
                lower(folded COLLATE "C"),
                '[\u0001-\u002f\u003a-\u0060\u007b-\u00a9\u00ab-\u00b4\u00b6-\u00b9\u00bb-\u00bf\u00d7\u00f7'
                '\u2000-\u206f\u3000-\u303f\ufe30-\ufe4f\uff00-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65]+'
            ) WITH ORDINALITY AS split (part, number)
            WHERE part <> '' GROUP BY 1 ORDER BY 2 LIMIT 100
        ) AS first_ones
    ), '{}');
END $$;

-- Return the hashes of what is given of these. The tenant is in each: none finds another's.
CREATE OR REPLACE FUNCTION terms_of(p_tenant text, p_model text, p_provider text, p_words text[], p_metadata jsonb)
RETURNS bigint[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(array_agg(hashtextextended(p_tenant || chr(31) || term, 0)), '{}') FROM (
        SELECT 'o' || p_model AS term UNION ALL SELECT 'p' || p_provider
        UNION ALL SELECT 'w' || word FROM unnest(p_words) AS word
        UNION ALL SELECT 'm' || key || chr(31) || value FROM jsonb_each_text(p_metadata)
    ) AS given WHERE term IS NOT NULL
$$;

-- Return what a generation is found by.
CREATE OR REPLACE FUNCTION terms_of_generation(p_generation generations) RETURNS bigint[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT terms_of(
        p_generation.tenant_id, p_generation.model, p_generation.provider,
        words_of(concat_ws(
            ' ', p_generation.prompt,
            (SELECT string_agg(value, ' ' ORDER BY key) FROM jsonb_each_text(p_generation.metadata))
        )),
        p_generation.metadata
    )
$$;

-- Return up to p_limit generations that all of these terms find, always by the index of terms: where they find many, a
-- planner that sees the limit would rather read the table, from its beginning.
CREATE OR REPLACE FUNCTION generations_by_terms(p_terms bigint[], p_limit bigint) RETURNS SETOF text
LANGUAGE sql STABLE ROWS 1000 SET enable_seqscan = off AS $$
    SELECT generation_id FROM generation_terms WHERE terms @> p_terms LIMIT p_limit
$$;

-- Let a new generation be found, and one whose prompt or metadata went no longer be found by these. One that its client
-- deleted is in no list.
CREATE OR REPLACE FUNCTION follow_terms() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO generation_terms (generation_id, tenant_id, model, provider, created_at, terms)
        VALUES (NEW.id, NEW.tenant_id, NEW.model, NEW.provider, NEW.created_at, terms_of_generation(NEW));
    ELSIF NEW.deleted_at IS NOT NULL THEN
        DELETE FROM generation_terms WHERE generation_id = NEW.id;
    ELSE
        UPDATE generation_terms SET terms = terms_of_generation(NEW) WHERE generation_id = NEW.id;
    END IF;
    RETURN NULL;
END $$;

-- Write the terms that are missing among the p_limit generations before p_before, newest first; return the last of these,
-- or null where there are no more. A row is locked for a moment, so that it is not erased between the look and the write.
CREATE OR REPLACE FUNCTION fill_terms(p_before text, p_limit bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    ids CONSTANT text[] := ARRAY(
        SELECT id FROM generations WHERE p_before IS NULL OR id < p_before ORDER BY id DESC LIMIT p_limit
    );
BEGIN
    INSERT INTO generation_terms (generation_id, tenant_id, model, provider, created_at, terms)
    SELECT (job).id, (job).tenant_id, (job).model, (job).provider, (job).created_at, terms_of_generation(job)
    FROM (
        SELECT g AS job FROM generations AS g WHERE id = ANY (ids) AND deleted_at IS NULL
            AND NOT EXISTS (SELECT FROM generation_terms WHERE generation_id = g.id)
        ORDER BY id FOR SHARE
    ) AS unfilled
    ON CONFLICT DO NOTHING;
    RETURN ids[cardinality(ids)];
END $$;
