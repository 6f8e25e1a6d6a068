-- A node's row is whole: it says what the node is, and no specification is read for it. What is reserved of hosts, and which
-- cluster is on which network, are rows of their own. SQLite changes a table by making it anew.

-- What is promised of a host. A node has one of its id; a container that is no node may have one.
CREATE TABLE reservations (
  owner_id     TEXT NOT NULL PRIMARY KEY,
  owner        TEXT NOT NULL, -- node, container
  host_id      TEXT NOT NULL REFERENCES hosts (id),
  cpu_milli    INTEGER NOT NULL,
  memory_bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO reservations (owner_id, owner, host_id, cpu_milli, memory_bytes)
  SELECT id, 'node', host_id, reserved_cpu_milli, reserved_memory_bytes FROM nodes;

CREATE TABLE networks_new (
  id       TEXT NOT NULL PRIMARY KEY,
  vni      INTEGER NOT NULL CHECK (vni BETWEEN 1 AND 16777215),
  subnet   TEXT NOT NULL,
  gateway  TEXT NOT NULL,
  mtu      INTEGER NOT NULL,
  udp_port INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  CONSTRAINT networks_vni UNIQUE (vni),
  CONSTRAINT networks_subnet UNIQUE (subnet)
) STRICT;

INSERT INTO networks_new (id, vni, subnet, gateway, mtu, udp_port, revision)
  SELECT id, vni, subnet, gateway, mtu, udp_port, revision FROM networks;

-- The network a cluster is on: each is on one, and one may carry several.
CREATE TABLE attachments (
  cluster_id TEXT NOT NULL PRIMARY KEY REFERENCES clusters (id),
  network_id TEXT NOT NULL REFERENCES networks_new (id)
) STRICT;

CREATE INDEX attachments_network ON attachments (network_id);

INSERT INTO attachments (cluster_id, network_id) SELECT cluster_id, id FROM networks;

-- A node's row is also its placement: it goes only when its host is known to be empty of it, or becomes a remnant.
CREATE TABLE nodes_new (
  id                 TEXT NOT NULL PRIMARY KEY,
  cluster_id         TEXT NOT NULL REFERENCES clusters (id),
  network_id         TEXT NOT NULL REFERENCES networks_new (id),
  name               TEXT NOT NULL,
  role               TEXT NOT NULL,
  idx                INTEGER NOT NULL,
  group_number       INTEGER NOT NULL, -- in the specification it was admitted with
  host_id            TEXT NOT NULL REFERENCES hosts (id),
  address            TEXT NOT NULL,
  mac                TEXT NOT NULL,
  cpu_limit_milli    INTEGER, -- null: none
  memory_limit_bytes INTEGER NOT NULL,
  tmp_size_bytes     INTEGER NOT NULL,
  slurm_cpus         INTEGER NOT NULL, -- as Slurm is told
  slurm_memory_bytes INTEGER NOT NULL,
  constraints        TEXT NOT NULL, -- on its host, besides the cluster's
  power              TEXT NOT NULL, -- as intended: on, off
  settings           TEXT NOT NULL, -- digest of those it was made with
  state              TEXT NOT NULL,
  state_since_ms     INTEGER NOT NULL,
  container_id       TEXT,
  generation         INTEGER NOT NULL,
  last_error         TEXT,
  CONSTRAINT nodes_name UNIQUE (cluster_id, name),
  CONSTRAINT nodes_index UNIQUE (cluster_id, role, idx),
  CONSTRAINT nodes_address UNIQUE (network_id, address),
  CONSTRAINT nodes_mac UNIQUE (network_id, mac)
) STRICT;

INSERT INTO nodes_new
    (id, cluster_id, network_id, name, role, idx, group_number, host_id, address, mac, cpu_limit_milli, memory_limit_bytes,
     tmp_size_bytes, slurm_cpus, slurm_memory_bytes, constraints, power, settings, state, state_since_ms, container_id,
     generation, last_error)
  SELECT id, cluster_id, network_id, name, role, idx, group_number, host_id, address, mac, cpu_limit_milli, memory_limit_bytes,
         tmp_size_bytes, slurm_cpus, slurm_memory_bytes, constraints, 'on', settings, state, state_since_ms, container_id,
         generation, last_error
  FROM nodes LEFT JOIN node_sizes ON node_sizes.node_id = nodes.id;

DROP TABLE nodes;

DROP TABLE networks;

DROP TABLE node_sizes;

ALTER TABLE networks_new RENAME TO networks;

ALTER TABLE nodes_new RENAME TO nodes;

CREATE INDEX nodes_host ON nodes (host_id);

-- Columns of an automatic repair of hosts that was never built.
ALTER TABLE hosts DROP COLUMN healing_holder;

ALTER TABLE hosts DROP COLUMN healing_attempts;

ALTER TABLE hosts DROP COLUMN healing_until_ms;
