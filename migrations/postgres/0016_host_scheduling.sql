-- Whether nodes are placed on a host, as its operator says: schedulable, cordoned, draining, drained. Hosts that are there go on as
-- before.

ALTER TABLE hosts ADD COLUMN scheduling TEXT NOT NULL DEFAULT 'schedulable';
