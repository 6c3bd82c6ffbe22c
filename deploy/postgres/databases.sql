-- The databases and their owners. PostgreSQL's image runs this by psql at the first boot; it may be run again.
-- The passwords come by the environment, so that no command line shows them.
\set ON_ERROR_STOP on
\getenv darkroom_password DARKROOM_DB_PASSWORD
\getenv temporal_password TEMPORAL_DB_PASSWORD

SELECT format('CREATE ROLE %I LOGIN PASSWORD %L', name, password)
FROM (VALUES ('darkroom', :'darkroom_password'), ('temporal', :'temporal_password')) AS wanted (name, password)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec

SELECT format('CREATE DATABASE %I OWNER %I', name, owner)
FROM (VALUES ('darkroom', 'darkroom'), ('temporal', 'temporal'), ('temporal_visibility', 'temporal'))
    AS wanted (name, owner)
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = name)
\gexec

-- Each database is for its owner only.
REVOKE ALL ON DATABASE darkroom, temporal, temporal_visibility FROM PUBLIC;
