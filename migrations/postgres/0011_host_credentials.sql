-- What opens a host's engine is TLS material, or an SSH key: its kind goes by the endpoint.

ALTER TABLE hosts RENAME COLUMN tls_secret_id TO credential_id;
