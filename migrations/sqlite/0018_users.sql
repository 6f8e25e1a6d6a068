-- Users of servers besides the one who runs them: a certificate of theirs names the row's id, so that one of the same name who comes
-- later is another. A row stays when its user is revoked.

CREATE TABLE users (
  id           TEXT NOT NULL PRIMARY KEY,
  name         TEXT NOT NULL,
  role         TEXT NOT NULL, -- admin, operator, viewer
  realms       TEXT NOT NULL, -- by name, with commas; empty: every one
  serial       TEXT NOT NULL, -- of the last certificate
  days         INTEGER NOT NULL, -- how long each certificate holds
  created_ms   INTEGER NOT NULL,
  not_after_ms INTEGER NOT NULL, -- of the last certificate
  revoked_ms   INTEGER
) STRICT;

CREATE UNIQUE INDEX users_name ON users (name) WHERE revoked_ms IS NULL;

-- Who signs the certificates of servers and users of this installation; made when it is first needed.
CREATE TABLE authority (
  singleton   INTEGER NOT NULL PRIMARY KEY CHECK (singleton = 1),
  certificate TEXT NOT NULL, -- PEM
  secret_id   TEXT NOT NULL REFERENCES secrets (id),
  created_ms  INTEGER NOT NULL
) STRICT;

-- Who called, for events that tell of a call.
ALTER TABLE events ADD COLUMN user_name TEXT;
