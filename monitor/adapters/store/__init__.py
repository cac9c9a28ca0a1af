"""The database: SQLite in WAL mode by default, PostgreSQL by URL. Nothing outside this package imports SQLAlchemy."""
