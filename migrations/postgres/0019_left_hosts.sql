-- When a host was last given up as lost and its nodes were placed on others: few hosts are left in a while, whichever coordinator
-- does it.

ALTER TABLE hosts ADD COLUMN left_ms BIGINT;
