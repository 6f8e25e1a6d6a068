-- Rows as the last version before 0007 wrote them: clusters of every phase, and of specifications of every form.
INSERT INTO secrets (id, kind, sealed, created_ms) VALUES
  ('SEED1', 'cluster-seed', BLOB, 1700000000000), ('SEED2', 'cluster-seed', BLOB, 1700000000000),
  ('SEED3', 'cluster-seed', BLOB, 1700000000000), ('SEED4', 'cluster-seed', BLOB, 1700000000000);

INSERT INTO hosts (id, name, endpoint, tls_secret_id, engine_id, underlay, labels, capacity_cpu_milli, capacity_memory_bytes,
    capacity_node_slots, overcommit_cpu_milli, overcommit_memory_milli, reserve_cpu_milli, reserve_memory_bytes, engine, facts,
    state, state_since_ms, failures, last_error, last_error_ms, last_seen_ms, agent_state, agent_version, healing_holder,
    healing_attempts, healing_until_ms, created_ms, version, agent_id) VALUES
  ('HOST1', 'host1', 'tcp://10.77.0.1:2376', NULL, 'ENGINE-1', '10.77.0.1', '{"rack":"b"}', 8000, 17179869184, 100, 1000, 1000,
   500, 536870912, '{ENGINE}', NULL, 'ready', 1700000000000, 0, NULL, NULL, 1700000000000, 'ready', '0.1.0', NULL, 0, NULL,
   1700000000000, 1, 'agent-1'),
  ('HOST2', 'host2', 'tcp://10.77.0.2:2376', NULL, 'ENGINE-2', '10.77.0.2', '{}', 8000, 17179869184, 100, 1000, 1000,
   0, 0, '{ENGINE}', NULL, 'unreachable', 1700000000000, 2, 'timed out', 1700000000500, 1700000000000, 'absent', NULL, NULL, 0,
   NULL, 1700000000000, 3, NULL);

INSERT INTO clusters (id, realm, name, phase, spec, image_id, generation, deadline_ms, keep_on_failure, slurm_version, failure,
    seed_secret_id, created_ms, updated_ms) VALUES
  ('CLUSTER1', 'default', 'plain', 'ready',
   '{"realm":"default","name":"plain","image":"shoal-node:bookworm","profile":"system","scheduler":"spread","placing":{"apart":[],"prefer_apart":[],"max_per_host":null,"spread_over":null,"pins":[],"scheduler_timeout_ms":null,"scheduler_fallback":null},"constraints":["rack=b"],"groups":[{"role":"controller","count":1,"reserve":{"cpu":50,"memory":67108864},"cpu_limit":null,"memory_limit":536870912,"tmp_size":268435456,"constraints":[]},{"role":"worker","count":2,"reserve":{"cpu":50,"memory":67108864},"cpu_limit":null,"memory_limit":536870912,"tmp_size":268435456,"constraints":[]}],"slurm":{"main":{},"cpus":null,"memory":null},"ssh_keys":[]}',
   'sha256:00', 1, 1700000300000, 0, '22.05.8', NULL, 'SEED1', 1700000000000, 1700000010000),
  ('CLUSTER2', 'default', 'sized', 'creating',
   '{"realm":"default","name":"sized","image":"shoal-node:bookworm","profile":"system","scheduler":"binpack","placing":{"apart":["controller"],"prefer_apart":[],"max_per_host":null,"spread_over":null,"pins":[],"scheduler_timeout_ms":null,"scheduler_fallback":null},"constraints":[],"groups":[{"role":"worker","count":1,"reserve":{"cpu":2500,"memory":1073741824},"cpu_limit":2500,"memory_limit":1073741824,"tmp_size":1048576,"constraints":["gpu=yes"]},{"role":"controller","count":1,"reserve":{"cpu":50,"memory":67108864},"cpu_limit":null,"memory_limit":536870912,"tmp_size":268435456,"constraints":[]},{"role":"submitter","count":1,"reserve":{"cpu":50,"memory":134217728},"cpu_limit":null,"memory_limit":134217728,"tmp_size":268435456,"constraints":["rack=b","!slow"]},{"role":"worker","count":2,"reserve":{"cpu":50,"memory":67108864},"cpu_limit":null,"memory_limit":536870912,"tmp_size":268435456,"constraints":[]}],"slurm":{"main":{},"cpus":null,"memory":null},"ssh_keys":[]}',
   'sha256:00', 1, 1700000300000, 1, NULL, NULL, 'SEED2', 1700000000000, 1700000000000),
  ('CLUSTER3', 'lab', 'told', 'failed',
   '{"realm":"lab","name":"told","image":"shoal-node:bookworm","profile":"system","scheduler":"spread","placing":{"apart":[],"prefer_apart":[],"max_per_host":null,"spread_over":null,"pins":[],"scheduler_timeout_ms":null,"scheduler_fallback":null},"constraints":[],"groups":[{"role":"controller","count":1,"reserve":{"cpu":50,"memory":67108864},"cpu_limit":null,"memory_limit":536870912,"tmp_size":268435456,"constraints":[]},{"role":"worker","count":1,"reserve":{"cpu":50,"memory":67108864},"cpu_limit":null,"memory_limit":536870912,"tmp_size":268435456,"constraints":[]}],"slurm":{"main":{"main":"SlurmctldDebug=debug\n"},"cpus":128,"memory":536870912000},"ssh_keys":["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIC9GBAegsGjkqJORwtyWQ1aAJ+IS1ablwZ7IbfqZVWzy me@desk"]}',
   'sha256:00', 1, 1700000300000, 1, NULL, 'worker-0: munge did not start', 'SEED3', 1700000000000, 1700000000000),
  -- Before there were rules of placing and keys of users.
  ('CLUSTER4', 'lab', 'going', 'deleting',
   '{"realm":"lab","name":"going","image":"shoal-node:bookworm","profile":"system","scheduler":"spread","constraints":[],"groups":[{"role":"controller","count":1,"reserve":{"cpu":50,"memory":67108864},"cpu_limit":null,"memory_limit":536870912,"tmp_size":268435456,"constraints":[]},{"role":"worker","count":3,"reserve":{"cpu":50,"memory":67108864},"cpu_limit":null,"memory_limit":536870912,"tmp_size":268435456,"constraints":[]}],"slurm":{"main":{},"cpus":null,"memory":null}}',
   'sha256:00', 1, 1700000300000, 0, '22.05.8', 'host2 does not answer', 'SEED4', 1700000000000, 1700000020000);

INSERT INTO networks (id, cluster_id, vni, subnet, gateway, mtu, udp_port, revision) VALUES
  ('NETWORK1', 'CLUSTER1', 101, '10.96.1.0/24', '10.96.1.1', 1450, 4799, 1),
  ('NETWORK2', 'CLUSTER2', 102, '10.96.2.0/24', '10.96.2.1', 1450, 4799, 2),
  ('NETWORK3', 'CLUSTER3', 103, '10.96.3.0/24', '10.96.3.1', 1400, 4799, 1),
  ('NETWORK4', 'CLUSTER4', 104, '10.96.4.0/24', '10.96.4.1', 1450, 4799, 7);

INSERT INTO nodes (id, cluster_id, network_id, name, role, idx, host_id, address, mac, reserved_cpu_milli,
    reserved_memory_bytes, state, state_since_ms, container_id, generation, last_error) VALUES
  ('NODE11', 'CLUSTER1', 'NETWORK1', 'controller', 'controller', 0, 'HOST1', '10.96.1.2', '02:42:0a:60:01:02', 50, 67108864, 'ready', 1700000005000, 'c11', 1, NULL),
  ('NODE12', 'CLUSTER1', 'NETWORK1', 'worker-0', 'worker', 0, 'HOST1', '10.96.1.3', '02:42:0a:60:01:03', 50, 67108864, 'ready', 1700000006000, 'c12', 2, NULL),
  ('NODE13', 'CLUSTER1', 'NETWORK1', 'worker-1', 'worker', 1, 'HOST2', '10.96.1.4', '02:42:0a:60:01:04', 50, 67108864, 'stopped', 1700000007000, 'c13', 1, 'exited'),
  ('NODE21', 'CLUSTER2', 'NETWORK2', 'worker-0', 'worker', 0, 'HOST1', '10.96.2.2', '02:42:0a:60:02:02', 2500, 1073741824, 'planned', 1700000000000, NULL, 1, NULL),
  ('NODE22', 'CLUSTER2', 'NETWORK2', 'controller', 'controller', 0, 'HOST1', '10.96.2.3', '02:42:0a:60:02:03', 50, 67108864, 'starting', 1700000000000, 'c22', 1, NULL),
  ('NODE23', 'CLUSTER2', 'NETWORK2', 'submitter', 'submitter', 0, 'HOST1', '10.96.2.4', '02:42:0a:60:02:04', 50, 134217728, 'created', 1700000000000, 'c23', 1, NULL),
  ('NODE24', 'CLUSTER2', 'NETWORK2', 'worker-1', 'worker', 1, 'HOST2', '10.96.2.5', '02:42:0a:60:02:05', 50, 67108864, 'planned', 1700000000000, NULL, 1, NULL),
  ('NODE25', 'CLUSTER2', 'NETWORK2', 'worker-2', 'worker', 2, 'HOST2', '10.96.2.6', '02:42:0a:60:02:06', 50, 67108864, 'planned', 1700000000000, NULL, 1, NULL),
  ('NODE31', 'CLUSTER3', 'NETWORK3', 'controller', 'controller', 0, 'HOST1', '10.96.3.2', '02:42:0a:60:03:02', 50, 67108864, 'ready', 1700000000000, 'c31', 1, NULL),
  ('NODE32', 'CLUSTER3', 'NETWORK3', 'worker-0', 'worker', 0, 'HOST1', '10.96.3.3', '02:42:0a:60:03:03', 50, 67108864, 'starting', 1700000000000, 'c32', 1, 'munge did not start'),
  -- The others went before their host was lost.
  ('NODE44', 'CLUSTER4', 'NETWORK4', 'worker-2', 'worker', 2, 'HOST2', '10.96.4.5', '02:42:0a:60:04:05', 50, 67108864, 'ready', 1700000000000, 'c44', 1, NULL);

INSERT INTO remnants (host_id, cluster_id, realm, cluster, node_id, vni, subnet, reason, created_ms) VALUES
  ('HOST2', 'CLUSTER1', 'default', 'plain', NULL, 101, '10.96.1.0/24', 'host2 was down', 1700000004000);

INSERT INTO decisions (cluster_id, decided_ms, document) VALUES ('CLUSTER1', 1700000000000, BLOB);

INSERT INTO leases (resource, holder, boot_id, pid, pid_start, epoch, until_ms) VALUES
  ('cluster/CLUSTER2', 'me', 'boot', 7, 70, 3, 1700000030000);
