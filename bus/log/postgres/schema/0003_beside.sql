-- What lies beside the entries of a log, so that another hub can go on with it and needs no folder of the first.

-- Sealed attachments, named by the SHA-256 of their sealed form as the leaf of their entry names it. Their bytes are
-- there before that entry; `is_named` says that it is known to be, too.
CREATE TABLE attachments (
    origin integer NOT NULL, stored bytea NOT NULL,
    content bigint NOT NULL, bytes_count bigint NOT NULL, is_named boolean NOT NULL,
    PRIMARY KEY (origin, stored)
);
CREATE INDEX attachments_open ON attachments (origin) WHERE NOT is_named;
CREATE SEQUENCE attachment_contents;
CREATE TABLE attachment_pieces (
    content bigint NOT NULL, piece integer NOT NULL, bytes bytea NOT NULL,
    PRIMARY KEY (content, piece)
);
-- What is sealed does not shrink, and a part of a piece is read without the rest of it.
ALTER TABLE attachment_pieces ALTER COLUMN bytes SET STORAGE EXTERNAL;

-- Small files of a log's folder: who is paused, tokens of time authorities.
CREATE TABLE kept_files (
    origin integer NOT NULL, name text COLLATE "C" NOT NULL, content bytea NOT NULL,
    PRIMARY KEY (origin, name)
);
