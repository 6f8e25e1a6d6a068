-- The store: what belongs to one installation. Times are milliseconds since 1970-01-01 UTC, amounts carry their unit in
-- the column's name, structured values are JSON text, ids are the prefixed text of their kind.

CREATE TABLE installation (
  singleton         BIGINT NOT NULL PRIMARY KEY CHECK (singleton = 1),
  id                TEXT NOT NULL,
  key_check         BYTEA NOT NULL, -- a known text, sealed: opens only with the installation's key file
  placement_version BIGINT NOT NULL,
  created_ms        BIGINT NOT NULL
);

CREATE TABLE secrets (
  id         TEXT NOT NULL PRIMARY KEY,
  kind       TEXT NOT NULL,
  sealed     BYTEA NOT NULL, -- nonce, ciphertext and tag
  created_ms BIGINT NOT NULL
);

CREATE TABLE hosts (
  id                     TEXT NOT NULL PRIMARY KEY,
  name                   TEXT NOT NULL,
  endpoint               TEXT NOT NULL,
  tls_secret_id          TEXT REFERENCES secrets (id),
  engine_id              TEXT NOT NULL,
  underlay               TEXT,
  labels                 TEXT NOT NULL,
  capacity_cpu_milli     BIGINT NOT NULL,
  capacity_memory_bytes  BIGINT NOT NULL,
  capacity_node_slots    BIGINT NOT NULL,
  overcommit_cpu_milli   BIGINT NOT NULL,
  overcommit_memory_milli BIGINT NOT NULL,
  reserve_cpu_milli      BIGINT NOT NULL,
  reserve_memory_bytes   BIGINT NOT NULL,
  engine                 TEXT NOT NULL,
  facts                  TEXT,
  state                  TEXT NOT NULL,
  state_since_ms         BIGINT NOT NULL,
  failures               BIGINT NOT NULL, -- in a row
  last_error             TEXT,
  last_error_ms          BIGINT,
  last_seen_ms           BIGINT,
  agent_state            TEXT NOT NULL,
  agent_version          TEXT,
  healing_holder         TEXT,
  healing_attempts       BIGINT NOT NULL,
  healing_until_ms       BIGINT,
  created_ms             BIGINT NOT NULL,
  version                BIGINT NOT NULL, -- of the settings
  CONSTRAINT hosts_name UNIQUE (name),
  CONSTRAINT hosts_engine UNIQUE (engine_id),
  CONSTRAINT hosts_underlay UNIQUE (underlay)
);

CREATE TABLE clusters (
  id               TEXT NOT NULL PRIMARY KEY,
  realm            TEXT NOT NULL,
  name             TEXT NOT NULL,
  phase            TEXT NOT NULL,
  spec             TEXT NOT NULL,
  image_id         TEXT NOT NULL, -- content digest, fixed at admission
  generation       BIGINT NOT NULL,
  deadline_ms      BIGINT NOT NULL,
  keep_on_failure  BIGINT NOT NULL CHECK (keep_on_failure IN (0, 1)),
  slurm_version    TEXT,
  failure          TEXT,
  seed_secret_id   TEXT NOT NULL REFERENCES secrets (id),
  created_ms       BIGINT NOT NULL,
  updated_ms       BIGINT NOT NULL,
  CONSTRAINT clusters_name UNIQUE (realm, name)
);

CREATE TABLE networks (
  id         TEXT NOT NULL PRIMARY KEY,
  cluster_id TEXT NOT NULL REFERENCES clusters (id),
  vni        BIGINT NOT NULL CHECK (vni BETWEEN 1 AND 16777215),
  subnet     TEXT NOT NULL,
  gateway    TEXT NOT NULL,
  mtu        BIGINT NOT NULL,
  udp_port   BIGINT NOT NULL,
  revision   BIGINT NOT NULL,
  CONSTRAINT networks_cluster UNIQUE (cluster_id),
  CONSTRAINT networks_vni UNIQUE (vni),
  CONSTRAINT networks_subnet UNIQUE (subnet)
);

-- A node's row is its placement: it goes only when its host is known to be empty of it, or becomes a remnant.
CREATE TABLE nodes (
  id                    TEXT NOT NULL PRIMARY KEY,
  cluster_id            TEXT NOT NULL REFERENCES clusters (id),
  network_id            TEXT NOT NULL REFERENCES networks (id),
  name                  TEXT NOT NULL,
  role                  TEXT NOT NULL,
  idx                   BIGINT NOT NULL,
  host_id               TEXT NOT NULL REFERENCES hosts (id),
  address               TEXT NOT NULL,
  mac                   TEXT NOT NULL,
  reserved_cpu_milli    BIGINT NOT NULL,
  reserved_memory_bytes BIGINT NOT NULL,
  state                 TEXT NOT NULL,
  state_since_ms        BIGINT NOT NULL,
  container_id          TEXT,
  generation            BIGINT NOT NULL,
  last_error            TEXT,
  CONSTRAINT nodes_name UNIQUE (cluster_id, name),
  CONSTRAINT nodes_index UNIQUE (cluster_id, role, idx),
  CONSTRAINT nodes_address UNIQUE (network_id, address),
  CONSTRAINT nodes_mac UNIQUE (network_id, mac)
);

CREATE INDEX nodes_host ON nodes (host_id);

-- What was left on a host that could not be reached: removed when it returns. Its VNI and subnet stay taken until then.
CREATE TABLE remnants (
  id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  host_id    TEXT NOT NULL REFERENCES hosts (id) ON DELETE CASCADE,
  cluster_id TEXT NOT NULL,
  realm      TEXT NOT NULL,
  cluster    TEXT NOT NULL,
  node_id    TEXT, -- null: everything of the cluster
  vni        BIGINT NOT NULL,
  subnet     TEXT NOT NULL,
  reason     TEXT NOT NULL,
  created_ms BIGINT NOT NULL
);

CREATE UNIQUE INDEX remnants_cluster ON remnants (host_id, cluster_id) WHERE node_id IS NULL;
CREATE UNIQUE INDEX remnants_node ON remnants (host_id, node_id) WHERE node_id IS NOT NULL;

CREATE TABLE images (
  host_id   TEXT NOT NULL REFERENCES hosts (id) ON DELETE CASCADE,
  reference TEXT NOT NULL,
  image_id  TEXT NOT NULL,
  seen_ms   BIGINT NOT NULL,
  PRIMARY KEY (host_id, reference)
);

CREATE TABLE image_facts (
  image_id TEXT NOT NULL PRIMARY KEY,
  facts    TEXT NOT NULL
);

CREATE TABLE events (
  seq     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at_ms   BIGINT NOT NULL,
  level   TEXT NOT NULL,
  kind    TEXT NOT NULL,
  realm   TEXT,
  cluster TEXT,
  node    TEXT,
  host    TEXT,
  message TEXT NOT NULL
);

CREATE INDEX events_cluster ON events (realm, cluster, seq);

-- A released lease keeps its row: the epoch must never be given out twice.
CREATE TABLE leases (
  resource  TEXT NOT NULL PRIMARY KEY,
  holder    TEXT NOT NULL,
  boot_id   TEXT NOT NULL,
  pid       BIGINT NOT NULL,
  pid_start BIGINT NOT NULL,
  epoch     BIGINT NOT NULL,
  until_ms  BIGINT NOT NULL
);
