-- Why nodes are where they are: what a placement was decided on, one row per decision.

CREATE TABLE decisions (
  id         INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  cluster_id TEXT NOT NULL REFERENCES clusters (id) ON DELETE CASCADE,
  decided_ms INTEGER NOT NULL,
  document   BLOB NOT NULL
) STRICT;

CREATE INDEX decisions_cluster ON decisions (cluster_id);
