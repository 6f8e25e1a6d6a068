-- What an operator loaded under a reference: no host's word of the reference counts against it.

CREATE TABLE loaded_images (
  reference TEXT NOT NULL PRIMARY KEY, -- with its tag
  image_id  TEXT NOT NULL, -- digest of the configuration, as it was computed of the archive
  loaded_ms BIGINT NOT NULL
);
