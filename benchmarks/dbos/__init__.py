"""The same lifecycle on DBOS: our API, adapters and activities, with DBOS in Temporal's place."""

# What the two processes of the DBOS side are told besides Darkroom's settings.
DATABASE_VARIABLE = "DBOS_DATABASE_URL"
POLLING_VARIABLE = "DBOS_QUEUE_POLLING_SECONDS"
