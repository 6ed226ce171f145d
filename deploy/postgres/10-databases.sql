-- The roles and databases of the deployment. The postgres image runs this once, when its data folder is
-- empty; on a server that others run, an administrator runs it with psql, the three variables set.
\set ON_ERROR_STOP on
\getenv owner_password MANAGE_OWNER_PASSWORD
\getenv app_password MANAGE_APP_PASSWORD
\getenv temporal_password TEMPORAL_DB_PASSWORD

-- manage_owner owns the schema and migrates it; manage_app, which API and worker use, only moves rows.
CREATE ROLE manage_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE manage_app LOGIN PASSWORD :'app_password';
-- manage_report reads the views of the schema reporting, for Grafana and analysts. It gets a password from whoever wants it.
CREATE ROLE manage_report LOGIN;
CREATE ROLE temporal LOGIN PASSWORD :'temporal_password';

CREATE DATABASE manage OWNER manage_owner;
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;

REVOKE ALL ON DATABASE manage, temporal, temporal_visibility FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE manage TO manage_app;
GRANT CONNECT ON DATABASE manage TO manage_report;

\connect manage
ALTER DEFAULT PRIVILEGES FOR ROLE manage_owner IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO manage_app;
ALTER DEFAULT PRIVILEGES FOR ROLE manage_owner IN SCHEMA public
    GRANT USAGE, SELECT ON SEQUENCES TO manage_app;
CREATE SCHEMA reporting AUTHORIZATION manage_owner;
GRANT USAGE ON SCHEMA reporting TO manage_report;
ALTER DEFAULT PRIVILEGES FOR ROLE manage_owner IN SCHEMA reporting
    GRANT SELECT ON TABLES TO manage_report;
