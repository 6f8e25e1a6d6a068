-- Registries that ask engines who they are: the user's name there, and the password, sealed.

CREATE TABLE registries (
  registry   TEXT NOT NULL PRIMARY KEY, -- as image references name it: registry.example:5000
  username   TEXT NOT NULL,
  secret_id  TEXT NOT NULL REFERENCES secrets (id),
  updated_ms BIGINT NOT NULL
);
