-- Why nodes are where they are: what a placement was decided on, one row per decision.

CREATE TABLE decisions (
  id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  cluster_id TEXT NOT NULL REFERENCES clusters (id) ON DELETE CASCADE,
  decided_ms BIGINT NOT NULL,
  document   BYTEA NOT NULL
);

CREATE INDEX decisions_cluster ON decisions (cluster_id);
