"""All SQL: schema, migrations and queries, with constructs that SQLite and PostgreSQL both have."""
