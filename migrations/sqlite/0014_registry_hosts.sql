-- Hosts that a registry's credentials are given to: a label expression; null: every host.

ALTER TABLE registries ADD COLUMN hosts TEXT;
