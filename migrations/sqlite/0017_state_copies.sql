-- Copies of what nodes with state keep, off their hosts: a compressed archive, sealed. How often they are made is a matter of healing;
-- 0: never. Clusters that are there have copies as new ones do.

ALTER TABLE clusters ADD COLUMN copies_ms INTEGER NOT NULL DEFAULT 60000;

CREATE TABLE state_copies (
  node_id            TEXT NOT NULL PRIMARY KEY REFERENCES nodes (id) ON DELETE CASCADE,
  version            INTEGER NOT NULL, -- of this row: a copy replaces the one it was taken after
  sealed             BLOB, -- null: there is none yet
  state_bytes        INTEGER, -- before it was compressed
  copy_bytes         INTEGER, -- as it is kept
  taken_ms           INTEGER,
  checked_ms         INTEGER, -- when the state was last seen to be still this one
  trouble            TEXT, -- why there is no copy of what the state is now
  restore_generation INTEGER -- generation of the node that is to begin with the copy, until it is in its volume
) STRICT;
