-- Whether a host whose engine makes nodes root on it takes nodes: allow, deny. Hosts that are there go on as before.

ALTER TABLE hosts ADD COLUMN privileged_nodes TEXT NOT NULL DEFAULT 'allow';
