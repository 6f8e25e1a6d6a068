-- Ranges that subnets of clusters are taken from, CIDR, in the order in which they are tried, separated by commas; empty: the
-- default.

ALTER TABLE installation ADD COLUMN pools TEXT NOT NULL DEFAULT '';
