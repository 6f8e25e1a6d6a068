-- A node's row is whole: it says what the node is, and no specification is read for it. What is reserved of hosts, and which
-- cluster is on which network, are rows of their own.

-- What is promised of a host. A node has one of its id; a container that is no node may have one.
CREATE TABLE reservations (
  owner_id     TEXT NOT NULL PRIMARY KEY,
  owner        TEXT NOT NULL, -- node, container
  host_id      TEXT NOT NULL REFERENCES hosts (id),
  cpu_milli    BIGINT NOT NULL,
  memory_bytes BIGINT NOT NULL
);

INSERT INTO reservations (owner_id, owner, host_id, cpu_milli, memory_bytes)
  SELECT id, 'node', host_id, reserved_cpu_milli, reserved_memory_bytes FROM nodes;

-- The network a cluster is on: each is on one, and one may carry several.
CREATE TABLE attachments (
  cluster_id TEXT NOT NULL PRIMARY KEY REFERENCES clusters (id),
  network_id TEXT NOT NULL REFERENCES networks (id)
);

CREATE INDEX attachments_network ON attachments (network_id);

INSERT INTO attachments (cluster_id, network_id) SELECT cluster_id, id FROM networks;

ALTER TABLE networks DROP COLUMN cluster_id;

ALTER TABLE nodes
  ADD COLUMN group_number       BIGINT, -- in the specification it was admitted with
  ADD COLUMN cpu_limit_milli    BIGINT, -- null: none
  ADD COLUMN memory_limit_bytes BIGINT,
  ADD COLUMN tmp_size_bytes     BIGINT,
  ADD COLUMN slurm_cpus         BIGINT, -- as Slurm is told
  ADD COLUMN slurm_memory_bytes BIGINT,
  ADD COLUMN constraints        TEXT, -- on its host, besides the cluster's
  ADD COLUMN power              TEXT, -- as intended: on, off
  ADD COLUMN settings           TEXT; -- digest of those it was made with

UPDATE nodes SET
  group_number = added.group_number, cpu_limit_milli = added.cpu_limit_milli,
  memory_limit_bytes = added.memory_limit_bytes, tmp_size_bytes = added.tmp_size_bytes, slurm_cpus = added.slurm_cpus,
  slurm_memory_bytes = added.slurm_memory_bytes, constraints = added.constraints, power = 'on', settings = added.settings
FROM node_sizes AS added WHERE added.node_id = nodes.id;

ALTER TABLE nodes
  ALTER COLUMN group_number       SET NOT NULL,
  ALTER COLUMN memory_limit_bytes SET NOT NULL,
  ALTER COLUMN tmp_size_bytes     SET NOT NULL,
  ALTER COLUMN slurm_cpus         SET NOT NULL,
  ALTER COLUMN slurm_memory_bytes SET NOT NULL,
  ALTER COLUMN constraints        SET NOT NULL,
  ALTER COLUMN power              SET NOT NULL,
  ALTER COLUMN settings           SET NOT NULL,
  DROP COLUMN reserved_cpu_milli,
  DROP COLUMN reserved_memory_bytes;

DROP TABLE node_sizes;

-- Columns of an automatic repair of hosts that was never built.
ALTER TABLE hosts
  DROP COLUMN healing_holder,
  DROP COLUMN healing_attempts,
  DROP COLUMN healing_until_ms;
