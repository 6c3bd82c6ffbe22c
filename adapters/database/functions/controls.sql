-- What a client said of one job (domain/controls.py): until when it must end, until when a provider must have it, and what
-- is kept of it.

-- Return when the job is to be canceled, if its client said so.
CREATE OR REPLACE FUNCTION cancel_at(p_generation generations) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT p_generation.created_at + make_interval(secs => p_generation.cancel_after_seconds)
$$;

-- Return whether that time is over. Once the images are being stored it is too late, as it is for a client's cancel.
CREATE OR REPLACE FUNCTION is_past_cancel_at(p_generation generations) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce(cancel_at(p_generation) <= now(), false) AND p_generation.stage NOT IN ('storing', 'settling')
$$;

-- Return whether the client wants the job to end: it asked for it, or its time is over.
CREATE OR REPLACE FUNCTION is_cancel_wanted(p_generation generations) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT p_generation.cancel_requested_at IS NOT NULL OR is_past_cancel_at(p_generation)
$$;

-- Return who canceled a generation that ends so: `client`; `deadline`, which the client had set; or `operator`. The erasure
-- of a tenant cancels what is open, too; an operator asked for that. p_code: `deadline` where the workflow's clock says that
-- the time is over, which may be ahead of this one.
CREATE OR REPLACE FUNCTION canceled_by(p_generation generations, p_code text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN p_generation.cancel_requested_at < coalesce(cancel_at(p_generation), 'infinity') THEN CASE
            WHEN EXISTS (
                SELECT FROM tenants WHERE id = p_generation.tenant_id
                AND erasure_requested_at <= p_generation.cancel_requested_at
            ) THEN 'operator' ELSE 'client' END
        WHEN p_code = 'deadline' OR is_past_cancel_at(p_generation) THEN 'deadline'
        ELSE 'operator'
    END
$$;

-- Return whether the job is to fail because no provider had it in time. One that may have taken it, and may have failed it
-- since, was in time.
CREATE OR REPLACE FUNCTION is_past_start_by(p_generation generations) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT p_generation.start_within_seconds IS NOT NULL
        AND p_generation.created_at + make_interval(secs => p_generation.start_within_seconds) <= now()
        AND NOT EXISTS (
            SELECT FROM attempts WHERE generation_id = p_generation.id AND state NOT IN ('not_sent', 'rejected')
        )
$$;

-- Return the position of a job among those of its tenant that wait for a slot: those of high priority come first.
CREATE OR REPLACE FUNCTION slot_rank(p_generation generations) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT -p_generation.priority
$$;

-- Return whether a provider's own words may be stored: they may repeat the prompt, which goes at the end if its client said so.
CREATE OR REPLACE FUNCTION keeps_message(p_generation generations) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT keeps_provider_data(p_generation) AND (p_generation.keeps_prompt OR p_generation.finished_at IS NULL)
$$;

-- However a generation ends: its prompt goes with its end, and its images are given their time.
CREATE OR REPLACE FUNCTION apply_controls() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status = 'completed' THEN
        NEW.images_expire_at := now() + make_interval(secs => NEW.image_lifetime_seconds);
    END IF;
    IF NOT NEW.keeps_prompt THEN
        NEW.prompt := '';
        NEW.parameters := NEW.parameters - 'prompt';
        NEW.fallback := NEW.fallback #- '{parameters,prompt}';
        UPDATE attempts SET provider_message = NULL, progress = NULL WHERE generation_id = NEW.id;
    END IF;
    RETURN NEW;
END $$;
