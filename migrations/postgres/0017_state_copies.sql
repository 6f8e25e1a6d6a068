-- Copies of what nodes with state keep, off their hosts: a compressed archive, sealed. How often they are made is a matter of healing;
-- 0: never. Clusters that are there have copies as new ones do.

ALTER TABLE clusters ADD COLUMN copies_ms BIGINT NOT NULL DEFAULT 60000;

CREATE TABLE state_copies (
  node_id            TEXT NOT NULL PRIMARY KEY REFERENCES nodes (id) ON DELETE CASCADE,
  version            BIGINT NOT NULL, -- of this row: a copy replaces the one it was taken after
  sealed             BYTEA, -- null: there is none yet
  state_bytes        BIGINT, -- before it was compressed
  copy_bytes         BIGINT, -- as it is kept
  taken_ms           BIGINT,
  checked_ms         BIGINT, -- when the state was last seen to be still this one
  trouble            TEXT, -- why there is no copy of what the state is now
  restore_generation BIGINT -- generation of the node that is to begin with the copy, until it is in its volume
);
