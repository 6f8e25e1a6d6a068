-- What the operator says the path to other hosts carries, the largest IP packet in bytes; null: what the agent reads from the
-- interface. Hosts that are there go on as before.

ALTER TABLE hosts ADD COLUMN underlay_mtu_bytes INTEGER;
