-- Clusters that were deleted: what allows to remove a volume that is found later, on a host nobody expected it on. Written
-- with the deletion of the cluster's row; an id never comes back, so a row is never wrong.

CREATE TABLE deleted_clusters (
  id TEXT NOT NULL PRIMARY KEY
);
