-- What the rows of nodes gain, beside them: filled by the upgrade's own step (storage/src/upgrade.rs) from the specifications
-- of clusters that are there, taken over and dropped by the next migration, all in one transaction.

CREATE TABLE node_sizes (
  node_id            TEXT NOT NULL PRIMARY KEY,
  group_number       BIGINT NOT NULL,
  cpu_limit_milli    BIGINT,
  memory_limit_bytes BIGINT NOT NULL,
  tmp_size_bytes     BIGINT NOT NULL,
  slurm_cpus         BIGINT NOT NULL,
  slurm_memory_bytes BIGINT NOT NULL,
  constraints        TEXT NOT NULL,
  settings           TEXT NOT NULL
);
