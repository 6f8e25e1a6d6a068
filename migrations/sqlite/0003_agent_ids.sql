-- The id the agent of a host drew for it and keeps in its state volume; null until it has said so. An engine's own id can be
-- copied with a disk or change with a reset: one machine must not be two hosts by either.

ALTER TABLE hosts ADD COLUMN agent_id TEXT;

CREATE UNIQUE INDEX hosts_agent ON hosts (agent_id);
