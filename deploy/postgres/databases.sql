-- The databases, their owners and the roles beside them. PostgreSQL's image runs this by psql at the first boot; it may be run again.
-- The passwords come by the environment, so that no command line shows them.
\set ON_ERROR_STOP on
\getenv darkroom_password DARKROOM_DB_PASSWORD
\getenv serving_password DARKROOM_SERVING_DB_PASSWORD
\getenv auditing_password DARKROOM_AUDITING_DB_PASSWORD
\getenv temporal_password TEMPORAL_DB_PASSWORD

SELECT format('CREATE ROLE %I LOGIN PASSWORD %L', name, password)
FROM (VALUES
    ('darkroom', :'darkroom_password'),
    ('darkroom_serving', :'serving_password'),
    ('darkroom_auditing', :'auditing_password'),
    ('temporal', :'temporal_password')
) AS wanted (name, password)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec

SELECT format('CREATE DATABASE %I OWNER %I', name, owner)
FROM (VALUES ('darkroom', 'darkroom'), ('temporal', 'temporal'), ('temporal_visibility', 'temporal'))
    AS wanted (name, owner)
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = name)
\gexec

-- Each database is for its owner only; ours also for the two roles whose rights to tables `admin bootstrap` sets.
REVOKE ALL ON DATABASE darkroom, temporal, temporal_visibility FROM PUBLIC;
GRANT CONNECT ON DATABASE darkroom TO darkroom_serving, darkroom_auditing;
-- Whatever it is granted by mistake one day, it still only reads, unless it says otherwise.
ALTER ROLE darkroom_auditing SET default_transaction_read_only = on;

-- `public` belongs to the owner of each database. A server that was upgraded may still let everybody create in it.
\connect darkroom
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
