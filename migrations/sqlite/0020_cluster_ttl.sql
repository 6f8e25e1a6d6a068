-- When a cluster is deleted by itself, and when that is told before; null: it stays, and it was told.

ALTER TABLE clusters ADD COLUMN expires_ms INTEGER;

ALTER TABLE clusters ADD COLUMN expiry_told_ms INTEGER;
