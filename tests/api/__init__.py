"""The REST API as a client meets it: the hub's whole web application over real services and a SQLite store."""
