-- What the rows of nodes gain, beside them: filled by the upgrade's own step (storage/src/upgrade.rs) from the specifications
-- of clusters that are there, taken over and dropped by the next migration, all in one transaction.

CREATE TABLE node_sizes (
  node_id            TEXT NOT NULL PRIMARY KEY,
  group_number       INTEGER NOT NULL,
  cpu_limit_milli    INTEGER,
  memory_limit_bytes INTEGER NOT NULL,
  tmp_size_bytes     INTEGER NOT NULL,
  slurm_cpus         INTEGER NOT NULL,
  slurm_memory_bytes INTEGER NOT NULL,
  constraints        TEXT NOT NULL,
  settings           TEXT NOT NULL
) STRICT;
