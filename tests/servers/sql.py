"""What the SQL servers share."""

from __future__ import annotations

from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from tests.servers.server import DocumentServer, fresh_name


class SqlServer(DocumentServer):
    """A server that SQLAlchemy speaks to; its URL names a database that is always there."""

    not_yet = (OperationalError,)

    def query(self, statement: str) -> str:
        """Run one statement outside transactions; return its first value, or nothing."""
        engine = create_engine(self.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            result = connection.execute(text(statement))
            return str(result.scalar_one()) if result.returns_rows else ""

    def fresh_documents_url(self) -> str:
        database = fresh_name()
        self.query(f"CREATE DATABASE {database}")
        return make_url(self.url).set(database=database).render_as_string(hide_password=False)
