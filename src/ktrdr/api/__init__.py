"""The REST API: one file a resource, each route one call of the Client protocol."""
