-- Entries of several logs, one for each origin, and what is open beside them.
-- Times are microseconds since 1970, UTC; numbers of states are those of bus/log/row_values.py.

-- A log, and who writes it now: whoever does knows owner and epoch. Only the server's clock counts.
CREATE TABLE origins (
    number integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    size bigint NOT NULL DEFAULT 0,
    epoch bigint NOT NULL DEFAULT 0,
    home text NOT NULL DEFAULT '',  -- the hub whose log it is
    hub text NOT NULL DEFAULT '',   -- who wrote it last: that one, or one that adopted it
    owner uuid,
    lease timestamptz NOT NULL DEFAULT '-infinity',
    wanted_by text
);

CREATE TABLE entries (
    origin integer NOT NULL, idx bigint NOT NULL, leaf bytea NOT NULL,
    PRIMARY KEY (origin, idx)
);
CREATE TABLE payloads (
    origin integer NOT NULL, idx bigint NOT NULL,
    ciphertext bytea NOT NULL, wrapped_key bytea NOT NULL,
    PRIMARY KEY (origin, idx)
);
-- What is sealed does not shrink.
ALTER TABLE payloads ALTER COLUMN ciphertext SET STORAGE EXTERNAL;

-- Ids are taken once for all logs.
CREATE TABLE inbox (
    key bytea PRIMARY KEY, digest bytea NOT NULL, state smallint NOT NULL,
    origin integer NOT NULL, received_idx bigint NOT NULL, outcome_idx bigint
) WITH (fillfactor = 80);
CREATE INDEX inbox_open ON inbox (origin, received_idx) WHERE state = 0;

CREATE TABLE texts (digest bytea PRIMARY KEY, text bytea NOT NULL);

-- The columns after the first are those of bus/log/row_values.py, in their order.
CREATE TABLE deliveries (
    origin integer NOT NULL,
    received_idx bigint NOT NULL, position integer NOT NULL,
    recipient text COLLATE "C" NOT NULL,
    service text NOT NULL, state smallint NOT NULL, attempt integer NOT NULL,
    attempt_max integer NOT NULL, doubt boolean NOT NULL, due bigint NOT NULL,
    expires bigint NOT NULL, key bytea NOT NULL, deadline bigint, urgent boolean NOT NULL,
    conversation bytea, place bigint NOT NULL, generation integer NOT NULL, holder bytea,
    version bigint NOT NULL, lets_pass boolean NOT NULL,
    PRIMARY KEY (origin, received_idx, position)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX deliveries_due ON deliveries
    (origin, recipient, urgent, due, received_idx, position) WHERE state = 0;
CREATE INDEX deliveries_begun ON deliveries
    (origin, deadline, received_idx, position) WHERE state IN (2, 4);
CREATE INDEX deliveries_expiring ON deliveries
    (origin, expires, received_idx, position) WHERE state IN (0, 1, 3);
CREATE INDEX deliveries_offered ON deliveries
    (origin, recipient, received_idx, position) WHERE state IN (3, 4);
CREATE INDEX deliveries_dead ON deliveries (origin, received_idx, position) WHERE state = 5;
CREATE INDEX deliveries_dead_of ON deliveries
    (origin, recipient, received_idx, position) WHERE state = 5;
CREATE INDEX deliveries_queued ON deliveries (conversation, lets_pass, place)
    WHERE conversation IS NOT NULL;

CREATE TABLE carried (
    origin integer NOT NULL, received_idx bigint NOT NULL,
    ciphertext bytea NOT NULL, wrapped_key bytea NOT NULL,
    PRIMARY KEY (origin, received_idx)
);
ALTER TABLE carried ALTER COLUMN ciphertext SET STORAGE EXTERNAL;
CREATE TABLE related (
    origin integer NOT NULL, received_idx bigint NOT NULL, idx bigint NOT NULL,
    PRIMARY KEY (origin, received_idx, idx)
);

-- A batch of works of one origin, in order: entries with what stands beside them, and changes of
-- rows alone. Arrays have one item for each work; those of `row_…` one for each row that a work
-- brings (`row_work` counts works from 1) or, with `row_position` NULL, for what a row becomes.
--
-- Whoever writes holds the row of its origin first, then the numbers in `locks`, which stand in
-- ascending order: one for each key of a claim or settlement and each conversation that the batch
-- concerns. Rows of deliveries without a conversation are changed under their origin alone. Hence
-- no two batches wait for each other in a circle.
--
-- Raises LT001: another hub has the origin; LT002: the log has another size than was told.
CREATE FUNCTION append_batch(
    of_origin integer, of_epoch bigint, of_size bigint, lease_seconds integer, locks bigint[],
    leaf bytea[], ciphertext bytea[], wrapped_key bytea[],
    claim_key bytea[], claim_digest bytea[], claim_state bigint[],
    settled_key bytea[], settled_state bigint[], erased bigint[],
    carried_ciphertext bytea[], carried_key bytea[],
    seen_idx bigint[], seen_position bigint[], seen_version bigint[],
    goes bigint[], frees bigint[], seen_conversation bytea[],
    row_work bigint[], row_position bigint[], row_recipient text[], row_service text[],
    row_state bigint[], row_attempt bigint[], row_attempt_max bigint[], row_doubt bigint[],
    row_due bigint[], row_expires bigint[], row_key bytea[], row_deadline bigint[],
    row_urgent bigint[], row_conversation bytea[], row_generation bigint[], row_holder bytea[]
) RETURNS TABLE (
    kind integer, at_idx bigint, is_same boolean, at_state smallint, at_origin integer,
    at_received_idx bigint, at_outcome_idx bigint,
    blocked integer[], freed_origin integer, freed_idx bigint, freed_position integer,
    stands deliveries
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    next_idx bigint;
    works integer := coalesce(array_length(seen_idx, 1), 0);
    row_count integer := coalesce(array_length(row_work, 1), 0);
    r integer := 1;
    taken inbox;
    nothing deliveries;
    freed deliveries;
    last_place bigint;
    waits boolean;
    changed boolean;
BEGIN
    SELECT o.size INTO next_idx FROM origins o
        WHERE o.number = of_origin AND o.epoch = of_epoch FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'another hub took over this log' USING ERRCODE = 'LT001';
    END IF;
    IF next_idx <> of_size THEN
        RAISE EXCEPTION 'the log has % entries, % were told', next_idx, of_size
            USING ERRCODE = 'LT002';
    END IF;
    PERFORM pg_advisory_xact_lock(one) FROM unnest(locks) AS one;

    FOR w IN 1 .. works LOOP
        kind := 1; at_idx := NULL; is_same := NULL; at_state := NULL; at_origin := NULL;
        at_received_idx := NULL; at_outcome_idx := NULL; blocked := NULL;
        freed_origin := NULL; freed_idx := NULL; freed_position := NULL; stands := nothing;

        -- A change that comes too late is refused before anything of its work is done.
        IF seen_idx[w] IS NOT NULL THEN
            SELECT * INTO stands FROM deliveries d WHERE d.origin = of_origin
                AND d.received_idx = seen_idx[w] AND d.position = seen_position[w];
            IF NOT FOUND OR stands.version <> seen_version[w] THEN
                kind := 4;
                WHILE r <= row_count AND row_work[r] = w LOOP r := r + 1; END LOOP;
                RETURN NEXT;
                CONTINUE;
            END IF;
            stands := nothing;
        END IF;

        IF claim_key[w] IS NOT NULL THEN
            INSERT INTO inbox VALUES
                (claim_key[w], claim_digest[w], claim_state[w], of_origin, next_idx, NULL)
                ON CONFLICT (key) DO NOTHING;
            IF NOT FOUND THEN
                SELECT * INTO taken FROM inbox i WHERE i.key = claim_key[w];
                is_same := taken.digest = claim_digest[w];
                IF NOT is_same OR taken.state <> 2 THEN
                    kind := 2; at_state := taken.state; at_origin := taken.origin;
                    at_received_idx := taken.received_idx; at_outcome_idx := taken.outcome_idx;
                    WHILE r <= row_count AND row_work[r] = w LOOP r := r + 1; END LOOP;
                    RETURN NEXT;
                    CONTINUE;
                END IF;
                UPDATE inbox SET state = claim_state[w], origin = of_origin,
                    received_idx = next_idx, outcome_idx = NULL WHERE key = claim_key[w];
            END IF;
        END IF;

        IF leaf[w] IS NOT NULL THEN
            INSERT INTO entries VALUES (of_origin, next_idx, leaf[w]);
            IF ciphertext[w] IS NOT NULL THEN
                INSERT INTO payloads VALUES (of_origin, next_idx, ciphertext[w], wrapped_key[w]);
            END IF;
            IF settled_key[w] IS NOT NULL THEN
                UPDATE inbox SET state = settled_state[w], outcome_idx = next_idx
                    WHERE key = settled_key[w] AND origin = of_origin;
            END IF;
            IF erased[w] IS NOT NULL THEN
                DELETE FROM payloads p WHERE p.origin = of_origin AND p.idx = erased[w];
            END IF;
        END IF;

        IF seen_idx[w] IS NOT NULL THEN
            IF goes[w] = 1 THEN
                DELETE FROM deliveries d WHERE d.origin = of_origin
                    AND d.received_idx = seen_idx[w] AND d.position = seen_position[w];
                DELETE FROM carried c WHERE c.origin = of_origin AND c.received_idx = seen_idx[w]
                    AND NOT EXISTS (SELECT 1 FROM deliveries d
                        WHERE d.origin = of_origin AND d.received_idx = seen_idx[w]);
            ELSE
                UPDATE deliveries d SET recipient = row_recipient[r], service = row_service[r],
                    state = row_state[r], attempt = row_attempt[r],
                    attempt_max = row_attempt_max[r], doubt = row_doubt[r] = 1, due = row_due[r],
                    expires = row_expires[r], key = row_key[r], deadline = row_deadline[r],
                    urgent = row_urgent[r] = 1, generation = row_generation[r],
                    holder = row_holder[r], version = d.version + 1, lets_pass = frees[w] = 1
                    WHERE d.origin = of_origin
                    AND d.received_idx = seen_idx[w] AND d.position = seen_position[w];
                r := r + 1;
            END IF;
            IF leaf[w] IS NOT NULL THEN
                INSERT INTO related VALUES (of_origin, seen_idx[w], next_idx);
            END IF;
            IF seen_conversation[w] IS NOT NULL AND (goes[w] = 1 OR frees[w] = 1) THEN
                SELECT * INTO freed FROM deliveries d
                    WHERE d.conversation = seen_conversation[w] AND NOT d.lets_pass
                    ORDER BY d.place LIMIT 1;
                IF FOUND AND freed.state = 1 THEN
                    UPDATE deliveries d SET state = 0, version = d.version + 1
                        WHERE d.origin = freed.origin AND d.received_idx = freed.received_idx
                        AND d.position = freed.position;
                    freed_origin := freed.origin; freed_idx := freed.received_idx;
                    freed_position := freed.position;
                END IF;
            END IF;
        END IF;

        changed := false;
        WHILE r <= row_count AND row_work[r] = w LOOP
            changed := true;
            last_place := 0;
            waits := false;
            IF row_conversation[r] IS NOT NULL THEN
                SELECT max(d.place) INTO last_place FROM deliveries d
                    WHERE d.conversation = row_conversation[r] AND NOT d.lets_pass;
                waits := last_place IS NOT NULL;
                SELECT greatest(last_place, max(d.place), 0) + 1 INTO last_place FROM deliveries d
                    WHERE d.conversation = row_conversation[r] AND d.lets_pass;
            END IF;
            INSERT INTO deliveries VALUES (of_origin, next_idx, row_position[r],
                row_recipient[r], row_service[r],
                CASE WHEN waits THEN 1 ELSE row_state[r] END,
                CASE WHEN waits THEN 0 ELSE row_attempt[r] END,
                row_attempt_max[r], row_doubt[r] = 1, row_due[r], row_expires[r], row_key[r],
                CASE WHEN waits THEN NULL ELSE row_deadline[r] END,
                row_urgent[r] = 1, row_conversation[r], last_place, row_generation[r],
                row_holder[r], 0, false);
            IF waits THEN
                blocked := array_append(blocked, row_position[r]::integer);
            END IF;
            r := r + 1;
        END LOOP;
        IF changed AND carried_ciphertext[w] IS NOT NULL THEN
            INSERT INTO carried
                VALUES (of_origin, next_idx, carried_ciphertext[w], carried_key[w]);
        END IF;

        IF leaf[w] IS NOT NULL THEN
            at_idx := next_idx;
            next_idx := next_idx + 1;
        ELSE
            kind := 3;
        END IF;
        RETURN NEXT;
    END LOOP;

    UPDATE origins SET size = next_idx,
        lease = clock_timestamp() + make_interval(secs => lease_seconds)
        WHERE number = of_origin;
END $$;
